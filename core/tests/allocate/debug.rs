use crate::{check::{Flow, flows}, instances::Instance};
use tradewind_core::allocate::{Allocation, Problem};
fn shorts(p: &Problem, f: &[Flow]) -> [i64; 2] {
    let mut s = [0; 2];
    for (o, order) in p.orders.iter().enumerate() {
        let want: i64 = order.lines.iter().map(|l| l.quantity as i64).sum();
        let got: i64 = f.iter().filter(|x| x.0 as usize == o).map(|x| x.3 as i64).sum();
        s[order.priority as usize] += want - got;
    }
    s
}
pub fn show(i: &Instance, plan: &Allocation) {
    let f = flows(plan);
    println!("{} ours {:?} {} optimum {:?} {} units", i.name, shorts(&i.problem, &f), plan.total.0, shorts(&i.problem, &i.optimum.plan), i.optimum.total);
    if i.name == "scarce-11" || i.name == "tight-10" {
        for (o, order) in i.problem.orders.iter().enumerate() {
            let a: Vec<_> = f.iter().filter(|x| x.0 as usize == o).map(|x| (x.1, x.2, x.3)).collect();
            let b: Vec<_> = i.optimum.plan.iter().filter(|x| x.0 as usize == o).map(|x| (x.1, x.2, x.3)).collect();
            let (mut a2, mut b2) = (a.clone(), b.clone()); a2.sort(); b2.sort();
            if a2 != b2 { println!("  o{o} p{} complete {} splits {} pinned {:?} lines {:?}\n     ours {a2:?}\n     opt  {b2:?}", order.priority, order.complete, order.max_splits, order.pinned, order.lines.iter().map(|l| (l.sku, l.quantity)).collect::<Vec<_>>()); }
        }
    }
}
