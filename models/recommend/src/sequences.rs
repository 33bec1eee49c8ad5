//! From single actions to ordered, weighted sequences: one for each session, one for each person's purchases; it scores nothing.

use dhow_events::{BuyerId, DAY_MICROS, Region, SessionId, Timestamp};
use rayon::prelude::*;

use crate::items::Items;
use crate::lists::Lists;
use crate::{Interaction, InteractionKind, Settings};

/// An interaction with a product of the catalogue. The order of the fields is the order of sorting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Action {
    pub(crate) session: SessionId,
    pub(crate) time: Timestamp,
    pub(crate) item: u32,
    pub(crate) kind: InteractionKind,
    pub(crate) person: Option<BuyerId>,
    pub(crate) region: Option<Region>,
}

/// The actions on known products by session and time, each once, however often and in whatever order they were given.
pub(crate) fn actions(interactions: &[Interaction], items: &Items) -> Vec<Action> {
    let mut actions: Vec<Action> = interactions
        .par_iter()
        .filter_map(|i| {
            let item = items.find(i.product)?;
            Some(Action { session: i.session, time: i.time, item, kind: i.kind, person: i.person, region: i.region })
        })
        .collect();
    actions.par_sort_unstable();
    actions.dedup_by_key(|a| (a.session, a.time, a.item, a.kind));
    actions
}

/// A product at a step. Products acted on at the same moment (the lines of one order) share a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visit {
    pub(crate) item: u32,
    pub(crate) step: u32,
}

/// Sequences with their weights, in a fixed order.
#[derive(Default)]
pub(crate) struct Sequences {
    pub(crate) visits: Lists<Visit>,
    pub(crate) weights: Vec<f64>,
}

impl Sequences {
    /// Sessions weigh 1, persons' purchases `person_weight`; both halve with age.
    pub(crate) fn new(sorted_actions: &[Action], trained_until: Timestamp, settings: &Settings) -> Self {
        let mut sequences = Self::default();
        for session in sorted_actions.chunk_by(|a, b| a.session == b.session) {
            sequences.push(session, 1.0, trained_until, settings);
        }
        if settings.person_weight > 0.0 {
            let bought = |a: &&Action| a.kind == InteractionKind::Purchase && a.person.is_some();
            let mut purchases: Vec<Action> = sorted_actions.iter().filter(bought).copied().collect();
            purchases.par_sort_unstable_by_key(|a| (a.person, a.time, a.item, a.session, a.region));
            for person in purchases.chunk_by(|a, b| a.person == b.person) {
                sequences.push(person, settings.person_weight, trained_until, settings);
            }
        }
        sequences
    }

    fn push(&mut self, actions: &[Action], weight: f64, trained_until: Timestamp, settings: &Settings) {
        let Some(last) = actions.last() else { return };
        let weight = weight * half_life_decay(trained_until.micros_since(last.time), settings.sequence_half_life_days);
        // A weight that underflows to zero says nothing.
        if weight > 0.0 {
            self.visits.push(visits(actions, settings.sequence_items));
            self.weights.push(weight);
        }
    }
}

/// The last `limit` visits; an action on the same product as the one before (view, then cart) is no visit of its own.
fn visits(actions: &[Action], limit: usize) -> Vec<Visit> {
    let mut kept: Vec<&Action> = Vec::with_capacity(actions.len().min(limit));
    for action in actions {
        if kept.last().is_none_or(|last| last.item != action.item) {
            kept.push(action);
        }
    }
    let recent = &kept[kept.len().saturating_sub(limit)..];
    let mut step = 0;
    let mut visits = Vec::with_capacity(recent.len());
    for (position, action) in recent.iter().enumerate() {
        if position > 0 && recent[position - 1].time != action.time {
            step += 1;
        }
        visits.push(Visit { item: action.item, step });
    }
    visits
}

/// `0.5^(age / half life)`; more than 1 for a negative age.
pub(crate) fn half_life_decay(age_micros: i64, half_life_days: f64) -> f64 {
    (-(age_micros as f64) / (half_life_days * DAY_MICROS as f64)).exp2()
}
