//! What is done with shipments: asked for, labelled, given up, followed by carriers' messages until an order is fulfilled; their states are in `shipments`.
//!
//! Every change holds the order's payment first, so that shipments, returns and voids of one order come one after the other.
//! Carriers are asked outside any transaction, by one key however often: what a label became of is written in another.

use std::sync::Arc;

use dhow_events::facts::OrderFulfilled;
use dhow_events::{CarrierId, OrderId, ShipmentId, TenantId, Timestamp};
use dhow_shipping::{
    CARRIERS_MAX, Carrier, CarrierError, FulfilmentState, LABEL_RETRY_MICROS, Label, LabelAnswer, LabelState,
    LabelVoid, Promise, PromiseBy, REFERENCE_BYTES_MAX, Shipment, ShipmentError, ShipmentUnits, Tracker, TrackerError,
    TrackerEvent, TrackerStatus, VoidAnswer, VoidState, check_shipment, checked_quote, fulfilment,
};

use crate::idempotency::{claim, save_answer};
use crate::shipments::quote_request;
use crate::signatures::read_signed;
use crate::transfers::held;
use crate::{
    Answered, CARRIER_EVENTS_MAX, CarrierNotice, Checkout, Commerce, CommerceError, Idempotency, LineUnits,
    NoticeError, Order, OrderShipment, OrderState, OutboxEvent, PaymentRail, RECOVERY_BATCH, SHIPMENTS_PER_ORDER_MAX,
    ShipmentInput, ShipmentState, ShipmentTransaction, SignedNotice, Storage, StorageError, StorageTransaction,
    transition,
};

/// A carrier, and what its messages are signed with.
#[derive(Clone)]
struct LinkedCarrier {
    carrier: Arc<dyn Carrier>,
    secret: Option<Arc<[u8]>>,
}

/// The carriers that a marketplace ships with.
#[derive(Clone, Default)]
pub struct Carriers(Vec<LinkedCarrier>);

impl Carriers {
    /// Adds a carrier; without a secret none of its messages are taken.
    ///
    /// # Errors
    /// Its name is there already, or there are [`CARRIERS_MAX`].
    pub fn add(&mut self, carrier: Arc<dyn Carrier>, secret: Option<&[u8]>) -> Result<(), CommerceError> {
        if self.get(carrier.name()).is_some() || self.0.len() >= CARRIERS_MAX {
            let message = format!("`{}` is named twice, or is beyond {CARRIERS_MAX} carriers", carrier.name());
            return Err(CommerceError::invalid("/shipping/carriers", message));
        }
        self.0.push(LinkedCarrier { carrier, secret: secret.map(Arc::from) });
        Ok(())
    }

