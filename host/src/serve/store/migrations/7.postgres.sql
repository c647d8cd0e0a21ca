CREATE INDEX events_node ON events (node, tx, seq) WHERE node IS NOT NULL;
CREATE INDEX events_shop ON events (shop, tx, seq) WHERE shop IS NOT NULL;
CREATE FUNCTION tradewind_shipment_shop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT shop INTO NEW.shop FROM orders WHERE id = NEW.order_id;
    RETURN NEW;
END $$;
CREATE FUNCTION tradewind_exception_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT node, shop INTO NEW.node, NEW.shop FROM shipments WHERE id = NEW.shipment;
    RETURN NEW;
END $$;
CREATE TRIGGER shipments_shop BEFORE INSERT ON shipments
FOR EACH ROW EXECUTE FUNCTION tradewind_shipment_shop();
CREATE TRIGGER worklist_place BEFORE INSERT ON worklist
FOR EACH ROW EXECUTE FUNCTION tradewind_exception_place();
CREATE OR REPLACE FUNCTION tradewind_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tradewind_count((SELECT array_agg(TG_ARGV[0] || state) FROM after), 1);
    WITH added AS MATERIALIZED (SELECT id, state, to_json(after) AS fields FROM after)
    INSERT INTO events (kind, subject, parent, node, shop)
    SELECT TG_ARGV[0] || state, id, fields->>TG_ARGV[1], fields->>'node', fields->>'shop' FROM added;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION tradewind_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM after JOIN before USING (id) WHERE after.state <> before.state) THEN
        RETURN NULL;
    END IF;
    PERFORM tradewind_count(
        (SELECT array_agg(TG_ARGV[0] || before.state) FROM after JOIN before USING (id)
         WHERE after.state <> before.state), -1);
    PERFORM tradewind_count(
        (SELECT array_agg(TG_ARGV[0] || after.state) FROM after JOIN before USING (id)
         WHERE after.state <> before.state), 1);
    WITH changed AS MATERIALIZED (
        SELECT id, after.state, to_json(after) AS fields FROM after JOIN before USING (id)
        WHERE after.state <> before.state
    )
    INSERT INTO events (kind, subject, parent, node, shop)
    SELECT TG_ARGV[0] || state, id, fields->>TG_ARGV[1], fields->>'node', fields->>'shop' FROM changed;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION tradewind_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (kind, subject, parent, node, shop)
    SELECT CASE after.held WHEN 0 THEN 'shipment.released' ELSE 'shipment.held' END, id, after.order_id,
        after.node, after.shop
    FROM after JOIN before USING (id) WHERE after.held <> before.held;
    RETURN NULL;
END $$;
