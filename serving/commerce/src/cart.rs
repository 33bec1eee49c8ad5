//! What a buyer asks to buy and what it costs: the checkout's request and its quote; what one unit costs is in `prices`, taxes and shipping nowhere yet.

use std::collections::BTreeMap;

use dhow_events::{
    AddressId, BuyerId, CardId, Category, Currency, DeviceId, Money, ProductId, Region, SellerId, SessionId,
};
use serde::{Deserialize, Serialize};

use crate::{
    CommerceError, ExchangeRates, FieldProblem, Market, NoPrice, PaymentMethod, Product, ProductState, unit_price,
};

/// The most lines of one checkout.
pub const CHECKOUT_LINES_MAX: usize = 1_000;
/// The most units of one line.
pub const LINE_QUANTITY_MAX: i64 = 1_000_000;

/// Units of one product in a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CartLine {
    /// Which product.
    pub product: ProductId,
    /// Units, from 1 to [`LINE_QUANTITY_MAX`].
    pub quantity: i64,
}

/// A buyer's wish to buy what is in a cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckoutRequest {
    /// Who buys.
    pub buyer: BuyerId,
    /// The visit, where there was one.
    #[serde(default)]
    pub session: Option<SessionId>,
    /// The device used.
    #[serde(default)]
    pub device: Option<DeviceId>,
    /// The card, where one pays.
    #[serde(default)]
    pub card: Option<CardId>,
    /// Where to deliver.
    #[serde(default)]
    pub address: Option<AddressId>,
    /// Where the device is.
    pub region: Region,
    /// Where the parcel goes.
    pub delivery_region: Region,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// With `pay_later`, the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_later_plan: Option<String>,
    /// What it is paid in; without it, the currency of the products' own prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What is bought, 1 to [`CHECKOUT_LINES_MAX`] lines.
    pub lines: Vec<CartLine>,
}

