//! Shipments and their scans.

use super::{Store, Tx, from_json, parameters, to_json};
use sqlx::{Any, AssertSqlSafe, Executor, Row, any::AnyRow};
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

/// Shipments of one node and day.
#[derive(Debug, Clone)]
pub(crate) struct DayRow {
    pub(crate) node: String,
    /// Day of dispatch, in days since 1970.
    pub(crate) dispatch: i64,
    /// Total number.
    pub(crate) shipments: i64,
    /// Number still at the node.
    pub(crate) waiting: i64,
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
        let NewShipment { id, order, node, region, body, allocated, held } = shipment;
        let sql = "INSERT INTO shipments (id, order_id, node, region, body, dispatch, state, allocated, open, held) \
                   VALUES ($1, $2, $3, $4, $5, $6, 'created', $7, 1, $8) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(sql).bind(id).bind(order).bind(node).bind(region);
        let insert = insert.bind(to_json(body)?).bind(body.dispatch_day());
        let done = insert.bind(i64::from(*allocated)).bind(i64::from(*held)).execute(&mut **tx).await?;
        Ok(done.rows_affected() == 1)
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

    /// Locks a shipment until the transaction ends.
    pub(crate) async fn lock_shipment(&self, tx: &mut Tx, id: &str) -> sqlx::Result<Option<ShipmentRow>> {
        let sql = format!("{SELECT} WHERE id = $1{}", self.locking(" FOR UPDATE"));
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&mut **tx).await?;
        found.as_ref().map(row).transpose()
    }

    /// Locks the shipments of an order until the transaction ends.
    pub(crate) async fn shipments_of_locked(&self, tx: &mut Tx, order: &str) -> sqlx::Result<Vec<ShipmentRow>> {
        let sql = format!("{SELECT} WHERE order_id = $1 ORDER BY id{}", self.locking(" FOR UPDATE"));
        sqlx::query(AssertSqlSafe(sql)).bind(order.to_owned()).fetch_all(&mut **tx).await?.iter().map(row).collect()
    }

    /// All open shipments, by id; errors for those with unreadable data.
    pub(crate) async fn open_shipments(&self) -> sqlx::Result<Vec<(String, sqlx::Result<ShipmentRow>)>> {
        let sql = format!("{SELECT} WHERE open = 1 ORDER BY id");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(|kept| Ok((kept.try_get("id")?, row(kept)))).collect()
    }

    /// Shipments still at a node, in the order in which they lose missing units: unpacked first, then the least urgent,
    /// then the last to arrive.
    pub(crate) async fn shipments_at(&self, tx: &mut Tx, node: &str) -> sqlx::Result<Vec<ShipmentRow>> {
        let sql = "SELECT s.id, order_id, node, region, s.body, s.state, allocated, open, held FROM shipments s \
                   LEFT JOIN orders o ON o.id = s.order_id \
                   WHERE open = 1 AND node = $1 AND allocated = 1 AND s.state IN ('created', 'packed') \
                   ORDER BY CASE s.state WHEN 'created' THEN 0 ELSE 1 END, priority DESC, seq DESC, \
                   LENGTH(s.id) DESC, s.id DESC";
        sqlx::query(AssertSqlSafe(sql)).bind(node.to_owned()).fetch_all(&mut **tx).await?.iter().map(row).collect()
    }

    /// Cancels an unchanged shipment at its node; `false` if it has changed.
    pub(crate) async fn cancel_shipment(&self, tx: &mut Tx, seen: &ShipmentRow) -> sqlx::Result<bool> {
        let sql = "UPDATE shipments SET state = 'cancelled', open = 0 \
                   WHERE id = $1 AND open = 1 AND state = $2 AND state IN ('created', 'packed')";
        let update = sqlx::query(sql).bind(&seen.id).bind(&seen.state);
        Ok(update.execute(&mut **tx).await?.rows_affected() == 1)
    }

    /// Changes the document of a shipment and locks it until the transaction ends; `false` if it is closed.
    pub(crate) async fn set_body(&self, tx: &mut Tx, id: &str, body: &Body) -> sqlx::Result<bool> {
        let sql = "UPDATE shipments SET body = $2, dispatch = $3 WHERE id = $1 AND open = 1";
        let update = sqlx::query(sql).bind(id).bind(to_json(body)?).bind(body.dispatch_day());
        Ok(update.execute(&mut **tx).await?.rows_affected() == 1)
    }

    /// Number of this service's shipments by node and day of dispatch: all days from `since` on, and earlier days for
    /// shipments still at the node.
    pub(crate) async fn days<'e>(
        &self,
        executor: impl Executor<'e, Database = Any>,
        since: i64,
    ) -> sqlx::Result<Vec<DayRow>> {
        let sql = "SELECT node, dispatch, COUNT(*), COUNT(CASE WHEN state IN ('created', 'packed') THEN 1 END) \
                   FROM shipments WHERE allocated = 1 AND dispatch IS NOT NULL AND state <> 'cancelled' \
                   AND (dispatch >= $1 OR (open = 1 AND state IN ('created', 'packed'))) GROUP BY node, dispatch";
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(sql).bind(since).fetch_all(executor).await?;
        let rows = rows.into_iter();
        Ok(rows.map(|(node, dispatch, shipments, waiting)| DayRow { node, dispatch, shipments, waiting }).collect())
    }

    pub(crate) async fn set_held(&self, tx: &mut Tx, id: &str, held: bool) -> sqlx::Result<()> {
        let sql = "UPDATE shipments SET held = $2 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(i64::from(held)).execute(&mut **tx).await.map(drop)
    }

    /// Adds a scan; `false` if it is known.
    pub(crate) async fn add_scan(&self, tx: &mut Tx, shipment: &str, scan: &Scan) -> sqlx::Result<bool> {
        let sql = "INSERT INTO scans (shipment, at, state, place) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let insert =
            sqlx::query(sql).bind(shipment).bind(scan.at.0).bind(name_of(scan.state)?).bind(scan.place.as_str());
        Ok(insert.execute(&mut **tx).await?.rows_affected() == 1)
    }

    /// Sets the state of a shipment, from its scans.
    pub(crate) async fn set_state(&self, tx: &mut Tx, id: &str, state: &str, open: bool) -> sqlx::Result<()> {
        let sql = "UPDATE shipments SET state = $2, open = $3 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(state).bind(i64::from(open)).execute(&mut **tx).await.map(drop)
    }

    /// Number of stored scans of a shipment.
    pub(crate) async fn scan_count(&self, tx: &mut Tx, shipment: &str) -> sqlx::Result<i64> {
        let sql = "SELECT COUNT(*) FROM scans WHERE shipment = $1";
        sqlx::query_scalar(sql).bind(shipment).fetch_one(&mut **tx).await
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
