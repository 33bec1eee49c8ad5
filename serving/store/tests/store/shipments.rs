//! The promises about shipments, one function each; `main` runs each on both databases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dhow_commerce::*;
use dhow_events::*;
use dhow_shipping::{
    Carrier, CarrierError, CarrierFuture, CarrierQuote, LABEL_ASKED_FOR_MICROS, LABEL_RETRY_MICROS, LabelAnswer,
    LabelRequest, Parcel, QuoteRequest, ShipmentUnits, SimulatedCarrier, TrackerEvent, TrackerStatus, VoidAnswer,
    VoidRequest, VoidState, trigger,
};
use dhow_store::WritePoints;
use futures::future::join_all;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::money::{bought, change, stored};
use crate::world::*;

/// What the carrier's messages are signed with.
pub const CARRIER_SECRET: &[u8] = b"the carrier's secret";
const CARRIER: &str = "simulated_post";

/// A carrier that keeps books of the labels that it made and gave up, and can lose answers or take a process down.
#[derive(Clone)]
pub struct TestCarrier {
    inner: SimulatedCarrier,
    /// The keys of labels that were made.
    pub made: Arc<Mutex<BTreeSet<String>>>,
    /// The keys of labels that were given up.
    pub given_up: Arc<Mutex<BTreeSet<String>>>,
    /// Where set, answers to what was done are lost.
    pub loses_answers: Arc<AtomicBool>,
    /// Where set, each side of the carrier is a write point too.
    pub points: Arc<Mutex<Option<Arc<WritePoints>>>>,
}

impl TestCarrier {
    pub fn new(inner: SimulatedCarrier) -> Self {
        Self {
            inner,
            made: Arc::default(),
            given_up: Arc::default(),
            loses_answers: Arc::default(),
            points: Arc::default(),
        }
    }

    async fn pass(&self) {
        let points = self.points.lock().expect("no panic").clone();
        if let Some(points) = points {
            points.pass().await;
        }
    }

    fn told<T>(&self, answer: T) -> Result<T, CarrierError> {
        if self.loses_answers.load(Ordering::SeqCst) {
            return Err(CarrierError::NoAnswer("lost".to_owned()));
        }
        Ok(answer)
    }

    fn counts(&self) -> (usize, usize) {
        (self.made.lock().expect("no panic").len(), self.given_up.lock().expect("no panic").len())
    }
}

impl Carrier for TestCarrier {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn quote<'a>(&'a self, request: &'a QuoteRequest) -> CarrierFuture<'a, CarrierQuote> {
        self.inner.quote(request)
    }

    fn label<'a>(&'a self, request: &'a LabelRequest) -> CarrierFuture<'a, LabelAnswer> {
        Box::pin(async move {
            self.pass().await;
            let answer = self.inner.label(request).await?;
            if matches!(answer, LabelAnswer::Made { .. }) {
                self.made.lock().expect("no panic").insert(request.idempotency_key.clone());
            }
            self.pass().await;
            self.told(answer)
        })
    }

    fn void<'a>(&'a self, request: &'a VoidRequest) -> CarrierFuture<'a, VoidAnswer> {
        Box::pin(async move {
            self.pass().await;
            let answer = self.inner.void(request).await?;
            if answer == VoidAnswer::Done {
                self.given_up.lock().expect("no panic").insert(request.label_key.clone());
            }
            self.pass().await;
            self.told(answer)
        })
    }
}

fn parcel(weight_grams: u32) -> Parcel {
    Parcel { weight_grams, length_mm: 200, width_mm: 150, height_mm: 100 }
}

/// A shipment of units in one parcel.
pub fn asked(units: &[(ProductId, i64)], weight_grams: u32) -> ShipmentInput {
    ShipmentInput {
        carrier: CARRIER.to_owned(),
        from: Region::new("GB").expect("a valid region"),
        place: DeliveryPlace { latitude: 6.524_379, longitude: 3.379_206 },
        units: units.iter().map(|&(product, quantity)| ShipmentUnits { product, quantity }).collect(),
        parcels: vec![parcel(weight_grams)],
    }
}

async fn order_of(world: &World, lines: &[(ProductId, i64)]) -> Order {
    let (id, _) = bought(world, lines).await;
    stored(world, id).await.orders[0].clone()
}

async fn state_of(world: &World, id: OrderId) -> OrderState {
    world.shop.storage().order(tenant(), id).await.expect("it is read").expect("it is there").state
}

