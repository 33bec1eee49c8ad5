//! Price lists of a product: by region and currency, with a minimum and quantity breaks, by date; what moves a price by demand is not here.

use dhow_events::{Currency, Money, Region, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cart::LINE_QUANTITY_MAX;
use crate::catalogue::{PRICE_MINOR_MAX, ProductInput};
use crate::{ExchangeRates, FieldProblem};

/// The most price lists of one product.
pub const PRICE_LISTS_MAX: usize = 200;
/// The most quantity breaks of one price list.
pub const PRICE_BREAKS_MAX: usize = 20;

/// From how many units on a price holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceBreak {
    /// Units of the product in one cart from which on it holds, from 1 to [`LINE_QUANTITY_MAX`].
    pub quantity: i64,
    /// The price of each unit then.
    pub unit_price: Money,
}

/// What a product costs in a region and a currency while it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// Where the parcel goes: this place or one within it (`NG` holds `NG-LA`); nothing is everywhere.
    #[serde(default)]
    pub region: Option<Region>,
    /// The first moment at which it is in force; nothing is always before.
    #[serde(default)]
    pub valid_from: Option<Timestamp>,
    /// The first moment at which it is no more; nothing is never.
    #[serde(default)]
    pub valid_until: Option<Timestamp>,
    /// Prices by quantity, 1 to [`PRICE_BREAKS_MAX`] of one currency, the quantities growing. The first is the smallest
    /// quantity that is sold.
    pub breaks: Vec<PriceBreak>,
}

/// For whom and when a price is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Market {
    /// Where the parcel goes; without it only lists that hold everywhere count.
    pub region: Option<Region>,
    /// What is paid in; nothing is the currency of the product's own price.
    pub currency: Option<Currency>,
    /// When.
    pub at: Timestamp,
}

/// Why a product has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPrice {
    /// Fewer units than are sold at once.
    #[error("is {quantity} of the product in the cart; at least {minimum} are sold at once here")]
    BelowMinimum {
        /// Units wanted.
        quantity: i64,
        /// The smallest quantity that is sold.
        minimum: i64,
    },
    /// No list in force has the currency, nor has the product's own price.
    #[error("has no price in {0} here now; the product's own currency is {1}")]
    Currency(Currency, Currency),
}

/// The price of each of `quantity` units of a product: of the lists in force at that time in that currency the one of the
/// narrowest region that holds the buyer's, by its last break within the quantity; without such a list the product's own.
///
/// # Errors
/// Fewer units than that list sells, or no price in the currency.
pub fn unit_price(input: &ProductInput, market: &Market, quantity: i64) -> Result<Money, NoPrice> {
    let currency = market.currency.unwrap_or(input.price.currency);
    let fits =
        |list: &&PriceList| list.currency() == Some(currency) && list.in_force(market.at) && list.holds(market.region);
    let Some(list) = input.prices.iter().filter(fits).max_by_key(|list| list.narrowness()) else {
        let own = input.price.currency;
        return if own == currency { Ok(input.price) } else { Err(NoPrice::Currency(currency, own)) };
    };
    let reached = list.breaks.iter().rev().find(|price| price.quantity <= quantity);
    let minimum = list.breaks.first().map_or(1, |price| price.quantity);
    reached.map(|price| price.unit_price).ok_or(NoPrice::BelowMinimum { quantity, minimum })
}

impl PriceList {
    fn currency(&self) -> Option<Currency> {
        self.breaks.first().map(|price| price.unit_price.currency)
    }

    fn in_force(&self, at: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_until.is_none_or(|until| at < until)
    }

