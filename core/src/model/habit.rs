//! What a shopper has to do with a product.

/// One shopper and one product at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Habit {
    /// The shopper's orders.
    pub(crate) of: u32,
    /// Those that contained the product.
    pub(crate) orders: u32,
    /// Those, each counting less with each order since: see [`ORDER_DECAYS`](crate::ORDER_DECAYS).
    pub(crate) decayed: [f32; 3],
    /// Days since the last purchase; NaN before the first.
    pub(crate) days_since: f32,
    /// Orders since the last that contained it; NaN if none did.
    pub(crate) orders_since: f32,
    /// Days from one purchase to the next, on average; NaN before the second.
    pub(crate) gap: f32,
    /// That gap over all shoppers, the median; NaN where nobody has two.
    pub(crate) typical_gap: f32,
    /// How well the product goes with what the shopper bought or looked at.
    pub(crate) affinity: f32,
}

impl Habit {
    /// Share of the shopper's orders that contain the product.
    pub(crate) fn order_share(&self) -> f32 {
        self.orders as f32 / self.of.max(1) as f32
    }

    /// Days since the last purchase as a multiple of a gap, of one day at least; NaN where either is.
    pub(crate) fn due(&self, gap: f32) -> f32 {
        // The least of a NaN and a number would be the number.
        if gap.is_nan() { gap } else { self.days_since / gap.max(1.0) }
    }
}
