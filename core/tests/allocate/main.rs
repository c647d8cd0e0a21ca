//! Allocation beside the optimum, and what must hold of every plan.

#[cfg(test)]
mod always;
#[cfg(test)]
mod check;
#[cfg(test)]
mod gap;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod speed;
