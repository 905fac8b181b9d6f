create table customers (id integer primary key, city text, changed_at timestamp);
create table orders (id integer primary key, customer_id integer, amount decimal(12,2), ordered_at timestamp);
insert into customers values (1, 'Rome', '2024-01-01 00:00:00'), (2, 'Oslo', '2024-01-01 00:00:00');
insert into orders values (10, 1, 5, '2024-01-02 00:00:00'), (11, 2, 6, '2024-01-20 00:00:00');