async fn shipped(world: &World, order: OrderId, units: &[(ProductId, i64)], grams: u32) -> OrderShipment {
    world.shop.ship(tenant(), order, &asked(units, grams), None).await.expect("it is shipped").value
}

async fn read(world: &World, id: ShipmentId) -> OrderShipment {
    world.shop.find_shipment(tenant(), id).await.expect("it is there")
}

async fn units(world: &World, order: OrderId) -> Vec<LineUnits> {
    let mut transaction = world.shop.storage().begin().await.expect("it begins");
    let units = transaction.line_units(tenant(), order).await.expect("they are read");
    transaction.rollback().await.expect("it is undone");
    units
}

fn event(reference: &str, status: TrackerStatus, occurred_at: Timestamp) -> TrackerEvent {
    TrackerEvent { reference: reference.to_owned(), status, occurred_at, place: "Lagos".to_owned() }
}

async fn tell(
    world: &World,
    shop: &Shop,
    shipment: ShipmentId,
    events: Vec<TrackerEvent>,
) -> Result<(), CommerceError> {
    let notice = CarrierNotice { tenant: tenant(), shipment, tracking_number: format!("{CARRIER}_{shipment}"), events };
    let body = serde_json::to_vec(&notice).expect("it is written");
    let timestamp = (world.clock.now().micros() / SECOND_MICROS).to_string();
    let signature = sign(CARRIER_SECRET, "msg_1", &timestamp, &body);
    let signed = SignedNotice { id: "msg_1", timestamp: &timestamp, signature: &signature, body: &body };
    shop.take_carrier_notice(CARRIER, &signed).await
}

async fn forget_outbox(world: &World) {
    let ids: Vec<i64> = world.outbox().await.iter().map(|record| record.id).collect();
    world.shop.storage().outbox_mark_published(&ids, world.clock.now()).await.expect("they are marked");
}

/// How often each of these facts was told of.
async fn told(world: &World, names: &[&str]) -> Vec<usize> {
    let facts = world.facts().await;
    names.iter().map(|name| facts.iter().filter(|fact| *fact == name).count()).collect()
}

const FACTS: [&str; 3] = ["shipment_dispatched", "shipment_delivered", "order_fulfilled"];

pub async fn a_shipment_is_labelled_and_followed_until_its_order_is_fulfilled(world: World) {
    let order = order_of(&world, &[(CUP, 3)]).await;
    let first = shipped(&world, order.id, &[(CUP, 2)], 500).await;
    assert_eq!((first.state, first.version, first.to), (ShipmentState::Ready, 2, order.region));
    assert_eq!(first.price, Money::usd(4 * (390 + 60)), "abroad a kilogram");
    assert_eq!(first.place, Some(DeliveryPlace { latitude: 6.52, longitude: 3.38 }), "to a hundredth of a degree");
    let handed = world.clock.now() + HOUR_MICROS;
    world.clock.advance(2 * HOUR_MICROS);
    tell(&world, &world.shop, first.id, vec![event("1", TrackerStatus::HandedOver, handed)]).await.expect("taken");
    let moving = read(&world, first.id).await;
    assert_eq!((moving.state, moving.dispatched_at, moving.place), (ShipmentState::InTransit, Some(handed), None));
    world.clock.advance(20 * DAY_MICROS);
    let arrived = handed + 16 * DAY_MICROS;
    tell(&world, &world.shop, first.id, vec![event("2", TrackerStatus::Delivered, arrived)]).await.expect("taken");
    assert_eq!(state_of(&world, order.id).await, OrderState::Placed, "a cup is still to be sent");
    let second = shipped(&world, order.id, &[(CUP, 1)], 500).await;
    let now = world.clock.now();
    tell(&world, &world.shop, second.id, vec![event("1", TrackerStatus::Delivered, now)]).await.expect("taken");
    let kept = world.shop.storage().order(tenant(), order.id).await.expect("it is read").expect("it is there");
    assert_eq!((kept.state, kept.version), (OrderState::Fulfilled, order.version + 1));
    let more = world.shop.ship(tenant(), order.id, &asked(&[(CUP, 1)], 500), None).await;
    assert!(matches!(more, Err(CommerceError::ShippingRefused(_))), "{more:?}");

    assert_eq!(told(&world, &FACTS).await, [2, 2, 1]);
    let outbox = world.outbox().await;
    let delivered: Vec<_> = outbox
        .iter()
        .filter_map(|record| match &record.event.fact {
            Fact::ShipmentDelivered(fact) => Some((record.event.event_time, fact.transit_minutes, fact.late)),
            _ => None,
        })
        .collect();
    assert_eq!(delivered, [(arrived, 16 * 24 * 60, true), (now, 0, false)]);
    let of_first: Vec<_> = outbox.iter().filter(|record| record.aggregate == first.id.to_string()).collect();
    let sequences: Vec<i64> = of_first.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6], "asked, ready, dispatched, moved, delivered, moved");
    let filter = ShipmentFilter { state: Some(ShipmentState::Delivered), ..ShipmentFilter::default() };
    let page = PageRequest::new(1, None, "shp").expect("a valid page");
    let list = world.shop.storage().shipments(tenant(), &filter, &page).await.expect("a page");
    assert_eq!((list.items[0].id, list.next.is_some()), (second.id, true));
    let other = TenantId::new("ten_other").expect("a valid tenant");
    assert!(matches!(world.shop.find_shipment(other, first.id).await, Err(CommerceError::NotFound(_))));
    let foreign = world.shop.ship(other, order.id, &asked(&[(CUP, 1)], 500), None).await;
    assert!(matches!(foreign, Err(CommerceError::NotFound(_))), "{foreign:?}");
}

