//! Reorder proposals: what to order, how much and why, from predicted demand and within budgets; it fetches no forecast and keeps no proposal.
//!
//! Stock is looked at every `review_days`, and what is ordered arrives `lead_days` later, so that an order has to last for
//! both: the *protection period*. [`Demand`] is the distribution of the units wanted in that period. [`propose`] raises each
//! item's position (on hand, less what is promised, plus what is on its way) to the level that covers that demand with the
//! item's service level (the periodic order-up-to policy: Silver, Pyke and Thomas 2017, chapter 6; with a margin and a
//! holding cost the level is the newsvendor's critical ratio), rounds up to whole packs and the minimum, and spends a budget
//! where a unit of money saves the most lost margin.
//!
//! ```
//! use dhow_reorder::{Budget, Demand, Item, Service, propose};
//! let flat: Vec<Vec<f64>> = vec![vec![2.0; 19]; 14];
//! let item = Item {
//!     on_hand: 5, promised: 0, on_its_way: 0, pack_units: 6, minimum_units: 12, unit_cost_minor: 300, unit_margin_minor: 200,
//!     service: Service::Level(0.95), demand: Demand::of_days(&flat, 0.2, 7)?,
//! };
//! let proposal = &propose(&[item], &Budget { minor: None })[0];
//! assert_eq!((proposal.units, proposal.order_up_to_units), (24, 28));
//! # Ok::<(), dhow_reorder::ReorderError>(())
//! ```

mod demand;
mod policy;

pub use demand::{DRAWS, Demand, LEVELS, ReorderError, draws_of_days};
pub use policy::{Budget, Cut, ITEMS_MAX, Item, Proposal, Service, propose};