    /// All of them, in the order in which they were added.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Carrier>> {
        self.0.iter().map(|linked| &linked.carrier)
    }

    fn get(&self, name: &str) -> Option<&LinkedCarrier> {
        self.0.iter().find(|linked| linked.carrier.name() == name)
    }

    fn of(&self, shipment: &OrderShipment) -> Result<&Arc<dyn Carrier>, CommerceError> {
        let linked = self.get(&shipment.carrier).map(|linked| &linked.carrier);
        linked.ok_or_else(|| {
            let reason = format!("`{}` is no carrier of the settings any more", shipment.carrier);
            CommerceError::Carrier(CarrierError::NoAnswer(reason))
        })
    }
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// The service with carriers to ship with; without them nothing is shipped.
    pub fn with_carriers(self, carriers: Carriers) -> Self {
        Self { carriers, ..self }
    }

    /// The carriers.
    pub const fn carriers(&self) -> &Carriers {
        &self.carriers
    }

    /// Ships units of an order: they are counted, and the carrier is asked for a label. The same request with the same key
    /// gives the shipment that it made before. The label may still be asked for in the answer.
    ///
    /// # Errors
    /// Wrong fields, no such order, one that cannot be shipped, units that are not left, a carrier that refuses or does not
    /// answer for the price; the database fails.
    pub async fn ship(
        &self,
        tenant: TenantId,
        order: OrderId,
        input: &ShipmentInput,
        key: Option<&Idempotency>,
    ) -> Result<Answered<OrderShipment>, CommerceError> {
        if let Some(id) = self.shipped_before(tenant, key).await? {
            return Ok(Answered { value: self.find_shipment(tenant, id).await?, replayed: true });
        }
        input.check()?;
        let found = self.storage.order(tenant, order).await?;
        let found = found.ok_or_else(|| CommerceError::NotFound(format!("order {order}")))?;
        let asked = self.asked_shipment(&found, input).await?;
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let earlier: Option<ShipmentId> = claim(&mut transaction, tenant, key, now).await?;
        if let Some(id) = earlier {
            transaction.rollback().await?;
            return Ok(Answered { value: self.find_shipment(tenant, id).await?, replayed: true });
        }
        let checkout = held(&mut transaction, tenant, asked.payment).await?;
        check_order(order_of(&checkout, order)?)?;
        let earlier = transaction.shipments_of(tenant, order).await?;
        if earlier.len() >= SHIPMENTS_PER_ORDER_MAX {
            let message = format!("{order} has {SHIPMENTS_PER_ORDER_MAX} shipments, the most that an order has");
            return Err(CommerceError::ShippingRefused(message));
        }
        check_units(&transaction.line_units(tenant, order).await?, &earlier, &asked.goods)?;
        count(&mut transaction, &asked, 1).await?;
        self.write_shipment(&mut transaction, &asked, Vec::new(), now).await?;
        save_answer(&mut transaction, tenant, key.map(Idempotency::key), &asked.id).await?;
        transaction.commit().await?;
        Ok(Answered { value: self.carry_label(asked).await?, replayed: false })
    }

    /// The shipment that a key made before. The key is not kept claimed while the carrier is asked for its price.
    async fn shipped_before(
        &self,
        tenant: TenantId,
        key: Option<&Idempotency>,
    ) -> Result<Option<ShipmentId>, CommerceError> {
        if key.is_none() {
            return Ok(None);
        }
        let mut transaction = self.storage.begin().await?;
        let earlier = claim(&mut transaction, tenant, key, self.clock.now()).await?;
        transaction.rollback().await?;
        Ok(earlier)
    }

    /// A shipment as it is first written, at the carrier's price and promise.
    async fn asked_shipment(&self, order: &Order, input: &ShipmentInput) -> Result<OrderShipment, CommerceError> {
        let linked = self.carriers.get(&input.carrier).ok_or_else(|| {
            let names: Vec<&str> = self.carriers.all().map(|carrier| carrier.name()).collect();
            CommerceError::invalid("/carrier", format!("is no carrier here; there are: {}", names.join(", ")))
        })?;
        let no_payment = || CommerceError::ShippingRefused(format!("{} has no payment", order.id));
        let checkout = self.storage.checkout(order.tenant, order.checkout).await?;
        let payment = checkout.and_then(|checkout| checkout.payment).ok_or_else(no_payment)?.id;
        let request = quote_request((input.from, order.region), &input.parcels, order.total.currency);
        let quote = checked_quote(&request, linked.carrier.quote(&request).await?)?;
        let now = self.clock.now();
        let id = ShipmentId::at(now, self.ids.random());
        let promise = Promise { p10: now + quote.p10_micros, p90: now + quote.p90_micros, by: PromiseBy::Carrier };
        Ok(OrderShipment {
            tenant: order.tenant,
            id,
            order: order.id,
            checkout: order.checkout,
            payment,
            buyer: order.buyer,
            seller: order.seller,
            carrier: input.carrier.clone(),
            carrier_id: CarrierId::from_reference(&order.tenant, &input.carrier),
            service: quote.service,
            from: input.from,
            to: order.region,
            place: Some(input.kept_place()),
            price: quote.price,
            promise,
            label: Label {
                idempotency_key: id.to_string(),
                requested_at: now,
                // Who asks for it waits for the answer; recovery asks where nobody does any more.
                state: LabelState::Asked { next_at: now + LABEL_RETRY_MICROS },
            },
            void: None,
            goods: Shipment {
                units: input.units.clone(),
                parcels: input.parcels.clone(),
                tracker: Tracker::default(),
                called_off: false,
            },
            dispatched_at: None,
            state: ShipmentState::Asked,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }

    /// A shipment.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn find_shipment(&self, tenant: TenantId, id: ShipmentId) -> Result<OrderShipment, CommerceError> {
        self.storage.shipment(tenant, id).await?.ok_or_else(|| missing(id))
    }

    /// Asks the carrier for a label and writes what became of it.
    async fn carry_label(&self, asked: OrderShipment) -> Result<OrderShipment, CommerceError> {
        let answer = match self.carriers.of(&asked) {
            Ok(carrier) => carrier.label(&asked.label_request()).await,
            Err(CommerceError::Carrier(error)) => Err(error),
            Err(error) => return Err(error),
        };
        warn_of_silence(&asked, answer.as_ref().err());
        self.end_label(&asked, answer).await
    }

    async fn end_label(
        &self,
        asked: &OrderShipment,
        answer: Result<LabelAnswer, CarrierError>,
    ) -> Result<OrderShipment, CommerceError> {
        let (mut transaction, _, mut kept) = self.hold_shipment(asked).await?;
        let (before, now) = (kept.clone(), self.clock.now());
        kept.label.take(answer, now);
        if matches!(kept.label.state, LabelState::Refused { .. }) && !kept.goods.called_off {
            (kept.goods.called_off, kept.place) = (true, None);
            count(&mut transaction, &kept, -1).await?;
        }
        self.finish(transaction, &before, kept, Vec::new(), now).await
    }

    /// Gives a shipment's label up, so that its units can be shipped anew. One that is given up already, or is being, stays as
    /// it is; so may the answer, until the carrier has answered.
    ///
    /// # Errors
    /// No such shipment, one whose label is not known yet or that the carrier has; the database fails.
    pub async fn void_label(&self, tenant: TenantId, id: ShipmentId) -> Result<OrderShipment, CommerceError> {
        let found = self.find_shipment(tenant, id).await?;
        let (mut transaction, _, mut kept) = self.hold_shipment(&found).await?;
        if matches!(kept.state, ShipmentState::Voiding | ShipmentState::Voided) {
            transaction.rollback().await?;
            return Ok(kept);
        }
        if !matches!(kept.state, ShipmentState::Ready | ShipmentState::Unknown) {
            let message = format!("{id} is `{}`; a label is given up while it is ready or unknown", kept.state);
            return Err(CommerceError::ShippingRefused(message));
        }
        let now = self.clock.now();
        let state = VoidState::Asked { next_at: now + LABEL_RETRY_MICROS };
        kept.void = Some(LabelVoid { requested_at: now, state });
        kept.state = kept.derived_state();
        (kept.version, kept.updated_at) = (kept.version + 1, now);
        self.write_shipment(&mut transaction, &kept, Vec::new(), now).await?;
        transaction.commit().await?;
        self.carry_void(kept).await
    }

    async fn carry_void(&self, asked: OrderShipment) -> Result<OrderShipment, CommerceError> {
        let Some(void) = &asked.void else { return Ok(asked) };
        let answer = match self.carriers.of(&asked) {
            Ok(carrier) => carrier.void(&asked.void_request(void)).await,
            Err(CommerceError::Carrier(error)) => Err(error),
            Err(error) => return Err(error),
        };
        warn_of_silence(&asked, answer.as_ref().err());
        self.end_void(&asked, answer).await
    }

    async fn end_void(
        &self,
        asked: &OrderShipment,
        answer: Result<VoidAnswer, CarrierError>,
    ) -> Result<OrderShipment, CommerceError> {
        let (mut transaction, _, mut kept) = self.hold_shipment(asked).await?;
        let (before, now) = (kept.clone(), self.clock.now());
        if let Some(void) = &mut kept.void {
            void.take(answer, now);
            if void.state == VoidState::Done && !kept.goods.called_off {
                (kept.goods.called_off, kept.place) = (true, None);
                count(&mut transaction, &kept, -1).await?;
            }
        }
        self.finish(transaction, &before, kept, Vec::new(), now).await
    }

    /// Takes a carrier's message, signed as a rail's is. Events that came before change nothing.
    ///
    /// # Errors
    /// No such carrier or shipment of it, not signed, too old, an event that differs from the one of its reference, more events
    /// than are kept; the database fails. The carrier sends it again then.
    pub async fn take_carrier_notice(&self, carrier: &str, signed: &SignedNotice<'_>) -> Result<(), CommerceError> {
        let no_carrier = || CommerceError::NotFound(format!("carrier `{carrier}`"));
        let linked = self.carriers.get(carrier).ok_or_else(no_carrier)?;
        let secret = linked.secret.as_deref().ok_or(NoticeError::Signature)?;
        let notice: CarrierNotice = read_signed(secret, self.clock.now(), signed)?;
        if !(1..=CARRIER_EVENTS_MAX).contains(&notice.events.len()) {
            let message = format!("it has {} events; it must have 1 to {CARRIER_EVENTS_MAX}", notice.events.len());
            return Err(NoticeError::Malformed(message).into());
        }
        if !(1..=REFERENCE_BYTES_MAX).contains(&notice.tracking_number.len()) {
            let message = format!("its tracking number must have 1 to {REFERENCE_BYTES_MAX} bytes");
            return Err(NoticeError::Malformed(message).into());
        }
        let found = self.storage.shipment(notice.tenant, notice.shipment).await?;
        let found = found.filter(|shipment| shipment.carrier == carrier).ok_or_else(|| missing(notice.shipment))?;
        let (mut transaction, mut checkout, mut kept) = self.hold_shipment(&found).await?;
        let (before, now) = (kept.clone(), self.clock.now());
        kept.label.take(Ok(LabelAnswer::Made { tracking_number: notice.tracking_number }), now);
        for event in notice.events {
            append(&mut kept, event)?;
        }
        let events = self.follow_tracker(&mut transaction, (&before, &mut kept), now).await?;
        let ended = kept.goods.tracker.status() == Some(TrackerStatus::Delivered) && !kept.goods.called_off;
        let is_new = kept != before;
        if is_new {
            self.put_changed(&mut transaction, &before, &mut kept, events, now).await?;
        }
        if is_new && ended {
            self.fulfil(&mut transaction, &mut checkout, kept.order, now).await?;
        }
        match is_new {
            true => Ok(transaction.commit().await?),
            false => Ok(transaction.rollback().await?),
        }
    }

    /// What follows where the tracker moved: a void that comes too late, the facts of dispatch and delivery, units that came
    /// back.
    async fn follow_tracker(
        &self,
        transaction: &mut S::Transaction,
        (before, kept): (&OrderShipment, &mut OrderShipment),
        now: Timestamp,
    ) -> Result<Vec<OutboxEvent>, CommerceError> {
        let mut events = Vec::new();
        if kept.goods.called_off {
            return Ok(events);
        }
        if !kept.goods.can_be_called_off()
            && let Some(void) = kept.void.as_mut().filter(|void| matches!(void.state, VoidState::Asked { .. }))
        {
            void.state = VoidState::Refused { reason: "the carrier has the parcels".to_owned() };
        }
        if let Some((at, fact)) = kept.dispatch(now) {
            events.push(self.event(kept.tenant, kept.id.to_string(), at, fact));
        }
        let status = kept.goods.tracker.status();
        if status != before.goods.tracker.status() && status == Some(TrackerStatus::Delivered) {
            let (at, fact) = kept.delivered(now);
            events.push(self.event(kept.tenant, kept.id.to_string(), at, fact));
        }
        if status != before.goods.tracker.status() && status == Some(TrackerStatus::Returned) {
            count(transaction, kept, -1).await?;
        }
        Ok(events)
    }

    /// Brings an order to `fulfilled` where all of its units that are due were delivered.
    pub(crate) async fn fulfil(
        &self,
        transaction: &mut S::Transaction,
        checkout: &mut Checkout,
        order: OrderId,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        let Some(order) = checkout.orders.iter_mut().find(|one| one.id == order) else { return Ok(()) };
        if order.state != OrderState::Placed {
            return Ok(());
        }
        let lines = transaction.line_units(order.tenant, order.id).await?;
        let shipments = transaction.shipments_of(order.tenant, order.id).await?;
        let standing = standing(&lines, &shipments);
        if standing.state != FulfilmentState::Fulfilled {
            return Ok(());
        }
        transition(order.state, OrderState::Fulfilled)?;
        (order.state, order.version, order.updated_at) = (OrderState::Fulfilled, order.version + 1, now);
        transaction.update_order(order).await?;
        let fact = OrderFulfilled {
            buyer: order.buyer,
            order: order.id,
            checkout: order.checkout,
            seller: order.seller,
            quantity: standing.lines.iter().map(|line| line.delivered).sum(),
        };
        let event = self.event(order.tenant, order.checkout.to_string(), now, fact);
        Ok(transaction.append_events(&[event], now).await?)
    }

    /// Asks carriers again about labels, and about giving them up, whose answers are due; gives how many came to an end.
    pub(crate) async fn bring_shipments_on(&self, now: Timestamp) -> Result<usize, CommerceError> {
        let (mut after, mut ended) = (None, 0);
        loop {
            let batch = self.storage.due_shipments(now, after, RECOVERY_BATCH).await?;
            let Some(last) = batch.last() else { return Ok(ended) };
            after = last.due_at().map(|at| (at, last.id));
            for shipment in batch {
                let is_void = shipment.void.as_ref().is_some_and(|void| void.is_due(now));
                let done = if is_void { self.carry_void(shipment).await? } else { self.carry_label(shipment).await? };
                ended += usize::from(done.due_at().is_none());
            }
        }
    }

    /// A shipment and its checkout, held against other writers.
    async fn hold_shipment(
        &self,
        found: &OrderShipment,
    ) -> Result<(S::Transaction, Checkout, OrderShipment), CommerceError> {
        let mut transaction = self.storage.begin().await?;
        let checkout = held(&mut transaction, found.tenant, found.payment).await?;
        let kept = transaction.find_shipment(found.tenant, found.id).await?;
        Ok((transaction, checkout, kept.ok_or_else(|| missing(found.id))?))
    }

    /// Writes a shipment where it changed, and commits.
    async fn finish(
        &self,
        mut transaction: S::Transaction,
        before: &OrderShipment,
        mut kept: OrderShipment,
        events: Vec<OutboxEvent>,
        now: Timestamp,
    ) -> Result<OrderShipment, CommerceError> {
        if kept == *before {
            transaction.rollback().await?;
            return Ok(kept);
        }
        self.put_changed(&mut transaction, before, &mut kept, events, now).await?;
        transaction.commit().await?;
        Ok(kept)
    }

    /// Writes a changed shipment; it is told of where its state, its tracker or its number changed.
    async fn put_changed(
        &self,
        transaction: &mut S::Transaction,
        before: &OrderShipment,
        kept: &mut OrderShipment,
        events: Vec<OutboxEvent>,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        kept.state = kept.derived_state();
        (kept.version, kept.updated_at) = (kept.version + 1, now);
        if kept.moved() == before.moved() && events.is_empty() {
            return Ok(transaction.put_shipment(kept).await?);
        }
        self.write_shipment(transaction, kept, events, now).await
    }

    async fn write_shipment(
        &self,
        transaction: &mut S::Transaction,
        kept: &OrderShipment,
        mut events: Vec<OutboxEvent>,
        now: Timestamp,
    ) -> Result<(), CommerceError> {
        transaction.put_shipment(kept).await?;
        events.push(self.event(kept.tenant, kept.id.to_string(), now, kept.moved()));
        Ok(transaction.append_events(&events, now).await?)
    }
}

