//! Price lists: what they hold, how they are checked, and which one counts at a time; a list never changes.

use std::collections::BTreeMap;

use dhow_commission::Plan;
use dhow_events::{Currency, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Cycle;

/// The longest name of an add-on or of what is metered, in bytes.
pub const NAME_BYTES_MAX: usize = 40;
/// The most units of an add-on.
pub const QUANTITY_MAX: u32 = 100_000;
/// The largest price of a month, a year or a block, in minor units.
const PRICE_MINOR_MAX: i64 = 1_000_000_000;

/// What a plan allows; a part that is absent allows any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Products on offer at once.
    #[serde(default)]
    pub products_max: Option<u32>,
    /// Orders that are placed in a calendar month.
    #[serde(default)]
    pub orders_per_month_max: Option<u32>,
}

/// A plan's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanPrice {
    /// A month.
    pub month_minor: i64,
    /// A year, where one can be had.
    #[serde(default)]
    pub year_minor: Option<i64>,
    /// Products on offer at once.
    #[serde(default)]
    pub products_max: Option<u32>,
    /// Orders that are placed in a calendar month.
    #[serde(default)]
    pub orders_per_month_max: Option<u32>,
}

impl PlanPrice {
    /// What it allows.
    pub const fn limits(&self) -> Limits {
        Limits { products_max: self.products_max, orders_per_month_max: self.orders_per_month_max }
    }

    /// What a period costs; none where the plan has no such period. A plan without a price has them all.
    pub const fn of(&self, cycle: Cycle) -> Option<i64> {
        match cycle {
            Cycle::Month => Some(self.month_minor),
            Cycle::Year if self.month_minor == 0 => Some(0),
            Cycle::Year => self.year_minor,
        }
    }
}

/// An add-on's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddOnPrice {
    /// One of it for a month; a year is twelve of them.
    pub month_minor: i64,
    /// The most of it, up to [`QUANTITY_MAX`].
    #[serde(default = "one")]
    pub quantity_max: u32,
}

const fn one() -> u32 {
    1
}

/// The price of what is metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsagePrice {
    /// Units that are billed together, above zero; a begun block is a block.
    pub block: u32,
    /// What a block costs.
    pub block_minor: i64,
    /// Units of each period that cost nothing.
    #[serde(default)]
    pub included: u64,
}

/// A version of the prices. Amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// Its number; later lists have larger ones.
    pub version: u32,
    /// It counts from then on, until the next version's time.
    pub from: Timestamp,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// Plans.
    pub plans: BTreeMap<Plan, PlanPrice>,
    /// What can be had beside a plan, by name.
    #[serde(default)]
    pub add_ons: BTreeMap<String, AddOnPrice>,
    /// What is metered, by name.
    #[serde(default)]
    pub usage: BTreeMap<String, UsagePrice>,
}

/// Why price lists were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceListError {
    /// A price out of its range.
    #[error("version {version}: {field} is {minor}; a price is from 0 to {PRICE_MINOR_MAX} minor units")]
    Price {
        /// The list.
        version: u32,
        /// The field.
        field: String,
        /// Its value.
        minor: i64,
    },
    /// A number out of its range.
    #[error("version {version}: {field} is {number}; it is from 1 to {QUANTITY_MAX}")]
    Number {
        /// The list.
        version: u32,
        /// The field.
        field: String,
        /// Its value.
        number: u32,
    },
    /// A name that is none.
    #[error("version {version}: `{name}` is no name: 1 to {NAME_BYTES_MAX} small letters, digits or `_`")]
    Name {
        /// The list.
        version: u32,
        /// The name.
        name: String,
    },
    /// Versions whose numbers and times do not rise together, or whose currencies differ.
    #[error("version {version} does not follow the one before it in number and time, in the same currency")]
    Versions {
        /// The later one.
        version: u32,
    },
    /// A plan that is missing.
    #[error("version {version} has no price for the plan {plan:?}")]
    Plan {
        /// The list.
        version: u32,
        /// The plan.
        plan: Plan,
    },
    /// No list at all.
    #[error("there is no price list")]
    None,
    /// A text that is no list.
    #[error("it is no price list: {0}")]
    Text(String),
}

impl PriceList {
    /// A list from its TOML.
    ///
    /// # Errors
    /// A text that is no list, or a list that is wrong.
    pub fn from_toml(text: &str) -> Result<Self, PriceListError> {
        let list: Self = toml::from_str(text).map_err(|error| PriceListError::Text(error.to_string()))?;
        list.check()?;
        Ok(list)
    }

    fn check(&self) -> Result<(), PriceListError> {
        let version = self.version;
        for plan in [Plan::Free, Plan::Professional, Plan::Enterprise] {
            let price = self.plans.get(&plan).ok_or(PriceListError::Plan { version, plan })?;
            self.check_price(format!("plans.{plan:?}.month_minor"), price.month_minor)?;
            self.check_price(format!("plans.{plan:?}.year_minor"), price.year_minor.unwrap_or(0))?;
        }
        for (name, price) in &self.add_ons {
            self.check_name(name)?;
            self.check_price(format!("add_ons.{name}.month_minor"), price.month_minor)?;
            self.check_number(format!("add_ons.{name}.quantity_max"), price.quantity_max, QUANTITY_MAX)?;
        }
        for (name, price) in &self.usage {
            self.check_name(name)?;
            self.check_price(format!("usage.{name}.block_minor"), price.block_minor)?;
            self.check_number(format!("usage.{name}.block"), price.block, u32::MAX)?;
        }
        Ok(())
    }

