//! Everybody's days of purchase, and what is known of them as of a day; it forecasts nothing.

use std::collections::BTreeMap;

use crate::CustomersError;

/// Customers of one table.
pub const CUSTOMERS_MAX: usize = 20_000_000;

/// What one customer bought, or gave back, on one day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purchase {
    /// Who, as a number.
    pub customer: u32,
    /// Days since 1970.
    pub day: i32,
    /// Money; less than nothing where more was given back.
    pub amount: f64,
}

/// What the classic models know of a customer as of a cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Days with a purchase, the first left out.
    pub repeats: f64,
    /// Days from the first to the last purchase.
    pub recency: f64,
    /// Days from the first purchase to the cut.
    pub age: f64,
    /// The mean amount of the repeated purchases; nothing where there is none.
    pub mean_amount: f64,
}

/// Everybody's purchases by day, added up within a day.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histories(BTreeMap<u32, Vec<(i32, f64)>>);

impl Histories {
    /// Orders and adds up purchases.
    ///
    /// # Errors
    /// An amount that is no finite number, or more than [`CUSTOMERS_MAX`] customers.
    pub fn new(purchases: &[Purchase]) -> Result<Self, CustomersError> {
        let mut days: BTreeMap<u32, BTreeMap<i32, f64>> = BTreeMap::new();
        for &Purchase { customer, day, amount } in purchases {
            if !amount.is_finite() {
                return Err(CustomersError::Amount { customer, day, amount });
            }
            *days.entry(customer).or_default().entry(day).or_default() += amount;
        }
        if days.len() > CUSTOMERS_MAX {
            return Err(CustomersError::TooMany { what: "customers", found: days.len(), limit: CUSTOMERS_MAX });
        }
        Ok(Self(days.into_iter().map(|(customer, days)| (customer, days.into_iter().collect())).collect()))
    }

    /// Those who bought before the cut, in rising order, with what they bought before it.
    pub fn known_before(&self, cut: i32) -> impl Iterator<Item = (u32, &[(i32, f64)])> {
        self.0.iter().filter_map(move |(customer, days)| {
            let before = &days[..days.partition_point(|(day, _)| *day < cut)];
            before.iter().any(|(_, amount)| *amount > 0.0).then_some((*customer, before))
        })
    }

    /// What a customer spent from `from` on, for `days` days: what was given back taken off, never less than nothing.
    pub fn spend(&self, customer: u32, from: i32, days: i32) -> f64 {
        let all = self.0.get(&customer).map_or(&[][..], Vec::as_slice);
        let within = all.iter().filter(|(day, _)| (from..from + days).contains(day));
        within.map(|(_, amount)| amount).sum::<f64>().max(0.0)
    }

    /// The first day with anything; nothing where there is none.
    pub fn first_day(&self) -> Option<i32> {
        self.0.values().filter_map(|days| days.first()).map(|(day, _)| *day).min()
    }
}

impl Summary {
    /// Of what was bought before the cut. Days on which more was given back than bought are none of purchase.
    pub fn of(before: &[(i32, f64)], cut: i32) -> Self {
        let bought: Vec<(i32, f64)> = before.iter().copied().filter(|(_, amount)| *amount > 0.0).collect();
        let (Some(first), Some(last)) = (bought.first(), bought.last()) else {
            return Self { repeats: 0.0, recency: 0.0, age: 0.0, mean_amount: 0.0 };
        };
        let repeated = &bought[1..];
        let total: f64 = repeated.iter().map(|(_, amount)| amount).sum();
        Self {
            repeats: repeated.len() as f64,
            recency: f64::from(last.0 - first.0),
            age: f64::from(cut - first.0),
            mean_amount: if repeated.is_empty() { 0.0 } else { total / repeated.len() as f64 },
        }
    }
}
