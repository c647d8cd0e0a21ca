//! Shipments, and what happened to them.

use super::{Store, Tx, from_json, parameters, to_json};
use sqlx::{AssertSqlSafe, Row, any::AnyRow};
use tradewind_core::{Millis, exceptions::State};
use tradewind_json::{Alternative, Date, Moment, Scan, ShipmentLine};

/// What of a shipment is kept as one document.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Body {
    pub(crate) lines: Vec<ShipmentLine>,
    pub(crate) created: Moment,
    pub(crate) promised: Moment,
    /// What the plan said, for shipments of this service's own.
    #[serde(default)]
    pub(crate) dispatch: Option<Date>,
    #[serde(default)]
    pub(crate) arrival: Option<Date>,
    #[serde(default)]
    pub(crate) late: Option<f64>,
    /// The service that carries it, where it was changed.
    #[serde(default)]
    pub(crate) service: Option<String>,
    #[serde(default)]
    pub(crate) services: Vec<Alternative>,
}

/// A shipment that is to be kept.
#[derive(Debug, Clone)]
pub(crate) struct NewShipment {
    pub(crate) id: String,
    pub(crate) order: String,
    pub(crate) node: String,
    pub(crate) region: String,
    pub(crate) body: Body,
    /// Whether its units are promised from this service's stock.
    pub(crate) allocated: bool,
}

/// A shipment as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct ShipmentRow {
    pub(crate) id: String,
    pub(crate) order: String,
    pub(crate) node: String,
    pub(crate) region: String,
    pub(crate) body: Body,
    /// The last of its scans, or `cancelled`.
    pub(crate) state: String,
    pub(crate) allocated: bool,
    pub(crate) open: bool,
    pub(crate) held: bool,
}

impl ShipmentRow {
    /// Whether the node has it still, and nothing of it is packed.
    pub(crate) fn is_created(&self) -> bool {
        self.open && self.state == "created"
    }

