//! Shipments and their scans.

use super::{
    Column::{Number, Text},
    Scope, Store, Tx, from_json, to_json,
};
use sqlx::{Any, AssertSqlSafe, Executor, Row, any::AnyRow};
use std::collections::BTreeSet;
use tradewind_core::{
    Day, Id, Millis, Probability,
    tracking::{Scan, State},
};
use tradewind_json::{Alternative, ShipmentLine};

/// Part of a shipment that is stored as one document.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Body {
    pub(crate) lines: Vec<ShipmentLine>,
    #[serde(deserialize_with = "Millis::of_any_year")]
    pub(crate) created: Millis,
    #[serde(deserialize_with = "Millis::of_any_year")]
    pub(crate) promised: Millis,
    /// Values of the plan, for this service's own shipments.
    #[serde(default)]
    pub(crate) dispatch: Option<Day>,
    #[serde(default)]
    pub(crate) arrival: Option<Day>,
    #[serde(default)]
    pub(crate) late: Option<Probability>,
    /// Carrier service, if it was changed.
    #[serde(default)]
    pub(crate) service: Option<String>,
    #[serde(default)]
    pub(crate) services: Vec<Alternative>,
}

/// Shipment to store.
#[derive(Debug, Clone)]
pub(crate) struct NewShipment {
    pub(crate) id: String,
    pub(crate) order: String,
    pub(crate) node: String,
    pub(crate) region: String,
    pub(crate) body: Body,
    /// Whether its units are reserved in this service's stock.
    pub(crate) allocated: bool,
    /// Whether it must not leave until it is released.
    pub(crate) held: bool,
}

/// Stored shipment.
#[derive(Debug, Clone)]
pub(crate) struct ShipmentRow {
    pub(crate) id: String,
    pub(crate) order: String,
    pub(crate) node: String,
    pub(crate) region: String,
    pub(crate) body: Body,
    /// State of its last scan, or `cancelled`.
    pub(crate) state: String,
    /// Day of dispatch by which lists are sorted, as of [`Body::dispatch_day`].
    pub(crate) day: i64,
    pub(crate) allocated: bool,
    pub(crate) open: bool,
    pub(crate) held: bool,
    /// Shop of its order.
    pub(crate) shop: Option<String>,
}

/// Filter of shipments in a list.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) node: Option<String>,
    /// State of the last scan, or `cancelled`.
    pub(crate) state: Option<String>,
    pub(crate) dispatch: Option<Day>,
}

impl Body {
    /// Day of dispatch, in days since 1970; 0 for a shipment of another system.
    pub(crate) fn dispatch_day(&self) -> i64 {
        self.dispatch.map_or(0, |day| i64::from(day.0))
    }
}

impl ShipmentRow {
    /// Whether it is at the node and unpacked.
    pub(crate) fn is_created(&self) -> bool {
        self.open && self.state == "created"
    }

    /// Whether it is at the node.
    pub(crate) fn is_at_node(&self) -> bool {
        self.open && (self.state == "created" || self.state == "packed")
    }
}

pub(super) const SELECT: &str =
    "SELECT id, order_id, node, region, body, state, dispatch, allocated, open, held, shop FROM shipments";

pub(super) fn row(row: &AnyRow) -> sqlx::Result<ShipmentRow> {
    with_body(row, from_json(&row.try_get::<String, _>("body")?)?)
}

/// Shipment to be shown, and the reason if its document cannot be read; it has no lines then.
pub(crate) type Readable = (ShipmentRow, Option<String>);

fn readable(row: &AnyRow) -> sqlx::Result<Readable> {
    match from_json(&row.try_get::<String, _>("body")?) {
        Ok(body) => Ok((with_body(row, body)?, None)),
        Err(error) => Ok((with_body(row, Body::default())?, Some(super::unread(&error)))),
    }
}

