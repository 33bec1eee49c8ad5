//! Features of many queries, each as of its own instant, over events in the order in which they became known; it does no IO.

use dhow_events::{Event, Timestamp};

use crate::{FEATURES, LinkIndex, LinkQuery, LinkSettings};

/// Answers queries of the past as they would have been answered then: with everything that was known by the query's
/// instant, and nothing that became known later.
#[derive(Debug)]
pub struct PastLinks {
    index: LinkIndex,
    queries: Vec<(LinkQuery, Timestamp)>,
    /// The numbers of the queries that are not answered yet, the earliest last.
    waiting: Vec<usize>,
    values: Vec<[f64; FEATURES.len()]>,
}

impl PastLinks {
    /// Queries with their instants, in any order.
    pub fn new(settings: LinkSettings, queries: Vec<(LinkQuery, Timestamp)>) -> Self {
        let mut waiting: Vec<usize> = (0..queries.len()).collect();
        waiting.sort_by_key(|number| std::cmp::Reverse((queries[*number].1, *number)));
        let values = vec![[f64::NAN; FEATURES.len()]; queries.len()];
        Self { index: LinkIndex::new(settings), queries, waiting, values }
    }

    /// Takes in the next event in the order of known times.
    pub fn apply(&mut self, event: &Event, known_time: Timestamp) {
        self.answer_while(|at| at < known_time);
        self.index.apply(event, known_time);
    }

    /// The features in the order of the queries, once all events were taken in.
    pub fn finish(mut self) -> Vec<[f64; FEATURES.len()]> {
        self.answer_while(|_| true);
        self.values
    }

    fn answer_while(&mut self, is_due: impl Fn(Timestamp) -> bool) {
        while let Some(number) = self.waiting.pop_if(|number| is_due(self.queries[*number].1)) {
            let (query, at) = &self.queries[number];
            self.values[number] = self.index.features(query, *at).values();
        }
    }
}
