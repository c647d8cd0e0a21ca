//! Benchmarks of the decisions, in `benches/`, and the budget that CI holds the module to, in
//! `budget.toml`.
