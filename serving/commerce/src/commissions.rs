//! What the marketplace takes of each order: worked out by the commission's rule when the order is made, frozen on it; refunds give their share back.

use std::collections::BTreeMap;

use dhow_commission::{Commission, CommissionError, CommissionTables, Plan, Sale, UsdRate};
use dhow_events::{Category, Money, SellerId, TenantId, Timestamp};
use dhow_ledger::divide::{DivideError, RatePpm, share_of_step};
use serde::{Deserialize, Serialize};

use crate::{BillingTransaction, Commerce, CommerceError, OrderLine, PaymentRail, Storage, StorageTransaction};

/// What a seller agreed with the marketplace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SellerTerms {
    /// The plan.
    pub plan: Plan,
    /// Points off in millionths that a contract names, where there is one.
    #[serde(default)]
    pub contract_ppm: Option<u32>,
}

impl Default for SellerTerms {
    /// The free plan.
    fn default() -> Self {
        Self { plan: Plan::Free, contract_ppm: None }
    }
}

/// What the commission's rule asks of a seller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SellerStanding {
    /// The terms.
    pub terms: SellerTerms,
    /// Captured less refunded sales of the calendar month before, in cents of USD.
    pub settled_usd_minor: i64,
    /// Whether the plan limits the orders of a month.
    pub orders_are_limited: bool,
}

/// The commission of an order, frozen when it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderCommission {
    /// Minor units of the order's currency.
    pub commission_minor: i64,
    /// The rate after discounts, points and floor, in millionths.
    pub commission_rate_ppm: i64,
    /// The version of the table of rates.
    pub commission_table_version: i64,
    /// Minor units that refunds gave back, those under way included.
    pub commission_returned_minor: i64,
}

impl From<Commission> for OrderCommission {
    fn from(commission: Commission) -> Self {
        Self {
            commission_minor: commission.amount.amount_minor,
            commission_rate_ppm: i64::from(commission.rate.0),
            commission_table_version: i64::from(commission.table_version),
            commission_returned_minor: 0,
        }
    }
}

impl OrderCommission {
    /// What a capture that raises what was captured of `whole` from `from` to `to` takes.
    pub(crate) fn of_capture(&self, from: i64, to: i64, whole: i64) -> Result<i64, DivideError> {
        share_of_step(self.commission_minor, from, to, whole)
    }

    /// What a refund gives back that raises what was asked back of `whole` to `to`. It is measured against all that was
    /// given back before: refunds that fail in between leave no unit behind.
    pub(crate) fn of_refund(&self, to: i64, whole: i64) -> Result<i64, DivideError> {
        Ok(share_of_step(self.commission_minor, 0, to, whole)? - self.commission_returned_minor)
    }
}

/// What an order was made under: the rates, the sellers and the day's rate of exchange.
pub(crate) struct CommissionTerms<'a> {
    pub tables: &'a CommissionTables,
    pub standings: BTreeMap<SellerId, SellerStanding>,
    pub units_per_usd_micros: i64,
    pub placed_at: Timestamp,
}

impl CommissionTerms<'_> {
    /// The commission on an order of `seller`.
    pub(crate) fn of(
        &self,
        seller: SellerId,
        total: Money,
        lines: &[OrderLine],
    ) -> Result<OrderCommission, CommissionError> {
        let mut categories: BTreeMap<Category, i64> = BTreeMap::new();
        for line in lines {
            *categories.entry(line.category).or_default() += line.quantity * line.unit_price.amount_minor;
        }
        let standing = self.standings.get(&seller).copied().unwrap_or_default();
        let sale = Sale {
            plan: standing.terms.plan,
            settled_usd_minor: standing.settled_usd_minor,
            contract: standing.terms.contract_ppm.map(RatePpm),
            amount: total,
            categories: categories.into_iter().collect(),
            usd: usd_rate(total, self.units_per_usd_micros)?,
            placed_at: self.placed_at,
        };
        self.tables.commission(&sale).map(OrderCommission::from)
    }
}

