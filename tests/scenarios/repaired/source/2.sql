-- a bad file of rows: amounts of the wrong sign, orders of nobody, and one that somebody typed to try the keyboard
insert into orders values (20, 1, -5, '2024-01-03 00:00:00'), (21, 2, -7.5, '2024-01-03 00:00:00'),
    (22, null, 3, '2024-01-03 00:00:00'), (23, null, 4, '2024-01-04 00:00:00'), (24, 1, 99999, '2024-01-05 00:00:00');
