//! Everything that can happen in a marketplace, one past-tense record per fact; it does not say who emits which.
//!
//! A kind's number is never used again, and new kinds go to the end; how a kind's fields change is ruled in
//! [`record`](mod@crate::record). The first field routes the event to its partition. Fields named `*_usd_minor` hold the
//! amount in United States cents at the rate of the day of the fact, so that features can compare amounts of different
//! currencies.

use serde::{Deserialize, Serialize};

use crate::codec::CodecError;
use crate::ids::*;
use crate::record::{FieldRule, Fields, latest};
use crate::value::{Column, Value};
use crate::{Category, Money, Region, SaleRegions, Timestamp, record};

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident $word:literal $([since $born:literal])? { $($fields:tt)* })*) => {
        $(
            record! { $(#[$doc])* $name $([since $born])? { $($fields)* } }

            impl From<$name> for Fact {
                fn from(fact: $name) -> Self {
                    Self::$name(fact)
                }
            }
        )*

        /// What happened.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum Fact {
            $($(#[$doc])* #[serde(rename = $word)] $name($name),)*
        }

        /// The kind of a [`Fact`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FactKind { $($(#[$doc])* $name,)* }

        /// The latest generation of any kind.
        pub(crate) const GENERATION: u8 = latest(&[$($name::GENERATION,)*]);

        impl FactKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kind's name, in snake case; also the name of its table.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The generation in which the kind's fields changed last.
            pub const fn generation(self) -> u8 {
                match self { $(Self::$name => $name::GENERATION,)* }
            }

            /// The fields of the kind's JSON form, those that were removed included.
            pub const fn fields(self) -> &'static [FieldRule] {
                match self { $(Self::$name => $name::FIELDS,)* }
            }

            /// The columns of the kind's table, without the envelope's.
            pub fn columns(self) -> Vec<Column> {
                match self { $(Self::$name => $name::columns(),)* }
            }
        }

        impl Fact {
            /// The kind.
            pub const fn kind(&self) -> FactKind {
                match self { $(Self::$name(_) => FactKind::$name,)* }
            }

            /// The value of column number `index` of [`FactKind::columns`]; nothing where there is no such column.
            pub fn value(&self, index: usize) -> Value<'_> {
                match self { $(Self::$name(fact) => fact.value(index),)* }
            }

            /// What routes the event to a partition: the first present id among the fields.
            pub fn routing_key(&self) -> u128 {
                match self { $(Self::$name(fact) => fact.routing_key(),)* }
            }

            /// Reads the kind's number and its fields.
            pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, CodecError> {
                let number: u32 = fields.take()?;
                match FactKind::ALL.get(number as usize) {
                    $(Some(FactKind::$name) => Ok($name::read(fields)?.into()),)*
                    None => Err(CodecError::Kind(number)),
                }
            }
        }
    };
}

impl FactKind {
    /// The kind that [`FactKind::name`] names.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The number of the column called `name`.
    pub fn column_index(self, name: &str) -> Option<usize> {
        self.columns().iter().position(|column| column.name == name)
    }
}

