//! Segment's calls as facts: the e-commerce events of its specification, as its libraries send them; transport is not its business.
//!
//! | Track call | Facts |
//! |---|---|
//! | `Signed Up`, `Signed In` | `buyer_registered`, `account_signed_in` |
//! | `Products Searched` | `search_performed` |
//! | `Product Viewed` | `product_viewed` |
//! | `Product Added`, `Product Removed` | `cart_item_added`, `cart_item_removed` |
//! | `Order Completed` | `order_placed` for each seller, `item_ordered` for each product |
//! | `Order Refunded` | `order_returned` for each product that it names |
//! | `Product Reviewed` | `review_posted` |
//!
//! Every other call says nothing of a fact and is passed over. What the specification leaves open is read so:
//!
//! - An id of ours stays as it is; any other text or number becomes one, always the same for the same tenant. The buyer is
//!   `userId`, before it is known `anonymousId`.
//! - The visit is `session_id` of the properties, or `sessionId` of the context, or else all that one `anonymousId` (or
//!   `userId`) does on one day in UTC. The device is `device.id` of the context, or else `anonymousId`, or `userId`.
//! - The region is `region` of the properties, or else the country of the context's `locale`, or else `ZZ`, which stands for an
//!   unknown one.
//! - The seller is `seller_id` of the product, or else `affiliation` of the order, or else the tenant's one shop.
//! - Amounts are in the properties' `currency`, or else in US dollars, and rounded to its minor unit.
//!
//! Source: Segment, "Spec: V2 E-commerce Events" and "HTTP Tracking API".

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::event::EventProblem;
use crate::facts::*;
use crate::{BuyerId, DecisionId, DeviceId, OrderId, ProductId, ReturnId, ReviewId, SessionId};
use crate::{Category, Currency, DAY_MICROS, Event, EventId, Money, Region, SellerId, TenantId, Timestamp};

/// The region of a call that names none.
pub const REGION_UNKNOWN: &str = "ZZ";
/// The category of a product that names none.
pub const CATEGORY_UNKNOWN: &str = "unknown";
/// The products that one call may name.
pub const PRODUCTS_MAX: usize = 200;
/// Clocks of sender and receiver that differ by less than this are taken for equal.
const SKEW_MICROS_MIN: i64 = 5_000_000;
/// What the shop of a tenant that has only one is called.
const ONE_SHOP: &str = "store";

/// What a call cannot know.
pub struct Intake<'a> {
    /// Whose data it is.
    pub tenant: TenantId,
    /// When the call was received.
    pub now: Timestamp,
    /// When the sender's clock says that it was sent.
    pub sent_at: Option<Timestamp>,
    /// An amount in US cents at today's rate, or why there is none.
    pub usd_minor: &'a dyn Fn(Money) -> Result<i64, String>,
}

/// The facts of one call of a batch, none where it is of a kind that says nothing of one. A call that is sent again gives
/// events with the same ids.
///
/// # Errors
/// The first problem, with its place in the call: a missing id or time, a value of another type or out of its range.
pub fn from_call(json: &Json, intake: &Intake<'_>) -> Result<Vec<Event>, EventProblem> {
    let call = json.as_object().ok_or_else(|| EventProblem::new("", "must be an object"))?;
    let name = match (call.get("type").and_then(Json::as_str), call.get("event").and_then(Json::as_str)) {
        (Some("track"), Some(name)) => name,
        (Some("track"), None) => return Err(EventProblem::new("/event", "must name what happened")),
        (Some(_), _) => return Ok(Vec::new()),
        (None, _) => {
            return Err(EventProblem::new("/type", "must be `track`, `identify`, `page` or another of Segment's"));
        }
    };
    let call = Call::read(call, intake)?;
    let facts = match name {
        "Signed Up" => vec![call.signed_up()?],
        "Signed In" => vec![call.signed_in()?],
        "Products Searched" => vec![call.searched()?],
        "Product Viewed" => vec![call.viewed()?],
        "Product Added" => vec![call.added()?],
        "Product Removed" => vec![call.removed()?],
        "Product Reviewed" => vec![call.reviewed()?],
        "Order Completed" => call.completed()?,
        "Order Refunded" => call.refunded()?,
        _ => return Ok(Vec::new()),
    };
    let event = |(number, fact): (usize, Fact)| {
        let id = EventId::from_reference(&intake.tenant, &format!("segment {} {number}", call.message_id));
        let event = Event { id, tenant: intake.tenant, event_time: call.at, fact };
        event.check(intake.now).map_err(|problem| in_properties(&problem))?;
        Ok(event)
    };
    facts.into_iter().enumerate().map(event).collect()
}

