//! Counts of numbered levels that go up and down, and the level of any rank, each in logarithmic time; what levels are stands elsewhere.

/// A Fenwick tree (Fenwick, "A new data structure for cumulative frequency tables", 1994) of how many items each level has.
pub(crate) struct Tally {
    /// Node `n` holds the items of the levels in `n - lowest_bit(n)..n`; their number is a power of two.
    nodes: Vec<u32>,
    total: u32,
}

impl Tally {
    /// Of levels below `levels`, without an item.
    pub(crate) fn new(levels: usize) -> Self {
        Self { nodes: vec![0; levels.next_power_of_two() + 1], total: 0 }
    }

    /// How many items there are.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    pub(crate) fn add(&mut self, level: usize) {
        self.total += 1;
        self.each_node_of(level, |items| *items += 1);
    }

    /// Takes an item out that was added.
    pub(crate) fn remove(&mut self, level: usize) {
        self.total -= 1;
        self.each_node_of(level, |items| *items -= 1);
    }

    fn each_node_of(&mut self, level: usize, change: impl Fn(&mut u32)) {
        let mut node = level + 1;
        while let Some(items) = self.nodes.get_mut(node) {
            change(items);
            node += node & node.wrapping_neg();
        }
    }

    /// The level of the item that `rank` others precede, levels in rising order; `rank` is below the total.
    pub(crate) fn level_of(&self, rank: u32) -> usize {
        let (mut below, mut left, mut step) = (0, rank, (self.nodes.len() - 1) / 2);
        while step > 0 {
            let items = self.nodes[below + step];
            if items <= left {
                (below, left) = (below + step, left - items);
            }
            step /= 2;
        }
        below
    }
}
