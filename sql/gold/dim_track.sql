select track_id, track_name, artist_id, album_name, duration_sec, release_date, valid_from, valid_to, is_current
from silver.tracks