/// A problem of a fact, placed where the call has what is wrong.
fn in_properties(problem: &EventProblem) -> EventProblem {
    let place = match problem.pointer.strip_prefix("/data") {
        Some(field) => format!("/properties{field}"),
        None => "/timestamp".to_owned(),
    };
    EventProblem::new(place, problem.message.clone())
}

/// A track call, read as far as all kinds of it agree.
struct Call<'a> {
    intake: &'a Intake<'a>,
    properties: Properties<'a>,
    context: &'a Json,
    message_id: String,
    at: Timestamp,
    user: Option<String>,
    anonymous: Option<String>,
}

impl<'a> Call<'a> {
    fn read(call: &'a Map<String, Json>, intake: &'a Intake<'a>) -> Result<Self, EventProblem> {
        let text = |name: &str| call.get(name).and_then(reference);
        let message_id = text("messageId").ok_or_else(|| {
            EventProblem::new("/messageId", "must be a text that no other call has; libraries set it")
        })?;
        let (user, anonymous) = (text("userId"), text("anonymousId"));
        if user.is_none() && anonymous.is_none() {
            return Err(EventProblem::new("/userId", "is missing; `userId` or `anonymousId` must say who it was"));
        }
        let fields = match call.get("properties") {
            None | Some(Json::Null) => None,
            Some(Json::Object(fields)) => Some(fields),
            Some(_) => return Err(EventProblem::new("/properties", "must be an object")),
        };
        let context = call.get("context").unwrap_or(&Json::Null);
        let at = happened_at(call, intake)?;
        let properties = Properties { fields, place: "/properties".to_owned() };
        Ok(Self { intake, properties, context, message_id, at, user, anonymous })
    }

    fn id<T: std::str::FromStr>(&self, text: &str, from_reference: fn(&TenantId, &str) -> T) -> T {
        text.parse().unwrap_or_else(|_| from_reference(&self.intake.tenant, text))
    }

    /// Who it was, whether signed in or not.
    fn person(&self) -> &str {
        self.anonymous.as_deref().or(self.user.as_deref()).unwrap_or_default()
    }

    fn known_buyer(&self) -> Option<BuyerId> {
        self.user.as_deref().map(|user| self.id(user, BuyerId::from_reference))
    }

    fn buyer(&self) -> BuyerId {
        self.known_buyer().unwrap_or_else(|| self.id(self.person(), BuyerId::from_reference))
    }

    fn session(&self) -> SessionId {
        let named = self.properties.text("session_id").or_else(|| self.context.get("sessionId").and_then(reference));
        let visit = named.unwrap_or_else(|| format!("{} {}", self.person(), self.at.micros().div_euclid(DAY_MICROS)));
        self.id(&visit, SessionId::from_reference)
    }

    fn device(&self) -> DeviceId {
        let named = self.context.pointer("/device/id").and_then(reference);
        self.id(named.as_deref().unwrap_or_else(|| self.person()), DeviceId::from_reference)
    }

    fn region(&self) -> Result<Region, EventProblem> {
        if let Some(text) = self.properties.text("region") {
            return text.parse().map_err(|error: crate::TextError| self.properties.wrong("region", error));
        }
        let locale = self.context.get("locale").and_then(Json::as_str).unwrap_or_default();
        let country = locale.split(['-', '_']).skip(1).find(|part| part.len() == 2).map(str::to_ascii_uppercase);
        let region = country.and_then(|country| country.parse().ok()).or_else(|| REGION_UNKNOWN.parse().ok());
        region.ok_or_else(|| EventProblem::new("/context/locale", "names no country"))
    }

