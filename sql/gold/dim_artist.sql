select artist_id, artist_name, genre, country, valid_from, valid_to, is_current
from silver.artists
