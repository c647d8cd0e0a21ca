//! Event logs.

use super::{TrainingError, read_rows};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};
use tradewind_core::{Channel, Event, EventKind, Line, Millis, Profile, Sku};

/// Purchases of many shoppers.
///
/// Read from CSV with the columns `profile,at,order,sku,quantity`: shopper, milliseconds since 1970, name of the order,
/// product, units. Rows of one `profile` and `order` are one purchase.
#[derive(Debug, Default)]
pub struct EventLog {
    /// Orders of each shopper, by time.
    pub shoppers: BTreeMap<String, Vec<Order>>,
}

/// Purchase of a shopper.
#[derive(Debug, Clone)]
pub struct Order {
    /// Name in the log.
    pub name: String,
    /// Moment of the purchase.
    pub at: Millis,
    /// Lines of the order.
    pub lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Row {
    profile: String,
    at: i64,
    order: String,
    sku: String,
    quantity: u32,
}

impl EventLog {
    /// Reads a log.
    ///
    /// # Errors
    /// [`TrainingError`] names the file and row.
    pub fn read(path: &Path) -> Result<Self, TrainingError> {
        let mut orders: BTreeMap<(String, String), Order> = BTreeMap::new();
        for (n, row) in read_rows::<Row>(path)?.into_iter().enumerate() {
            let wrong = |message: String| TrainingError::Row { path: path.display().to_string(), row: n + 1, message };
            let sku = Sku::new(row.sku).map_err(|error| wrong(error.to_string()))?;
            if row.quantity == 0 {
                return Err(wrong(format!("0 units of `{sku}`; leave the row out")));
            }
            let order = orders.entry((row.profile, row.order.clone())).or_insert_with(|| Order {
                name: row.order,
                at: Millis(row.at),
                lines: Vec::new(),
            });
            if order.at.0 != row.at {
                return Err(wrong(format!("order `{}` has rows at {} and {}", order.name, order.at.0, row.at)));
            }
            order.lines.push(Line { sku, quantity: row.quantity });
        }
        let mut shoppers: BTreeMap<String, Vec<Order>> = BTreeMap::new();
        for ((profile, _), order) in orders {
            shoppers.entry(profile).or_default().push(order);
        }
        for orders in shoppers.values_mut() {
            orders.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.name.cmp(&b.name)));
        }
        Ok(Self { shoppers })
    }

    /// Orders of a shopper before a moment.
    pub fn before(&self, profile: &str, at: Millis) -> &[Order] {
        let orders = self.shoppers.get(profile).map_or(&[][..], Vec::as_slice);
        &orders[..orders.partition_point(|order| order.at < at)]
    }

    /// Profile that a shopper's device would have at a moment.
    pub fn profile(&self, profile: &str, at: Millis) -> Profile {
        let mut made = Profile::default();
        self.before(profile, at).iter().for_each(|order| made.apply(&order.event()));
        made
    }
}

impl Order {
    /// Converts the purchase to an event.
    pub fn event(&self) -> Event {
        Event { at: self.at, channel: Channel::Store, kind: EventKind::Purchase { lines: self.lines.clone() } }
    }
}
