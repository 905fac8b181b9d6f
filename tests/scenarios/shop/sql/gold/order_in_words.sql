select f.order_id, f.amount, f.customer_key = -1 as is_unknown, c.is_inferred, c.name, c.city
from gold.fact_order as f
join gold.dim_customer as c on c.customer_key = f.customer_key