pub async fn no_more_units_are_shipped_than_are_due_and_one_key_ships_once(world: World) {
    let order = order_of(&world, &[(CUP, 3)]).await.id;
    let shop = world.patient_process().await;
    for round in 0..3 {
        let tries = (0..8).map(|_| {
            let shop = shop.clone();
            tokio::spawn(async move { shop.ship(tenant(), order, &asked(&[(CUP, 2)], 500), None).await })
        });
        let mut made = Vec::new();
        for tried in join_all(tries).await {
            match tried.expect("no panic") {
                Ok(one) => made.push(one.value),
                Err(error) => assert!(matches!(error, CommerceError::ShippingRefused(_)), "{error}"),
            }
        }
        assert_eq!(made.len(), 1, "round {round}: of three units two go out once");
        let voided = world.shop.void_label(tenant(), made[0].id).await.expect("it is given up");
        assert_eq!((voided.state, voided.place), (ShipmentState::Voided, None));
    }
    let key = Idempotency::new("ship-1", "POST /v1/orders/x/shipments", b"{}").expect("a valid key");
    let tries = (0..32).map(|_| {
        let (shop, key) = (shop.clone(), key.clone());
        tokio::spawn(async move { shop.ship(tenant(), order, &asked(&[(CUP, 2)], 500), Some(&key)).await })
    });
    let (labels, mut ids, mut fresh) = (world.carrier.counts().0, BTreeSet::new(), 0);
    for tried in join_all(tries).await {
        let answered = tried.expect("no panic").expect("each is answered");
        ids.insert(answered.value.id);
        fresh += usize::from(!answered.replayed);
    }
    assert_eq!((ids.len(), fresh, world.carrier.counts().0 - labels), (1, 1, 1));
    assert_eq!(units(&world, order).await[0].shipped, 2);
    for added in [(2, 0), (-3, 0), (1, 1), (0, 2)] {
        let mut transaction = world.shop.storage().begin().await.expect("it begins");
        let broken = transaction.add_shipped(tenant(), order, CUP, added).await;
        assert!(matches!(broken, Err(StorageError::Rule { .. })), "{added:?}: {broken:?}");
        transaction.rollback().await.expect("it is undone");
    }
}

