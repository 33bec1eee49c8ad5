//! What a leg between two nodes costs, or how long it takes: a table with its transpose; it knows no units.

/// Whole numbers between any two nodes.
#[derive(Debug)]
pub(super) struct Metric {
    width: usize,
    /// Row = from.
    leaving: Vec<i32>,
    /// Row = to; empty when the table is symmetric.
    arriving: Vec<i32>,
}

/// Largest value that a table holds.
pub(super) const LARGEST: i64 = 1 << 30;

impl Metric {
    /// `value` is at most `LARGEST`; what is above is held as that.
    pub(super) fn table(width: usize, value: impl Fn(usize, usize) -> i64) -> Metric {
        let cell = |cell: usize| value(cell / width, cell % width).min(LARGEST) as i32;
        let leaving: Vec<i32> = (0..width * width).map(cell).collect();
        let symmetric = (0..width).all(|a| (0..a).all(|b| leaving[a * width + b] == leaving[b * width + a]));
        let transposed = || (0..width * width).map(|cell| leaving[cell % width * width + cell / width]).collect();
        let arriving = if symmetric { Vec::new() } else { transposed() };
        Metric { width, leaving, arriving }
    }

    #[inline]
    pub(super) fn get(&self, from: usize, to: usize) -> i64 {
        i64::from(self.leaving[from * self.width + to])
    }

    /// From the node to every other.
    #[inline]
    pub(super) fn from_row(&self, node: usize) -> &[i32] {
        &self.leaving[node * self.width..(node + 1) * self.width]
    }

    /// From every other to the node.
    #[inline]
    pub(super) fn to_row(&self, node: usize) -> &[i32] {
        if self.arriving.is_empty() {
            return self.from_row(node);
        }
        &self.arriving[node * self.width..(node + 1) * self.width]
    }

    pub(super) fn largest(&self) -> i64 {
        self.leaving.iter().copied().max().map_or(0, i64::from)
    }
}