fn with_body(row: &AnyRow, body: Body) -> sqlx::Result<ShipmentRow> {
    let flag = |name: &str| row.try_get::<i64, _>(name).map(|flag| flag != 0);
    Ok(ShipmentRow {
        id: row.try_get("id")?,
        order: row.try_get("order_id")?,
        node: row.try_get("node")?,
        region: row.try_get("region")?,
        body,
        state: row.try_get("state")?,
        day: row.try_get("dispatch")?,
        allocated: flag("allocated")?,
        open: flag("open")?,
        held: flag("held")?,
        shop: row.try_get("shop")?,
    })
}

impl Store {
    /// Stores a shipment; `false` if the id exists.
    pub(crate) async fn add_shipment(&self, tx: &mut Tx, shipment: &NewShipment) -> sqlx::Result<bool> {
        Ok(!self.insert_shipments(tx, &[shipment]).await?.is_empty())
    }

    /// Stores this service's own shipments, each under the next free name of its order after the number given with it,
    /// with the scan of its creation. Returns the last one's name.
    pub(crate) async fn add_own(&self, tx: &mut Tx, mut shipments: Vec<(usize, NewShipment)>) -> sqlx::Result<String> {
        let (mut last, mut scans) = (String::new(), Vec::new());
        while !shipments.is_empty() {
            for (number, shipment) in &mut shipments {
                *number += 1;
                shipment.id = format!("{}.{number}", shipment.order);
            }
            let rows: Vec<_> = shipments.iter().map(|(_, shipment)| shipment).collect();
            let added = self.insert_shipments(tx, &rows).await?;
            for (_, shipment) in shipments.extract_if(.., |(_, shipment)| added.contains(&shipment.id)) {
                let place = Id::new(shipment.node.as_str()).map_err(|error| sqlx::Error::Encode(error.into()))?;
                let created = Scan { state: State::Created, at: shipment.body.created, place };
                last.clone_from(&shipment.id);
                scans.push((shipment.id, created.at.0, created.state, created.place));
            }
        }
        let rows = self.rows(1, &[Text, Number, Text, Text]);
        let sql = format!("INSERT INTO scans (shipment, at, state, place) SELECT * FROM {rows} AS v");
        sqlx::query(AssertSqlSafe(sql)).bind(to_json(&scans)?).execute(&mut *tx).await?;
        Ok(last)
    }

    /// Returns the names of the stored shipments: those that are not taken.
    async fn insert_shipments(&self, tx: &mut Tx, shipments: &[&NewShipment]) -> sqlx::Result<BTreeSet<String>> {
        let mut rows = Vec::with_capacity(shipments.len());
        for NewShipment { id, order, node, region, body, allocated, held } in shipments {
            let flags = (i64::from(*allocated), i64::from(*held));
            rows.push((id, order, node, region, to_json(body)?, body.dispatch_day(), flags.0, flags.1));
        }
        let sql = format!(
            "INSERT INTO shipments (id, order_id, node, region, body, dispatch, allocated, held, state, open, shop) \
             SELECT column1, column2, column3, column4, column5, column6, column7, column8, 'created', 1, \
             (SELECT shop FROM orders WHERE orders.id = column2) FROM {} AS v WHERE true ON CONFLICT DO NOTHING RETURNING id",
            self.rows(1, &[Text, Text, Text, Text, Text, Number, Number, Number])
        );
        let added: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(to_json(&rows)?).fetch_all(&mut *tx).await?;
        let added: BTreeSet<String> = added.into_iter().collect();
        let new: Vec<_> = shipments.iter().filter(|shipment| added.contains(&shipment.id)).collect();
        let reserved = new.iter().filter(|shipment| shipment.allocated).flat_map(|shipment| {
            shipment.body.lines.iter().map(|line| (&shipment.id, &shipment.node, &line.sku, line.quantity))
        });
        let rows = self.rows(1, &[Text, Text, Text, Number]);
        let sql = format!("INSERT INTO reservations (shipment, node, sku, quantity) SELECT * FROM {rows} AS v");
        let reserved = to_json(&reserved.collect::<Vec<_>>())?;
        sqlx::query(AssertSqlSafe(sql)).bind(reserved).execute(&mut *tx).await?;
        self.look_again(tx, &new.iter().map(|shipment| shipment.id.as_str()).collect::<Vec<_>>()).await?;
        Ok(added)
    }