pub async fn what_a_carrier_loses_delays_refuses_or_never_answers_is_found_out(world: World) {
    let order = order_of(&world, &[(CUP, 9)]).await.id;
    let lost = shipped(&world, order, &[(CUP, 1)], trigger::LOST_ANSWER_GRAMS).await;
    let late = shipped(&world, order, &[(CUP, 1)], trigger::DELAYED_GRAMS).await;
    let refused = shipped(&world, order, &[(CUP, 1)], trigger::REFUSED_GRAMS).await;
    assert_eq!(
        [lost.state, late.state, refused.state],
        [ShipmentState::Asked, ShipmentState::Asked, ShipmentState::Refused]
    );
    assert_eq!(units(&world, order).await[0].shipped, 2, "what was refused can go out anew");
    let unserved = world.shop.ship(tenant(), order, &asked(&[(CUP, 1)], trigger::NOT_SERVED_GRAMS), None).await;
    assert!(matches!(unserved, Err(CommerceError::Carrier(CarrierError::Refused(_)))), "{unserved:?}");
    let silent = world.shop.ship(tenant(), order, &asked(&[(CUP, 1)], trigger::SILENT_GRAMS), None).await;
    assert!(matches!(silent, Err(CommerceError::Carrier(CarrierError::NoAnswer(_)))), "{silent:?}");
    let early = world.shop.void_label(tenant(), late.id).await;
    assert!(matches!(early, Err(CommerceError::ShippingRefused(_))), "nobody knows yet what to give up: {early:?}");

    let mut labelled = Vec::new();
    for _ in 0..5 {
        world.clock.advance(LABEL_RETRY_MICROS);
        labelled.push(world.shop.recover_pending().await.expect("recovery works").labelled_count);
    }
    assert_eq!(labelled, [0, 1, 0, 1, 0], "one after twenty seconds, one after sixty");
    assert_eq!(read(&world, lost.id).await.tracking_number(), Some(format!("{CARRIER}_{}", lost.id).as_str()));

    world.carrier.loses_answers.store(true, Ordering::SeqCst);
    let unknown = shipped(&world, order, &[(CUP, 2)], 500).await;
    let heard = shipped(&world, order, &[(CUP, 1)], 500).await;
    let handed = vec![event("1", TrackerStatus::HandedOver, world.clock.now())];
    tell(&world, &world.shop, heard.id, handed).await.expect("a message may come before the answer");
    assert_eq!(read(&world, heard.id).await.state, ShipmentState::InTransit);
    world.clock.advance(LABEL_ASKED_FOR_MICROS);
    assert_eq!(world.shop.recover_pending().await.expect("recovery works").labelled_count, 1);
    assert_eq!(read(&world, unknown.id).await.state, ShipmentState::Unknown);
    let voiding = world.shop.void_label(tenant(), unknown.id).await.expect("it is asked");
    assert_eq!((voiding.state, units(&world, order).await[0].shipped), (ShipmentState::Voiding, 5));
    world.carrier.loses_answers.store(false, Ordering::SeqCst);
    world.clock.advance(LABEL_RETRY_MICROS);
    assert_eq!(world.shop.recover_pending().await.expect("recovery works").labelled_count, 1);
    assert_eq!(
        (read(&world, unknown.id).await.state, units(&world, order).await[0].shipped),
        (ShipmentState::Voided, 3)
    );
}

pub async fn a_carriers_messages_count_once_in_whatever_order_they_come(world: World) {
    let order = order_of(&world, &[(CUP, 8)]).await.id;
    let start = world.clock.now();
    world.clock.advance(10 * DAY_MICROS);
    let way = [
        (TrackerStatus::HandedOver, 1),
        (TrackerStatus::InTransit, 5),
        (TrackerStatus::Exception, 9),
        (TrackerStatus::OutForDelivery, 30),
        (TrackerStatus::Delivered, 33),
    ];
    let events: Vec<TrackerEvent> =
        way.iter().map(|(status, hours)| event(&status.to_string(), *status, start + hours * HOUR_MICROS)).collect();
    for seed in 0..8 {
        forget_outbox(&world).await;
        let shipment = shipped(&world, order, &[(CUP, 1)], 500).await;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut messages: Vec<TrackerEvent> = events.iter().chain(&events).cloned().collect();
        messages.shuffle(&mut random);
        for one in messages {
            tell(&world, &world.shop, shipment.id, vec![one]).await.expect("it is taken");
        }
        let kept = read(&world, shipment.id).await;
        assert_eq!((kept.state, kept.goods.tracker.events().len()), (ShipmentState::Delivered, way.len()));
        let fulfilled = usize::from(seed == 7);
        assert_eq!(told(&world, &FACTS).await, [1, 1, fulfilled], "seed {seed}");
        let contradicts = vec![event("back", TrackerStatus::Returned, start + 50 * HOUR_MICROS)];
        tell(&world, &world.shop, shipment.id, contradicts).await.expect("it is kept");
        let after = read(&world, shipment.id).await;
        assert_eq!((after.state, after.version), (ShipmentState::Delivered, kept.version + 1), "the first end stands");
        let version = after.version;
        let differs = vec![event("back", TrackerStatus::Returned, start)];
        let differs = tell(&world, &world.shop, shipment.id, differs).await;
        assert!(matches!(differs, Err(CommerceError::Notice(NoticeError::Malformed(_)))), "{differs:?}");
        assert_eq!(read(&world, shipment.id).await.version, version);
    }
    assert_eq!(state_of(&world, order).await, OrderState::Fulfilled);
    let none = tell(&world, &world.shop, ShipmentId::from_u128(1), events.clone()).await;
    assert!(matches!(none, Err(CommerceError::NotFound(_))), "{none:?}");
    let body = br#"{}"#;
    let timestamp = (world.clock.now().micros() / SECOND_MICROS).to_string();
    let signature = sign(RAIL_SECRET, "msg_1", &timestamp, body);
    let signed = SignedNotice { id: "msg_1", timestamp: &timestamp, signature: &signature, body };
    let forged = world.shop.take_carrier_notice(CARRIER, &signed).await;
    assert!(matches!(forged, Err(CommerceError::Notice(NoticeError::Signature))), "{forged:?}");
}