impl CheckoutRequest {
    /// Checks what can be checked without the catalogue.
    ///
    /// # Errors
    /// Every field that is wrong: no lines or too many, a quantity out of range, a card payment without a card, a plan where
    /// nothing is paid later, or none where something is.
    pub fn check(&self) -> Result<(), Vec<FieldProblem>> {
        let mut problems = check_lines(&self.lines);
        let later = self.payment_method == PaymentMethod::PayLater;
        if (later || self.payment_method == PaymentMethod::Card) && self.card.is_none() {
            problems.push(FieldProblem::new("/card", "is missing; a payment by card needs the card's id (crd_…)"));
        }
        if later != self.pay_later_plan.is_some() {
            let message = if later { "is missing; paying later needs a plan" } else { "is for `pay_later` alone" };
            problems.push(FieldProblem::new("/pay_later_plan", message));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

pub(crate) fn check_lines(lines: &[CartLine]) -> Vec<FieldProblem> {
    if lines.is_empty() || lines.len() > CHECKOUT_LINES_MAX {
        let message = format!("has {} lines; it must have from 1 to {CHECKOUT_LINES_MAX}", lines.len());
        return vec![FieldProblem::new("/lines", message)];
    }
    let wrong = |(index, line): (usize, &CartLine)| {
        let message = format!("is {}; it must be from 1 to {LINE_QUANTITY_MAX}", line.quantity);
        (!(1..=LINE_QUANTITY_MAX).contains(&line.quantity))
            .then(|| FieldProblem::new(format!("/lines/{index}/quantity"), message))
    };
    lines.iter().enumerate().filter_map(wrong).collect()
}

/// A priced line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteLine {
    /// Which product.
    pub product: ProductId,
    /// Who sells it.
    pub seller: SellerId,
    /// Its category.
    pub category: Category,
    /// Its title.
    pub title: String,
    /// Units.
    pub quantity: i64,
    /// The price of one unit.
    pub unit_price: Money,
    /// Units times price.
    pub amount: Money,
    /// The same in cents.
    pub amount_usd_minor: i64,
}

/// What a cart costs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The lines, in the order of the request.
    pub lines: Vec<QuoteLine>,
    /// Different products.
    pub line_count: i64,
    /// Units.
    pub quantity: i64,
    /// What is to be paid.
    pub total: Money,
    /// The same in cents.
    pub total_usd_minor: i64,
}

impl Quote {
    /// Units wanted of each product, summed over the lines, in the order of their ids.
    pub fn demand(&self) -> BTreeMap<ProductId, i64> {
        let mut demand = BTreeMap::new();
        for line in &self.lines {
            *demand.entry(line.product).or_default() += line.quantity;
        }
        demand
    }
}

/// Prices `lines` for `market` with the `products` that were found for them; breaks and minima count a product's units over
/// all lines.
///
/// # Errors
/// Lines out of range, an unknown or delisted product, one that is not sold in the region, fewer units than are sold at once, no price in the currency, lines in different currencies, a total beyond 64 bits, or a
/// currency without a rate: each with its place in the request.
pub fn quote(
    lines: &[CartLine],
    products: &[Product],
    rates: &ExchangeRates,
    market: &Market,
) -> Result<Quote, CommerceError> {
    let problems = check_lines(lines);
    if !problems.is_empty() {
        return Err(CommerceError::Invalid(problems));
    }
    let by_id: BTreeMap<ProductId, &Product> = products.iter().map(|product| (product.id, product)).collect();
    let mut units: BTreeMap<ProductId, i64> = BTreeMap::new();
    lines.iter().for_each(|line| *units.entry(line.product).or_default() += line.quantity);
    let price = |(index, line): (usize, &CartLine)| {
        let product = on_offer(index, line, &by_id, market.region)?;
        let unit_price =
            unit_price(&product.input, market, units[&line.product]).map_err(|error| at_line(index, error))?;
        price_line(line, product, unit_price, rates)
    };
    let priced: Vec<QuoteLine> = lines.iter().enumerate().map(price).collect::<Result<_, _>>()?;
    let currency = priced[0].unit_price.currency;
    if let Some(index) = priced.iter().position(|line| line.unit_price.currency != currency) {
        let other = priced[index].unit_price.currency;
        let message = format!("is priced in {other}, the first line in {currency}; one checkout has one currency");
        return Err(CommerceError::invalid(format!("/lines/{index}/product"), message));
    }
    let total = sum_minor(priced.iter().map(|line| line.amount.amount_minor))?;
    let total = Money::new(total, currency);
    let mut quote =
        Quote { line_count: 0, quantity: 0, total, total_usd_minor: rates.usd_minor(total)?, lines: priced };
    let demand = quote.demand();
    quote.line_count = demand.len() as i64;
    quote.quantity = demand.values().sum();
    Ok(quote)
}

fn on_offer<'a>(
    index: usize,
    line: &CartLine,
    products: &BTreeMap<ProductId, &'a Product>,
    region: Option<Region>,
) -> Result<&'a Product, CommerceError> {
    let place = || format!("/lines/{index}/product");
    let product = products
        .get(&line.product)
        .ok_or_else(|| CommerceError::invalid(place(), format!("{} is not in the catalogue", line.product)))?;
    if product.state != ProductState::Listed {
        return Err(CommerceError::invalid(place(), format!("{} is no longer on offer", line.product)));
    }
    if let Some(region) = region.filter(|region| !product.input.sale_regions.admits(region.as_str())) {
        let message =
            format!("{} is not sold in {region}; it is sold by `{}`", line.product, product.input.sale_regions);
        return Err(CommerceError::invalid(place(), message));
    }
    Ok(product)
}

fn at_line(index: usize, error: NoPrice) -> CommerceError {
    let field = match error {
        NoPrice::BelowMinimum { .. } => "quantity",
        NoPrice::Currency(..) => "product",
    };
    CommerceError::invalid(format!("/lines/{index}/{field}"), error.to_string())
}

fn price_line(
    line: &CartLine,
    product: &Product,
    unit_price: Money,
    rates: &ExchangeRates,
) -> Result<QuoteLine, CommerceError> {
    let amount_minor = unit_price.amount_minor.checked_mul(line.quantity).ok_or_else(too_large)?;
    let amount = Money::new(amount_minor, unit_price.currency);
    Ok(QuoteLine {
        product: product.id,
        seller: product.input.seller,
        category: product.input.category,
        title: product.input.title.clone(),
        quantity: line.quantity,
        unit_price,
        amount,
        amount_usd_minor: rates.usd_minor(amount)?,
    })
}