    /// Removes the reservations of shipments, which leave or are cancelled.
    pub(super) async fn unreserve(&self, tx: &mut Tx, shipments: &[&str]) -> sqlx::Result<()> {
        let sql = format!("DELETE FROM reservations WHERE shipment IN {}", self.list(1));
        sqlx::query(AssertSqlSafe(sql)).bind(to_json(&shipments)?).execute(&mut *tx).await.map(drop)
    }

    /// Shipments of these orders, including closed ones, in order of creation.
    pub(crate) async fn shipments_of(&self, orders: &[&str]) -> sqlx::Result<Vec<ShipmentRow>> {
        self.rows_of(orders).await?.iter().map(row).collect()
    }

    /// Like [`shipments_of`](Self::shipments_of), with unreadable ones.
    pub(crate) async fn readable_shipments_of(&self, orders: &[&str]) -> sqlx::Result<Vec<Readable>> {
        self.rows_of(orders).await?.iter().map(readable).collect()
    }

    async fn rows_of(&self, orders: &[&str]) -> sqlx::Result<Vec<AnyRow>> {
        let sql = format!("{SELECT} WHERE order_id IN {} ORDER BY order_id, LENGTH(id), id", self.list(1));
        sqlx::query(AssertSqlSafe(sql)).bind(to_json(&orders)?).fetch_all(&self.pool).await
    }

    /// Shipments of a scope by day of dispatch, then by name, that match a filter; those after one, if it is given.
    pub(crate) async fn shipments(
        &self,
        scope: &Scope,
        filter: &Filter,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> sqlx::Result<Vec<Readable>> {
        let Filter { node, state, dispatch } = filter;
        let (day, id) = after.unwrap_or((-1, String::new()));
        let mut which = String::from("(dispatch, id) > ($1, $2)");
        let mut next = 4;
        for (column, given) in [("node", node.is_some()), ("state", state.is_some()), ("dispatch", dispatch.is_some())]
        {
            if given {
                which += &format!(" AND {column} = ${next}");
                next += 1;
            }
        }
        let select = format!("{SELECT} WHERE {which}");
        let (sql, values) = scope.at(node.as_deref()).list(&select, "dispatch, id", 3, next);
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(day).bind(id).bind(limit);
        for text in [node, state].into_iter().flatten() {
            query = query.bind(text.clone());
        }
        if let Some(day) = dispatch {
            query = query.bind(i64::from(day.0));
        }
        let query = values.into_iter().fold(query, |query, value| query.bind(value));
        query.fetch_all(&self.pool).await?.iter().map(readable).collect()
    }

    pub(crate) async fn shipment(&self, id: &str) -> sqlx::Result<Option<Readable>> {
        let sql = format!("{SELECT} WHERE id = $1");
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.pool).await?;
        found.as_ref().map(readable).transpose()
    }

