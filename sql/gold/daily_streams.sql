select f.date_key, u.country, f.device_type, count(*) as streams, sum(f.listen_duration)::bigint as listen_duration
from gold.fact_stream as f
join gold.dim_user as u on u.user_key = f.user_key
group by f.date_key, u.country, f.device_type