    fn product(&self, of: &Properties<'_>) -> Result<ProductId, EventProblem> {
        Ok(self.id(&of.required("product_id")?, ProductId::from_reference))
    }

    fn seller(&self, of: &Properties<'_>) -> SellerId {
        let named = of.text("seller_id").or_else(|| self.properties.text("affiliation"));
        self.id(named.as_deref().unwrap_or(ONE_SHOP), SellerId::from_reference)
    }

    fn order(&self) -> Result<String, EventProblem> {
        self.properties.required("order_id")
    }

    fn currency(&self) -> Result<Currency, EventProblem> {
        match self.properties.text("currency") {
            None => Ok(Currency::USD),
            Some(code) => code.parse().map_err(|error: crate::MoneyError| self.properties.wrong("currency", error)),
        }
    }

    fn usd_minor(&self, amount: Money) -> Result<i64, EventProblem> {
        (self.intake.usd_minor)(amount).map_err(|reason| self.properties.wrong("currency", reason))
    }

    fn signed_up(&self) -> Result<Fact, EventProblem> {
        let (buyer, region, device) = (self.buyer(), self.region()?, Some(self.device()));
        Ok(BuyerRegistered { buyer, region, device }.into())
    }

    fn signed_in(&self) -> Result<Fact, EventProblem> {
        let (buyer, device, region) = (self.buyer(), self.device(), self.region()?);
        Ok(AccountSignedIn { buyer, device, region, succeeded: true }.into())
    }

    fn searched(&self) -> Result<Fact, EventProblem> {
        let listed = self.properties.list("products")?.len() as i64;
        Ok(SearchPerformed {
            session: self.session(),
            buyer: self.known_buyer(),
            query: self.properties.required("query")?,
            result_count: self.properties.integer("result_count")?.unwrap_or(listed),
        }
        .into())
    }

    fn viewed(&self) -> Result<Fact, EventProblem> {
        let decision = self.properties.text("decision_id").map(|text| text.parse::<DecisionId>()).transpose();
        Ok(ProductViewed {
            session: self.session(),
            buyer: self.known_buyer(),
            product: self.product(&self.properties)?,
            device: self.device(),
            region: self.region()?,
            decision: decision.map_err(|error| self.properties.wrong("decision_id", error))?,
        }
        .into())
    }

    fn added(&self) -> Result<Fact, EventProblem> {
        Ok(CartItemAdded {
            session: self.session(),
            buyer: self.known_buyer(),
            product: self.product(&self.properties)?,
            quantity: self.properties.integer("quantity")?.unwrap_or(1),
            unit_price: self.properties.amount("price", self.currency()?)?,
        }
        .into())
    }

    fn removed(&self) -> Result<Fact, EventProblem> {
        Ok(CartItemRemoved {
            session: self.session(),
            buyer: self.known_buyer(),
            product: self.product(&self.properties)?,
            quantity: self.properties.integer("quantity")?.unwrap_or(1),
        }
        .into())
    }

    fn reviewed(&self) -> Result<Fact, EventProblem> {
        let review = self.properties.text("review_id").unwrap_or_else(|| self.message_id.clone());
        let rating = self.properties.integer("rating")?;
        Ok(ReviewPosted {
            product: self.product(&self.properties)?,
            review: self.id(&review, ReviewId::from_reference),
            buyer: self.buyer(),
            seller: self.seller(&self.properties),
            rating: rating.ok_or_else(|| self.properties.wrong("rating", "must be a whole number from 1 to 5"))?,
            text: self.properties.text("review_body").unwrap_or_default(),
        }
        .into())
    }