/// Where an order stands by its shipments and the units that are due.
fn standing(lines: &[LineUnits], shipments: &[OrderShipment]) -> dhow_shipping::Fulfilment {
    let due: Vec<_> = lines.iter().map(LineUnits::due).collect();
    let goods: Vec<Shipment> = shipments.iter().map(|shipment| shipment.goods.clone()).collect();
    fulfilment(&due, &goods)
}

fn check_units(lines: &[LineUnits], shipments: &[OrderShipment], asked: &Shipment) -> Result<(), CommerceError> {
    let due: Vec<_> = lines.iter().map(LineUnits::due).collect();
    let goods: Vec<Shipment> = shipments.iter().map(|shipment| shipment.goods.clone()).collect();
    check_shipment(&due, &goods, (&asked.units, &asked.parcels)).map_err(|error| match error {
        ShipmentError::NotLeft { .. } => CommerceError::ShippingRefused(error.to_string()),
        ShipmentError::Parcel(_) => CommerceError::invalid("/parcels", error.to_string()),
        ShipmentError::Empty | ShipmentError::Twice(_) => CommerceError::invalid("/units", error.to_string()),
    })
}

/// An order is shipped while it is placed, or once it was fulfilled and units are due again; not where its payment is given up or was refunded
/// whole.
fn check_order(order: &Order) -> Result<(), CommerceError> {
    if !matches!(order.state, OrderState::Placed | OrderState::Fulfilled) {
        let message = format!("{} is `{}`; what is shipped was placed", order.id, order.state);
        return Err(CommerceError::ShippingRefused(message));
    }
    if order.amounts.void_asked_minor >= order.total.amount_minor && order.total.amount_minor > 0 {
        return Err(CommerceError::ShippingRefused(format!("the payment of {} is being given up", order.id)));
    }
    if order.amounts.refund_asked_minor >= order.total.amount_minor && order.total.amount_minor > 0 {
        return Err(CommerceError::ShippingRefused(format!("{} was refunded whole", order.id)));
    }
    Ok(())
}

