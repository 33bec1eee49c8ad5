//! Proposes reorders: stock and units on their way from the database, demand from the champion's quantiles; people decide elsewhere.

use dhow_commerce::{
    Product, REORDERS_MAX, ReorderLine, ReorderProposal, ReorderState, StockLevel, Storage, UnitsOnTheirWay,
};
use dhow_events::{Money, ProductId, ReorderId, TenantId, Timestamp};
use dhow_forecast::{DemandModel, SeriesKey};
use dhow_reorder::{Budget, Demand, Item, LEVELS, Service, propose};

use crate::error::failed;
use crate::{Engine, EngineError};

/// Most days between order and arrival, and between two looks at the stock, together: what a forecast reaches.
pub const PROTECTION_DAYS_MAX: u32 = 90;
/// How alike the forecast errors of two days of one product are.
const ERROR_CORRELATION: f64 = 0.2;

/// A product that may be ordered.
#[derive(Debug, Clone, PartialEq)]
pub struct ReorderItem {
    /// Which.
    pub product: ProductId,
    /// What a unit costs.
    pub unit_cost: Money,
    /// Units that the supplier sells together, at least 1.
    pub pack_units: i64,
    /// Fewest units of an order.
    pub minimum_units: i64,
    /// Days between order and arrival.
    pub lead_days: u32,
    /// Days until stock is looked at again, at least 1.
    pub review_days: u32,
    /// How surely demand is to be met.
    pub service: Service,
}

/// What came of a question for proposals.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reorders {
    /// Stored, in the order of the question.
    pub proposed: Vec<ReorderProposal>,
    /// Whose stock suffices: product, position and the level that it would be raised to.
    pub covered: Vec<(ProductId, i64, i64)>,
    /// Of which nothing was ordered because the budget is spent: product and units wanted.
    pub cut: Vec<(ProductId, i64)>,
    /// For which there is no forecast, and why.
    pub unknown: Vec<(ProductId, String)>,
}

/// What an item is made of, beside the question.
struct Read {
    model: String,
    products: Vec<Product>,
    on_their_way: UnitsOnTheirWay,
}

impl Engine {
    /// Proposes what to order of these products within what the budgets leave, and stores the proposals.
    ///
    /// # Errors
    /// No forecast model in force, too many items, an unknown product, days out of their bounds; the database fails.
    pub async fn propose_reorders(&self, tenant: TenantId, asked: &[ReorderItem]) -> Result<Reorders, EngineError> {
        check(asked)?;
        let models = self.shared().champions.of(tenant);
        let champion = models.forecast.as_ref().ok_or(EngineError::NoModel { task: "forecast" })?;
        let ids: Vec<ProductId> = asked.iter().map(|item| item.product).collect();
        let read = Read {
            model: champion.label.to_string(),
            products: self.store().find_products(tenant, &ids).await.map_err(failed("reorders"))?,
            on_their_way: self.store().reorders_on_their_way(tenant, &ids).await.map_err(failed("reorders"))?,
        };
        let (mut reorders, mut items, mut kept) = (Reorders::default(), Vec::new(), Vec::new());
        for (index, item) in asked.iter().enumerate() {
            let stock = self.store().stock(tenant, item.product).await.map_err(failed("reorders"))?;
            match demand(&champion.model, item) {
                Ok(demand) => {
                    items.push(self.item(item, index, &read, stock, demand)?);
                    kept.push(item);
                }
                Err(reason) => reorders.unknown.push((item.product, reason)),
            }
        }
        let budget = Budget { minor: self.commerce().reorder_budget_left(tenant).await? };
        let now = self.clock().now();
        for (item, reasons) in kept.into_iter().zip(propose(&items, &budget)) {
            match (reasons.units, reasons.wanted_units) {
                (0, 0) => {
                    reorders.covered.push((item.product, reasons.position_units, reasons.order_up_to_units));
                }
                (0, wanted) => reorders.cut.push((item.product, wanted)),
                _ => reorders.proposed.push(self.proposal(tenant, item, reasons, &read.model, now)),
            }
        }
        self.commerce().propose_reorders(&reorders.proposed).await?;
        Ok(reorders)
    }