    /// One order for each seller, with its lines.
    fn completed(&self) -> Result<Vec<Fact>, EventProblem> {
        let (order, currency, region) = (self.order()?, self.currency()?, self.region()?);
        let lines = self.properties.list("products")?;
        if lines.is_empty() {
            return Err(self.properties.wrong("products", "must name at least one product that was bought"));
        }
        let mut by_seller: BTreeMap<SellerId, Vec<Line>> = BTreeMap::new();
        for line in &lines {
            by_seller.entry(self.seller(line)).or_default().push(self.line(line, currency)?);
        }
        let mut facts = Vec::with_capacity(by_seller.len() + lines.len());
        for (seller, lines) in &by_seller {
            let placed = Placed { reference: &order, seller: *seller, region, is_only: by_seller.len() == 1 };
            facts.extend(self.placed(&placed, lines, currency)?);
        }
        Ok(facts)
    }

    fn line(&self, of: &Properties<'_>, currency: Currency) -> Result<Line, EventProblem> {
        let quantity = of.integer("quantity")?.unwrap_or(1);
        let unit_price = of.amount("price", currency)?;
        let sum = unit_price.amount_minor.checked_mul(quantity);
        let sum_minor = sum.ok_or_else(|| of.wrong("price", "times the quantity is more than can be counted"))?;
        Ok(Line { product: self.product(of)?, category: of.category()?, quantity, unit_price, sum_minor })
    }

    fn placed(&self, placed: &Placed<'_>, lines: &[Line], currency: Currency) -> Result<Vec<Fact>, EventProblem> {
        let Placed { reference, seller, region, is_only } = *placed;
        let order = if is_only { reference.to_owned() } else { format!("{reference} {seller}") };
        let order = self.id(&order, OrderId::from_reference);
        let checkout = self.properties.text("checkout_id").unwrap_or_else(|| reference.to_owned());
        let checkout = self.id(&checkout, crate::CheckoutId::from_reference);
        // What is paid beside the products, such as shipping, can be told apart by seller only where there is one.
        let of_products = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.sum_minor));
        let too_much = || self.properties.wrong("products", "are worth more than can be counted");
        let total = match self.properties.number("total")? {
            Some(_) if is_only => self.properties.amount("total", currency)?,
            _ => Money::new(of_products.ok_or_else(too_much)?, currency),
        };
        let buyer = self.buyer();
        let mut facts = vec![Fact::from(OrderPlaced {
            buyer,
            order,
            checkout,
            seller,
            region,
            line_count: lines.len() as i64,
            quantity: lines.iter().map(|line| line.quantity).fold(0, i64::saturating_add),
            total,
            total_usd_minor: self.usd_minor(total)?,
        })];
        for line in lines {
            let Line { product, category, quantity, unit_price, sum_minor } = *line;
            let amount_usd_minor = self.usd_minor(Money::new(sum_minor, currency))?;
            facts.push(
                ItemOrdered {
                    product,
                    order,
                    checkout,
                    buyer,
                    seller,
                    category,
                    region,
                    quantity,
                    unit_price,
                    amount_usd_minor,
                }
                .into(),
            );
        }
        Ok(facts)
    }

    /// The products that came back; a refund that names none, of the whole order, does not say what they were.
    fn refunded(&self) -> Result<Vec<Fact>, EventProblem> {
        let (order, currency) = (self.order()?, self.currency()?);
        let lines = self.properties.list("products")?;
        let returned = |(number, line): (usize, &Properties<'_>)| {
            let Line { product, quantity, sum_minor, .. } = self.line(line, currency)?;
            Ok(OrderReturned {
                buyer: self.buyer(),
                order: self.id(&order, OrderId::from_reference),
                return_id: self.id(&format!("{} {number}", self.message_id), ReturnId::from_reference),
                seller: self.seller(line),
                product,
                quantity,
                amount_usd_minor: self.usd_minor(Money::new(sum_minor, currency))?,
                reason: self.properties.text("reason").unwrap_or_default(),
            }
            .into())
        };
        lines.iter().enumerate().map(returned).collect()
    }
}

struct Line {
    product: ProductId,
    category: Category,
    quantity: i64,
    unit_price: Money,
    sum_minor: i64,
}

