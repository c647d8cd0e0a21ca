//! Allocation: problems with recorded plans, generated ones, and a check of plans that shares nothing with the solver.

mod check;
mod instances;
mod made_up;
mod optimum;
mod shop;

pub use check::{Flow, check, cost, flows};
pub use instances::{Answer, Instance, Solved, instances};
pub use made_up::made_up;
pub use optimum::optimum;
pub use shop::shop;