    fn check_price(&self, field: String, minor: i64) -> Result<(), PriceListError> {
        let is_price = (0..=PRICE_MINOR_MAX).contains(&minor);
        if is_price { Ok(()) } else { Err(PriceListError::Price { version: self.version, field, minor }) }
    }

    fn check_number(&self, field: String, number: u32, most: u32) -> Result<(), PriceListError> {
        let is_number = (1..=most).contains(&number);
        if is_number { Ok(()) } else { Err(PriceListError::Number { version: self.version, field, number }) }
    }

    fn check_name(&self, name: &str) -> Result<(), PriceListError> {
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let is_name = plain && (1..=NAME_BYTES_MAX).contains(&name.len());
        if is_name { Ok(()) } else { Err(PriceListError::Name { version: self.version, name: name.to_owned() }) }
    }

    /// What a plan allows.
    pub fn limits(&self, plan: Plan) -> Limits {
        self.plans.get(&plan).map(PlanPrice::limits).unwrap_or_default()
    }
}

/// All versions of the prices, by rising number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceLists(Vec<PriceList>);

impl PriceLists {
    /// Takes versions in the order of their numbers.
    ///
    /// # Errors
    /// No version, one that is wrong by itself, or one that does not follow the one before it.
    pub fn new(lists: Vec<PriceList>) -> Result<Self, PriceListError> {
        if lists.is_empty() {
            return Err(PriceListError::None);
        }
        lists.iter().try_for_each(PriceList::check)?;
        let follows = |pair: &[PriceList]| {
            pair[0].version < pair[1].version && pair[0].from < pair[1].from && pair[0].currency == pair[1].currency
        };
        match lists.windows(2).find(|pair| !follows(pair)) {
            Some(pair) => Err(PriceListError::Versions { version: pair[1].version }),
            None => Ok(Self(lists)),
        }
    }

    /// The marketplace's own prices.
    ///
    /// # Errors
    /// None for the text that is built in.
    pub fn marketplace() -> Result<Self, PriceListError> {
        Self::new(vec![PriceList::from_toml(include_str!("prices.toml"))?])
    }

    /// The list that counts at `time`; none before the first.
    pub fn at(&self, time: Timestamp) -> Option<&PriceList> {
        self.0.iter().rev().find(|list| list.from <= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marketplaces_prices_are_those_that_were_asked_for() {
        let lists = PriceLists::marketplace().expect("the built-in prices");
        let list = lists.at("2026-11-23T00:00:00Z".parse().expect("a time")).expect("a list");
        let month = |plan| list.plans[&plan].of(Cycle::Month);
        assert_eq!(
            [Plan::Free, Plan::Professional, Plan::Enterprise].map(month),
            [Some(0), Some(19_900), Some(99_900)]
        );
        assert_eq!(list.plans[&Plan::Professional].of(Cycle::Year), Some(199_000));
        assert_eq!(list.plans[&Plan::Enterprise].of(Cycle::Year), None, "no year of it can be had");
        let limits = Limits { products_max: Some(10), orders_per_month_max: Some(20) };
        assert_eq!((list.limits(Plan::Free), list.limits(Plan::Enterprise)), (limits, Limits::default()));
        let add_ons: Vec<(&str, i64)> =
            list.add_ons.iter().map(|(name, price)| (name.as_str(), price.month_minor)).collect();
        let asked = [("analytics", 9_900), ("fraud_protection", 14_900), ("priority_listing", 29_900), ("user", 2_000)];
        assert_eq!(add_ons, asked);
        assert_eq!(list.usage["api_calls"], UsagePrice { block: 10_000, block_minor: 5_000, included: 0 });
    }

    #[test]
    fn wrong_lists_are_refused_with_the_field() {
        let text = include_str!("prices.toml");
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            PriceList::from_toml(&text.replace(from, to)).expect_err("it is wrong").to_string()
        };
        assert!(refused("month_minor = 19900", "month_minor = -1").contains("Professional.month_minor is -1"));
        assert!(refused("block = 10000", "block = 0").contains("usage.api_calls.block is 0"));
        assert!(refused("[add_ons.user]", "[add_ons.\"The user\"]").contains("`The user` is no name"));
        assert!(refused("[plans.enterprise]\nmonth_minor = 99900", "").contains("no price for the plan Enterprise"));
        assert!(refused("version = 1", "version = 1\ncolour = 2").contains("colour"));
        let first = PriceList::from_toml(text).expect("a list");
        let again = PriceLists::new(vec![first.clone(), PriceList { version: 2, ..first.clone() }]);
        assert_eq!(again, Err(PriceListError::Versions { version: 2 }), "two at one time");
        assert_eq!(PriceLists::new(Vec::new()), Err(PriceListError::None));
        let before = PriceLists::new(vec![first.clone()]).expect("lists");
        assert_eq!(before.at(Timestamp::from_micros(first.from.micros() - 1)), None);
    }
}
