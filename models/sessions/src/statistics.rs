//! Counts over sessions that grow and shrink by one session at a time: how many hold an item, and how often items come again.
//!
//! The counts are whole numbers, so that a base and a delta counted one after the other equal the whole counted at once.

/// Runs of the current item longer than this count as this long.
const MAX_RUN: usize = 8;
/// An earlier item further back than this is not expected again.
pub(crate) const MAX_DISTANCE: usize = 32;
/// Added to every count of chances, and a tenth of it to every count of repeats, so that no share is 0/0.
const PRIOR_CHANCES: f64 = 10.0;

/// How often something happened of how many times it could have.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Chances {
    taken: u32,
    of: u32,
}

impl Chances {
    fn add(&mut self, taken: bool, direction: Direction) {
        direction.apply(&mut self.of);
        if taken {
            direction.apply(&mut self.taken);
        }
    }

    fn share(self) -> f64 {
        (f64::from(self.taken) + 0.1 * PRIOR_CHANCES) / (f64::from(self.of) + PRIOR_CHANCES)
    }
}

/// Whether a session enters the counts or leaves them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Direction {
    Enters,
    Leaves,
}

impl Direction {
    /// A session leaves only after it entered, so no count falls below 0; none saturates below `u32::MAX` clicks.
    fn apply(self, count: &mut u32) {
        *count = match self {
            Self::Enters => count.saturating_add(1),
            Self::Leaves => count.saturating_sub(1),
        };
    }
}

/// What is counted of one item.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct ItemCounts {
    sessions: u32,
    kept: Chances,
}

/// Counts over a set of sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Statistics {
    items: Vec<ItemCounts>,
    /// Was the current item, the last of a run of 1, 2, …, the next one too?
    runs: [Chances; MAX_RUN],
    /// Was the item so many steps before the current one, and not since, the next one?
    distances: [Chances; MAX_DISTANCE],
}

impl Statistics {
    /// One more than the highest item number counted so far.
    pub(crate) fn item_count(&self) -> usize {
        self.items.len()
    }

    /// In how many sessions the item occurs; 0 for an unknown item.
    #[inline]
    pub(crate) fn sessions_of(&self, item: u32) -> u32 {
        self.items.get(item as usize).map_or(0, |counts| counts.sessions)
    }

    /// Counts a session in, or out again.
    pub(crate) fn count(&mut self, session: &[u32], direction: Direction) {
        for (position, &item) in session.iter().enumerate() {
            if self.items.len() <= item as usize {
                self.items.resize(item as usize + 1, ItemCounts::default());
            }
            if !session[..position].contains(&item) {
                direction.apply(&mut self.items[item as usize].sessions);
            }
        }
        for next in 1..session.len() {
            self.count_step(&session[..next], session[next], direction);
        }
    }

    fn count_step(&mut self, so_far: &[u32], next: u32, direction: Direction) {
        let current = so_far[so_far.len() - 1];
        self.runs[run_length(so_far) - 1].add(next == current, direction);
        self.items[current as usize].kept.add(next == current, direction);
        for (distance, item) in earlier_items(so_far) {
            self.distances[distance - 1].add(next == item, direction);
        }
    }

    /// The probability that the current item, the last of `so_far`, is the next one: of the shop for such a run, moved
    /// towards the item's own rate by its evidence.
    pub(crate) fn keep_probability(&self, so_far: &[u32], keep_evidence: f64) -> f64 {
        let Some(&current) = so_far.last() else { return 0.0 };
        let kept = self.items.get(current as usize).map_or(Chances::default(), |counts| counts.kept);
        let single = self.runs[0].share();
        let own = (f64::from(kept.taken) + keep_evidence * single) / (f64::from(kept.of) + keep_evidence);
        (own / single * self.runs[run_length(so_far) - 1].share()).min(1.0)
    }

    /// The probability that the item `distance` steps before the current one is the next one.
    pub(crate) fn revisit_probability(&self, distance: usize) -> f64 {
        self.distances.get(distance - 1).map_or(0.0, |chances| chances.share())
    }
}

/// How many times in a row the last item stands at the end, at most [`MAX_RUN`]; 1 at least.
fn run_length(so_far: &[u32]) -> usize {
    so_far.iter().rev().take(MAX_RUN).take_while(|item| Some(*item) == so_far.last()).count().max(1)
}

/// The items before the current one that did not come again since, with their distances, nearest first.
pub(crate) fn earlier_items(so_far: &[u32]) -> impl Iterator<Item = (usize, u32)> {
    let last = so_far.len().saturating_sub(1);
    (1..=last.min(MAX_DISTANCE)).filter_map(move |distance| {
        let item = so_far[last - distance];
        (!so_far[last - distance + 1..].contains(&item)).then_some((distance, item))
    })
}
