-- Limits of access keys: a JSON array of nodes, or a shop, and a time. Null means unlimited.
ALTER TABLE access_keys ADD COLUMN nodes TEXT;
ALTER TABLE access_keys ADD COLUMN shop TEXT;
ALTER TABLE access_keys ADD COLUMN expires BIGINT;
-- Last use, to the hour.
ALTER TABLE access_keys ADD COLUMN used BIGINT;
-- Digests of secrets before a rotation, valid until a time.
CREATE TABLE former_secrets (
    hash TEXT PRIMARY KEY,
    access_key TEXT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX former_secrets_key ON former_secrets (access_key);
-- By which keys are limited: the node and the shop of everything that has one. A new shipment has the shop of its order,
-- a new exception both from its shipment; triggers copy them to events.
ALTER TABLE orders ADD COLUMN shop TEXT;
ALTER TABLE shipments ADD COLUMN shop TEXT;
ALTER TABLE worklist ADD COLUMN node TEXT;
ALTER TABLE worklist ADD COLUMN shop TEXT;
ALTER TABLE events ADD COLUMN node TEXT;
ALTER TABLE events ADD COLUMN shop TEXT;
UPDATE worklist SET node = (SELECT node FROM shipments WHERE shipments.id = worklist.shipment);
UPDATE events SET node = (SELECT node FROM shipments WHERE shipments.id = events.subject)
WHERE kind LIKE 'shipment.%';
UPDATE events SET node = (SELECT node FROM worklist WHERE worklist.id = events.subject)
WHERE kind LIKE 'exception.%';
CREATE INDEX orders_shop ON orders (shop, seq) WHERE shop IS NOT NULL;
CREATE INDEX orders_shop_state ON orders (shop, state, seq) WHERE shop IS NOT NULL;
CREATE INDEX shipments_shop ON shipments (shop, dispatch, id) WHERE shop IS NOT NULL;
CREATE INDEX worklist_node ON worklist (node, state, severity DESC, found, id);
CREATE INDEX worklist_shop ON worklist (shop, state, severity DESC, found, id) WHERE shop IS NOT NULL;
-- Claims give back their orders by name.
DROP INDEX orders_leased;
-- Receivers of events, each with the place of the last one that it got.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    kinds TEXT,
    secret TEXT NOT NULL,
    former TEXT,
    former_until BIGINT NOT NULL,
    state TEXT NOT NULL,
    tx BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    due BIGINT NOT NULL,
    lease TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    error TEXT,
    made BIGINT NOT NULL,
    delivered BIGINT
);
