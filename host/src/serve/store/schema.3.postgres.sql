-- A replica of the version before may still add orders while others are of this one.
CREATE SEQUENCE arrivals;
SELECT setval('arrivals', (SELECT COALESCE(MAX(seq), 0) + 1 FROM orders), false);
ALTER TABLE orders ALTER COLUMN seq SET DEFAULT nextval('arrivals');
