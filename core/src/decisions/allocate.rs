//! Allocation: assignment of order lines to the nodes that ship them.
//!
//! ```text
//! orders × nodes × stock × lanes → plan: shipments, shortfalls with reasons, costs by cause, and a bound
//! ```
//!
//! A plan never takes more units than are available, never exceeds a node's capacity, and respects the constraints of
//! each order (all or nothing, maximum splits, pinned node, excluded nodes). Among such plans the solver minimises the
//! cost: freight, handling, days after the promise, risk of lateness, splits, pressure on stock, changes to the
//! previous plan, and shortfall. The `bound` limits what a better plan could save.
//!
//! **Priorities.** Orders of a lower priority never add to the shortfall of a higher one, in money over all its orders.
//! They may move such orders to another node, if that reduces the total cost.
//!
//! ```
//! use tradewind_core::{Money, allocate::{Lane, Node, Order, OrderLine, Problem, Stock, allocate}};
//!
//! let problem = Problem {
//!     orders: vec![Order { lines: vec![OrderLine { sku: 7, quantity: 2 }], missing: Money(5_000), ..Order::default() }],
//!     nodes: vec![Node::default(); 2],
//!     stock: vec![
//!         Stock { node: 0, sku: 7, available: 1, ..Stock::default() },
//!         Stock { node: 1, sku: 7, available: 9, ..Stock::default() },
//!     ],
//!     lanes: vec![
//!         Lane { node: 0, shipment: Money(400), ..Lane::default() },
//!         Lane { node: 1, shipment: Money(650), ..Lane::default() },
//!     ],
//!     ..Problem::default()
//! };
//! let plan = allocate(&problem)?;
//! assert_eq!(plan.orders[0].shipments[0].node, 1, "one shipment is cheaper than two");
//! assert_eq!((plan.total, plan.bound), (Money(650), Money(650)), "which is optimal");
//! # Ok::<(), tradewind_core::Error>(())
//! ```

mod bound;
mod explain;
mod market;
mod network;
mod place;
mod plan;
mod problem;
mod request;
mod solve;

pub use plan::{Allocation, Breakdown, OrderPlan, Reason, Shipment, Shortfall};
pub use problem::{Capacity, Costs, Held, Lane, Node, Order, OrderLine, Problem, Stock};
pub(crate) use request::answer;
pub use request::{
    AllocateRequest, Allocated, AllocatedOrder, AllocationPolicy, OrderShipment, OrderShortfall, Planned, ShopOrder,
};

use crate::error::Result;

/// Assigns each order to the nodes that ship it.
///
/// # Errors
/// [`BadRequest`](crate::ErrorKind::BadRequest) for a problem that is inconsistent or whose sums could overflow,
/// [`TooLarge`](crate::ErrorKind::TooLarge) beyond the limits of [`Problem`],
/// [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
pub fn allocate(problem: &Problem) -> Result<Allocation> {
    let network = network::Network::new(problem)?;
    let (plans, bound) = solve::solve(&network);
    Ok(explain::explain(&network, &plans, bound))
}
