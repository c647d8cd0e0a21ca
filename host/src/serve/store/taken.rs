//! Units and places in a day's work that shipments take: reservations of stock, and bookings of nodes.

use super::{
    Column::{Number, Text},
    Conflict, ShipmentRow, Store, Tx, to_json,
};
use sqlx::{Any, AssertSqlSafe, Executor};
use std::collections::BTreeMap;
use tradewind_core::Day;
use tradewind_json::ShipmentLine;

/// What a transaction takes and gives back.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Units to reserve, by product and node.
    units: BTreeMap<(String, String), i64>,
    /// Shipments to book, by node and day.
    bookings: BTreeMap<(String, i64), Booking>,
}

/// Shipments of a node and day: all of them, and those still at the node.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Booking {
    shipments: i64,
    waiting: i64,
}

/// Booked shipments of a node and day.
#[derive(Debug, Clone)]
pub(crate) struct DayRow {
    pub(crate) node: String,
    /// Day of dispatch, in days since 1970.
    pub(crate) day: i64,
    /// Total number.
    pub(crate) shipments: i64,
    /// Number still at the node.
    pub(crate) waiting: i64,
}

impl Taken {
    /// A shipment at a node that leaves on a day.
    pub(crate) fn take(&mut self, node: &str, lines: &[ShipmentLine], day: Option<Day>) {
        self.change(node, lines, 1);
        self.book(node, day, 1, 1);
    }

    /// A shipment still at its node is cancelled.
    pub(crate) fn give_back(&mut self, row: &ShipmentRow) {
        self.change(&row.node, &row.body.lines, -1);
        self.book(&row.node, row.body.dispatch, -1, -1);
    }

    /// A shipment leaves on another day.
    pub(crate) fn postpone(&mut self, row: &ShipmentRow, day: Option<Day>) {
        self.book(&row.node, row.body.dispatch, -1, -1);
        self.book(&row.node, day, 1, 1);
    }

    /// Some lines of a shipment become another one, of the same node and day.
    pub(crate) fn split(&mut self, row: &ShipmentRow) {
        self.book(&row.node, row.body.dispatch, 1, 1);
    }

    /// Products of which units are given back.
    pub(crate) fn freed(&self) -> impl Iterator<Item = &str> {
        self.units.iter().filter(|(_, units)| **units < 0).map(|((sku, _), _)| sku.as_str())
    }

    /// Nodes with more shipments on a day.
    pub(crate) fn booked(&self) -> impl Iterator<Item = &str> {
        self.bookings.iter().filter(|(_, booking)| booking.shipments > 0).map(|((node, _), _)| node.as_str())
    }

    fn change(&mut self, node: &str, lines: &[ShipmentLine], sign: i64) {
        for line in lines {
            *self.units.entry((line.sku.to_string(), node.to_owned())).or_default() += sign * i64::from(line.quantity);
        }
    }

    fn book(&mut self, node: &str, day: Option<Day>, shipments: i64, waiting: i64) {
        if let Some(day) = day {
            let booking = self.bookings.entry((node.to_owned(), i64::from(day.0))).or_default();
            booking.shipments += shipments;
            booking.waiting += waiting;
        }
    }
}

impl Store {
    /// Reserves and books. Reservations never exceed stock, also with concurrent writers; whether bookings exceed a
    /// node's capacity is known only afterwards, and stays so until the transaction ends.
    pub(crate) async fn take(&self, tx: &mut Tx, taken: &Taken) -> sqlx::Result<Result<(), Conflict>> {
        let units = taken.units.iter().filter(|(_, units)| **units != 0);
        let units: Vec<_> = units.map(|((sku, node), units)| (sku, node, *units)).collect();
        if !units.is_empty() {
            let rows = to_json(&units)?;
            self.lock_stock(tx, &rows).await?;
            let sql = format!(
                "UPDATE stock SET reserved = stock.reserved + v.column3 FROM {} AS v \
                 WHERE stock.sku = v.column1 AND stock.node = v.column2 AND stock.reserved + v.column3 >= 0 \
                 AND (v.column3 < 0 OR stock.on_hand - stock.safety - stock.reserved >= v.column3)",
                self.rows(1, &[Text, Text, Number])
            );
            let update = sqlx::query(AssertSqlSafe(sql)).bind(rows);
            if update.execute(&mut *tx).await?.rows_affected() != units.len() as u64 {
                return Ok(Err(Conflict));
            }
        }
        self.book(tx, taken.bookings.iter().map(|(key, booking)| (key, *booking))).await?;
        Ok(Ok(()))
    }

    /// Removes the units of a dispatched shipment from stock, reservations, and its node's work.
    pub(crate) async fn dispatch(&self, tx: &mut Tx, row: &ShipmentRow) -> sqlx::Result<()> {
        self.unreserve(tx, &[&row.id]).await?;
        let mut units = Taken::default();
        units.change(&row.node, &row.body.lines, 1);
        for ((sku, node), units) in &units.units {
            let sql = "UPDATE stock SET reserved = reserved - $3, on_hand = on_hand - $3 WHERE sku = $1 AND node = $2";
            sqlx::query(sql).bind(sku).bind(node).bind(*units).execute(&mut *tx).await?;
        }
        let day = row.body.dispatch.map(|day| (row.node.clone(), i64::from(day.0)));
        self.book(tx, day.iter().map(|day| (day, Booking { shipments: 0, waiting: -1 }))).await
    }

    async fn book(&self, tx: &mut Tx, bookings: impl Iterator<Item = (&(String, i64), Booking)>) -> sqlx::Result<()> {
        let bookings = bookings.filter(|(_, booking)| *booking != Booking::default());
        let rows: Vec<_> =
            bookings.map(|((node, day), booking)| (node, *day, booking.shipments, booking.waiting)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "INSERT INTO bookings (node, day, shipments, waiting) SELECT * FROM {} AS v WHERE true \
             ON CONFLICT (node, day) DO UPDATE SET \
             shipments = bookings.shipments + excluded.shipments, waiting = bookings.waiting + excluded.waiting",
            self.rows(1, &[Text, Number, Number, Number])
        );
        sqlx::query(AssertSqlSafe(sql)).bind(to_json(&rows)?).execute(&mut *tx).await.map(drop)
    }

    /// Locks stock until the transaction ends. An update of several rows would lock them in any order.
    async fn lock_stock(&self, tx: &mut Tx, rows: &str) -> sqlx::Result<()> {
        if !self.locks_rows() {
            return Ok(());
        }
        let sql = format!(
            "SELECT 1 FROM stock WHERE (sku, node) IN (SELECT column1, column2 FROM {} AS v) \
             ORDER BY sku, node FOR UPDATE",
            self.rows(1, &[Text, Text])
        );
        sqlx::query(AssertSqlSafe(sql)).bind(rows.to_owned()).fetch_all(&mut *tx).await.map(drop)
    }

    /// Bookings by node and day: all days from `since` on, and earlier days for shipments still at the node.
    pub(crate) async fn days<'e>(
        &self,
        executor: impl Executor<'e, Database = Any>,
        since: i64,
    ) -> sqlx::Result<Vec<DayRow>> {
        let sql = "SELECT node, day, shipments, waiting FROM bookings WHERE day >= $1 OR waiting > 0";
        let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(sql).bind(since).fetch_all(executor).await?;
        Ok(rows.into_iter().map(|(node, day, shipments, waiting)| DayRow { node, day, shipments, waiting }).collect())
    }
}
