select
    stream_id,
    user_id,
    track_id,
    cast(stream_timestamp at time zone 'UTC' as date) as stream_date,
    stream_timestamp,
    date_key as source_date_key,
    device_type,
    listen_duration
from silver.streams
