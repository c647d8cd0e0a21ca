-- Orders are served by arrival. Among unnumbered orders that arrived in the same millisecond, the shorter name counts as
-- earlier, because names mostly contain ascending numbers.
ALTER TABLE orders ADD COLUMN seq BIGINT;
UPDATE orders SET seq = arrived.seq FROM (
    SELECT id, ROW_NUMBER() OVER (ORDER BY received, LENGTH(id), id) AS seq FROM orders
) AS arrived WHERE arrived.id = orders.id;
CREATE UNIQUE INDEX orders_seq ON orders (seq);
-- Incremented when stock, nodes or the release change. A plan from an earlier state is computed again.
CREATE TABLE generation (number BIGINT NOT NULL);
INSERT INTO generation (number) VALUES (0);