    /// Costs and margins are compared in cents, whatever the supplier's currency.
    fn item(
        &self,
        item: &ReorderItem,
        index: usize,
        read: &Read,
        stock: Option<StockLevel>,
        demand: Demand,
    ) -> Result<Item, EngineError> {
        let product = read.products.iter().find(|product| product.id == item.product);
        let product = product.ok_or_else(|| {
            EngineError::invalid(format!("/items/{index}/product"), format!("there is no product {}", item.product))
        })?;
        let rates = self.commerce().rates();
        let wrong = |error: dhow_commerce::RateError| {
            EngineError::invalid(format!("/items/{index}/unit_cost/currency"), error.to_string())
        };
        let unit_cost_minor = rates.usd_minor(item.unit_cost).map_err(wrong)?;
        let price_minor = rates.usd_minor(product.input.price).map_err(wrong)?;
        Ok(Item {
            on_hand: stock.map_or(0, |level| level.on_hand),
            promised: stock.map_or(0, |level| level.reserved),
            on_its_way: read.on_their_way.get(&item.product).copied().unwrap_or(0),
            pack_units: item.pack_units,
            minimum_units: item.minimum_units,
            unit_cost_minor,
            unit_margin_minor: price_minor - unit_cost_minor,
            service: item.service,
            demand,
        })
    }

    fn proposal(
        &self,
        tenant: TenantId,
        item: &ReorderItem,
        reasons: dhow_reorder::Proposal,
        model: &str,
        now: Timestamp,
    ) -> ReorderProposal {
        let state = ReorderState::Proposed;
        ReorderProposal {
            tenant,
            id: ReorderId::at(now, self.random()),
            product: item.product,
            state,
            units: reasons.units,
            unit_cost: item.unit_cost,
            cost_usd_minor: reasons.cost_minor,
            lead_days: item.lead_days,
            review_days: item.review_days,
            model: model.to_owned(),
            reasons,
            approvals: Vec::new(),
            approved_at: None,
            history: vec![ReorderLine { at: now, state, person: None, note: String::new() }],
            created_at: now,
            updated_at: now,
        }
    }
}

/// The units wanted until the next order could arrive; the same product has the same draws whenever it is asked.
fn demand(model: &DemandModel, item: &ReorderItem) -> Result<Demand, String> {
    let key = SeriesKey::product(item.product, None);
    let days = (item.lead_days + item.review_days) as usize;
    let forecast = model.forecast(&key, days, &LEVELS).map_err(|error| error.to_string())?;
    let days: Vec<Vec<f64>> = forecast.days.into_iter().map(|day| day.quantiles).collect();
    Demand::of_days(&days, ERROR_CORRELATION, item.product.as_u128() as u64).map_err(|error| error.to_string())
}

fn check(asked: &[ReorderItem]) -> Result<(), EngineError> {
    if !(1..=REORDERS_MAX).contains(&asked.len()) {
        let message = format!("are {}; from 1 to {REORDERS_MAX} are allowed", asked.len());
        return Err(EngineError::invalid("/items", message));
    }
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in asked.iter().enumerate() {
        let wrong =
            |field: &str, message: String| Err(EngineError::invalid(format!("/items/{index}/{field}"), message));
        if !seen.insert(item.product) {
            return wrong("product", "is given twice".to_owned());
        }
        if item.review_days == 0 || item.lead_days.saturating_add(item.review_days) > PROTECTION_DAYS_MAX {
            let message = format!("with /lead_days must make from 1 to {PROTECTION_DAYS_MAX} days, and be at least 1");
            return wrong("review_days", message);
        }
        if item.pack_units < 1 || item.minimum_units < 1 {
            return wrong("pack_units", "and minimum_units must be at least 1".to_owned());
        }
        if item.unit_cost.amount_minor < 0 {
            return wrong("unit_cost/amount", "must not be negative".to_owned());
        }
        match item.service {
            Service::Level(level) if !(level > 0.0 && level < 1.0) => {
                return wrong("service_level", format!("is {level}; it must lie between 0 and 1"));
            }
            _ => {}
        }
    }
    Ok(())
}
