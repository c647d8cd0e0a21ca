//! Shipments and their scans.

use super::{ROWS, Store, Tx, from_json, parameters, to_json, values};
use sqlx::{Any, AssertSqlSafe, Executor, Row, any::AnyRow};
use std::collections::BTreeSet;
use tradewind_core::{
    Day, Id, Millis, Probability,
    tracking::{Scan, State},
};
use tradewind_json::{Alternative, ShipmentLine};

/// Part of a shipment that is stored as one document.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
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
    pub(crate) allocated: bool,
    pub(crate) open: bool,
    pub(crate) held: bool,
}

impl Body {
    /// Day of dispatch, in days since 1970.
    fn dispatch_day(&self) -> Option<i64> {
        self.dispatch.map(|day| i64::from(day.0))
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

const SELECT: &str = "SELECT id, order_id, node, region, body, state, allocated, open, held FROM shipments";

fn row(row: &AnyRow) -> sqlx::Result<ShipmentRow> {
    let flag = |name: &str| row.try_get::<i64, _>(name).map(|flag| flag != 0);
    Ok(ShipmentRow {
        id: row.try_get("id")?,
        order: row.try_get("order_id")?,
        node: row.try_get("node")?,
        region: row.try_get("region")?,
        body: from_json(&row.try_get::<String, _>("body")?)?,
        state: row.try_get("state")?,
        allocated: flag("allocated")?,
        open: flag("open")?,
        held: flag("held")?,
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
                scans.push((shipment.id, created));
            }
        }
        for scans in scans.chunks(ROWS) {
            let sql = format!("INSERT INTO scans (shipment, at, state, place) VALUES {}", values(1, scans.len(), 4));
            let mut insert = sqlx::query(AssertSqlSafe(sql));
            for (shipment, scan) in scans {
                insert = insert.bind(shipment).bind(scan.at.0).bind(name_of(scan.state)?).bind(scan.place.as_str());
            }
            insert.execute(&mut *tx).await?;
        }
        Ok(last)
    }

    /// Returns the names of the stored shipments: those that are not taken.
    async fn insert_shipments(&self, tx: &mut Tx, shipments: &[&NewShipment]) -> sqlx::Result<BTreeSet<String>> {
        let mut added = BTreeSet::new();
        for shipments in shipments.chunks(ROWS) {
            let sql = format!(
                "INSERT INTO shipments (id, order_id, node, region, body, dispatch, state, allocated, open, held) \
                 VALUES {} ON CONFLICT DO NOTHING RETURNING id",
                values(1, shipments.len(), 10)
            );
            let mut insert = sqlx::query_scalar(AssertSqlSafe(sql));
            for NewShipment { id, order, node, region, body, allocated, held } in shipments {
                insert = insert.bind(id).bind(order).bind(node).bind(region);
                insert = insert.bind(to_json(body)?).bind(body.dispatch_day()).bind("created");
                insert = insert.bind(i64::from(*allocated)).bind(1_i64).bind(i64::from(*held));
            }
            added.extend(insert.fetch_all(&mut *tx).await?);
        }
        Ok(added)
    }

    /// Shipments of these orders, including closed ones, in order of creation.
    pub(crate) async fn shipments_of(&self, orders: &[&str]) -> sqlx::Result<Vec<ShipmentRow>> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let sql =
            format!("{SELECT} WHERE order_id IN {} ORDER BY order_id, LENGTH(id), id", parameters(1, orders.len()));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for order in orders {
            query = query.bind((*order).to_owned());
        }
        query.fetch_all(&self.pool).await?.iter().map(row).collect()
    }

    pub(crate) async fn shipment(&self, id: &str) -> sqlx::Result<Option<ShipmentRow>> {
        let sql = format!("{SELECT} WHERE id = $1");
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&self.pool).await?;
        found.as_ref().map(row).transpose()
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

    /// All open shipments, by id; errors for those with unreadable data.
    pub(crate) async fn open_shipments(&self) -> sqlx::Result<Vec<(String, sqlx::Result<ShipmentRow>)>> {
        let sql = format!("{SELECT} WHERE open = 1 ORDER BY id");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(|kept| Ok((kept.try_get("id")?, row(kept)))).collect()
    }

