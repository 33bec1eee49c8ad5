//! The port to carriers, and their offers put in order; adapters of real carriers, with their timeouts, stand elsewhere.

use std::future::Future;
use std::pin::Pin;

use dhow_events::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Parcel;

/// The most carriers that one request for quotes asks.
pub const CARRIERS_MAX: usize = 20;

/// A request for a price and a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// The two letters of the country that the parcels leave.
    pub from: String,
    /// The two letters of the country that they come to.
    pub to: String,
    /// The parcels.
    pub parcels: Vec<Parcel>,
    /// What prices are to be in.
    pub currency: Currency,
}

/// What a carrier asks, and promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierQuote {
    /// The carrier's name for how it goes.
    pub service: String,
    /// What all parcels cost.
    pub price: Money,
    /// The weight that is charged for, in grams.
    pub chargeable_grams: u64,
    /// How long one in ten takes at most, by the carrier's own word.
    pub p10_micros: i64,
    /// How long nine in ten take at most.
    pub p90_micros: i64,
}

/// A request for a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRequest {
    /// Requests with one key are one request, however often they are sent.
    pub idempotency_key: String,
    /// What is sent, from where to where.
    pub shipment: QuoteRequest,
    /// The carrier's name for how it goes.
    pub service: String,
    /// When the label was first asked for; the same in every repetition.
    pub requested_at: Timestamp,
}

/// A carrier's answer to a request for a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelAnswer {
    /// It is made.
    Made {
        /// The carrier's number of the shipment.
        tracking_number: String,
    },
    /// The carrier refuses, for good.
    Refused {
        /// Why.
        reason: String,
    },
    /// The carrier will know later; ask again with the same key.
    Pending,
}

/// A request to give a label up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidRequest {
    /// The key that the label was asked for with.
    pub label_key: String,
    /// The carrier's number of the shipment, where it is known.
    pub tracking_number: Option<String>,
    /// What was to be sent.
    pub shipment: QuoteRequest,
    /// When it was first asked to give the label up; the same in every repetition.
    pub requested_at: Timestamp,
}

/// A carrier's answer to a request to give a label up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoidAnswer {
    /// There is no label any more, or there never was one.
    Done,
    /// The carrier refuses, for good: it has the parcels, or the label is too old.
    Refused {
        /// Why.
        reason: String,
    },
    /// The carrier will know later; ask again.
    Pending,
}

/// Why a carrier gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// It does not take this.
    #[error("the carrier does not take it: {0}")]
    Refused(String),
    /// The answer was lost, or did not come in time. What the carrier did is unknown: ask again with the same key.
    #[error("the carrier did not answer: {0}")]
    NoAnswer(String),
}

/// What a carrier answers, in time.
pub type CarrierFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, CarrierError>> + Send + 'a>>;

/// A carrier. Whoever implements it bounds how long it waits; what takes longer is [`CarrierError::NoAnswer`].
pub trait Carrier: Send + Sync + 'static {
    /// Its name in quotes and shipments.
    fn name(&self) -> &str;

    /// What it asks for parcels. Changes nothing with the carrier.
    fn quote<'a>(&'a self, request: &'a QuoteRequest) -> CarrierFuture<'a, CarrierQuote>;

    /// Asks for a label; the same key gives the same label.
    fn label<'a>(&'a self, request: &'a LabelRequest) -> CarrierFuture<'a, LabelAnswer>;

    /// Gives the label of a key up; however often it is asked, it is given up once.
    fn void<'a>(&'a self, request: &'a VoidRequest) -> CarrierFuture<'a, VoidAnswer>;
}

/// Who promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromiseBy {
    /// The delivery-time model.
    Model,
    /// The carrier.
    Carrier,
}

/// What the delivery-time model says of a carrier's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelPromise {
    /// How long one in ten takes at most.
    pub p10_micros: i64,
    /// How long nine in ten take at most.
    pub p90_micros: i64,
}

/// When it is to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Before this, one in ten.
    pub p10: Timestamp,
    /// Before this, nine in ten.
    pub p90: Timestamp,
    /// Who says so.
    pub by: PromiseBy,
}

/// What a carrier offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The carrier.
    pub carrier: String,
    /// How it goes.
    pub service: String,
    /// What it costs.
    pub price: Money,
    /// The weight that is charged for, in grams.
    pub chargeable_grams: u64,
    /// When it is to be there.
    pub promise: Promise,
}

/// A carrier that offers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierFailure {
    /// The carrier.
    pub carrier: String,
    /// Why.
    pub reason: String,
}

/// The offers, cheapest first, then soonest, then by name; and who offers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shopped {
    /// The offers.
    pub offers: Vec<Offer>,
    /// Carriers without one, by name.
    pub failures: Vec<CarrierFailure>,
}

/// Puts the answers of carriers in order. The promise is the model's where `model` gives one for a carrier and its service, else
/// the carrier's own.
pub fn shop(
    request: &QuoteRequest,
    answers: Vec<(String, Result<CarrierQuote, CarrierError>)>,
    model: impl Fn(&str, &str) -> Option<ModelPromise>,
    now: Timestamp,
) -> Shopped {
    let mut shopped = Shopped::default();
    for (carrier, answer) in answers {
        match answer.and_then(|quote| checked_quote(request, quote)).map_err(|error| error.to_string()) {
            Ok(quote) => {
                let promise = promise(&quote, model(&carrier, &quote.service), now);
                let CarrierQuote { service, price, chargeable_grams, .. } = quote;
                shopped.offers.push(Offer { carrier, service, price, chargeable_grams, promise });
            }
            Err(reason) => shopped.failures.push(CarrierFailure { carrier, reason }),
        }
    }
    let place = |offer: &Offer| (offer.price.amount_minor, offer.promise.p90, offer.carrier.clone());
    shopped.offers.sort_by_key(place);
    shopped.failures.sort_by(|a, b| a.carrier.cmp(&b.carrier));
    shopped
}

/// A carrier's quote, where it can be compared and believed.
///
/// # Errors
/// Another currency, a price below zero, a promise that ends before it begins.
pub fn checked_quote(request: &QuoteRequest, quote: CarrierQuote) -> Result<CarrierQuote, CarrierError> {
    if quote.price.currency != request.currency {
        let reason = format!("its price is in {}, not in {}", quote.price.currency, request.currency);
        return Err(CarrierError::Refused(reason));
    }
    if quote.price.amount_minor < 0 {
        return Err(CarrierError::Refused("its price is below zero".to_owned()));
    }
    if !(0..=quote.p90_micros).contains(&quote.p10_micros) {
        return Err(CarrierError::Refused("its promise ends before it begins".to_owned()));
    }
    Ok(quote)
}

fn promise(quote: &CarrierQuote, model: Option<ModelPromise>, now: Timestamp) -> Promise {
    match model {
        Some(model) => Promise { p10: now + model.p10_micros, p90: now + model.p90_micros, by: PromiseBy::Model },
        None => Promise { p10: now + quote.p10_micros, p90: now + quote.p90_micros, by: PromiseBy::Carrier },
    }
}