pub async fn a_label_that_is_given_up_frees_its_units_unless_the_carrier_has_them(world: World) {
    let order = order_of(&world, &[(CUP, 4)]).await.id;
    let kept = shipped(&world, order, &[(CUP, 1)], trigger::NOT_VOIDED_GRAMS).await;
    let refused = world.shop.void_label(tenant(), kept.id).await.expect("it is asked");
    let reason = VoidState::Refused { reason: "already_collected".to_owned() };
    assert_eq!((refused.state, refused.void.map(|void| void.state)), (ShipmentState::Ready, Some(reason)));
    assert_eq!(units(&world, order).await[0].shipped, 1);

    let lost = shipped(&world, order, &[(CUP, 1)], trigger::VOID_LOST_GRAMS).await;
    assert_eq!(world.shop.void_label(tenant(), lost.id).await.expect("it is asked").state, ShipmentState::Voiding);
    let again = world.shop.void_label(tenant(), lost.id).await.expect("it stays");
    assert_eq!((again.state, again.version), (ShipmentState::Voiding, lost.version + 1));
    let now = world.clock.now();
    tell(&world, &world.shop, lost.id, vec![event("1", TrackerStatus::InTransit, now)]).await.expect("taken");
    let gone = read(&world, lost.id).await;
    assert_eq!((gone.state, gone.due_at()), (ShipmentState::InTransit, None), "the carrier was faster");
    let late = world.shop.void_label(tenant(), lost.id).await;
    assert!(matches!(late, Err(CommerceError::ShippingRefused(_))), "{late:?}");
    tell(&world, &world.shop, lost.id, vec![event("2", TrackerStatus::Returned, now + 1)]).await.expect("taken");
    assert_eq!(units(&world, order).await[0].shipped, 1, "what came back can go out anew");

    let voided = shipped(&world, order, &[(CUP, 3)], 500).await;
    world.shop.void_label(tenant(), voided.id).await.expect("it is given up");
    tell(&world, &world.shop, voided.id, vec![event("1", TrackerStatus::Delivered, now)]).await.expect("kept");
    let strange = read(&world, voided.id).await;
    assert_eq!((strange.state, strange.goods.tracker.events().len()), (ShipmentState::Voided, 1));
    assert_eq!((units(&world, order).await[0].shipped, state_of(&world, order).await), (1, OrderState::Placed));
}

fn claimed(order: OrderId, kind: ReturnKind, quantity: i64) -> ReturnInput {
    ReturnInput {
        order,
        kind,
        opened_by: ReturnParty::Buyer,
        reason: if kind == ReturnKind::Claim { ReturnReason::NotReceived } else { ReturnReason::Defective },
        note: String::new(),
        evidence: Vec::new(),
        lines: vec![ReturnUnits { product: CUP, quantity }],
    }
}

fn decided(to: ReturnState) -> ReturnChange {
    ReturnChange { to, by: "ann".to_owned(), note: String::new(), evidence: Vec::new(), inspected: Vec::new() }
}

