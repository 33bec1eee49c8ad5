//! What customers will spend and whether they come back, from their days of purchase; it reads no lake and serves nothing.
//!
//! A [`Purchase`] is what one customer bought on one day. [`Histories`] holds everybody's, and is looked at as of a cut: what
//! happened on that day or later is then unknown.
//!
//! - [`BgNbd`] with [`GammaGamma`] is the classic: how often somebody buys and when that ends, and what a purchase is worth
//!   (Fader, Hardie and Lee 2005; Fader and Hardie 2013).
//! - [`SpendModel`] is better where much is known: boosted trees on recency, frequency, money and rhythm, learned from
//!   windows that ended before the cut. It gives the mean, quantiles whose interval was made honest on customers that were
//!   held out, and the probability that nothing is bought.
//! - [`Segments`] groups buyers, or suppliers, by how lately, how often and for how much they trade.
//! - [`CustomersModel`] holds all of it as of a day, as bytes, to be looked up.
//! - [`spend_judgement`] says how far forecasts are from what came: mean absolute error and rank correlation.

mod bg_nbd;
mod calibration;
mod error;
mod evaluation;
mod features;
mod gamma_gamma;
mod history;
mod judgement;
mod model;
mod search;
mod segments;
mod spend;

pub use bg_nbd::BgNbd;
pub use calibration::{ProbabilityQuality, probability_quality};
pub use error::CustomersError;
pub use evaluation::{ChurnCompared, Compared, SpendReport, compare, followed, share_with_interval};
pub use features::{FEATURE_NAMES, features_of};
pub use gamma_gamma::GammaGamma;
pub use history::{CUSTOMERS_MAX, Histories, Purchase, Summary};
pub use judgement::{Judgement, rank_correlation, spend_judgement};
pub use model::{BuyerReading, CustomersModel, LearnedCustomers, MODEL_CUSTOMERS_MAX, Numbered};
pub use segments::{Followed, SEGMENTS, Segment, SegmentQuality, Segments, Trade, judge_segments};
pub use spend::{SpendForecast, SpendModel, SpendSettings, TRAINING_CUTS_MAX};
