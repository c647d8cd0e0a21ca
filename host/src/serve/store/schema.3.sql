-- Orders are served in the order of their arrival. Of those that came in the same millisecond before they were numbered,
-- the shorter name is taken for the earlier one, as names mostly count.
ALTER TABLE orders ADD COLUMN seq BIGINT;
UPDATE orders SET seq = arrived.seq FROM (
    SELECT id, ROW_NUMBER() OVER (ORDER BY received, LENGTH(id), id) AS seq FROM orders
) AS arrived WHERE arrived.id = orders.id;
CREATE UNIQUE INDEX orders_seq ON orders (seq);
-- Incremented when stock, nodes or the release change. A plan from an earlier state is computed again.
CREATE TABLE generation (number BIGINT NOT NULL);
INSERT INTO generation (number) VALUES (0);
