//! What is known of customers: looked up in the champion, as of the day that it was trained; nothing is computed or recorded.

use dhow_customers::{BuyerReading, Segments};
use dhow_events::{BuyerId, DAY_MICROS, TenantId, Timestamp};

use crate::{Engine, EngineError};

/// What is known of a buyer.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerReading {
    /// Nothing from here on is known.
    pub as_of: Timestamp,
    /// Days that are forecast from then on.
    pub days: i32,
    /// The share of buyers whose spend the interval is to hold.
    pub coverage: f64,
    /// Forecasts and past trade, in dollars.
    pub reading: BuyerReading,
    /// The group's name.
    pub segment: String,
    /// The model and its id.
    pub model: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupReading {
    /// Its name.
    pub name: String,
    /// The share of all members, 0 to 1.
    pub share: f64,
    /// Days since the last day of trade, at its centre.
    pub days_since_last: f64,
    /// Days with a trade, at its centre.
    pub days: f64,
    /// Dollars in all, at its centre.
    pub usd: f64,
}

/// The groups of buyers and of suppliers.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupsReading {
    /// Nothing from here on is known.
    pub as_of: Timestamp,
    /// Those with the most money first.
    pub buyers: Vec<GroupReading>,
    /// Those with the most money first; empty where suppliers are too few.
    pub suppliers: Vec<GroupReading>,
    /// The model and its id.
    pub model: String,
}

impl Engine {
    /// What a buyer will spend, whether they come back, and their group.
    ///
    /// # Errors
    /// No model in force, or one that knows no purchase of this buyer.
    pub fn customer(&self, tenant: TenantId, buyer: BuyerId) -> Result<CustomerReading, EngineError> {
        let models = self.shared().champions.of(tenant);
        let champion = models.customers.as_ref().ok_or(EngineError::NoModel { task: "customers" })?;
        let as_of = midnight(champion.model.day());
        // A model that was trained before may know who was erased since.
        let known = (!self.is_erased(tenant, buyer)).then_some(buyer);
        let (reading, segment) = known
            .and_then(|buyer| champion.model.buyer(buyer.as_u128()))
            .ok_or_else(|| EngineError::NotFound(format!("buyer {buyer} with a purchase before {as_of}")))?;
        Ok(CustomerReading {
            as_of,
            days: champion.model.days(),
            coverage: champion.model.coverage(),
            reading: *reading,
            segment: segment.to_owned(),
            model: champion.label.to_string(),
        })
    }

    /// The groups of buyers and suppliers.
    ///
    /// # Errors
    /// No model in force.
    pub fn customer_groups(&self, tenant: TenantId) -> Result<GroupsReading, EngineError> {
        let models = self.shared().champions.of(tenant);
        let champion = models.customers.as_ref().ok_or(EngineError::NoModel { task: "customers" })?;
        Ok(GroupsReading {
            as_of: midnight(champion.model.day()),
            buyers: groups(champion.model.buyers()),
            suppliers: champion.model.suppliers().map(groups).unwrap_or_default(),
            model: champion.label.to_string(),
        })
    }
}

fn midnight(day: i32) -> Timestamp {
    Timestamp::from_micros(i64::from(day) * DAY_MICROS)
}

fn groups(segments: &Segments) -> Vec<GroupReading> {
    let of = |group: &dhow_customers::Segment| GroupReading {
        name: group.name.clone(),
        share: group.share,
        days_since_last: group.centre.days_since_last,
        days: group.centre.days,
        usd: group.centre.money,
    };
    segments.groups().iter().map(of).collect()
}
