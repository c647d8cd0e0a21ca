CREATE TABLE access_keys (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    made BIGINT NOT NULL
);
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    access_key TEXT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE TABLE artefacts (
    digest TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    bytes BLOB NOT NULL,
    signature TEXT
);
CREATE TABLE releases (
    number BIGINT PRIMARY KEY,
    previous BIGINT,
    made BIGINT NOT NULL,
    note TEXT NOT NULL
);
CREATE TABLE release_parts (
    release BIGINT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (release, digest)
);
CREATE TABLE nodes (
    code TEXT PRIMARY KEY,
    closed BIGINT NOT NULL
);
CREATE TABLE stock (
    node TEXT NOT NULL,
    sku TEXT NOT NULL,
    on_hand BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    safety BIGINT NOT NULL,
    PRIMARY KEY (sku, node),
    CHECK (reserved >= 0 AND reserved <= on_hand AND safety >= 0)
);
CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    idempotency TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    priority BIGINT NOT NULL,
    received BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    due BIGINT NOT NULL,
    lease TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    cost TEXT,
    decision TEXT,
    decided BIGINT,
    error TEXT
);
CREATE INDEX orders_queue ON orders (state, due);
CREATE INDEX orders_received ON orders (received);
CREATE TABLE shortfalls (
    order_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (order_id, sku)
);
CREATE INDEX shortfalls_sku ON shortfalls (sku);
CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    made BIGINT NOT NULL,
    record TEXT NOT NULL
);
CREATE TABLE shipments (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    node TEXT NOT NULL,
    region TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    allocated BIGINT NOT NULL,
    open BIGINT NOT NULL,
    held BIGINT NOT NULL
);
CREATE INDEX shipments_order ON shipments (order_id);
CREATE INDEX shipments_open ON shipments (open, node);
CREATE TABLE scans (
    shipment TEXT NOT NULL,
    at BIGINT NOT NULL,
    state TEXT NOT NULL,
    place TEXT NOT NULL,
    PRIMARY KEY (shipment, at, state, place)
);
CREATE TABLE worklist (
    id TEXT PRIMARY KEY,
    shipment TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    severity BIGINT NOT NULL,
    score TEXT NOT NULL,
    found BIGINT NOT NULL,
    acted TEXT,
    feedback TEXT
);
CREATE INDEX worklist_state ON worklist (state, severity);