fn order_of(checkout: &Checkout, id: OrderId) -> Result<&Order, CommerceError> {
    let order = checkout.orders.iter().find(|order| order.id == id);
    order.ok_or_else(|| CommerceError::NotFound(format!("order {id}")))
}

/// Counts a shipment's units on the order's lines, or takes them off again; the database holds that no more are shipped than
/// are due.
async fn count<X: StorageTransaction>(
    transaction: &mut X,
    shipment: &OrderShipment,
    sign: i64,
) -> Result<(), CommerceError> {
    for &ShipmentUnits { product, quantity } in &shipment.goods.units {
        let counted = transaction.add_shipped(shipment.tenant, shipment.order, product, (sign * quantity, 0)).await;
        counted.map_err(|error| match error {
            StorageError::Rule { rule } if rule.starts_with("order_lines_shipped") => {
                CommerceError::ShippingRefused(format!("{quantity} units of {product} are not left to ship"))
            }
            other => other.into(),
        })?;
    }
    Ok(())
}

fn append(kept: &mut OrderShipment, event: TrackerEvent) -> Result<(), CommerceError> {
    kept.goods.tracker.append(event).map(drop).map_err(|error| match error {
        TrackerError::Full => CommerceError::ShippingRefused(error.to_string()),
        TrackerError::Differs(_) | TrackerError::Text => NoticeError::Malformed(error.to_string()).into(),
    })
}

fn warn_of_silence(shipment: &OrderShipment, error: Option<&CarrierError>) {
    if let Some(CarrierError::NoAnswer(reason)) = error {
        tracing::warn!(shipment = %shipment.id, carrier = shipment.carrier, reason, "no answer of the carrier; it is asked again");
    }
}

fn missing(id: ShipmentId) -> CommerceError {
    CommerceError::NotFound(format!("shipment {id}"))
}
