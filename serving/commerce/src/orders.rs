//! Checkouts, orders and payments as they are stored and answered; how they come about is in `checkout`.

use std::collections::BTreeMap;

use dhow_events::{
    BuyerId, Category, CheckoutId, Money, OrderId, PaymentId, ProductId, Region, SellerId, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::words::worded;
use crate::{
    Amounts, CheckoutRequest, CheckoutState, CreditSummary, FraudSummary, OrderCommission, OrderState, PaymentMethod,
    PaymentState, RailQuote,
};

worded! {
    /// Why a checkout was refused.
    RefusalReason {
        /// The fraud model declined it.
        Fraud = "fraud",
        /// A product had too little stock.
        Stock = "stock",
        /// The payment rail declined.
        PaymentDeclined = "payment_declined",
        /// Nobody decided its case before the rail's hold on the amount ran out.
        ReviewExpired = "review_expired",
        /// The buyer may not pay so much later.
        Credit = "credit",
    }
}

/// A product that a checkout wanted more of than could be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Which product.
    pub product: ProductId,
    /// Units wanted.
    pub wanted: i64,
    /// Units that could be bought at that instant.
    pub available: i64,
}

/// A checkout with all that came of it: the answer to the buyer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkout {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which.
    pub id: CheckoutId,
    /// What was asked for.
    pub request: CheckoutRequest,
    /// Where it stands.
    pub state: CheckoutState,
    /// Why it was refused, where it was.
    pub refusal: Option<RefusalReason>,
    /// What was missing, where stock was the reason.
    pub shortages: Vec<Shortage>,
    /// Different products.
    pub line_count: i64,
    /// Units.
    pub quantity: i64,
    /// What is to be paid.
    pub total: Money,
    /// The same in cents.
    pub total_usd_minor: i64,
    /// The rate that was used, in millionths of a unit of the currency per dollar.
    pub units_per_usd_micros: i64,
    /// When that rate was taken.
    pub rates_as_of: Timestamp,
    /// The fraud model's decision.
    pub fraud: FraudSummary,
    /// The decision about the buyer's credit, where it is paid later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<CreditSummary>,
    /// One order for each seller; none where the checkout was refused before it had any.
    pub orders: Vec<Order>,
    /// Its payment; none where the checkout was refused before it had one.
    pub payment: Option<Payment>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The idempotency key whose answer it is; not part of the answer itself.
    #[serde(default, skip_serializing)]
    pub idempotency_key: Option<String>,
}

impl Checkout {
    /// Units of each product over all orders, in the order of their ids.
    pub fn demand(&self) -> BTreeMap<ProductId, i64> {
        let mut demand = BTreeMap::new();
        for line in self.orders.iter().flat_map(|order| &order.lines) {
            *demand.entry(line.product).or_default() += line.quantity;
        }
        demand
    }
}

/// The part of a checkout that one seller delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which.
    pub id: OrderId,
    /// The checkout that it came of.
    pub checkout: CheckoutId,
    /// Who buys.
    pub buyer: BuyerId,
    /// Who sells.
    pub seller: SellerId,
    /// Where the parcel goes.
    pub region: Region,
    /// Where it stands.
    pub state: OrderState,
    /// What is delivered.
    pub lines: Vec<OrderLine>,
    /// Different products.
    pub line_count: i64,
    /// Units.
    pub quantity: i64,
    /// What is paid for this order.
    pub total: Money,
    /// The same in cents, at the checkout's rate.
    pub total_usd_minor: i64,
    /// What became of the order's part of the payment.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// What the marketplace takes of it.
    #[serde(flatten)]
    pub commission: OrderCommission,
    /// Grows by one with every change, from 1; the order's ETag.
    pub version: i64,
    /// When the checkout was submitted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A line of an order, with what was true of the product when it was bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Which product.
    pub product: ProductId,
    /// Its category.
    pub category: Category,
    /// Its title.
    pub title: String,
    /// Units.
    pub quantity: i64,
    /// The price of one unit.
    pub unit_price: Money,
    /// Units times price, in cents.
    pub amount_usd_minor: i64,
}

/// The payment of a checkout. The database holds `0 <= refunded <= captured <= authorised <= amount`, see [`Amounts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Which; also its idempotency key at the rail.
    pub id: PaymentId,
    /// How it is paid.
    pub method: PaymentMethod,
    /// Where it stands.
    pub state: PaymentState,
    /// What is to be paid.
    pub amount: Money,
    /// Minor units that the rail holds for us.
    pub authorised_minor: i64,
    /// What became of them.
    #[serde(flatten)]
    pub amounts: Amounts,
    /// The rail's own name for it.
    pub rail_reference: Option<String>,
    /// Why the rail declined, where it did.
    pub decline_reason: Option<String>,
    /// What the buyer was asked to pay in another asset, where one pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<RailQuote>,
    /// When it was first to be authorised.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How a waiting checkout moves on: written by one conditional change, so that it moves once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The state that the checkout must still be in.
    pub from: CheckoutState,
    /// The checkout's new state.
    pub checkout: CheckoutState,
    /// Its orders' new state.
    pub orders: OrderState,
    /// Its payment's new state.
    pub payment: PaymentState,
    /// Why it was refused, where it was.
    pub refusal: Option<RefusalReason>,
    /// Minor units that the rail holds for us.
    pub authorised_minor: i64,
    /// The rail's own name for the payment.
    pub rail_reference: Option<String>,
    /// Why the rail declined, where it did.
    pub decline_reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Settlement {
    /// The checkout as the database has it once this was written.
    pub(crate) fn applied_to(self, mut checkout: Checkout) -> Checkout {
        (checkout.state, checkout.refusal, checkout.updated_at) = (self.checkout, self.refusal, self.at);
        for order in &mut checkout.orders {
            (order.state, order.updated_at, order.version) = (self.orders, self.at, order.version + 1);
        }
        if let Some(payment) = &mut checkout.payment {
            (payment.state, payment.authorised_minor, payment.updated_at) =
                (self.payment, self.authorised_minor, self.at);
            (payment.rail_reference, payment.decline_reason) = (self.rail_reference, self.decline_reason);
        }
        checkout
    }
}
