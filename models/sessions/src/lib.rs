//! What comes next in a session, from the past sessions most like it: an index that learns with every click; no IO, no clock.
//!
//! The published base is VMIS-kNN (Kersbergen, Sprangers and Schelter, "Serenade", SIGMOD 2022; here as
//! [`baseline::VmisKnn`]): an inverted index from items to their most recent sessions, whose most similar vote for their
//! items. It forgets in which order a session went. [`SessionIndex`] keeps the order:
//!
//! 1. **Query.** Of the asking session the last [`Settings::last_items`] distinct known items are taken, from the current
//!    one back. An item p steps before the end that occurs in n sessions weighs `query_decay^p · (n + 1)^-query_rarity`
//!    (decay as in V-SKNN, Ludewig and Jannach, "Evaluation of session-based recommendation algorithms", UMUAI 2018).
//! 2. **Match.** Each of them brings its [`Settings::sessions_per_item`] most recent sessions. The similarity of a session
//!    is the sum of the weights of the items that brought it; its *match* is the first place of the most recent of them.
//! 3. **Neighbours.** A session weighs `similarity^1.5 · (length + 1)^-length_discount · 2^(-age / half_life)` (recency of the
//!    neighbour as in STAN, Garg et al., "Sequence and time aware neighborhood for session-based recommendations", SIGIR
//!    2019). The [`Settings::neighbours`] heaviest stay.
//! 4. **Votes.** A neighbour votes for the item g steps after its match with its weight times `forward_decay^(g-1)`, for
//!    the one g steps before it with `backward_share · backward_decay^(g-1)` (STAN's distance to the match, made to know
//!    its direction).
//! 5. **Rule.** Where the match is the current item, what follows it gets [`Settings::rule_weight`] more for each such
//!    session, however similar: the sequential rules of Ludewig and Jannach (SR), which speak up as evidence grows.
//! 6. **Popularity.** An item in n sessions keeps `(n + 1)^-popularity_discount` of its votes.
//! 7. **Repeats.** People stay on an item and return to earlier ones. How often is counted: for a current item that stands r
//!    times in a row, moved towards the item's own rate by its evidence, and for an item d steps back. Each such item
//!    gets its probability times [`Settings::keep_weight`] or [`Settings::revisit_weight`] of all votes.
//! 8. **Answer.** The best items that the caller's filter admits, in a bounded heap.
//!
//! A request touches flat arrays in a [`Scratch`]. Their entries are stamped with the request's number, so nothing is
//! cleared, hashed or allocated between requests.
//!
//! [`LiveIndex`] puts a delta on top: a click moves its session to the end of its items' lists, and the counts of steps 1, 6
//! and 7 with it, so the next answer is that of an index rebuilt from all sessions. [`LiveIndex::merge`] builds the next base
//! beside the requests; when to do so is the caller's schedule.
//!
//! [`evaluate`] reports hit rate and reciprocal rank with the current item allowed and never answered, [`mrr_gain`] their
//! difference with a bootstrap interval over sessions, and [`choose_settings`] searches on a part cut from training.
//!
//! # On public data
//! HR@20 / MRR@20 on all test cases, settings chosen on the last twentieth of training; the gain is of the MRR under the rule
//! that the current item is never answered, with its 95 % interval. `examples/measure.rs` prints them again, with CPU time.
//!
//! | Data | VMIS-kNN | never the current item | gain | current item allowed |
//! |---|---|---|---|---|
//! | Diginetica, 60,858 cases | .431 / .147 | .452 / .160 | 8.7 % (7.7 to 9.7) | .535 / .199 |
//! | Yoochoose 1/64, 55,898 | .547 / .218 | .559 / .242 | 11.0 % (10.2 to 12.0) | .702 / .308 |
//! | Serenade's example, 931 | .657 / .339 | .678 / .393 | 15.7 % (9.5 to 23.1) | .676 / .390 |

pub mod baseline;
mod choose;
mod delta;
mod error;
mod evaluation;
mod index;
mod live;
mod predict;
mod scratch;
mod settings;
mod statistics;
mod top;
mod weights;

pub use choose::{Choice, Trial, choose_settings, split_validation};
pub use delta::MAX_DELTA_SESSIONS;
pub use error::SessionsError;
pub use evaluation::{Accuracy, Case, Interval, Predictor, Report, cases_of, evaluate, mrr_gain};
pub use index::{MAX_ITEMS, MAX_SESSION_ITEMS, MAX_SESSIONS, Session, SessionIndex};
pub use live::{LiveIndex, MergeSummary};
pub use predict::{Exclude, MAX_COUNT, Request};
pub use scratch::Scratch;
pub use settings::Settings;
