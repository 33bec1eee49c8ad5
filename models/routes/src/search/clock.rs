//! The time of day of a vehicle whose speed changes: seconds, and what is driven by then, either from the other in constant time.
//!
//! What is driven is counted in hundredths of a second at full speed since second 0. By that count a leg is as long at any time
//! of day, so that times along a route are sums as they are without traffic; seconds are asked for only where somebody waits or
//! serves. Arrivals are whole seconds, rounded up at every stop.

use crate::problem::SpeedChange;

/// Hundredths of a second in a second.
pub(super) const HUNDRED: i64 = 100;
/// Buckets by which the speed is found at what is driven.
const BUCKETS: usize = 256;

/// A stretch of the day at one speed.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from_s: i64,
    /// What is driven before it.
    before: i64,
    percent: i64,
}

/// A stop by the clock.
#[derive(Debug, Clone, Copy)]
struct Served {
    /// What is driven when its window opens and closes.
    opens: i64,
    closes: i64,
    service_s: i64,
    /// Bounds on what is driven meanwhile by a vehicle that does not wait, rounding included.
    least: i64,
    most: i64,
    /// When who is there at its opening leaves, and what is driven when who is served last leaves.
    first: Moment,
    last: i64,
}

/// A moment in seconds and by what is driven then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) s: i64,
    pub(super) driven: i64,
    /// The stretch of the day that it is in; what follows is looked for from there on.
    stretch: usize,
}

/// The speeds of a day, and every node's window by them.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) speed: Vec<SpeedChange>,
    /// In order, and behind them one that is never reached.
    stretches: Vec<Stretch>,
    /// Per bucket of what is driven, the stretch at its beginning.
    buckets: Vec<u8>,
    /// Binary logarithm of a bucket's width.
    width: u32,
    nodes: Vec<Served>,
}

impl Clock {
    /// None where the speed is the full one all day. Nodes have their opening, closing and service; a closing beyond `never_s` is
    /// none.
    pub(super) fn new(
        speed: &[SpeedChange],
        nodes: impl Iterator<Item = (i64, i64, i64)>,
        never_s: i64,
    ) -> Option<Clock> {
        if speed.iter().all(|change| change.percent == HUNDRED) {
            return None;
        }
        let mut stretches: Vec<Stretch> = Vec::with_capacity(speed.len() + 1);
        for change in speed {
            let driven = |last: &Stretch| last.before + (change.from_s - last.from_s) * last.percent;
            let before = stretches.last().map_or(0, driven);
            stretches.push(Stretch { from_s: change.from_s, before, percent: change.percent });
        }
        let last_change = stretches[stretches.len() - 1].before;
        let width = (0..i64::BITS).find(|width| last_change >> width < BUCKETS as i64).unwrap_or(0);
        let begun = |driven: i64| stretches.partition_point(|stretch| stretch.before <= driven).saturating_sub(1);
        let buckets = (0..BUCKETS as i64).map(|bucket| begun(bucket << width) as u8).collect();
        stretches.push(Stretch { from_s: i64::MAX, before: i64::MAX, percent: HUNDRED });
        let mut clock = Clock { speed: speed.to_vec(), stretches, buckets, width, nodes: Vec::new() };
        clock.nodes = nodes.map(|node| clock.served(node, never_s)).collect();
        Some(clock)
    }

    fn served(&self, (opens_s, closes_s, service_s): (i64, i64, i64), never_s: i64) -> Served {
        let closes = |at_s: i64| if closes_s > never_s { i64::MAX / 4 } else { self.moment(at_s).driven };
        Served {
            opens: self.moment(opens_s).driven,
            closes: closes(closes_s),
            service_s,
            least: service_s * self.slowest(),
            most: (service_s + 1) * self.fastest(),
            first: self.moment(opens_s + service_s),
            last: closes(closes_s.min(never_s) + service_s),
        }
    }

    pub(super) fn slowest(&self) -> i64 {
        self.speed.iter().map(|change| change.percent).min().unwrap_or(HUNDRED)
    }

    pub(super) fn fastest(&self) -> i64 {
        self.speed.iter().map(|change| change.percent).max().unwrap_or(HUNDRED)
    }

