//! Seeded random numbers for the search's inner loop: fast and small, not for secrets.

/// SplitMix64 (Steele, Lea and Flood 2014): one addition and two multiplications a number.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Uniform in 0 .. `end`, which is above 0; the bias of at most `end` / 2³² is of no concern here.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (((self.bits() >> 32) * end as u64) >> 32) as usize
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Brings the items into an order of which all are as likely (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }

    /// How many trials come before the first success, each succeeding with probability 1 / `one_in`.
    pub(super) fn trials_before(&mut self, one_in: f64) -> u32 {
        ((1.0 - self.unit()).ln() / (1.0 - 1.0 / one_in).ln()) as u32
    }
}