/// So many cents for so many minor units: a dollar buys `units_per_usd_micros` millionths of a unit.
fn usd_rate(total: Money, units_per_usd_micros: i64) -> Result<UsdRate, CommissionError> {
    let minor = 10_u64.pow(total.currency.exponent());
    let for_minor = u64::try_from(units_per_usd_micros).ok().and_then(|units| units.checked_mul(minor));
    Ok(UsdRate { usd_minor: 100_000_000, for_minor: for_minor.ok_or(DivideError::Overflow)? })
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Sets what a seller agreed; orders that are made from then on are under it.
    ///
    /// # Errors
    /// Points of more than everything, another plan than the one that the seller subscribed to; the database fails.
    pub async fn set_seller_terms(
        &self,
        tenant: TenantId,
        seller: SellerId,
        terms: SellerTerms,
    ) -> Result<SellerTerms, CommerceError> {
        if terms.contract_ppm.is_some_and(|points| points > 1_000_000) {
            return Err(CommerceError::invalid("/contract_ppm", "is more than 1000000 millionths, which is 100 %"));
        }
        let mut transaction = self.storage.begin().await?;
        let subscription = transaction.hold_subscription(tenant, seller).await?;
        if let Some(kept) =
            subscription.filter(|kept| kept.subscription.ended_at.is_none() && kept.plan() != terms.plan)
        {
            let message =
                format!("{seller} subscribed to a plan; change or end the subscription (version {})", kept.version);
            return Err(CommerceError::BillingRefused(message));
        }
        transaction.put_seller_terms(tenant, seller, terms).await?;
        transaction.commit().await?;
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use dhow_events::Currency;
    use dhow_ledger::divide::split;
    use proptest::prelude::*;

    use super::*;

    /// Every currency of ISO 4217 that has a minor unit.
    static CURRENCIES: LazyLock<Vec<Currency>> = LazyLock::new(|| {
        let letters = || b'A'..=b'Z';
        let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
        codes.filter_map(|code| Currency::new(std::str::from_utf8(&code).ok()?).ok()).collect()
    });

    static TABLES: LazyLock<CommissionTables> =
        LazyLock::new(|| CommissionTables::marketplace().expect("the built-in rates"));

    fn terms(units_per_usd_micros: i64) -> CommissionTerms<'static> {
        let placed_at = "2026-06-15T12:00:00Z".parse().expect("a time");
        CommissionTerms { tables: &TABLES, standings: BTreeMap::new(), units_per_usd_micros, placed_at }
    }

    fn line(category: usize, minor: i64, currency: Currency) -> OrderLine {
        OrderLine {
            product: dhow_events::ProductId::from_u128(1),
            category: Category::new(["books", "home", "toys"][category % 3]).expect("a category"),
            title: String::new(),
            quantity: 1,
            unit_price: Money::new(minor, currency),
            amount_usd_minor: 0,
        }
    }

    #[test]
    fn every_currency_has_a_minimum_of_half_a_dollar_rounded_up() {
        assert!(CURRENCIES.len() > 150, "{}", CURRENCIES.len());
        for currency in CURRENCIES.iter().copied() {
            // Three of its units are a dollar, so half a dollar is one unit and a half.
            let total = 10 * 10_i64.pow(currency.exponent());
            let lines = [line(0, total, currency)];
            let found = terms(3_000_000).of(SellerId::from_u128(1), Money::new(total, currency), &lines);
            let minimum = (3 * 10_i64.pow(currency.exponent()) + 1) / 2;
            assert_eq!(found.map(|found| found.commission_minor), Ok(minimum), "{currency}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 50_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_checkout_split_captured_and_refunded_in_parts_gives_back_every_unit(
            currency in 0..1_000_usize,
            parts in prop::collection::vec((0_i64..5_000_000, 0..3_usize), 1..5),
            units_per_usd_micros in 1_000_i64..2_000_000_000,
            steps in prop::collection::vec((0.0..1.0_f64, any::<bool>()), 1..12),
        ) {
            let currency = CURRENCIES[currency % CURRENCIES.len()];
            let terms = terms(units_per_usd_micros);
            let whole: i64 = parts.iter().map(|(minor, _)| minor).sum();
            // What the buyer pays is split over the parts and sums to it.
            let weights: Vec<u64> = parts.iter().map(|(minor, _)| minor.unsigned_abs()).collect();
            if whole == 0 {
                return Ok(());
            }
            prop_assert_eq!(split(whole / 3, &weights).expect("it is split").iter().sum::<i64>(), whole / 3);
            let lines: Vec<OrderLine> = parts.iter().map(|(minor, category)| line(*category, *minor, currency)).collect();
            let mut order = terms.of(SellerId::from_u128(1), Money::new(whole, currency), &lines).expect("a commission");
            prop_assert!((0..=whole).contains(&order.commission_minor));
            let (mut captured, mut taken) = (0, 0);
            let (mut asked, mut pending) = (0, Vec::new());
            for (part, goes_well) in steps {
                let next = captured + ((whole - captured) as f64 * part) as i64;
                taken += order.of_capture(captured, next, whole).expect("a share");
                captured = next;
                let back = ((captured - asked) as f64 * part) as i64;
                asked += back;
                let share = order.of_refund(asked, whole).expect("a share");
                order.commission_returned_minor += share;
                pending.push((back, share));
                if !goes_well {
                    // A refund fails, not always the last one.
                    let (back, share) = pending.swap_remove(pending.len() / 2);
                    asked -= back;
                    order.commission_returned_minor -= share;
                }
            }
            taken += order.of_capture(captured, whole, whole).expect("a share");
            prop_assert_eq!(taken, order.commission_minor, "what was captured in parts took the whole commission");
            let rest = order.of_refund(whole, whole).expect("a share");
            order.commission_returned_minor += rest;
            prop_assert_eq!(order.commission_returned_minor, order.commission_minor, "and refunds gave it back");
        }
    }
}
