//! Allocation compared with the optimum, and properties of every plan.

#[cfg(test)]
mod always;
#[cfg(test)]
mod gap;
