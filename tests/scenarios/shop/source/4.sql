-- nothing changed but an order that finds its customer
update CustomerOrder set customer_id = 2 where order_id = 105;