/// What the lines of one seller's order share.
#[derive(Clone, Copy)]
struct Placed<'a> {
    reference: &'a str,
    seller: SellerId,
    region: Region,
    is_only: bool,
}

/// When it happened by the receiver's clock: the sender's may be wrong, which shows when it sends.
fn happened_at(call: &Map<String, Json>, intake: &Intake<'_>) -> Result<Timestamp, EventProblem> {
    let said = ["timestamp", "originalTimestamp", "sentAt"].into_iter().find_map(|name| Some((name, call.get(name)?)));
    let (name, said) = said.ok_or_else(|| EventProblem::new("/timestamp", "must say when it happened"))?;
    let time: Timestamp = said.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        EventProblem::new(format!("/{name}"), "must be a time with its zone, for example \"2026-01-31T12:00:00Z\"")
    })?;
    let skew = intake.sent_at.map_or(0, |sent_at| intake.now.micros_since(sent_at));
    Ok(if skew.abs() < SKEW_MICROS_MIN { time } else { time + skew })
}

/// The text of an id that may also be a number.
fn reference(json: &Json) -> Option<String> {
    match json {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Properties with their place in the call.
struct Properties<'a> {
    fields: Option<&'a Map<String, Json>>,
    place: String,
}

impl<'a> Properties<'a> {
    fn get(&self, name: &str) -> Option<&'a Json> {
        self.fields?.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, message: impl ToString) -> EventProblem {
        EventProblem::new(format!("{}/{name}", self.place), message.to_string())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(reference)
    }

    fn required(&self, name: &str) -> Result<String, EventProblem> {
        self.text(name).ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// A number; libraries also send it as text.
    fn number(&self, name: &str) -> Result<Option<f64>, EventProblem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(name, format!("is {value}; it must be a number")))
    }

    fn integer(&self, name: &str) -> Result<Option<i64>, EventProblem> {
        let Some(number) = self.number(name)? else { return Ok(None) };
        if number.fract() != 0.0 || number.abs() > 1e9 {
            return Err(self.wrong(name, format!("is {number}; it must be a whole number")));
        }
        Ok(Some(number as i64))
    }

    /// An amount in major units, in the currency's minor ones.
    fn amount(&self, name: &str, currency: Currency) -> Result<Money, EventProblem> {
        let major = self.number(name)?.ok_or_else(|| self.wrong(name, "is missing"))?;
        let minor = (major * 10_f64.powi(currency.exponent() as i32)).round();
        // Whole numbers beyond this are not exact as floating-point ones.
        if minor.abs() > 9e15 {
            return Err(self.wrong(name, format!("is {major}; that is more than can be counted")));
        }
        Ok(Money::new(minor as i64, currency))
    }

    /// A path of plain words: `Home > Kitchen Ware` is `home/kitchen-ware`.
    fn category(&self) -> Result<Category, EventProblem> {
        let text = self.text("category").unwrap_or_else(|| CATEGORY_UNKNOWN.to_owned());
        let words = text.split(['/', '>']).map(|word| word.trim().to_lowercase().replace(' ', "-"));
        let path: Vec<String> = words.filter(|word| !word.is_empty()).collect();
        path.join("/").parse().map_err(|error: crate::TextError| self.wrong("category", error))
    }

    /// The objects of a list, none where there is no such list.
    fn list(&self, name: &str) -> Result<Vec<Properties<'a>>, EventProblem> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let list = value.as_array().ok_or_else(|| self.wrong(name, "must be a list"))?;
        if list.len() > PRODUCTS_MAX {
            return Err(self.wrong(name, format!("has {} members; at most {PRODUCTS_MAX} are allowed", list.len())));
        }
        let member = |(at, value): (usize, &'a Json)| {
            let place = format!("{}/{name}/{at}", self.place);
            match value.as_object() {
                Some(fields) => Ok(Properties { fields: Some(fields), place }),
                None => Err(EventProblem::new(place, "must be an object")),
            }
        };
        list.iter().enumerate().map(member).collect()
    }
}
