-- a test system's rows by mistake: a city that was never one, an amount, a customer and an order that are none
update customers set city = 'Nowhere', changed_at = '2024-01-10 00:00:00' where id = 1;
insert into customers values (3, 'Testville', '2024-01-10 00:00:00');
update orders set amount = 999 where id = 10;
insert into orders values (12, 1, 777, '2024-01-11 00:00:00');
