select coalesce(c.city, 'unknown') as city, count(*) as orders, cast(sum(f.amount) as decimal(12, 2)) as revenue
from gold.fact_order as f
join gold.dim_customer as c on c.customer_key = f.customer_key
group by coalesce(c.city, 'unknown')
