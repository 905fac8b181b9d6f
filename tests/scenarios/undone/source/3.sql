-- the source is set right, and another customer moves
update customers set city = 'Rome', changed_at = '2024-01-01 00:00:00' where id = 1;
delete from customers where id = 3;
update orders set amount = 5 where id = 10;
delete from orders where id = 12;
update customers set city = 'Lima', changed_at = '2024-02-01 00:00:00' where id = 2;
insert into orders values (13, 1, 8, '2024-02-02 00:00:00'), (14, 2, 9, '2024-02-02 00:00:00');
