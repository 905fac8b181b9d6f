-- Ada moves; Bo is touched without a change; Cy gets a city at the same instant as before (a tie)
update Customer set city = 'Pisa', changed_at = '2026-02-01 00:00:00' where customer_id = 1;
update Customer set changed_at = '2026-02-01 00:00:00' where customer_id = 2;
update Customer set city = 'Cork' where customer_id = 3;
insert into CustomerOrder values
  (107, 1, '70.00', '2026-01-31 23:59:59'), -- the last second in Rome
  (108, 1, '80.00', '2026-02-01 00:00:00'), -- the first in Pisa
  (109, 7, '90.00', '2026-02-02 00:00:00');
update CustomerOrder set amount = '31.50' where order_id = 103; -- a correction
