//! Telling better plans while the search goes on, not more often than a caller can use them; it knows no clock.

use super::orders;
use super::state::State;
use crate::plan::Step;

/// Share of the work between two plans told.
const BETWEEN: f64 = 0.02;

/// Gets the orders of stops and reloads, one per vehicle.
pub(crate) type Tell<'t> = dyn FnMut(&[Vec<Step>]) + 't;

/// Who is told.
pub(crate) struct Watcher<'w> {
    tell: Option<&'w mut Tell<'w>>,
    told: i64,
    due: f64,
}

impl<'w> Watcher<'w> {
    /// Without `tell` nobody is told.
    pub(crate) fn new(tell: Option<&'w mut Tell<'w>>) -> Watcher<'w> {
        Watcher { tell, told: i64::MAX, due: 0.0 }
    }

    /// Tells the best plan when it is better than the last one told and that was some time ago.
    pub(super) fn look(&mut self, state: &State, done: f64) {
        let Some(tell) = &mut self.tell else { return };
        if done >= self.due && state.best.cost < self.told {
            (self.told, self.due) = (state.best.cost, done + BETWEEN);
            tell(&orders(state.instance, state));
        }
    }
}
