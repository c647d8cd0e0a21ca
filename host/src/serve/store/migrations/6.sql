-- Whether an order is in line for planning: every queued one, and a short one that is due again. Claims read only these,
-- however many others there are. An order that someone adds without it is in line.
ALTER TABLE orders ADD COLUMN waits BIGINT NOT NULL DEFAULT 1;
UPDATE orders SET waits = 0 WHERE state <> 'queued';
DROP INDEX orders_queue;
CREATE INDEX orders_line ON orders (priority, seq) WHERE waits = 1;
CREATE INDEX orders_again ON orders (due) WHERE state = 'short' AND waits = 0;
CREATE INDEX orders_state ON orders (state, seq);
CREATE INDEX orders_leased ON orders (lease) WHERE lease <> '';
-- Units that shipments at nodes keep from stock: `stock.reserved` by shipment.
CREATE TABLE reservations (
    sku TEXT NOT NULL,
    node TEXT NOT NULL,
    shipment TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    PRIMARY KEY (sku, node, shipment)
);
CREATE INDEX reservations_shipment ON reservations (shipment);
-- When a shipment is scored for exceptions again. Its version is incremented whenever it moves: what was found of an
-- earlier one is not written.
CREATE TABLE looks (shipment TEXT PRIMARY KEY, due BIGINT NOT NULL, version BIGINT NOT NULL);
CREATE INDEX looks_due ON looks (due);
INSERT INTO looks (shipment, due, version)
SELECT id, 0, 0 FROM shipments WHERE open = 1 OR id IN (SELECT shipment FROM worklist WHERE state = 'open');
-- Shipments in lists: by day of dispatch, then by name. Those of other systems have no day.
UPDATE shipments SET dispatch = 0 WHERE dispatch IS NULL;
DROP INDEX shipments_open;
CREATE INDEX shipments_dispatch ON shipments (dispatch, id);
CREATE INDEX shipments_node ON shipments (node, dispatch, id);
CREATE INDEX shipments_state ON shipments (state, dispatch, id);
CREATE INDEX shipments_other ON shipments (id) WHERE allocated = 0 AND open = 0;
CREATE INDEX shipments_here ON shipments (node) WHERE open = 1;
CREATE INDEX stock_node ON stock (node, sku);
CREATE INDEX bookings_waiting ON bookings (node, day) WHERE waiting > 0;
DROP INDEX worklist_state;
CREATE INDEX worklist_worst ON worklist (state, severity DESC, found, id);
CREATE INDEX worklist_kind ON worklist (kind) WHERE state = 'open';
CREATE INDEX worklist_shipment ON worklist (shipment);
-- Digests of a decision's inputs and result, without its request and reply.
ALTER TABLE decisions ADD COLUMN receipt TEXT;
-- Number of orders, shipments and entries of the worklist by state: the sum of all stripes. Concurrent transactions add
-- to different stripes, so that they do not wait for each other.
CREATE TABLE counts (
    what TEXT NOT NULL,
    stripe BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (what, stripe)
);
INSERT INTO counts (what, stripe, number) SELECT 'order.' || state, 0, COUNT(*) FROM orders GROUP BY state;
INSERT INTO counts (what, stripe, number) SELECT 'shipment.' || state, 0, COUNT(*) FROM shipments GROUP BY state;
INSERT INTO counts (what, stripe, number) SELECT 'exception.' || state, 0, COUNT(*) FROM worklist GROUP BY state;
