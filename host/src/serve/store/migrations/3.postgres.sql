-- A replica of the previous version may still add orders while others have this version.
CREATE SEQUENCE arrivals;
SELECT setval('arrivals', (SELECT COALESCE(MAX(seq), 0) + 1 FROM orders), false);
ALTER TABLE orders ALTER COLUMN seq SET DEFAULT nextval('arrivals');
