CREATE INDEX events_node ON events (node, seq) WHERE node IS NOT NULL;
CREATE INDEX events_shop ON events (shop, seq) WHERE shop IS NOT NULL;
DROP TRIGGER orders_added;
CREATE TRIGGER orders_added AFTER INSERT ON orders BEGIN
    INSERT INTO counts VALUES ('order.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent, node, shop)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'order.' || NEW.state, NEW.id, NULL, NULL, NEW.shop);
END;
DROP TRIGGER orders_changed;
CREATE TRIGGER orders_changed AFTER UPDATE OF state ON orders WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO counts VALUES ('order.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
    INSERT INTO counts VALUES ('order.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent, node, shop)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'order.' || NEW.state, NEW.id, NULL, NULL, NEW.shop);
END;
DROP TRIGGER shipments_added;
CREATE TRIGGER shipments_added AFTER INSERT ON shipments BEGIN
    INSERT INTO counts VALUES ('shipment.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent, node, shop)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'shipment.' || NEW.state, NEW.id, NEW.order_id,
    NEW.node, NEW.shop);
END;
DROP TRIGGER shipments_changed;
CREATE TRIGGER shipments_changed AFTER UPDATE OF state ON shipments WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO counts VALUES ('shipment.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
    INSERT INTO counts VALUES ('shipment.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent, node, shop)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'shipment.' || NEW.state, NEW.id, NEW.order_id,
    NEW.node, NEW.shop);
END;
DROP TRIGGER shipments_held;
CREATE TRIGGER shipments_held AFTER UPDATE OF held ON shipments WHEN NEW.held <> OLD.held BEGIN
    INSERT INTO events (at, kind, subject, parent, node, shop)
    VALUES (
        CAST(unixepoch('subsec') * 1000 AS INTEGER),
        CASE NEW.held WHEN 0 THEN 'shipment.released' ELSE 'shipment.held' END, NEW.id, NEW.order_id,
        NEW.node, NEW.shop
    );
END;
DROP TRIGGER worklist_added;
CREATE TRIGGER worklist_added AFTER INSERT ON worklist BEGIN
    INSERT INTO counts VALUES ('exception.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent, node, shop)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'exception.' || NEW.state, NEW.id, NEW.shipment,
    NEW.node, NEW.shop);
END;
DROP TRIGGER worklist_changed;
CREATE TRIGGER worklist_changed AFTER UPDATE OF state ON worklist WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO counts VALUES ('exception.' || OLD.state, 0, -1) ON CONFLICT DO UPDATE SET number = number - 1;
    INSERT INTO counts VALUES ('exception.' || NEW.state, 0, 1) ON CONFLICT DO UPDATE SET number = number + 1;
    INSERT INTO events (at, kind, subject, parent, node, shop)
    VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), 'exception.' || NEW.state, NEW.id, NEW.shipment,
    NEW.node, NEW.shop);
END;