pub async fn what_is_claimed_before_it_was_shipped_is_not_shipped_and_what_is_shipped_is_not_called_off(world: World) {
    let (id, payment) = bought(&world, &[(CUP, 3)]).await;
    let order = stored(&world, id).await.orders[0].id;
    let first = shipped(&world, order, &[(CUP, 1)], 500).await;
    let void = world.shop.change_payment(tenant(), payment, &change(TransferKind::Void, None), None).await;
    assert!(matches!(void, Err(CommerceError::ShippingRefused(_))), "a unit is on its way: {void:?}");
    let all = change(TransferKind::Capture, None);
    world.shop.change_payment(tenant(), payment, &all, None).await.expect("it is captured");

    let shop = &world.shop;
    let claim = shop.open_return(tenant(), &claimed(order, ReturnKind::Claim, 2), None).await.expect("opened").value;
    assert_eq!(claim.lines[0].called_off, 1, "one of the two may be the one on its way");
    let over = shop.ship(tenant(), order, &asked(&[(CUP, 2)], 500), None).await;
    assert!(matches!(over, Err(CommerceError::ShippingRefused(_))), "{over:?}");
    shop.move_return(tenant(), claim.id, ExpectedVersion::Any, &decided(ReturnState::Declined))
        .await
        .expect("declined");
    let counts = |line: &LineUnits| (line.shipped, line.returned, line.called_off);
    assert_eq!(counts(&units(&world, order).await[0]), (1, 0, 0));
    let second = shipped(&world, order, &[(CUP, 1)], 500).await;
    for shipment in [&first, &second] {
        let delivered = vec![event("1", TrackerStatus::Delivered, world.clock.now())];
        tell(&world, shop, shipment.id, delivered).await.expect("it is taken");
    }
    assert_eq!(state_of(&world, order).await, OrderState::Placed);
    let claim = shop.open_return(tenant(), &claimed(order, ReturnKind::Claim, 3), None).await.expect("opened").value;
    assert_eq!(counts(&units(&world, order).await[0]), (2, 3, 1));
    shop.move_return(tenant(), claim.id, ExpectedVersion::Any, &decided(ReturnState::Approved))
        .await
        .expect("approved");
    assert_eq!(state_of(&world, order).await, OrderState::Fulfilled, "what is still due was delivered");

    let (id, payment) = bought(&world, &[(CUP, 1)]).await;
    let order = stored(&world, id).await.orders[0].id;
    shop.change_payment(tenant(), payment, &change(TransferKind::Void, None), None).await.expect("it is given up");
    let cancelled = shop.ship(tenant(), order, &asked(&[(CUP, 1)], 500), None).await;
    assert!(matches!(cancelled, Err(CommerceError::ShippingRefused(_))), "{cancelled:?}");
    let (id, payment) = bought(&world, &[(CUP, 1)]).await;
    let order = stored(&world, id).await.orders[0].id;
    shop.change_payment(tenant(), payment, &all, None).await.expect("it is captured");
    shop.change_payment(tenant(), payment, &change(TransferKind::Refund, None), None).await.expect("it is refunded");
    let refunded = shop.ship(tenant(), order, &asked(&[(CUP, 1)], 500), None).await;
    assert!(matches!(refunded, Err(CommerceError::ShippingRefused(_))), "{refunded:?}");
}

/// One unit, as a naive shop would have it on its shelf.
#[derive(Default, Clone)]
struct Unit {
    shipment: Option<ShipmentId>,
    on_return: Option<ReturnId>,
    called_off: bool,
}

/// What a naive shop remembers of one order of one product.
struct Naive {
    units: Vec<Unit>,
    trackers: BTreeMap<ShipmentId, Option<TrackerStatus>>,
    voided: BTreeSet<ShipmentId>,
    fulfilled: bool,
}

impl Naive {
    fn free(&self) -> Vec<usize> {
        let is_free = |unit: &Unit| unit.shipment.is_none() && !unit.called_off;
        (0..self.units.len()).filter(|&at| is_free(&self.units[at])).collect()
    }

    fn take_off(&mut self, shipment: ShipmentId) {
        self.units.iter_mut().filter(|unit| unit.shipment == Some(shipment)).for_each(|unit| unit.shipment = None);
    }

    fn is_delivered(&self, unit: &Unit) -> bool {
        unit.shipment.is_some_and(|id| self.trackers[&id] == Some(TrackerStatus::Delivered))
    }

    fn check_end(&mut self) {
        let due: Vec<&Unit> = self.units.iter().filter(|unit| !unit.called_off).collect();
        self.fulfilled |= !due.is_empty() && due.into_iter().all(|unit| self.is_delivered(unit));
    }
}

