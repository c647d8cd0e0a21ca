-- Incremented by every change of an order and its shipments: a plan from an earlier version is computed again.
ALTER TABLE orders ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
-- Shipments by node and day of dispatch: all of them, and those still at the node.
CREATE TABLE bookings (
    node TEXT NOT NULL,
    day BIGINT NOT NULL,
    shipments BIGINT NOT NULL,
    waiting BIGINT NOT NULL,
    PRIMARY KEY (node, day)
);
CREATE INDEX bookings_day ON bookings (day);
INSERT INTO bookings (node, day, shipments, waiting)
SELECT node, dispatch, COUNT(*), COUNT(CASE WHEN state IN ('created', 'packed') THEN 1 END)
FROM shipments WHERE allocated = 1 AND dispatch IS NOT NULL AND state <> 'cancelled' GROUP BY node, dispatch;
DROP INDEX shipments_dispatch;
-- Digests of all files that were ever active: files of the command line that are among them change nothing.
CREATE TABLE seen (digest TEXT PRIMARY KEY);
INSERT INTO seen (digest) SELECT digest FROM artefacts;
-- Root of the snapshot, by which a quote names its release.
ALTER TABLE releases ADD COLUMN root TEXT;