    /// Shipments still at a node, in the order in which they lose missing units: unpacked first, then the least urgent,
    /// then the last to arrive.
    pub(crate) async fn shipments_at<'e>(
        &self,
        executor: impl Executor<'e, Database = Any>,
        node: &str,
    ) -> sqlx::Result<Vec<ShipmentRow>> {
        let sql = "SELECT s.id, order_id, node, region, s.body, s.state, allocated, open, held FROM shipments s \
                   LEFT JOIN orders o ON o.id = s.order_id \
                   WHERE open = 1 AND node = $1 AND allocated = 1 AND s.state IN ('created', 'packed') \
                   ORDER BY CASE s.state WHEN 'created' THEN 0 ELSE 1 END, priority DESC, seq DESC, \
                   LENGTH(s.id) DESC, s.id DESC";
        sqlx::query(sql).bind(node.to_owned()).fetch_all(executor).await?.iter().map(row).collect()
    }

    /// Cancels shipments at their nodes; `false` if one has left. Their orders are locked.
    pub(crate) async fn cancel_shipments(&self, tx: &mut Tx, ids: &[&str]) -> sqlx::Result<bool> {
        let mut cancelled = 0;
        for ids in ids.chunks(ROWS) {
            let sql = format!(
                "UPDATE shipments SET state = 'cancelled', open = 0 \
                 WHERE open = 1 AND state IN ('created', 'packed') AND id IN {}",
                parameters(1, ids.len())
            );
            let update = ids.iter().fold(sqlx::query(AssertSqlSafe(sql)), |update, id| update.bind((*id).to_owned()));
            cancelled += update.execute(&mut *tx).await?.rows_affected();
        }
        Ok(cancelled == ids.len() as u64)
    }

    /// Changes the documents of shipments; `false` if one is closed. Their orders are locked.
    pub(crate) async fn set_bodies(&self, tx: &mut Tx, bodies: &[(String, Body)]) -> sqlx::Result<bool> {
        let mut changed = 0;
        for bodies in bodies.chunks(ROWS) {
            let sql = format!(
                "UPDATE shipments SET body = v.column2, dispatch = v.column3 FROM (VALUES {}) AS v \
                 WHERE shipments.id = v.column1 AND open = 1",
                values(1, bodies.len(), 3)
            );
            let mut update = sqlx::query(AssertSqlSafe(sql));
            for (id, body) in bodies {
                update = update.bind(id).bind(to_json(body)?).bind(body.dispatch_day());
            }
            changed += update.execute(&mut *tx).await?.rows_affected();
        }
        Ok(changed == bodies.len() as u64)
    }

    /// Holds shipments, or releases them. A cancelled one that is held holds what is planned in its place.
    pub(crate) async fn set_held(&self, tx: &mut Tx, ids: &[&str], held: bool) -> sqlx::Result<()> {
        for ids in ids.chunks(ROWS) {
            let sql = format!("UPDATE shipments SET held = $1 WHERE id IN {}", parameters(2, ids.len()));
            let update = sqlx::query(AssertSqlSafe(sql)).bind(i64::from(held));
            ids.iter().fold(update, |update, id| update.bind((*id).to_owned())).execute(&mut *tx).await?;
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
        sqlx::query(sql).bind(id).bind(state).bind(i64::from(open)).execute(&mut *tx).await.map(drop)
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

    /// Scans of all open shipments, by shipment, oldest first; errors for unreadable ones.
    pub(crate) async fn open_scans(&self) -> sqlx::Result<Vec<(String, sqlx::Result<Scan>)>> {
        let sql = "SELECT shipment, at, scans.state, place FROM scans \
                   JOIN shipments ON shipments.id = scans.shipment WHERE open = 1 ORDER BY shipment, at";
        let rows: Vec<ScanRow> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(scan).collect())
    }
}

/// Shipment, time, state and location of a scan.
type ScanRow = (String, i64, String, String);

fn scan((shipment, at, state, place): ScanRow) -> (String, sqlx::Result<Scan>) {
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
