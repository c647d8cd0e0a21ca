CREATE FUNCTION pg_temp.as_json(text TEXT) RETURNS JSON LANGUAGE plpgsql AS $$
BEGIN
    RETURN text::json;
EXCEPTION WHEN OTHERS THEN
    RETURN '{}';
END $$;
UPDATE decisions SET receipt = json_build_object(
    'module', document->'module', 'packs', document->'packs', 'snapshot', document->'snapshot',
    'request', document->'request_digest', 'reply', document->'reply_digest'
)::text
FROM (SELECT id, pg_temp.as_json(record) AS document FROM decisions) AS read
WHERE read.id = decisions.id AND document->'module' IS NOT NULL;
INSERT INTO reservations (sku, node, shipment, quantity)
SELECT line->>'sku', node, shipments.id, SUM((line->>'quantity')::bigint)
FROM shipments, json_array_elements(COALESCE(pg_temp.as_json(body)->'lines', '[]')) AS line
WHERE allocated = 1 AND open = 1 AND state IN ('created', 'packed') AND (line->>'quantity')::bigint > 0
GROUP BY 1, 2, 3;
-- What happened, in order. Readers continue after the last entry that they have seen: in the order of transactions,
-- because a later one may commit first.
CREATE TABLE events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tx BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    at BIGINT NOT NULL DEFAULT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    parent TEXT
);
CREATE INDEX events_tx ON events (tx, seq);
CREATE FUNCTION tradewind_count(delta TEXT[], sign BIGINT) RETURNS void LANGUAGE sql AS $$
    INSERT INTO counts (what, stripe, number)
    SELECT what, pg_backend_pid() % 256, sign * COUNT(*) FROM unnest(delta) AS what GROUP BY what ORDER BY what
    ON CONFLICT (what, stripe) DO UPDATE SET number = counts.number + excluded.number
$$;
CREATE FUNCTION tradewind_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tradewind_count((SELECT array_agg(TG_ARGV[0] || state) FROM after), 1);
    INSERT INTO events (kind, subject, parent)
    SELECT TG_ARGV[0] || state, id, to_json(after)->>TG_ARGV[1] FROM after;
    RETURN NULL;
END $$;
CREATE FUNCTION tradewind_changed() RETURNS trigger LANGUAGE plpgsql AS $$
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
    INSERT INTO events (kind, subject, parent)
    SELECT TG_ARGV[0] || after.state, id, to_json(after)->>TG_ARGV[1]
    FROM after JOIN before USING (id) WHERE after.state <> before.state;
    RETURN NULL;
END $$;
CREATE FUNCTION tradewind_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (kind, subject, parent)
    SELECT CASE after.held WHEN 0 THEN 'shipment.released' ELSE 'shipment.held' END, id, after.order_id
    FROM after JOIN before USING (id) WHERE after.held <> before.held;
    RETURN NULL;
END $$;
CREATE FUNCTION tradewind_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tradewind_count((SELECT array_agg(TG_ARGV[0] || state) FROM before), -1);
    RETURN NULL;
END $$;
CREATE TRIGGER orders_added AFTER INSERT ON orders REFERENCING NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_added('order.', '');
CREATE TRIGGER orders_changed AFTER UPDATE ON orders REFERENCING OLD TABLE AS before NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_changed('order.', '');
CREATE TRIGGER orders_removed AFTER DELETE ON orders REFERENCING OLD TABLE AS before
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_removed('order.');
CREATE TRIGGER shipments_added AFTER INSERT ON shipments REFERENCING NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_added('shipment.', 'order_id');
CREATE TRIGGER shipments_changed AFTER UPDATE ON shipments REFERENCING OLD TABLE AS before NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_changed('shipment.', 'order_id');
CREATE TRIGGER shipments_held AFTER UPDATE ON shipments REFERENCING OLD TABLE AS before NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_held();
CREATE TRIGGER shipments_removed AFTER DELETE ON shipments REFERENCING OLD TABLE AS before
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_removed('shipment.');
CREATE TRIGGER worklist_added AFTER INSERT ON worklist REFERENCING NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_added('exception.', 'shipment');
CREATE TRIGGER worklist_changed AFTER UPDATE ON worklist REFERENCING OLD TABLE AS before NEW TABLE AS after
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_changed('exception.', 'shipment');
CREATE TRIGGER worklist_removed AFTER DELETE ON worklist REFERENCING OLD TABLE AS before
FOR EACH STATEMENT EXECUTE FUNCTION tradewind_removed('exception.');
