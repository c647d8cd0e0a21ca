//! Facts about a shopper and a product.

/// A shopper and a product at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Habit {
    /// Orders of the shopper.
    pub(crate) of: u32,
    /// Orders that contained the product.
    pub(crate) orders: u32,
    /// Orders that contained the product, decayed with each later order: see [`ORDER_DECAYS`](crate::ORDER_DECAYS).
    pub(crate) decayed: [f32; 3],
    /// Days since the last purchase; NaN before the first.
    pub(crate) days_since: f32,
    /// Orders since the last that contained it; NaN if none did.
    pub(crate) orders_since: f32,
    /// Mean number of days between purchases; NaN before the second.
    pub(crate) gap: f32,
    /// Median of that gap over all shoppers; NaN if nobody bought the product twice.
    pub(crate) typical_gap: f32,
    /// Affinity of the product to products that the shopper bought or viewed.
    pub(crate) affinity: f32,
}

impl Habit {
    /// Share of the shopper's orders that contain the product.
    pub(crate) fn order_share(&self) -> f32 {
        self.orders as f32 / self.of.max(1) as f32
    }

    /// Days since the last purchase, divided by a gap (at least one day); NaN if either is NaN.
    pub(crate) fn due(&self, gap: f32) -> f32 {
        // `max` of NaN and a number is the number.
        if gap.is_nan() { gap } else { self.days_since / gap.max(1.0) }
    }
}
