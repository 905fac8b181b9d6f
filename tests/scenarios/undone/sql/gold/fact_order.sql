select id, customer_id, ordered_at, amount from silver.orders
