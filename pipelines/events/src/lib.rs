//! The words that every crate speaks: ids, tenants, money, time, facts and their codecs; it does no IO and knows no log.
//!
//! An [`Event`] is an envelope (id, tenant, event time) around one [`Fact`]. Facts are flat records declared once in
//! [`facts`]; the declaration also yields their tabular [`Column`]s, so that the lake, the feature engine and the JSON
//! form can never disagree about a field, and a reader of everything that was ever written of them
//! ([`record`](mod@record)). Codecs: [`codec`] (compact binary, for the log),
//! [`cloudevents`] (JSON, for people and other systems), and [`segment`], which reads the calls of Segment's libraries. An
//! [`Erasure`] takes a person out of facts.

pub mod cloudevents;
pub mod codec;
mod erasure;
mod event;
pub mod facts;
mod ids;
mod money;
pub mod record;
mod sale_regions;
pub mod segment;
mod text;
mod time;
mod value;

pub use erasure::{ERASED_THINGS_MAX, Erasure, ErasureError, PersonThings, PersonalColumn};
pub use event::{Event, EventProblem, FUTURE_TOLERANCE_MICROS};
pub use facts::{Fact, FactKind};
pub use ids::*;
pub use money::{Currency, Money, MoneyError};
pub use sale_regions::{SALE_REGIONS_MAX, SaleRegions, SaleRegionsError};
pub use text::{Category, Region, ShortText, TenantId, TextError};
pub use time::{
    Clock, DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, ManualClock, SECOND_MICROS, SystemClock, Timestamp, TimestampError,
};
pub use value::{Column, ColumnType, Field, Value};