    fn holds(&self, region: Option<Region>) -> bool {
        let Some(own) = self.region else { return true };
        region.is_some_and(|region| {
            let rest = region.as_str().strip_prefix(own.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }

    /// Of two regions that hold one place the longer name is the narrower region.
    fn narrowness(&self) -> usize {
        self.region.map_or(0, |region| region.as_str().len())
    }

    fn overlaps(&self, other: &Self) -> bool {
        let begins_before_end = |a: &Self, b: &Self| match (a.valid_from, b.valid_until) {
            (Some(from), Some(until)) => from < until,
            _ => true,
        };
        self.region == other.region
            && self.currency() == other.currency()
            && begins_before_end(self, other)
            && begins_before_end(other, self)
    }

    fn check(&self, place: &str, problems: &mut Vec<FieldProblem>) {
        let mut wrong = |pointer: String, message: String| problems.push(FieldProblem::new(pointer, message));
        if let (Some(from), Some(until)) = (self.valid_from, self.valid_until)
            && until <= from
        {
            wrong(format!("{place}/valid_until"), format!("is {until}; it must be after valid_from, {from}"));
        }
        if !(1..=PRICE_BREAKS_MAX).contains(&self.breaks.len()) {
            let message = format!("has {} breaks; it must have from 1 to {PRICE_BREAKS_MAX}", self.breaks.len());
            wrong(format!("{place}/breaks"), message);
        }
        let mut least = 1;
        for (index, PriceBreak { quantity, unit_price }) in self.breaks.iter().enumerate() {
            let place = format!("{place}/breaks/{index}");
            if !(least..=LINE_QUANTITY_MAX).contains(quantity) {
                let message = format!("is {quantity}; it must be from {least} to {LINE_QUANTITY_MAX}, and grow");
                wrong(format!("{place}/quantity"), message);
            }
            least = least.max(quantity.saturating_add(1));
            if !(0..=PRICE_MINOR_MAX).contains(&unit_price.amount_minor) {
                let message =
                    format!("is {}; it must be from 0 to {PRICE_MINOR_MAX} minor units", unit_price.amount_minor);
                wrong(format!("{place}/unit_price/amount"), message);
            }
            if let Some(first) = self.currency().filter(|first| *first != unit_price.currency) {
                let message = format!("is {}; the list's first break is in {first}", unit_price.currency);
                wrong(format!("{place}/unit_price/currency"), message);
            }
        }
    }
}

/// Checks a product's price lists; of one region and currency one list at most is in force at any time.
pub(crate) fn check(lists: &[PriceList]) -> Vec<FieldProblem> {
    if lists.len() > PRICE_LISTS_MAX {
        let message = format!("has {} price lists; it must have at most {PRICE_LISTS_MAX}", lists.len());
        return vec![FieldProblem::new("/prices", message)];
    }
    let mut problems = Vec::new();
    for (index, list) in lists.iter().enumerate() {
        let place = format!("/prices/{index}");
        list.check(&place, &mut problems);
        if let Some(earlier) = lists[..index].iter().position(|earlier| earlier.overlaps(list)) {
            let message =
                format!("has the region and the currency of /prices/{earlier} and is in force at the same time");
            problems.push(FieldProblem::new(place, message));
        }
    }
    problems
}

/// Checks that every list's currency has an exchange rate, without which nothing can be sold in it.
pub(crate) fn check_rates(lists: &[PriceList], rates: &ExchangeRates) -> Vec<FieldProblem> {
    let unknown = |(index, list): (usize, &PriceList)| {
        let error = rates.units_per_usd_micros(list.currency()?).err()?;
        Some(FieldProblem::new(format!("/prices/{index}/breaks/0/unit_price/currency"), error.to_string()))
    };
    lists.iter().enumerate().filter_map(unknown).collect()
}

#[cfg(test)]
mod tests {
    use dhow_events::{Category, SellerId};
    use proptest::prelude::*;

    use super::*;

    const PLACES: [&str; 6] = ["NG", "NG-LA", "NG-LA-IKEJA", "NGX", "GB", "GB-LND"];
    const CURRENCIES: [Currency; 3] = [Currency::USD, Currency::EUR, Currency::GBP];

    fn place(index: usize) -> Option<Region> {
        PLACES.get(index).map(|text| Region::new(text).expect("a valid region"))
    }

    fn product(prices: Vec<PriceList>) -> ProductInput {
        ProductInput {
            seller: SellerId::from_u128(1),
            reference: "cup".to_owned(),
            title: "Cup".to_owned(),
            description: String::new(),
            category: Category::new("home").expect("a valid category"),
            price: Money::usd(1_000),
            prices,
            region: Region::new("GB").expect("a valid region"),
            sale_regions: dhow_events::SaleRegions::default(),
            weight_grams: 1,
            media: Vec::new(),
            attributes: std::collections::BTreeMap::new(),
            variant: None,
        }
    }

    fn list(region: usize, currency: usize, from: Option<i64>, until: Option<i64>, breaks: &[(i64, i64)]) -> PriceList {
        let price = |&(quantity, minor): &(i64, i64)| PriceBreak {
            quantity,
            unit_price: Money::new(minor, CURRENCIES[currency]),
        };
        let (valid_from, valid_until) = (from.map(Timestamp::from_micros), until.map(Timestamp::from_micros));
        PriceList { region: place(region), valid_from, valid_until, breaks: breaks.iter().map(price).collect() }
    }

    fn lists() -> impl Strategy<Value = Vec<PriceList>> {
        let breaks = prop::collection::btree_map(1_i64..30, 1_i64..1_000, 1..4);
        let one = (0_usize..7, 0_usize..3, prop::option::of(0_i64..20), prop::option::of(1_i64..20), breaks);
        let one = one.prop_map(|(region, currency, from, length, breaks)| {
            let until = length.map(|length| from.unwrap_or(0) + length);
            list(region, currency, from, until, &breaks.into_iter().collect::<Vec<_>>())
        });
        // What overlaps an earlier one is left out, as it would be refused.
        prop::collection::vec(one, 0..25).prop_map(|all| {
            let mut kept: Vec<PriceList> = Vec::new();
            for list in all {
                if !kept.iter().any(|earlier| earlier.overlaps(&list)) {
                    kept.push(list);
                }
            }
            kept
        })
    }

    /// Place by place from the buyer's outwards, moment and unit by unit: what a person would look up.
    fn by_hand(input: &ProductInput, market: &Market, quantity: i64) -> Result<Money, NoPrice> {
        let currency = market.currency.unwrap_or(Currency::USD);
        let mut names: Vec<Option<String>> = Vec::new();
        let mut parts: Vec<&str> = market.region.iter().flat_map(|region| region.as_str().split('-')).collect();
        while !parts.is_empty() {
            names.push(Some(parts.join("-")));
            parts.pop();
        }
        names.push(None);
        for name in names {
            for list in &input.prices {
                let at = market.at.micros();
                let from = list.valid_from.map_or(i64::MIN, Timestamp::micros);
                let until = list.valid_until.map_or(i64::MAX, Timestamp::micros);
                let same = list.region.map(|region| region.as_str().to_owned()) == name;
                if !same || list.breaks[0].unit_price.currency != currency || at < from || at >= until {
                    continue;
                }
                if quantity < list.breaks[0].quantity {
                    return Err(NoPrice::BelowMinimum { quantity, minimum: list.breaks[0].quantity });
                }
                let mut price = list.breaks[0].unit_price;
                for step in &list.breaks {
                    if step.quantity <= quantity {
                        price = step.unit_price;
                    }
                }
                return Ok(price);
            }
        }
        if currency == Currency::USD { Ok(input.price) } else { Err(NoPrice::Currency(currency, Currency::USD)) }
    }

    proptest! {
        #[test]
        fn the_price_is_the_one_looked_up_by_hand_in_any_order_of_the_lists(
            lists in lists(), region in 0_usize..7, currency in 0_usize..4, at in -2_i64..45, quantity in 1_i64..40,
        ) {
            prop_assert!(check(&lists).is_empty());
            let market = Market {
                region: place(region),
                currency: CURRENCIES.get(currency).copied(),
                at: Timestamp::from_micros(at),
            };
            let input = product(lists);
            let found = unit_price(&input, &market, quantity);
            prop_assert_eq!(found, by_hand(&input, &market, quantity));
            let turned = product(input.prices.iter().rev().cloned().collect());
            prop_assert_eq!(unit_price(&turned, &market, quantity), found);
        }
    }

    #[test]
    fn lists_that_are_wrong_or_in_force_together_are_refused_with_their_place() {
        let places = |lists: &[PriceList]| check(lists).into_iter().map(|problem| problem.pointer).collect::<Vec<_>>();
        let ok = [(1, 900), (10, 800)];
        let next_to = [list(0, 0, None, Some(5), &ok), list(0, 0, Some(5), None, &ok), list(0, 1, None, None, &ok)];
        assert!(places(&next_to).is_empty(), "half-open dates meet without overlap");
        let together = [list(0, 0, None, Some(6), &ok), list(0, 0, Some(5), None, &ok)];
        assert_eq!(places(&together), ["/prices/1"]);
        assert_eq!(places(&[list(9, 0, Some(5), Some(5), &[])]), ["/prices/0/valid_until", "/prices/0/breaks"]);
        let quantities = list(9, 0, None, None, &[(0, 1), (5, -1), (5, 1), (LINE_QUANTITY_MAX + 1, 1)]);
        let wrong = ["0/quantity", "1/unit_price/amount", "2/quantity", "3/quantity"];
        assert_eq!(places(&[quantities]), wrong.map(|place| format!("/prices/0/breaks/{place}")));
        let mut mixed = list(9, 0, None, None, &ok);
        mixed.breaks[1].unit_price.currency = Currency::EUR;
        assert_eq!(places(&[mixed]), ["/prices/0/breaks/1/unit_price/currency"]);
        assert_eq!(places(&vec![next_to[0].clone(); PRICE_LISTS_MAX + 1]), ["/prices"]);
    }
}