/// The highest total of a checkout, in minor units; every event holds amounts up to it.
const TOTAL_MINOR_MAX: i64 = 1_000_000_000_000_000;

pub(crate) fn sum_minor(amounts: impl IntoIterator<Item = i64>) -> Result<i64, CommerceError> {
    let sum: i128 = amounts.into_iter().map(i128::from).sum();
    i64::try_from(sum).ok().filter(|total| *total <= TOTAL_MINOR_MAX).ok_or_else(too_large)
}

fn too_large() -> CommerceError {
    CommerceError::invalid("/lines", format!("cost more than {TOTAL_MINOR_MAX} minor units together"))
}

#[cfg(test)]
mod tests {
    use dhow_events::{Currency, TenantId, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::ProductInput;

    fn product(id: u128, price: Money) -> Product {
        let place = |text: &str| Region::new(text).expect("a valid region");
        Product {
            tenant: TenantId::default(),
            id: ProductId::from_u128(id),
            input: ProductInput {
                seller: SellerId::from_u128(id % 3),
                reference: id.to_string(),
                title: "Cup".to_owned(),
                description: String::new(),
                category: Category::new("home").expect("a valid category"),
                price,
                prices: Vec::new(),
                region: place("GB"),
                sale_regions: dhow_events::SaleRegions::default(),
                weight_grams: 100,
                media: Vec::new(),
                attributes: std::collections::BTreeMap::new(),
                variant: None,
            },
            state: ProductState::Listed,
            review: None,
            version: 1,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    const ANYWHERE: Market = Market { region: None, currency: None, at: Timestamp::from_micros(0) };

    fn rates() -> ExchangeRates {
        let rates = [(Currency::GBP, 800_000), (Currency::EUR, 900_000)];
        ExchangeRates::new(Timestamp::from_micros(0), rates).expect("positive rates")
    }

    fn line(id: u128, quantity: i64) -> CartLine {
        CartLine { product: ProductId::from_u128(id), quantity }
    }

    proptest! {
        #[test]
        fn a_quote_is_the_sum_of_its_lines_and_demand_is_summed_per_product(
            wanted in prop::collection::vec((0_u128..5, 1_i64..1000), 1..30),
        ) {
            let products: Vec<Product> = (0..5).map(|id| product(id, Money::new(100 + 7 * id as i64, Currency::GBP))).collect();
            let lines: Vec<CartLine> = wanted.iter().map(|(id, quantity)| line(*id, *quantity)).collect();
            let quote = quote(&lines, &products, &rates(), &ANYWHERE).expect("a valid cart");
            let expected: i64 = wanted.iter().map(|(id, quantity)| (100 + 7 * *id as i64) * quantity).sum();
            prop_assert_eq!(quote.total, Money::new(expected, Currency::GBP));
            for (product, units) in quote.demand() {
                let wanted: i64 = wanted.iter().filter(|(id, _)| *id == product.as_u128()).map(|(_, units)| units).sum();
                prop_assert_eq!(units, wanted);
            }
        }
    }

    #[test]
    fn mixed_currencies_unknown_and_delisted_products_and_bad_quantities_are_refused_with_their_place() {
        let mut gone = product(3, Money::usd(1));
        gone.state = ProductState::Delisted;
        let products = [product(1, Money::usd(5)), product(2, Money::new(5, Currency::EUR)), gone];
        let place = |lines: &[CartLine]| match quote(lines, &products, &rates(), &ANYWHERE) {
            Err(CommerceError::Invalid(problems)) => problems[0].pointer.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(place(&[line(1, 1), line(2, 1)]), "/lines/1/product");
        assert_eq!(place(&[line(9, 1)]), "/lines/0/product");
        assert_eq!(place(&[line(1, 1), line(3, 1)]), "/lines/1/product");
        assert_eq!(place(&[line(1, 0)]), "/lines/0/quantity");
        assert_eq!(place(&[line(1, -1)]), "/lines/0/quantity");
        assert_eq!(place(&[]), "/lines");
    }
}