    /// A second that is none before the first.
    pub(super) fn moment(&self, s: i64) -> Moment {
        let stretch = self.stretches.partition_point(|stretch| stretch.from_s <= s).saturating_sub(1);
        let Stretch { from_s, before, percent } = self.stretches[stretch];
        Moment { s, driven: before + (s - from_s) * percent, stretch }
    }

    /// The moment of the first second by which so much is driven, found from an earlier moment on, and that moment `later_s`
    /// seconds later.
    #[inline]
    fn reached(&self, from: usize, driven: i64, later_s: i64) -> (i64, Moment) {
        let mut at = from;
        while self.stretches[at + 1].before <= driven {
            at += 1;
        }
        let Stretch { from_s, before, percent } = self.stretches[at];
        let reached_s = from_s + (driven - before + percent - 1) / percent;
        let s = reached_s + later_s;
        while self.stretches[at + 1].from_s <= s {
            at += 1;
        }
        let Stretch { from_s, before, percent } = self.stretches[at];
        (reached_s, Moment { s, driven: before + (s - from_s) * percent, stretch: at })
    }

    /// The first second by which a leg of so much is driven from a moment on.
    #[inline]
    pub(super) fn arrival_s(&self, from: &Moment, leg: i64) -> i64 {
        self.reached(from.stretch, from.driven + leg, 0).0
    }

    /// When a node is left after a leg of so much, and when it was reached.
    #[inline]
    pub(super) fn leaves(&self, from: &Moment, leg: i64, node: usize) -> (i64, Moment) {
        let (served, arrived) = (&self.nodes[node], from.driven + leg);
        let (reached_s, left) = self.reached(from.stretch, arrived, served.service_s);
        (reached_s, if arrived <= served.opens { served.first } else { left })
    }

    /// The same without the time of arrival, which is quicker.
    #[inline]
    pub(super) fn left(&self, from: &Moment, leg: i64, node: usize) -> Moment {
        let served = &self.nodes[node];
        if from.driven + leg <= served.opens { served.first } else { self.leaves(from, leg, node).1 }
    }

    /// What is driven when the node is left by who is there when its window opens.
    #[inline]
    pub(super) fn first_left(&self, node: usize) -> i64 {
        self.nodes[node].first.driven
    }

    /// What is driven when the node's window opens, and when it closes.
    #[inline]
    pub(super) fn window(&self, node: usize) -> (i64, i64) {
        (self.nodes[node].opens, self.nodes[node].closes)
    }

    /// True when who comes to the node with so much driven leaves it before `until` is driven; seldom asks for seconds.
    #[inline]
    pub(super) fn leaves_by(&self, from: &Moment, leg: i64, node: usize, until: i64) -> bool {
        let (served, arrived) = (&self.nodes[node], from.driven + leg);
        if arrived <= served.opens {
            return served.first.driven <= until;
        }
        arrived + served.least <= until
            && (arrived + served.most <= until || self.left(from, leg, node).driven <= until)
    }

    /// The latest arrival, as what is driven by then, from which the node is left with no more than `until` driven and served in
    /// its window.
    #[inline]
    pub(super) fn latest_arrival(&self, node: usize, until: i64) -> i64 {
        let served = &self.nodes[node];
        if until >= served.last {
            return served.closes;
        }
        let mut at = usize::from(self.buckets[((until.max(0) >> self.width) as usize).min(BUCKETS - 1)]);
        while self.stretches[at + 1].before <= until {
            at += 1;
        }
        let Stretch { from_s, before, percent } = self.stretches[at];
        let s = from_s + (until - before).div_euclid(percent) - served.service_s;
        while at > 0 && self.stretches[at].from_s > s {
            at -= 1;
        }
        let Stretch { from_s, before, percent } = self.stretches[at];
        before + (s - from_s) * percent
    }

    /// The last moment by which no more is driven.
    pub(super) fn last_moment(&self, driven: i64) -> Moment {
        let at = self.stretches.partition_point(|stretch| stretch.before <= driven).saturating_sub(1);
        let Stretch { from_s, before, percent } = self.stretches[at];
        self.moment(from_s + (driven - before).div_euclid(percent))
    }
}
