update customers set city = 'Quito', changed_at = '2024-03-01 00:00:00' where id = 1;
insert into orders values (15, 1, 4, '2024-03-02 00:00:00'), (16, 3, 2, '2024-03-02 00:00:00');
