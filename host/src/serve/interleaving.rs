//! Interleavings.

pub(super) async fn step() {}
