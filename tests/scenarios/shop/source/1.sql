create table Customer (customer_id integer primary key, name text, city text, changed_at timestamp);
create table CustomerOrder (order_id integer primary key, customer_id integer, amount decimal(10,2), ordered_at timestamp);
insert into Customer values
  (1, 'Ada', 'Rome', '2026-01-10 00:00:00'),
  (2, 'Bo', 'Oslo', '2026-01-10 00:00:00'),
  (3, 'Cy', null, '2026-01-10 00:00:00');
insert into CustomerOrder values
  (101, 1, '10.00', '2026-01-05 12:00:00'), -- before the customer's first known version
  (102, 1, '20.00', '2026-01-10 00:00:00'), -- exactly at it
  (103, 2, '30.00', '2026-01-11 00:00:00'),
  (104, 7, '40.00', '2026-01-11 00:00:00'), -- a customer that nobody knows yet
  (105, null, '50.00', '2026-01-11 00:00:00'),
  (106, 3, '60.00', '2026-01-11 00:00:00');
