//! Checks of every plan, independent of the module.

use std::collections::BTreeMap;
use tradewind_core::{
    Sku,
    allocate::{Allocated, ShopOrder},
    snapshot::Snapshot,
};

/// Checks that a plan matches these orders: each gets its ordered units or a shortfall, from existing nodes. The
/// database checks that units do not exceed stock.
///
/// # Errors
/// The violated condition.
pub(super) fn plan(orders: &[ShopOrder], allocated: &Allocated, snapshot: &Snapshot) -> Result<(), String> {
    if allocated.orders.len() != orders.len() {
        return Err(format!("the plan has {} orders instead of {}", allocated.orders.len(), orders.len()));
    }
    for (order, answer) in orders.iter().zip(&allocated.orders) {
        if answer.id != order.id {
            return Err(format!("the plan of `{}` is for another order", order.id));
        }
        let mut got: BTreeMap<&Sku, u64> = BTreeMap::new();
        for shipment in &answer.shipments {
            let node = &shipment.node;
            if snapshot.fulfilment.as_ref().is_none_or(|fulfilment| fulfilment.node(node).is_none()) {
                return Err(format!("`{}` ships from `{node}`, which does not exist", order.id));
            }
            if order.excluded.contains(node) || order.pinned.as_ref().is_some_and(|pinned| pinned != node) {
                return Err(format!("`{}` ships from `{node}`, which it excludes", order.id));
            }
            for line in &shipment.lines {
                *got.entry(&line.sku).or_default() += u64::from(line.quantity);
            }
        }
        for (place, short) in answer.shortfalls.iter().enumerate() {
            if answer.shortfalls[..place].iter().any(|other| other.sku == short.sku) {
                return Err(format!("`{}` lacks `{}` twice", order.id, short.sku));
            }
            *got.entry(&short.sku).or_default() += u64::from(short.quantity);
        }
        let wanted = order.lines.iter().map(|line| (&line.sku, u64::from(line.quantity)));
        if got != wanted.collect() {
            return Err(format!("`{}` gets other units than ordered", order.id));
        }
    }
    Ok(())
}