const LIVES: u64 = 12;

pub async fn random_lives_of_shipments_equal_a_naive_reference(world: World) {
    for seed in 0..LIVES {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        world.shop.set_stock(tenant(), CUP, 100, None).await.expect("it is set");
        let count = random.random_range(1..8);
        let order = order_of(&world, &[(CUP, count)]).await.id;
        let mut naive = Naive {
            units: vec![Unit::default(); count as usize],
            trackers: BTreeMap::new(),
            voided: BTreeSet::new(),
            fulfilled: false,
        };
        for number in 0..40 {
            world.clock.advance(HOUR_MICROS);
            let known: Vec<ShipmentId> = naive.trackers.keys().copied().collect();
            match random.random_range(0..10) {
                0..=2 => ship_at_random(&world, order, &mut naive, &mut random).await,
                3 => return_at_random(&world, order, &mut naive, &mut random).await,
                _ if known.is_empty() => {}
                4 => void_at_random(&world, &known, &mut naive, &mut random).await,
                _ => track_at_random(&world, &known, number, &mut naive, &mut random).await,
            }
            let line = units(&world, order).await[0];
            let of = |what: fn(&Unit) -> bool| naive.units.iter().filter(|unit| what(unit)).count() as i64;
            assert_eq!(line.shipped, of(|unit| unit.shipment.is_some()), "seed {seed} step {number}");
            assert_eq!(line.returned, of(|unit| unit.on_return.is_some()), "seed {seed} step {number}");
            assert_eq!(line.called_off, of(|unit| unit.called_off), "seed {seed} step {number}");
            let is_fulfilled = state_of(&world, order).await == OrderState::Fulfilled;
            assert_eq!(is_fulfilled, naive.fulfilled, "seed {seed} step {number}");
        }
        forget_outbox(&world).await;
    }
}

async fn ship_at_random(world: &World, order: OrderId, naive: &mut Naive, random: &mut ChaCha8Rng) {
    let quantity = random.random_range(1..4);
    let free = naive.free();
    let done = world.shop.ship(tenant(), order, &asked(&[(CUP, quantity)], 500), None).await;
    assert_eq!(done.is_ok(), quantity as usize <= free.len(), "{done:?}");
    if let Ok(done) = done {
        naive.trackers.insert(done.value.id, None);
        free[..quantity as usize].iter().for_each(|&at| naive.units[at].shipment = Some(done.value.id));
    }
}

async fn return_at_random(world: &World, order: OrderId, naive: &mut Naive, random: &mut ChaCha8Rng) {
    let open: BTreeSet<ReturnId> = naive.units.iter().filter_map(|unit| unit.on_return).collect();
    if let Some(id) = open.first() {
        let declined = decided(ReturnState::Declined);
        world.shop.move_return(tenant(), *id, ExpectedVersion::Any, &declined).await.expect("it is declined");
        let of_return = |unit: &&mut Unit| unit.on_return == Some(*id);
        naive.units.iter_mut().filter(of_return).for_each(|unit| (unit.on_return, unit.called_off) = (None, false));
        return;
    }
    let quantity = random.random_range(1..4);
    let done = world.shop.open_return(tenant(), &claimed(order, ReturnKind::Return, quantity), None).await;
    assert_eq!(done.is_ok(), quantity as usize <= naive.units.len(), "{done:?}");
    let Ok(done) = done else { return };
    // What the buyer has comes first.
    naive.units.sort_by_key(|unit| unit.shipment.is_none());
    for unit in &mut naive.units[..quantity as usize] {
        (unit.on_return, unit.called_off) = (Some(done.value.id), unit.shipment.is_none());
    }
}

async fn void_at_random(world: &World, known: &[ShipmentId], naive: &mut Naive, random: &mut ChaCha8Rng) {
    let id = known[random.random_range(0..known.len())];
    if naive.units.iter().any(|unit| unit.on_return.is_some()) {
        return;
    }
    let is_free = matches!(naive.trackers[&id], None | Some(TrackerStatus::LabelMade));
    let done = world.shop.void_label(tenant(), id).await;
    assert_eq!(done.is_ok(), is_free || naive.voided.contains(&id), "{done:?}");
    if is_free {
        naive.voided.insert(id);
        naive.take_off(id);
    }
}

