select id, city, valid_from, valid_to, is_current from silver.customers
