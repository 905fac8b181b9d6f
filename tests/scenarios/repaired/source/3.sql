insert into orders values (25, 2, 1, '2024-01-06 00:00:00');