async fn track_at_random(world: &World, known: &[ShipmentId], number: i32, naive: &mut Naive, random: &mut ChaCha8Rng) {
    let id = known[random.random_range(0..known.len())];
    let status = TrackerStatus::ALL[random.random_range(0..TrackerStatus::ALL.len())];
    let has_return = naive.units.iter().any(|unit| unit.on_return.is_some());
    if (status == TrackerStatus::Returned && has_return) || naive.voided.contains(&id) {
        return;
    }
    let news = vec![event(&format!("{number}"), status, world.clock.now())];
    tell(world, &world.shop, id, news).await.expect("it is taken");
    let before = naive.trackers[&id];
    if before.is_none_or(|before| before.leads_to(status)) {
        naive.trackers.insert(id, Some(status));
        match status {
            TrackerStatus::Returned => naive.take_off(id),
            TrackerStatus::Delivered => naive.check_end(),
            _ => {}
        }
    }
}

/// One step of an order's shipments, done by `shop`; steps are repeated until they are answered.
async fn life(world: &World, shop: &Shop, number: usize, order: OrderId, run: i64) -> Result<(), CommerceError> {
    let ship = async |name: &str, units: i64| {
        let key = Idempotency::new(&format!("{name}-{run}"), "ship", b"").expect("a valid key");
        shop.ship(tenant(), order, &asked(&[(CUP, units)], 500), Some(&key)).await.map(|answered| answered.value.id)
    };
    match number {
        0 => ship("a", 2).await.map(drop),
        1 => {
            let id = ship("a", 2).await?;
            shop.void_label(tenant(), id).await.map(drop)
        }
        2 => ship("b", 2).await.map(drop),
        3 => {
            let id = ship("b", 2).await?;
            tell(world, shop, id, vec![event("1", TrackerStatus::HandedOver, carriers_time(run))]).await
        }
        _ => {
            let id = ship("b", 2).await?;
            tell(world, shop, id, vec![event("2", TrackerStatus::Delivered, carriers_time(run) + HOUR_MICROS)]).await
        }
    }
}

/// The carrier's clock, which is its own.
fn carriers_time(run: i64) -> Timestamp {
    Timestamp::from_micros(1_772_000_000 * SECOND_MICROS + run)
}

pub async fn wherever_a_process_dies_a_shipment_is_counted_labelled_and_told_of_once(world: World) {
    let points: Arc<WritePoints> = Arc::default();
    let mortal = world.mortal_process(3, &points).await;
    *world.carrier.points.lock().expect("no panic") = Some(points.clone());
    for run in 1.. {
        assert!(run < 400, "there are fewer write points");
        world.shop.set_stock(tenant(), CUP, 2, None).await.expect("two cups are there");
        let order = order_of(&world, &[(CUP, 2)]).await.id;
        let (made, given_up) = world.carrier.counts();
        forget_outbox(&world).await;
        points.end_at(run);
        for number in 0..5 {
            let lived = tokio::select! {
                done = life(&world, &mortal, number, order, run) => { done.expect("it is done"); true }
                () = points.ended() => false,
            };
            if !lived {
                points.disarm();
                world.clock.advance(RECOVERY_AFTER_MICROS + 1);
                world.shop.recover_pending().await.expect("recovery works");
                life(&world, &world.shop, number, order, run).await.expect("a successor does it");
            }
        }
        let left = points.disarm();
        world.clock.advance(RECOVERY_AFTER_MICROS + 1);
        world.shop.recover_pending().await.expect("recovery works");
        assert_eq!(state_of(&world, order).await, OrderState::Fulfilled, "run {run}");
        assert_eq!(world.carrier.counts(), (made + 2, given_up + 1), "run {run}");
        assert_eq!(units(&world, order).await[0].shipped, 2, "run {run}");
        assert_eq!(told(&world, &FACTS).await, [1, 1, 1], "run {run}");
        let mut sequences: BTreeMap<String, i64> = BTreeMap::new();
        for record in world.outbox().await.iter().filter(|record| record.aggregate.starts_with("shp_")) {
            let last = sequences.entry(record.aggregate.clone()).or_default();
            *last += 1;
            assert_eq!(record.sequence, *last, "run {run}: {}", record.aggregate);
        }
        assert_eq!(sequences.into_values().collect::<BTreeSet<_>>(), BTreeSet::from([4, 6]), "run {run}");
        if left > 0 {
            assert!(run > 40, "a life has more write points than {run}");
            return;
        }
    }
}