facts! {
    /// A person opened an account.
    BuyerRegistered "buyer_registered" {
        /// Who.
        buyer: BuyerId,
        /// Where the person lives.
        region: Region,
        /// The device used.
        device: Option<DeviceId>,
    }
    /// A shop joined.
    SellerRegistered "seller_registered" {
        /// Who.
        seller: SellerId,
        /// The shop's name.
        name: String,
        /// Where it ships from.
        region: Region,
        /// Where it is paid.
        payout_account: PayoutAccountId,
    }
    /// A shop changed the account that it is paid on.
    PayoutAccountChanged "payout_account_changed" {
        /// Who.
        seller: SellerId,
        /// The new account.
        payout_account: PayoutAccountId,
    }
    /// Somebody tried to sign in to an account.
    AccountSignedIn "account_signed_in" {
        /// The account.
        buyer: BuyerId,
        /// The device used.
        device: DeviceId,
        /// Where the device is.
        region: Region,
        /// Whether the sign-in succeeded.
        succeeded: bool,
    }
    /// A delivery address was added to an account.
    AddressAdded "address_added" {
        /// The account.
        buyer: BuyerId,
        /// The address.
        address: AddressId,
        /// Where it is.
        region: Region,
    }
    /// A product came on offer, or its description changed.
    ProductListed "product_listed" {
        /// Which.
        product: ProductId,
        /// Who offers it.
        seller: SellerId,
        /// Its category.
        category: Category,
        /// Its title.
        title: String,
        /// Its description.
        description: String,
        /// The price of one unit.
        price: Money,
        /// The price of one unit in cents.
        price_usd_minor: i64,
        /// Where it ships from.
        region: Region,
        /// The weight of one unit.
        weight_grams: i64,
        /// What the seller calls it.
        reference: String,
        /// Where it may be sold; nothing is everywhere.
        sale_regions: Option<SaleRegions> [since 12],
    }
    /// A product's price changed.
    ProductPriceChanged "product_price_changed" {
        /// Which.
        product: ProductId,
        /// The new price of one unit.
        price: Money,
        /// The new price of one unit in cents.
        price_usd_minor: i64,
    }
    /// A product was taken off offer.
    ProductDelisted "product_delisted" {
        /// Which.
        product: ProductId,
    }
    /// A product's stock was counted or moved.
    StockChanged "stock_changed" {
        /// Which.
        product: ProductId,
        /// Units added (negative: removed).
        quantity_change: i64,
        /// Units there now.
        on_hand: i64,
    }
    /// A promotion of a product began.
    PromotionStarted "promotion_started" {
        /// Of which product.
        product: ProductId,
        /// The promotion.
        promotion: PromotionId,
        /// The discount in hundredths of a percent.
        discount_basis_points: i64,
        /// When it ends.
        ends_at: Timestamp,
    }
    /// Somebody came to the storefront.
    SessionStarted "session_started" {
        /// The visit.
        session: SessionId,
        /// Who, where known.
        buyer: Option<BuyerId>,
        /// The device used.
        device: DeviceId,
        /// Where the device is.
        region: Region,
    }
    /// A product page was opened.
    ProductViewed "product_viewed" {
        /// The visit.
        session: SessionId,
        /// Who, where known.
        buyer: Option<BuyerId>,
        /// Which product.
        product: ProductId,
        /// The device used.
        device: DeviceId,
        /// Where the device is.
        region: Region,
        /// The recommendation that was clicked, if one was.
        decision: Option<DecisionId>,
    }
    /// A search was made.
    SearchPerformed "search_performed" {
        /// The visit.
        session: SessionId,
        /// Who, where known.
        buyer: Option<BuyerId>,
        /// What was typed.
        query: String,
        /// How many products were found.
        result_count: i64,
    }
    /// A product went into a cart.
    CartItemAdded "cart_item_added" {
        /// The visit.
        session: SessionId,
        /// Who, where known.
        buyer: Option<BuyerId>,
        /// Which product.
        product: ProductId,
        /// Units.
        quantity: i64,
        /// The price of one unit.
        unit_price: Money,
    }
    /// A product left a cart.
    CartItemRemoved "cart_item_removed" {
        /// The visit.
        session: SessionId,
        /// Who, where known.
        buyer: Option<BuyerId>,
        /// Which product.
        product: ProductId,
        /// Units.
        quantity: i64,
    }
    /// A buyer asked to buy what is in a cart. This is what the fraud model decides.
    CheckoutSubmitted "checkout_submitted" {
        /// Who.
        buyer: BuyerId,
        /// The checkout.
        checkout: CheckoutId,
        /// The visit, where there was one.
        session: Option<SessionId>,
        /// The device used.
        device: Option<DeviceId>,
        /// The card, where one pays.
        card: Option<CardId>,
        /// Where to deliver.
        address: Option<AddressId>,
        /// Where the device is.
        region: Region,
        /// Where the parcel goes.
        delivery_region: Region,
        /// How it is paid: `card`, `bank_transfer`, `mobile_money`, `wallet`, `cash_on_delivery`.
        payment_method: String,
        /// Different products.
        line_count: i64,
        /// Units.
        quantity: i64,
        /// What is to be paid.
        total: Money,
        /// The same in cents.
        total_usd_minor: i64,
    }
    /// A checkout was refused before any order came of it.
    CheckoutRefused "checkout_refused" {
        /// Who.
        buyer: BuyerId,
        /// The checkout.
        checkout: CheckoutId,
        /// The decision that refused it, if a model did.
        decision: Option<DecisionId>,
        /// Why: `fraud`, `stock`, `payment_declined`.
        reason: String,
    }
    /// A checkout became an order with one seller.
    OrderPlaced "order_placed" {
        /// Who buys.
        buyer: BuyerId,
        /// The order.
        order: OrderId,
        /// The checkout that it came of.
        checkout: CheckoutId,
        /// Who sells.
        seller: SellerId,
        /// Where the parcel goes.
        region: Region,
        /// Different products.
        line_count: i64,
        /// Units.
        quantity: i64,
        /// What is to be paid for this order.
        total: Money,
        /// The same in cents.
        total_usd_minor: i64,
    }
    /// A product was ordered: one line of an order.
    ItemOrdered "item_ordered" {
        /// Which product.
        product: ProductId,
        /// The order.
        order: OrderId,
        /// The checkout that it came of.
        checkout: CheckoutId,
        /// Who buys.
        buyer: BuyerId,
        /// Who sells.
        seller: SellerId,
        /// The product's category.
        category: Category,
        /// Where the parcel goes.
        region: Region,
        /// Units.
        quantity: i64,
        /// The price of one unit.
        unit_price: Money,
        /// Units times price, in cents.
        amount_usd_minor: i64,
    }
    /// A payment was authorised.
    PaymentAuthorized "payment_authorized" {
        /// The checkout.
        checkout: CheckoutId,
        /// The payment.
        payment: PaymentId,
        /// Who pays.
        buyer: BuyerId,
        /// The card, where one pays.
        card: Option<CardId>,
        /// The device used.
        device: Option<DeviceId>,
        /// How much.
        amount: Money,
        /// The same in cents.
        amount_usd_minor: i64,
    }
    /// A payment was declined by its rail.
    PaymentDeclined "payment_declined" {
        /// The checkout.
        checkout: CheckoutId,
        /// The payment.
        payment: PaymentId,
        /// Who pays.
        buyer: BuyerId,
        /// The card, where one pays.
        card: Option<CardId>,
        /// The device used.
        device: Option<DeviceId>,
        /// How much.
        amount: Money,
        /// The same in cents.
        amount_usd_minor: i64,
        /// The rail's reason.
        reason: String,
    }
    /// An authorised payment was taken.
    PaymentCaptured "payment_captured" {
        /// The checkout.
        checkout: CheckoutId,
        /// The payment.
        payment: PaymentId,
        /// How much.
        amount: Money,
        /// The same in cents.
        amount_usd_minor: i64,
    }
    /// Money went back to the buyer.
    PaymentRefunded "payment_refunded" {
        /// The checkout.
        checkout: CheckoutId,
        /// The payment.
        payment: PaymentId,
        /// How much.
        amount: Money,
        /// The same in cents.
        amount_usd_minor: i64,
    }
    /// A parcel left the seller.
    ShipmentDispatched "shipment_dispatched" {
        /// The order.
        order: OrderId,
        /// The parcel.
        shipment: ShipmentId,
        /// Who sends it.
        seller: SellerId,
        /// Who carries it.
        carrier: CarrierId,
        /// From where.
        origin: Region,
        /// To where.
        destination: Region,
        /// The place of delivery, degrees north.
        latitude: f64,
        /// The place of delivery, degrees east.
        longitude: f64,
        /// The parcel's weight.
        weight_grams: i64,
        /// When delivery was promised.
        promised_at: Timestamp,
    }
    /// A parcel arrived.
    ShipmentDelivered "shipment_delivered" {
        /// The order.
        order: OrderId,
        /// The parcel.
        shipment: ShipmentId,
        /// Who sent it.
        seller: SellerId,
        /// Who carried it.
        carrier: CarrierId,
        /// From where.
        origin: Region,
        /// To where.
        destination: Region,
        /// How long it took.
        transit_minutes: i64,
        /// Whether it came after the promise.
        late: bool,
    }
    /// A product came back, or a cancelled line was credited.
    OrderReturned "order_returned" {
        /// Who returned it.
        buyer: BuyerId,
        /// The order.
        order: OrderId,
        /// The return.
        return_id: ReturnId,
        /// Who sold it.
        seller: SellerId,
        /// Which product.
        product: ProductId,
        /// Units.
        quantity: i64,
        /// What is credited, in cents.
        amount_usd_minor: i64,
        /// The buyer's reason.
        reason: String,
    }
    /// A buyer reviewed a product.
    ReviewPosted "review_posted" {
        /// Which product.
        product: ProductId,
        /// The review.
        review: ReviewId,
        /// Who wrote it.
        buyer: BuyerId,
        /// Who sells it.
        seller: SellerId,
        /// From 1 to 5.
        rating: i64,
        /// The words.
        text: String,
    }
    /// It became known whether a checkout was fraud: by chargeback, by review, or because its time for a chargeback ran out.
    FraudLabelled "fraud_labelled" {
        /// Whose account was used.
        buyer: BuyerId,
        /// The checkout.
        checkout: CheckoutId,
        /// The card, where one was used.
        card: Option<CardId>,
        /// The device used.
        device: Option<DeviceId>,
        /// Where it was delivered.
        address: Option<AddressId>,
        /// When the checkout was.
        occurred_at: Timestamp,
        /// The amount in cents.
        amount_usd_minor: i64,
        /// Whether it was fraud.
        fraud: bool,
        /// Who says so: `chargeback`, `review`.
        source: String,
        /// Which kind of fraud, where that is known: `stolen_card`, `account_takeover`, `card_testing`, `ring`,
        /// `return_abuse`. Of another word only that it was fraud is learned.
        kind: Option<String> [since 4],
    }
    /// A slate of recommendations was answered.
    SlateServed "slate_served" {
        /// The decision.
        decision: DecisionId,
        /// To whom, where known.
        buyer: Option<BuyerId>,
        /// In which visit, where known.
        session: Option<SessionId>,
        /// Where it was shown: `home`, `product`, `cart`, `email`.
        surface: String,
        /// The model, or the step of the fallback chain.
        model: String,
        /// The products, in order, separated by commas.
        products: String,
        /// Whether a fallback answered.
        degraded: bool,
        /// Why each product stands where it does, separated by commas: `organic`, `sponsored` or `exploration`.
        kinds: Option<String> [since 2],
        /// The probability with which each product was put at its place, separated by commas.
        propensities: Option<String> [since 2],
        /// The experiment and its arm, `experiment/arm`, where one was running.
        arm: Option<String> [since 2],
    }
    /// A checkout was scored.
    FraudScored "fraud_scored" {
        /// Who.
        buyer: BuyerId,
        /// The decision.
        decision: DecisionId,
        /// The checkout.
        checkout: CheckoutId,
        /// The model.
        model: String,
        /// The probability of fraud, 0 to 1.
        probability: f64,
        /// What was done: `approve`, `review`, `decline`.
        action: String,
        /// The reason codes, strongest first, separated by commas.
        reasons: String,
    }
    /// A demand forecast was answered.
    ForecastServed "forecast_served" {
        /// Of which product.
        product: ProductId,
        /// The decision.
        decision: DecisionId,
        /// For which region; nothing means all.
        region: Option<Region>,
        /// The model.
        model: String,
        /// How far ahead.
        horizon_days: i64,
        /// The sum of the expected demand over the horizon.
        expected_quantity: f64,
        /// Whether a fallback answered.
        degraded: bool,
    }
    /// A route plan was made.
    RoutesPlanned "routes_planned" {
        /// The plan.
        plan: PlanId,
        /// The decision.
        decision: DecisionId,
        /// The model.
        model: String,
        /// Stops asked for.
        stop_count: i64,
        /// Stops left out.
        unassigned_count: i64,
        /// Vehicles used.
        vehicle_count: i64,
        /// The distance driven.
        distance_m: i64,
    }
    /// Texts were put in the order of their likeness to another.
    TextsRanked "texts_ranked" {
        /// The decision.
        decision: DecisionId,
        /// The model.
        model: String,
        /// What they were compared with.
        query: String,
        /// How many there were.
        text_count: i64,
        /// The text most like it.
        best_text: String,
        /// Its cosine with the query, -1 to 1.
        best_similarity: f64,
    }
    /// An authorised amount was given up before it was taken.
    PaymentVoided "payment_voided" [since 3] {
        /// The checkout.
        checkout: CheckoutId,
        /// The payment.
        payment: PaymentId,
        /// Who would have paid.
        buyer: BuyerId,
        /// How much.
        amount: Money,
        /// The same in cents.
        amount_usd_minor: i64,
    }
    /// A payment, an account or a return was scored.
    RiskScored "risk_scored" [since 4] {
        /// Whose account it is.
        buyer: BuyerId,
        /// The decision.
        decision: DecisionId,
        /// What was scored: `payment`, `account`, `return`.
        subject: String,
        /// The model.
        model: String,
        /// The probability of the subject's kind of fraud, 0 to 1.
        probability: f64,
        /// What the costs, thresholds and lists ask for: `approve`, `review`, `decline`.
        action: String,
        /// The reason codes, strongest first, separated by commas.
        reasons: String,
    }
    /// A route plan was accepted, and one of its stops is to be served so.
    ShipmentPlanned "shipment_planned" [since 5] {
        /// The plan.
        plan: PlanId,
        /// The parcel, where the stop's description names one.
        shipment: Option<ShipmentId>,
        /// The stop, as the plan's request names it: `job 12`, `pickup 3`, `delivery 3`.
        task: String,
        /// The vehicle's id in the plan's request.
        vehicle: String,
        /// The stop's place in the vehicle's round, from 1.
        sequence: i64,
        /// The planned arrival, in seconds as the plan's request counts them.
        arrival_s: i64,
        /// It arrives before this with a probability of 10 %.
        arrival_p10_s: i64,
        /// It arrives before this with a probability of 90 %.
        arrival_p90_s: i64,
    }
    /// A capture, a void, a refund or a payout came to its end at the rail.
    TransferSettled "transfer_settled" [since 6] {
        /// The transfer.
        transfer: TransferId,
        /// The payment, but for a payout.
        payment: Option<PaymentId>,
        /// Who was paid out.
        seller: Option<SellerId>,
        /// What it did: `capture`, `void`, `refund`, `payout`.
        kind: String,
        /// How it ended: `done`, `failed`, or `reversed` where the rail took it back later.
        state: String,
        /// How much.
        amount: Money,
        /// The same in cents.
        amount_usd_minor: i64,
    }
    /// How long a parcel takes was told.
    DeliveryTimeServed "delivery_time_served" [since 7] {
        /// Who sends it.
        seller: SellerId,
        /// The decision.
        decision: DecisionId,
        /// The order, where it was named.
        order: Option<OrderId>,
        /// The parcel, where it was named.
        shipment: Option<ShipmentId>,
        /// Who carries it, where that was known.
        carrier: Option<CarrierId>,
        /// From where.
        origin: Region,
        /// To where.
        destination: Region,
        /// From when on time was counted: `ordered`, `dispatched`.
        counted_from: String,
        /// That moment.
        counted_at: Timestamp,
        /// The model.
        model: String,
        /// It takes no longer than this with a probability of 10 %.
        minutes_p10: f64,
        /// It takes no longer than this with a probability of 50 %.
        minutes_p50: f64,
        /// It takes no longer than this with a probability of 90 %.
        minutes_p90: f64,
        /// The end of the day that is to be promised, where one was chosen.
        promised_at: Option<Timestamp>,
    }
    /// A product was put up for auction.
    AuctionOpened "auction_opened" [since 8] {
        /// The auction.
        auction: AuctionId,
        /// Of which product.
        product: ProductId,
        /// Who sells it.
        seller: SellerId,
        /// The least first bid.
        opening: Money,
        /// When bidding ends, where nothing extends it.
        ends_at: Timestamp,
    }
    /// A bid of an auction counted; how high it may go stays between the bidder and the platform.
    AuctionBidPlaced "auction_bid_placed" [since 8] {
        /// The auction.
        auction: AuctionId,
        /// Of which product.
        product: ProductId,
        /// Who bid.
        bidder: BuyerId,
        /// The bid's number in its auction, from 1.
        sequence: i64,
        /// The price that it made.
        price: Money,
        /// Who leads now.
        leader: BuyerId,
        /// Who led before and no longer does.
        outbid: Option<BuyerId>,
        /// When bidding ends now.
        ends_at: Timestamp,
    }
    /// An auction came to another state: its bidding ended, its winner pays, or it is over.
    AuctionMoved "auction_moved" [since 8] {
        /// The auction.
        auction: AuctionId,
        /// Of which product.
        product: ProductId,
        /// Who sells it.
        seller: SellerId,
        /// `awaiting_payment`, `paying`, `sold`, `unsold` or `cancelled`.
        state: String,
        /// Why: `won`, `bought_now`, `second_chance`, `paid`, `payment_failed`, `no_bids`, `reserve_not_met`, `not_paid`,
        /// `stock`, or the reason of a cancellation.
        reason: String,
        /// Who is to pay, pays or paid.
        buyer: Option<BuyerId>,
        /// The price that it stands at; the opening price where nobody bid.
        price: Money,
        /// Until when is to be paid.
        pays_by: Option<Timestamp>,
    }
    /// A return or a claim of units of an order came to another state.
    ReturnMoved "return_moved" [since 9] {
        /// The return.
        return_id: ReturnId,
        /// The order.
        order: OrderId,
        /// Who bought.
        buyer: BuyerId,
        /// Who sold.
        seller: SellerId,
        /// `return`, whose goods come back, or `claim`, whose goods do not.
        kind: String,
        /// `requested`, `approved`, `declined`, `in_transit`, `received`, `inspected`, `refunded`, `replaced` or `closed`.
        state: String,
        /// The reason that it was opened for.
        reason: String,
        /// Units.
        quantity: i64,
        /// What was paid for them.
        amount: Money,
        /// The same in cents.
        amount_usd_minor: i64,
    }
    /// A dispute of a payment, a chargeback, came to another state.
    DisputeMoved "dispute_moved" [since 9] {
        /// The dispute.
        dispute: DisputeId,
        /// The payment.
        payment: PaymentId,
        /// Its checkout.
        checkout: CheckoutId,
        /// Who bought.
        buyer: BuyerId,
        /// `needs_response`, `under_review`, `won` or `lost`.
        state: String,
        /// What the card's holder says.
        reason: String,
        /// How much is disputed.
        amount: Money,
        /// The same in cents.
        amount_usd_minor: i64,
        /// Until when evidence is taken.
        respond_by: Timestamp,
    }
    /// An agreement to pay later was made, paid of, lowered, late, settled, written off or called off.
    AgreementMoved "agreement_moved" [since 10] {
        /// Who pays.
        buyer: BuyerId,
        /// The agreement.
        agreement: AgreementId,
        /// What was bought.
        checkout: CheckoutId,
        /// Its payment.
        payment: PaymentId,
        /// The plan's name.
        plan: String,
        /// `active`, `late`, `settled`, `defaulted` or `cancelled`.
        state: String,
        /// What is still to be paid.
        outstanding: Money,
        /// The same in cents.
        outstanding_usd_minor: i64,
        /// What is given up as lost, in cents.
        written_off_usd_minor: i64,
    }
    /// A product came to answer a saved search, for the first time.
    SavedSearchMatched "saved_search_matched" [since 11] {
        /// Who saved it.
        buyer: BuyerId,
        /// The saved search.
        search: SavedSearchId,
        /// The product.
        product: ProductId,
        /// Its title then.
        title: String,
        /// Its price then.
        price: Money,
        /// The same in cents.
        price_usd_minor: i64,
    }
    /// A product's price fell below what a buyer waits for.
    PriceAlertTriggered "price_alert_triggered" [since 11] {
        /// Who waits for it.
        buyer: BuyerId,
        /// The alert.
        alert: PriceAlertId,
        /// The product.
        product: ProductId,
        /// The price that it was to fall below.
        below: Money,
        /// Its price now.
        price: Money,
        /// The same in cents.
        price_usd_minor: i64,
    }
    /// A shipment of units of an order came to another state.
    ShipmentMoved "shipment_moved" [since 11] {
        /// The order.
        order: OrderId,
        /// The shipment.
        shipment: ShipmentId,
        /// Who bought.
        buyer: BuyerId,
        /// Who sells.
        seller: SellerId,
        /// Who carries it, by name.
        carrier: String,
        /// `asked`, `ready`, `refused`, `unknown`, `voiding`, `voided`, `in_transit`, `delivered` or `returned`.
        state: String,
        /// What the carrier's tracker says; nothing before its first event.
        tracker: Option<String>,
        /// The carrier's number of the shipment, once it is known.
        tracking_number: Option<String>,
        /// Units.
        quantity: i64,
    }
    /// Every unit of an order that is to be delivered was delivered.
    OrderFulfilled "order_fulfilled" [since 11] {
        /// Who bought.
        buyer: BuyerId,
        /// The order.
        order: OrderId,
        /// Its checkout.
        checkout: CheckoutId,
        /// Who sold.
        seller: SellerId,
        /// Units that were delivered.
        quantity: i64,
    }
    /// A customs declaration was drafted, given papers, submitted, answered or taken back.
    DeclarationMoved "declaration_moved" [since 11] {
        /// The declaration.
        declaration: DeclarationId,
        /// The order whose goods they are.
        order: Option<OrderId>,
        /// The two letters of the country that they come to.
        destination: String,
        /// `draft`, `submitted`, `held`, `cleared`, `refused` or `withdrawn`.
        state: String,
        /// The currency of what it costs; nothing before it is submitted.
        currency: Option<String>,
        /// Duty and tax, in minor units.
        total_minor: Option<i64>,
    }
}
