//! Reproducible pseudo-random numbers, and bootstrap intervals.

const RESAMPLES: usize = 2_000;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform index below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.share() * count as f64) as usize
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    /// 95 % interval of a statistic over resamples of `values` with replacement.
    pub fn interval<T: Copy>(&mut self, values: &[T], figure: impl Fn(&[T]) -> f64) -> [f64; 2] {
        let mut figures: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let drawn: Vec<T> = values.iter().map(|_| values[self.below(values.len())]).collect();
                figure(&drawn)
            })
            .collect();
        figures.sort_by(f64::total_cmp);
        [figures[RESAMPLES / 40], figures[RESAMPLES - RESAMPLES / 40 - 1]]
    }
}
