//! Among equal orders, the first to arrive is served first; the request lists orders by arrival.

use anyhow::{Result, ensure};
use tradewind_core::allocate::allocate;
use tradewind_tests::allocation::made_up;

#[test]
fn of_equal_orders_the_first_gets_the_units_that_there_are() -> Result<()> {
    let mut scarce = 0;
    for (orders, nodes, cover) in
        (20..60).step_by(3).flat_map(|orders| [(orders, 3, 60), (orders, 5, 90), (orders, 9, 75)])
    {
        let mut problem = made_up(orders, nodes, 10, 8, cover);
        // Twins: some next to the order that they equal, some far behind it.
        for place in (0..orders as usize).rev().step_by(2) {
            let twin = problem.orders[place].clone();
            let behind = if place % 4 == 0 { place + 1 } else { problem.orders.len() };
            problem.orders.insert(behind, twin);
        }
        let plans = allocate(&problem)?.orders;
        for (later, order) in problem.orders.iter().enumerate() {
            for earlier in (0..later).filter(|&earlier| problem.orders[earlier] == *order) {
                let lacks = |place: usize| plans[place].shortfalls.iter().map(|short| short.quantity).sum::<u32>();
                let (first, second) = (lacks(earlier), lacks(later));
                ensure!(
                    first <= second,
                    "{orders} orders over {nodes} nodes: {earlier} came before {later}, and lacks {first} units, not {second}"
                );
                scarce += usize::from(first < second);
            }
        }
    }
    ensure!(scarce > 100, "{scarce} pairs compete: nothing was shown");
    Ok(())
}
