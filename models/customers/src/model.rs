//! What is known of every customer as of a day, learned at once and looked up after: forecasts and groups, as bytes; it reads no table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::CustomersError;
use crate::evaluation::{SpendReport, compare, followed};
use crate::history::Histories;
use crate::segments::{SegmentQuality, Segments, Trade, judge_segments};
use crate::spend::{SpendModel, SpendSettings};

/// First byte of a stored model; it changes with the layout.
const VERSION: u8 = 1;
/// Buyers, and suppliers, of one model.
pub const MODEL_CUSTOMERS_MAX: usize = 2_000_000;

/// A buyer, as of the day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BuyerReading {
    /// The one number that is nearest to what will be spent, in money.
    pub spend: f64,
    /// The mean of what may be spent.
    pub mean: f64,
    /// The interval.
    pub interval: [f64; 2],
    /// The probability that nothing is bought.
    pub churn: f64,
    /// Past trade.
    pub trade: Trade,
    /// Where in [`Segments::groups`] of the buyers.
    segment: u8,
}

/// Everybody, as of a day. Ids are numbers of the caller's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomersModel {
    /// The first day, since 1970, that nothing is known of.
    day: i32,
    settings: SpendSettings,
    buyers: Segments,
    readings: BTreeMap<u128, BuyerReading>,
    /// Nothing where there are too few.
    suppliers: Option<Segments>,
}

/// A model, and how one learned the same way did on the last days.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedCustomers {
    /// The model.
    pub model: CustomersModel,
    /// On the days before [`LearnedCustomers::judged_from`] + the days that are forecast, of buyers.
    pub report: SpendReport,
    /// The same of groups of suppliers; nothing where they are too few.
    pub suppliers: Option<SegmentQuality>,
    /// The first day that was judged.
    pub judged_from: i32,
}

/// Histories by number, and whose they are.
#[derive(Debug, Clone, Copy)]
pub struct Numbered<'a> {
    /// By number.
    pub histories: &'a Histories,
    /// The id of each number.
    pub ids: &'a [u128],
}

impl CustomersModel {
    /// Judges on the last `days` before `day`, then learns from everything before `day`. Equal arguments give equal models.
    ///
    /// # Errors
    /// Too little to learn or to judge, more customers than are held, or settings out of their ranges.
    pub fn learn(
        buyers: Numbered<'_>,
        suppliers: Numbered<'_>,
        day: i32,
        settings: &SpendSettings,
        seed: u64,
    ) -> Result<LearnedCustomers, CustomersError> {
        let found = buyers.ids.len().max(suppliers.ids.len());
        if found > MODEL_CUSTOMERS_MAX {
            return Err(CustomersError::TooMany { what: "customers", found, limit: MODEL_CUSTOMERS_MAX });
        }
        let judged_from = day - settings.days;
        let report = compare(buyers.histories, judged_from, settings)?;
        let of_suppliers = enough(judge_segments(&followed(suppliers.histories, judged_from, settings.days), seed))?;
        let forecasts = SpendModel::learn(buyers.histories, day, settings)?.forecast(buyers.histories, day)?;
        let trades: BTreeMap<u32, Trade> = trades(buyers.histories, day).collect();
        let segments = Segments::learn(&trades.values().copied().collect::<Vec<_>>(), seed)?;
        let mut readings = BTreeMap::new();
        for forecast in forecasts {
            let (Some(trade), Some(id)) = (trades.get(&forecast.customer), buyers.ids.get(forecast.customer as usize))
            else {
                continue;
            };
            let segment = segments.place_of(trade) as u8;
            let (interval, churn) = (forecast.interval, forecast.churn);
            let reading =
                BuyerReading { spend: forecast.spend, mean: forecast.mean, interval, churn, trade: *trade, segment };
            readings.insert(*id, reading);
        }
        let sold: Vec<Trade> = trades_of(suppliers.histories, day);
        let suppliers = enough(Segments::learn(&sold, seed))?;
        let model = Self { day, settings: *settings, buyers: segments, readings, suppliers };
        Ok(LearnedCustomers { model, report, suppliers: of_suppliers, judged_from })
    }

    /// The first day, since 1970, that nothing is known of.
    pub const fn day(&self) -> i32 {
        self.day
    }

    /// Days that are forecast.
    pub const fn days(&self) -> i32 {
        self.settings.days
    }

    /// The share of buyers that an interval is to hold.
    pub const fn coverage(&self) -> f64 {
        self.settings.coverage
    }

    /// Buyers that are known.
    pub fn len(&self) -> usize {
        self.readings.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// A buyer and the name of the group; nothing where nothing was bought before the day.
    pub fn buyer(&self, id: u128) -> Option<(&BuyerReading, &str)> {
        let reading = self.readings.get(&id)?;
        let group = self.buyers.groups().get(usize::from(reading.segment))?;
        Some((reading, &group.name))
    }

    /// The groups of buyers.
    pub const fn buyers(&self) -> &Segments {
        &self.buyers
    }

    /// The groups of suppliers; nothing where they are too few.
    pub const fn suppliers(&self) -> Option<&Segments> {
        self.suppliers.as_ref()
    }

    /// The model as bytes: a version byte, then postcard.
    ///
    /// # Errors
    /// No memory for it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CustomersError> {
        postcard::to_extend(self, vec![VERSION]).map_err(|error| CustomersError::Corrupt(error.to_string()))
    }

    /// Reads what [`CustomersModel::to_bytes`] wrote.
    ///
    /// # Errors
    /// Other bytes, or those of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CustomersError> {
        let corrupt = |reason: String| CustomersError::Corrupt(reason);
        let (version, body) = bytes.split_first().ok_or_else(|| corrupt("it is empty".to_owned()))?;
        if *version != VERSION {
            return Err(corrupt(format!("it has version {version}; this program reads {VERSION}")));
        }
        let (model, rest) = postcard::take_from_bytes::<Self>(body).map_err(|error| corrupt(error.to_string()))?;
        let groups = model.buyers.groups().len();
        if !rest.is_empty() || model.readings.values().any(|reading| usize::from(reading.segment) >= groups) {
            return Err(corrupt("it does not end where it should, or names a group that it has not".to_owned()));
        }
        Ok(model)
    }
}

fn trades(histories: &Histories, day: i32) -> impl Iterator<Item = (u32, Trade)> {
    histories.known_before(day).filter_map(move |(number, before)| Some((number, Trade::of(before, day)?)))
}

fn trades_of(histories: &Histories, day: i32) -> Vec<Trade> {
    trades(histories, day).map(|(_, trade)| trade).collect()
}

/// Too few is an answer, and no failure.
fn enough<T>(found: Result<T, CustomersError>) -> Result<Option<T>, CustomersError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(CustomersError::TooFew { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
