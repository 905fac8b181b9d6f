-- a late version splits what customer 2 was, under an order of January
update customers set city = 'Bonn', changed_at = '2024-01-15 00:00:00' where id = 2;