    /// Whether the node has it still.
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
    /// Keeps a shipment; `false` where one of its id is there.
    pub(crate) async fn add_shipment(&self, tx: &mut Tx, shipment: &NewShipment) -> sqlx::Result<bool> {
        let NewShipment { id, order, node, region, body, allocated } = shipment;
        let sql = "INSERT INTO shipments (id, order_id, node, region, body, state, allocated, open, held) \
                   VALUES ($1, $2, $3, $4, $5, 'created', $6, 1, 0) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(sql).bind(id).bind(order).bind(node).bind(region).bind(to_json(body)?);
        let done = insert.bind(i64::from(*allocated)).execute(&mut **tx).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The shipments of these orders, also those that are closed, by id.
    pub(crate) async fn shipments_of(&self, orders: &[&str]) -> sqlx::Result<Vec<ShipmentRow>> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("{SELECT} WHERE order_id IN {} ORDER BY order_id, id", parameters(1, orders.len()));
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

    /// A shipment that nobody changes until the transaction ends.
    pub(crate) async fn lock_shipment(&self, tx: &mut Tx, id: &str) -> sqlx::Result<Option<ShipmentRow>> {
        let sql = format!("{SELECT} WHERE id = $1{}", self.locking(" FOR UPDATE"));
        let found = sqlx::query(AssertSqlSafe(sql)).bind(id.to_owned()).fetch_optional(&mut **tx).await?;
        found.as_ref().map(row).transpose()
    }

    /// The shipments of an order, which nobody changes until the transaction ends.
    pub(crate) async fn shipments_of_locked(&self, tx: &mut Tx, order: &str) -> sqlx::Result<Vec<ShipmentRow>> {
        let sql = format!("{SELECT} WHERE order_id = $1 ORDER BY id{}", self.locking(" FOR UPDATE"));
        sqlx::query(AssertSqlSafe(sql)).bind(order.to_owned()).fetch_all(&mut **tx).await?.iter().map(row).collect()
    }

    /// All shipments that are not over, by id.
    pub(crate) async fn open_shipments(&self) -> sqlx::Result<Vec<ShipmentRow>> {
        let sql = format!("{SELECT} WHERE open = 1 ORDER BY id");
        sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await?.iter().map(row).collect()
    }

    /// Shipments that a node has still, the last first.
    pub(crate) async fn shipments_at(&self, tx: &mut Tx, node: &str) -> sqlx::Result<Vec<ShipmentRow>> {
        let sql = format!(
            "{SELECT} WHERE open = 1 AND node = $1 AND allocated = 1 AND state IN ('created', 'packed') ORDER BY id DESC"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(node.to_owned()).fetch_all(&mut **tx).await?.iter().map(row).collect()
    }

    /// Cancels a shipment that is as it was seen, at its node; `false` where it has gone on.
    pub(crate) async fn cancel_shipment(&self, tx: &mut Tx, seen: &ShipmentRow) -> sqlx::Result<bool> {
        let sql = "UPDATE shipments SET state = 'cancelled', open = 0 \
                   WHERE id = $1 AND open = 1 AND state = $2 AND state IN ('created', 'packed')";
        let update = sqlx::query(sql).bind(&seen.id).bind(&seen.state);
        Ok(update.execute(&mut **tx).await?.rows_affected() == 1)
    }

    /// Whether a shipment is still at its node, which it does not leave until the transaction ends.
    pub(crate) async fn keep_shipment(&self, tx: &mut Tx, id: &str) -> sqlx::Result<bool> {
        let sql = "UPDATE shipments SET open = 1 WHERE id = $1 AND open = 1";
        Ok(sqlx::query(sql).bind(id).execute(&mut **tx).await?.rows_affected() == 1)
    }

    pub(crate) async fn set_body(&self, tx: &mut Tx, id: &str, body: &Body) -> sqlx::Result<()> {
        let sql = "UPDATE shipments SET body = $2 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(to_json(body)?).execute(&mut **tx).await.map(drop)
    }

    pub(crate) async fn set_held(&self, tx: &mut Tx, id: &str, held: bool) -> sqlx::Result<()> {
        let sql = "UPDATE shipments SET held = $2 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(i64::from(held)).execute(&mut **tx).await.map(drop)
    }

    /// Adds a scan; `false` where it is known.
    pub(crate) async fn add_scan(&self, tx: &mut Tx, shipment: &str, scan: &Scan) -> sqlx::Result<bool> {
        let sql = "INSERT INTO scans (shipment, at, state, place) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(sql).bind(shipment).bind(scan.at.0.0).bind(name_of(scan.state)?).bind(&scan.place);
        Ok(insert.execute(&mut **tx).await?.rows_affected() == 1)
    }

    /// Sets where a shipment is, by its scans.
    pub(crate) async fn set_state(&self, tx: &mut Tx, id: &str, state: &str, open: bool) -> sqlx::Result<()> {
        let sql = "UPDATE shipments SET state = $2, open = $3 WHERE id = $1";
        sqlx::query(sql).bind(id).bind(state).bind(i64::from(open)).execute(&mut **tx).await.map(drop)
    }

    /// The scans of a shipment, the first first.
    pub(crate) async fn scans(&self, shipment: &str) -> sqlx::Result<Vec<Scan>> {
        let sql = "SELECT shipment, at, state, place FROM scans WHERE shipment = $1 ORDER BY at";
        let rows: Vec<(String, i64, String, String)> = sqlx::query_as(sql).bind(shipment).fetch_all(&self.pool).await?;
        rows.into_iter().map(|row| Ok(scan(row)?.1)).collect()
    }

    /// The scans of all shipments that are not over, by shipment, the first first.
    pub(crate) async fn open_scans(&self) -> sqlx::Result<Vec<(String, Scan)>> {
        let sql = "SELECT shipment, at, scans.state, place FROM scans \
                   JOIN shipments ON shipments.id = scans.shipment WHERE open = 1 ORDER BY shipment, at";
        let rows: Vec<(String, i64, String, String)> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        rows.into_iter().map(scan).collect()
    }
}

fn scan((shipment, at, state, place): (String, i64, String, String)) -> sqlx::Result<(String, Scan)> {
    let state: State =
        serde_json::from_value(serde_json::Value::String(state)).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok((shipment, Scan { state, at: Moment(Millis(at)), place }))
}

/// A state as it is written.
pub(crate) fn name_of(state: State) -> sqlx::Result<String> {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(sqlx::Error::Encode("a state without a name".into())),
    }
}
