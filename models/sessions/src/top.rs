//! A bounded heap of the best items, the worst at its root.

/// Best by score; of equal scores the lower item number is better.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    score: f32,
    item: u32,
}

impl Entry {
    #[inline]
    fn is_worse_than(self, other: Self) -> bool {
        self.score.total_cmp(&other.score).then(other.item.cmp(&self.item)).is_lt()
    }
}

/// The `limit` best of the entries offered since [`TopItems::begin`].
#[derive(Debug, Default)]
pub(crate) struct TopItems {
    /// Every entry is no better than its children, which stand at twice its place plus one and plus two.
    heap: Vec<Entry>,
    limit: usize,
}

impl TopItems {
    pub(crate) fn begin(&mut self, limit: usize) {
        self.heap.clear();
        self.limit = limit;
    }

    /// Takes the item in if it is good enough and `admit` agrees, who is asked only then.
    #[inline]
    pub(crate) fn offer(&mut self, item: u32, score: f32, admit: impl FnOnce() -> bool) {
        let entry = Entry { score, item };
        if self.heap.len() < self.limit {
            if admit() {
                self.heap.push(entry);
                self.rise(self.heap.len() - 1);
            }
        } else if self.heap.first().is_some_and(|worst| worst.is_worse_than(entry)) && admit() {
            self.heap[0] = entry;
            self.sink(0);
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.heap[at].is_worse_than(self.heap[(at - 1) / 2]) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut worst = at;
            for child in [left, right] {
                if child < self.heap.len() && self.heap[child].is_worse_than(self.heap[worst]) {
                    worst = child;
                }
            }
            if worst == at {
                return;
            }
            self.heap.swap(at, worst);
            at = worst;
        }
    }

    /// Hands out items and scores, best first.
    pub(crate) fn drain_into(&mut self, out: &mut Vec<(u32, f32)>) {
        self.heap.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
        out.extend(self.heap.drain(..).map(|entry| (entry.item, entry.score)));
    }
}
