CREATE INDEX events_node ON events (node, tx, seq) WHERE node IS NOT NULL;
CREATE INDEX events_shop ON events (shop, tx, seq) WHERE shop IS NOT NULL;
-- Trigger functions of each table, with its own columns: events have the node and shop of their subject.
DO $$
DECLARE
    kind RECORD;
BEGIN
    FOR kind IN SELECT * FROM (VALUES
        ('orders', 'order', 'NULL', 'NULL'),
        ('shipments', 'shipment', 'after.order_id', 'after.node'),
        ('worklist', 'exception', 'after.shipment', 'after.node')
    ) AS kinds (name, prefix, parent, node) LOOP
        EXECUTE format($function$
            CREATE FUNCTION tradewind_%1$s_added() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                PERFORM tradewind_count((SELECT array_agg('%2$s.' || state) FROM after), 1);
                INSERT INTO events (kind, subject, parent, node, shop)
                SELECT '%2$s.' || state, id, %3$s, %4$s, shop FROM after;
                RETURN NULL;
            END $body$;
            CREATE FUNCTION tradewind_%1$s_changed() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                WITH changed AS MATERIALIZED (
                    SELECT id, before.state AS former, after.state, %3$s AS parent, %4$s AS node, after.shop
                    FROM after JOIN before USING (id) WHERE after.state <> before.state
                ), counted AS (
                    INSERT INTO counts (what, stripe, number)
                    SELECT '%2$s.' || state, pg_backend_pid() %% 256, SUM(number) FROM (
                        SELECT former AS state, -1 AS number FROM changed UNION ALL SELECT state, 1 FROM changed
                    ) AS sides GROUP BY state ORDER BY state
                    ON CONFLICT (what, stripe) DO UPDATE SET number = counts.number + excluded.number
                )
                INSERT INTO events (kind, subject, parent, node, shop)
                SELECT '%2$s.' || state, id, parent, node, shop FROM changed;
                RETURN NULL;
            END $body$;
            DROP TRIGGER %1$s_added ON %1$s;
            CREATE TRIGGER %1$s_added AFTER INSERT ON %1$s REFERENCING NEW TABLE AS after
            FOR EACH STATEMENT EXECUTE FUNCTION tradewind_%1$s_added();
            DROP TRIGGER %1$s_changed ON %1$s;
            CREATE TRIGGER %1$s_changed AFTER UPDATE ON %1$s REFERENCING OLD TABLE AS before NEW TABLE AS after
            FOR EACH STATEMENT EXECUTE FUNCTION tradewind_%1$s_changed();
        $function$, kind.name, kind.prefix, kind.parent, kind.node);
    END LOOP;
END $$;
DROP FUNCTION tradewind_added;
DROP FUNCTION tradewind_changed;
CREATE OR REPLACE FUNCTION tradewind_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (kind, subject, parent, node, shop)
    SELECT CASE after.held WHEN 0 THEN 'shipment.released' ELSE 'shipment.held' END, id, after.order_id,
        after.node, after.shop
    FROM after JOIN before USING (id) WHERE after.held <> before.held;
    RETURN NULL;
END $$;
