//! Allocation beside the optimum, and what must hold of every plan.

#[cfg(test)]
mod always;
#[cfg(test)]
mod gap;
