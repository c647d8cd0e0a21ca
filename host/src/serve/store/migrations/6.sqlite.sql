UPDATE decisions SET receipt = json_object(
    'module', json_extract(record, '$.module'), 'packs', json_extract(record, '$.packs'),
    'snapshot', json_extract(record, '$.snapshot'), 'request', json_extract(record, '$.request_digest'),
    'reply', json_extract(record, '$.reply_digest')
) WHERE json_valid(record);
INSERT INTO reservations (sku, node, shipment, quantity)
SELECT json_extract(line.value, '$.sku'), node, shipments.id, SUM(json_extract(line.value, '$.quantity'))
FROM shipments, json_each(CASE WHEN json_valid(body) THEN body ELSE '{}' END, '$.lines') AS line
WHERE allocated = 1 AND open = 1 AND state IN ('created', 'packed')
AND json_extract(line.value, '$.quantity') > 0
GROUP BY 1, 2, 3;
-- What happened, in order. Readers continue after the last entry that they have seen.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tx BIGINT NOT NULL DEFAULT 0,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    parent TEXT
);
CREATE INDEX events_tx ON events (tx, seq);
CREATE TRIGGER orders_added AFTER INSERT ON orders BEGIN
    INSERT INTO counts VALUES ('order.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'order.' || NEW.state, NEW.id, NULL);
END;
CREATE TRIGGER orders_changed AFTER UPDATE OF state ON orders WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO counts VALUES ('order.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
    INSERT INTO counts VALUES ('order.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'order.' || NEW.state, NEW.id, NULL);
END;
CREATE TRIGGER orders_removed AFTER DELETE ON orders BEGIN
    INSERT INTO counts VALUES ('order.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
END;
CREATE TRIGGER shipments_added AFTER INSERT ON shipments BEGIN
    INSERT INTO counts VALUES ('shipment.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'shipment.' || NEW.state, NEW.id, NEW.order_id);
END;
CREATE TRIGGER shipments_changed AFTER UPDATE OF state ON shipments WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO counts VALUES ('shipment.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
    INSERT INTO counts VALUES ('shipment.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'shipment.' || NEW.state, NEW.id, NEW.order_id);
END;
CREATE TRIGGER shipments_held AFTER UPDATE OF held ON shipments WHEN NEW.held <> OLD.held BEGIN
    INSERT INTO events (at, kind, subject, parent) VALUES (
        CAST(unixepoch('subsec') * 1000 AS INTEGER),
        CASE NEW.held WHEN 0 THEN 'shipment.released' ELSE 'shipment.held' END, NEW.id, NEW.order_id
    );
END;
CREATE TRIGGER shipments_removed AFTER DELETE ON shipments BEGIN
    INSERT INTO counts VALUES ('shipment.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
END;
CREATE TRIGGER worklist_added AFTER INSERT ON worklist BEGIN
    INSERT INTO counts VALUES ('exception.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'exception.' || NEW.state, NEW.id, NEW.shipment);
END;
CREATE TRIGGER worklist_changed AFTER UPDATE OF state ON worklist WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO counts VALUES ('exception.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
    INSERT INTO counts VALUES ('exception.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'exception.' || NEW.state, NEW.id, NEW.shipment);
END;
CREATE TRIGGER worklist_removed AFTER DELETE ON worklist BEGIN
    INSERT INTO counts VALUES ('exception.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
END;
