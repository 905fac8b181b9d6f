-- Ada goes back to Rome; Bo was in Bern earlier than all we know (a late version); customer 7 arrives
update Customer set city = 'Rome', changed_at = '2026-03-01 00:00:00' where customer_id = 1;
update Customer set city = 'Bern', changed_at = '2026-01-01 00:00:00' where customer_id = 2;
insert into Customer values (7, 'Gil', 'Nice', '2026-02-01 00:00:00');
insert into CustomerOrder values
  (110, 1, '100.00', '2026-03-01 00:00:01'),
  (111, 2, '110.00', '2026-01-09 23:59:59'); -- still in Bern