    /// Order of a shipment.
    pub(crate) async fn order_of<'e>(
        &self,
        executor: impl Executor<'e, Database = Any>,
        shipment: &str,
    ) -> sqlx::Result<Option<String>> {
        let sql = "SELECT order_id FROM shipments WHERE id = $1";
        sqlx::query_scalar(sql).bind(shipment.to_owned()).fetch_optional(executor).await
    }

    /// Node of a shipment, which never changes.
    pub(crate) async fn node_of(&self, shipment: &str) -> sqlx::Result<Option<String>> {
        let sql = "SELECT node FROM shipments WHERE id = $1";
        sqlx::query_scalar(sql).bind(shipment.to_owned()).fetch_optional(&self.pool).await
    }

    /// Locks a shipment until the transaction ends.
    pub(crate) async fn lock_shipment(&self, tx: &mut Tx, id: &str) -> sqlx::Result<Option<ShipmentRow>> {
        let sql = format!("{SELECT} WHERE id = $1{}", self.locking(" FOR UPDATE"));
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&mut *tx).await?;
        found.as_ref().map(row).transpose()
    }

    /// Locks the shipments of an order until the transaction ends.
    pub(crate) async fn shipments_of_locked(&self, tx: &mut Tx, order: &str) -> sqlx::Result<Vec<ShipmentRow>> {
        let sql = format!("{SELECT} WHERE order_id = $1 ORDER BY id{}", self.locking(" FOR UPDATE"));
        sqlx::query(AssertSqlSafe(sql)).bind(order.to_owned()).fetch_all(&mut *tx).await?.iter().map(row).collect()
    }

    /// Orders with shipments still at a node.
    pub(crate) async fn orders_at(&self, tx: &mut Tx, node: &str) -> sqlx::Result<BTreeSet<String>> {
        let sql = "SELECT DISTINCT order_id FROM shipments \
                   WHERE open = 1 AND node = $1 AND allocated = 1 AND state IN ('created', 'packed')";
        let orders: Vec<String> = sqlx::query_scalar(sql).bind(node.to_owned()).fetch_all(tx).await?;
        Ok(orders.into_iter().collect())
    }

    /// Shipments still at a node with a product, in the order in which they lose missing units: unpacked first, then the
    /// least urgent, then the last to arrive.
    pub(crate) async fn shipments_with(&self, tx: &mut Tx, node: &str, sku: &str) -> sqlx::Result<Vec<ShipmentRow>> {
        let sql = "SELECT s.id, order_id, s.node, region, s.body, s.state, dispatch, allocated, open, held, s.shop FROM reservations r \
                   JOIN shipments s ON s.id = r.shipment LEFT JOIN orders o ON o.id = s.order_id \
                   WHERE r.sku = $1 AND r.node = $2 \
                   ORDER BY CASE s.state WHEN 'created' THEN 0 ELSE 1 END, priority DESC, seq DESC, \
                   LENGTH(s.id) DESC, s.id DESC";
        let query = sqlx::query(sql).bind(sku.to_owned()).bind(node.to_owned());
        query.fetch_all(tx).await?.iter().map(row).collect()
    }

    /// Cancels shipments at their nodes; `false` if one has left. Their orders are locked.
    pub(crate) async fn cancel_shipments(&self, tx: &mut Tx, ids: &[&str]) -> sqlx::Result<bool> {
        if ids.is_empty() {
            return Ok(true);
        }
        let sql = format!(
            "UPDATE shipments SET state = 'cancelled', open = 0 \
             WHERE open = 1 AND state IN ('created', 'packed') AND id IN {}",
            self.list(1)
        );
        let cancelled = sqlx::query(AssertSqlSafe(sql)).bind(to_json(&ids)?).execute(&mut *tx).await?.rows_affected();
        self.unreserve(tx, ids).await?;
        self.look_again(tx, ids).await?;
        Ok(cancelled == ids.len() as u64)
    }

    /// Changes the documents of shipments; `false` if one is closed. Their orders are locked.
    pub(crate) async fn set_bodies(&self, tx: &mut Tx, bodies: &[(String, Body)]) -> sqlx::Result<bool> {
        if bodies.is_empty() {
            return Ok(true);
        }
        let mut rows = Vec::with_capacity(bodies.len());
        for (id, body) in bodies {
            rows.push((id, to_json(body)?, body.dispatch_day()));
        }
        let sql = format!(
            "UPDATE shipments SET body = v.column2, dispatch = v.column3 FROM {} AS v \
             WHERE shipments.id = v.column1 AND open = 1",
            self.rows(1, &[Text, Text, Number])
        );
        let changed = sqlx::query(AssertSqlSafe(sql)).bind(to_json(&rows)?).execute(&mut *tx).await?.rows_affected();
        self.look_again(tx, &bodies.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>()).await?;
        Ok(changed == bodies.len() as u64)
    }

    /// Holds shipments, or releases them. A cancelled one that is held holds what is planned in its place.
    pub(crate) async fn set_held(&self, tx: &mut Tx, ids: &[&str], held: bool) -> sqlx::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let sql = format!("UPDATE shipments SET held = $1 WHERE id IN {}", self.list(2));
        let update = sqlx::query(AssertSqlSafe(sql)).bind(i64::from(held)).bind(to_json(&ids)?);
        update.execute(&mut *tx).await.map(drop)
    }

    /// Removes lines of a shipment from what it reserves: another shipment takes them.
    pub(crate) async fn unreserve_lines(
        &self,
        tx: &mut Tx,
        shipment: &str,
        lines: &[ShipmentLine],
    ) -> sqlx::Result<()> {
        for line in lines {
            let sql = "DELETE FROM reservations WHERE shipment = $1 AND sku = $2";
            sqlx::query(sql).bind(shipment.to_owned()).bind(line.sku.to_string()).execute(&mut *tx).await?;
        }
        Ok(())
    }

    /// Adds a scan; `false` if it is known.
    pub(crate) async fn add_scan(&self, tx: &mut Tx, shipment: &str, scan: &Scan) -> sqlx::Result<bool> {
        let sql = "INSERT INTO scans (shipment, at, state, place) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let insert =
            sqlx::query(sql).bind(shipment).bind(scan.at.0).bind(name_of(scan.state)?).bind(scan.place.as_str());
        Ok(insert.execute(&mut *tx).await?.rows_affected() == 1)
    }

    /// Sets the state of a shipment, from its scans.
    pub(crate) async fn set_state(&self, tx: &mut Tx, id: &str, state: &str, open: bool) -> sqlx::Result<()> {
        let sql = "UPDATE shipments SET state = $2, open = $3 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(state).bind(i64::from(open)).execute(&mut *tx).await?;
        self.look_again(tx, &[id]).await
    }

    /// Number of stored scans of a shipment.
    pub(crate) async fn scan_count(&self, tx: &mut Tx, shipment: &str) -> sqlx::Result<i64> {
        let sql = "SELECT COUNT(*) FROM scans WHERE shipment = $1";
        sqlx::query_scalar(sql).bind(shipment).fetch_one(&mut *tx).await
    }

    /// Scans of a shipment, oldest first; errors for unreadable ones.
    pub(crate) async fn scans(&self, shipment: &str) -> sqlx::Result<Vec<sqlx::Result<Scan>>> {
        let sql = "SELECT shipment, at, state, place FROM scans WHERE shipment = $1 ORDER BY at";
        let rows: Vec<ScanRow> = sqlx::query_as(sql).bind(shipment).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|row| scan(row).1).collect())
    }
}

/// Shipment, time, state and location of a scan.
pub(super) type ScanRow = (String, i64, String, String);

pub(super) fn scan((shipment, at, state, place): ScanRow) -> (String, sqlx::Result<Scan>) {
    let state: Result<State, _> = serde_json::from_value(serde_json::Value::String(state));
    let unread = |error: &dyn std::fmt::Display| sqlx::Error::Decode(format!("a scan: {error}").into());
    let scan = state.map_err(|error| unread(&error)).and_then(|state| {
        let place = Id::new(place).map_err(|error| unread(&error))?;
        Ok(Scan { state, at: Millis(at), place })
    });
    (shipment, scan)
}

/// Name of a state.
pub(crate) fn name_of(state: State) -> sqlx::Result<String> {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(sqlx::Error::Encode("a state without a name".into())),
    }
}
