//! Rules over features in CEL: checked types, versions, shadow mode, backtests, block and allow lists; features, storage and HTTP live elsewhere.
//!
//! The road through the crate: a [`Schema`] declares what a rule may name → [`RuleSet::compile`] checks every [`Rule`] against
//! it → [`RuleSet::evaluate`] turns [`Facts`] into an [`Outcome`] → a [`Backtest`] repeats recorded decisions under another set
//! → [`RuleBook::publish`] makes that set the current version. [`Lists`] say which keys of a request are blocked or allowed.
//!
//! # The language
//! A condition is a [CEL](https://cel.dev) expression of type `bool`. It may name `score`, `features.<name>` (double),
//! `request.<name>` (bool, int, double or string) and, right of `in`, `lists.blocked_<kind>s` or `lists.allowed_<kind>s`.
//! It has CEL's comparisons (also between int and double), arithmetic of equal types, `&&`, `||`, `!`, `? :`, `in` with a list
//! of literals, `has(…)`, `double(int)` and the strings' `startsWith`, `endsWith` and `contains`. Everything else of CEL is
//! refused when the rule is checked.
//!
//! # A missing value
//! Reading a missing value is an error, as CEL says: it spreads, save where `&&` finds a false or `||` a true on either side.
//! A rule whose condition ends in an error does not fire, and [`Outcome::unanswered`] says so and why. `has(features.x)` asks
//! whether a value is there.

mod action;
mod backtest;
mod book;
mod card_numbers;
mod check;
mod facts;
mod lists;
mod nearest;
mod outcome;
mod problem;
mod program;
mod rule;
mod schema;
mod set;

pub use action::{Action, DecidedBy, Then};
pub use backtest::{ActionTotals, Backtest, BacktestReport, Change, Recorded, RuleTotals, Totals, backtest};
pub use book::{BookError, Entry as BookEntry, Event as BookEvent, MAX_WORDS_BYTES, PublishedVersion, RuleBook};
pub use card_numbers::contains_card_number;
pub use check::{MAX_EXPRESSION_BYTES, MAX_NESTING};
pub use facts::{Facts, FactsError, FieldValue, Listed};
pub use lists::{
    Effect, EntryRefused, KeyRefused, ListEntry, ListKind, Lists, MAX_ENTRIES, MAX_TEXT_BYTES, MAX_VALUE_BYTES,
    NotListed, Removal, RemoveError,
};
pub use outcome::{DecisionsHash, Fired, Hash, Outcome, Silence, Unanswered};
pub use problem::{ExpressionError, Problem};
pub use rule::{MAX_NAME_BYTES, ReasonCode, Rule, RuleId, State};
pub use schema::{Field, FieldType, MAX_FIELDS, Schema, SchemaError};
pub use set::{MAX_RULES, RuleError, RuleFault, RuleSet, RuleSetError};
