select user_id, user_name, country, subscription_type, start_date, end_date, valid_from, valid_to, is_current
from silver.users
