//! A small marketplace for each test: a database, two sellers' products, a rail and a model that do as they are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dhow_billing::PriceLists;
use dhow_commerce::*;
use dhow_commission::CommissionTables;
use dhow_events::*;
use dhow_shipping::SimulatedCarrier;
use dhow_store::{Store, StoreSettings, WritePoints, sqlite_url};
use tokio::sync::Barrier;

use crate::faults::{Fault, Faults};
use crate::server;
use crate::shipments::{CARRIER_SECRET, TestCarrier};

/// A checkout of this many cents is declined by the model.
pub const FRAUD_USD_MINOR: i64 = 66_600;
/// A checkout of this many cents is to be reviewed; the model gives it even odds.
pub const REVIEW_USD_MINOR: i64 = 77_701;
/// Also for review, by a lower probability: a buyer may still have it on credit.
pub const MILD_REVIEW_USD_MINOR: i64 = 15_501;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// What the rail's own books say of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub tenant: TenantId,
    pub kind: TransferKind,
    pub amount: Money,
    /// Taken back after it was done.
    pub taken_back: bool,
}

/// A rail that keeps books of what it holds and moved, and can lose answers or take a process down.
#[derive(Clone)]
pub struct TestRail {
    inner: SimulatedRail,
    pub approved: Arc<Mutex<BTreeSet<String>>>,
    /// What was moved, by key.
    pub moved: Arc<Mutex<BTreeMap<String, Moved>>>,
    /// Where set, transfers get no answer after they were done.
    pub loses_answers: Arc<AtomicBool>,
    pub dies_after_approving: Arc<AtomicBool>,
    /// Where set, cards are declined.
    pub declines_cards: Arc<AtomicBool>,
    /// Where set, instalments are declined.
    pub declines_instalments: Arc<AtomicBool>,
    /// Where set, answers wait until as many requests are under way as the barrier asks for.
    pub meeting: Arc<Mutex<Option<Arc<Barrier>>>>,
    /// Faults by a seed.
    pub faults: Arc<Mutex<Option<Faults>>>,
    /// Where set, each side of the rail is a write point too.
    pub points: Arc<Mutex<Option<Arc<WritePoints>>>>,
}

/// What the rail's messages are signed with.
pub const RAIL_SECRET: &[u8] = b"the rail's secret";

impl TestRail {
    /// The sum of what was moved for the default tenant by transfers of a kind and not taken back.
    pub fn sum(&self, kind: TransferKind) -> i64 {
        self.sum_of(tenant(), kind)
    }

    /// The same for any tenant.
    pub fn sum_of(&self, tenant: TenantId, kind: TransferKind) -> i64 {
        let moved = self.moved.lock().expect("no test panics here");
        let counts = |moved: &&Moved| moved.tenant == tenant && moved.kind == kind && !moved.taken_back;
        moved.values().filter(counts).map(|moved| moved.amount.amount_minor).sum()
    }

    /// Moves an amount without being asked again, before its message is sent.
    pub fn book(&self, tenant: TenantId, key: &str, kind: TransferKind, amount: Money) {
        let mut moved = self.moved.lock().expect("no test panics here");
        let booked = moved.entry(key.to_owned()).or_insert(Moved { tenant, kind, amount, taken_back: false });
        assert_eq!((booked.tenant, booked.kind, booked.amount), (tenant, kind, amount), "one key is one request");
    }

    /// Takes back what was moved.
    pub fn take_back(&self, key: &str) {
        let mut moved = self.moved.lock().expect("no test panics here");
        moved.get_mut(key).expect("it was moved").taken_back = true;
    }

    fn next_fault(&self) -> Option<Fault> {
        self.faults.lock().expect("no test panics here").as_mut().map(Faults::next)
    }

    async fn pass(&self) {
        let points = self.points.lock().expect("no test panics here").clone();
        if let Some(points) = points {
            points.pass().await;
        }
    }
}

impl PaymentRail for TestRail {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn authorise(&self, request: &AuthorisationRequest) -> Result<Authorisation, RailError> {
        self.pass().await;
        let fault = self.next_fault();
        Fault::before(fault)?;
        if self.declines_cards.load(Ordering::SeqCst) {
            return Ok(Authorisation::Declined { reason: "card_declined".to_owned() });
        }
        let answer = self.inner.authorise(request).await;
        if matches!(answer, Ok(Authorisation::Approved { .. })) {
            self.approved.lock().expect("no test panics here").insert(request.idempotency_key.clone());
        }
        if self.dies_after_approving.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let meeting = self.meeting.lock().expect("no test panics here").clone();
        if let Some(meeting) = meeting {
            meeting.wait().await;
        }
        self.pass().await;
        Fault::after(fault)?;
        answer
    }

    async fn transfer(&self, request: &TransferRequest) -> Result<TransferAnswer, RailError> {
        self.pass().await;
        let fault = self.next_fault();
        Fault::before(fault)?;
        if fault == Some(Fault::Pending) {
            return Ok(TransferAnswer::Pending);
        }
        if request.kind == TransferKind::Void {
            let reference = request.payment_reference.as_deref().unwrap_or_default();
            let held = self.approved.lock().expect("no test panics here");
            assert!(held.iter().any(|key| reference.ends_with(key.as_str())), "only what is held is given up");
        }
        if request.kind == TransferKind::Instalment && self.declines_instalments.load(Ordering::SeqCst) {
            return Ok(TransferAnswer::Declined { reason: "insufficient_funds".to_owned() });
        }
        let answer = self.inner.transfer(request).await;
        if matches!(answer, Ok(TransferAnswer::Done { .. })) {
            self.book(request.tenant, &request.idempotency_key, request.kind, request.amount);
        }
        self.pass().await;
        Fault::after(fault)?;
        if self.loses_answers.load(Ordering::SeqCst) {
            return Err(RailError::NoAnswer("lost".to_owned()));
        }
        answer
    }

    fn read_notice(&self, signed: &SignedNotice<'_>) -> Result<RailNotice, NoticeError> {
        self.inner.read_notice(signed)
    }
}

struct TestModel;

impl FraudCheck for TestModel {
    fn score(&self, request: &FraudRequest<'_>) -> Result<FraudDecision, FraudCheckError> {
        let (probability, action) = match request.checkout.total_usd_minor {
            FRAUD_USD_MINOR => (0.97, FraudAction::Decline),
            REVIEW_USD_MINOR => (0.5, FraudAction::Review),
            MILD_REVIEW_USD_MINOR => (0.3, FraudAction::Review),
            _ => (0.02, FraudAction::Approve),
        };
        Ok(FraudDecision {
            probability,
            action,
            reasons: vec![Reason { code: "amount".to_owned(), text: "the amount".to_owned(), contribution: 1.5 }],
            model: "test-1".to_owned(),
            features: vec![
                FeatureValue { name: "total".to_owned(), value: Some(request.checkout.total_usd_minor as f64) },
                FeatureValue { name: "age".to_owned(), value: None },
            ],
            thresholds: None,
            rules: None,
            shadows: Vec::new(),
            applied_offsets: vec![AppliedOffset { partition: 3, offset: 41, share: None, links: false }],
            degraded: false,
            latency_us: 12,
        })
    }
}

pub type Shop = Commerce<Store, TestRail>;

pub struct World {
    pub url: String,
    pub clock: Arc<ManualClock>,
    pub rail: TestRail,
    pub carrier: TestCarrier,
    pub shop: Arc<Shop>,
    pub folder: tempfile::TempDir,
}

pub const CUP: ProductId = ProductId::from_u128(0xc0);
pub const POT: ProductId = ProductId::from_u128(0xd0);

/// The default tenant.
pub fn tenant() -> TenantId {
    TenantId::default()
}

static DATABASE_COUNT: AtomicU64 = AtomicU64::new(0);

impl World {
    /// Two sellers: a cup for 5.00 USD (10 there) and a pot for 20.00 USD (5 there).
    pub async fn new(database: Database) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = match database {
            Database::Sqlite => sqlite_url(&folder.path().join("shop #1.db")),
            Database::Postgres => {
                let count = DATABASE_COUNT.fetch_add(1, Ordering::SeqCst);
                server::new_database(&format!("dhow_test_{}_{count}", std::process::id())).await
            }
        };
        let clock = Arc::new(ManualClock::new("2026-03-01T12:00:00Z".parse().expect("a valid time")));
        let rail = TestRail {
            inner: SimulatedRail::new(clock.clone()).with_secret(RAIL_SECRET),
            approved: Arc::default(),
            moved: Arc::default(),
            loses_answers: Arc::default(),
            dies_after_approving: Arc::default(),
            declines_cards: Arc::default(),
            declines_instalments: Arc::default(),
            meeting: Arc::default(),
            faults: Arc::default(),
            points: Arc::default(),
        };
        let carrier = TestCarrier::new(SimulatedCarrier::post(clock.clone()));
        let shop = open(&url, (rail.clone(), carrier.clone()), clock.clone(), 1).await;
        shop.import_products(tenant(), &[imported(CUP, 1, 500, 10), imported(POT, 2, 2000, 5)])
            .await
            .expect("the products are taken over");
        Self { url, clock, rail, carrier, shop, folder }
    }

    /// Another process on the same database and rail.
    pub async fn another_process(&self, seed: u8) -> Arc<Shop> {
        open(&self.url, self.partners(), self.clock.clone(), seed).await
    }

    /// Another process, where products wait for a review.
    pub async fn reviewing_process(&self) -> Arc<Shop> {
        let shop = Arc::into_inner(self.another_process(3).await).expect("nobody else has it");
        Arc::new(shop.with_reviews(true))
    }

    /// A process whose requests wait for the database as long as it takes.
    pub async fn patient_process(&self) -> Arc<Shop> {
        let acquire_timeout = std::time::Duration::from_secs(300);
        let settings = StoreSettings { acquire_timeout, ..StoreSettings::default() };
        let store = Store::connect(&self.url, settings).await.expect("the database opens");
        shop(store, self.partners(), self.clock.clone(), 9)
    }

    /// A process on the same database and rail that ends at one of its write points.
    pub async fn mortal_process(&self, seed: u8, points: &Arc<WritePoints>) -> Arc<Shop> {
        let store = Store::connect(&self.url, StoreSettings::default()).await.expect("the database opens");
        shop(store.with_write_points(points.clone()), self.partners(), self.clock.clone(), seed)
    }

    fn partners(&self) -> (TestRail, TestCarrier) {
        (self.rail.clone(), self.carrier.clone())
    }

    /// Sends a message of the rail.
    pub async fn notice(&self, tenant: TenantId, key: &str, outcome: RailOutcome) -> Result<(), CommerceError> {
        self.notice_to(&self.shop, tenant, key, outcome).await
    }

    /// Sends a message of the rail to one of several processes.
    pub async fn notice_to(
        &self,
        shop: &Shop,
        tenant: TenantId,
        key: &str,
        outcome: RailOutcome,
    ) -> Result<(), CommerceError> {
        let body = serde_json::to_vec(&RailNotice { tenant, key: key.to_owned(), outcome }).expect("it is written");
        let timestamp = (self.clock.now().micros() / SECOND_MICROS).to_string();
        let signature = sign(RAIL_SECRET, "msg_1", &timestamp, &body);
        let signed = SignedNotice { id: "msg_1", timestamp: &timestamp, signature: &signature, body: &body };
        shop.take_notice("simulator", &signed).await
    }

    pub async fn stock(&self, product: ProductId) -> (i64, i64) {
        let level = self.shop.storage().stock(tenant(), product).await.expect("the stock is read");
        level.map(|level| (level.on_hand, level.reserved)).expect("the product has stock")
    }

    /// All events that wait in the outbox, in order.
    pub async fn outbox(&self) -> Vec<OutboxRecord> {
        self.shop.storage().outbox_take(OUTBOX_BATCH_MAX).await.expect("the outbox is read")
    }

    /// The names of the facts that wait in the outbox, in order.
    pub async fn facts(&self) -> Vec<&'static str> {
        self.outbox().await.iter().map(|record| record.event.fact.kind().name()).collect()
    }

    pub async fn decisions(&self) -> Vec<DecisionRecord> {
        let page = PageRequest::new(100, None, "dec").expect("a valid page");
        let page = self.shop.storage().decisions(tenant(), &DecisionFilter::default(), &page).await;
        page.expect("the decisions are read").items
    }

    pub async fn orders(&self) -> Vec<Order> {
        let page = PageRequest::new(100, None, "ord").expect("a valid page");
        let page = self.shop.storage().orders(tenant(), &OrderFilter::default(), &page).await;
        page.expect("the orders are read").items
    }
}

async fn open(url: &str, partners: (TestRail, TestCarrier), clock: Arc<ManualClock>, seed: u8) -> Arc<Shop> {
    let store = Store::connect(url, StoreSettings::default()).await.expect("the database opens");
    shop(store, partners, clock, seed)
}

fn shop(store: Store, (rail, carrier): (TestRail, TestCarrier), clock: Arc<ManualClock>, seed: u8) -> Arc<Shop> {
    let rates = ExchangeRates::new(clock.now(), [(Currency::EUR, 900_000)]).expect("positive rates");
    let tables = MarketplaceTables {
        commission: CommissionTables::marketplace().expect("the built-in rates"),
        prices: PriceLists::marketplace().expect("the built-in prices"),
    };
    let mut carriers = Carriers::default();
    carriers.add(Arc::new(carrier), Some(CARRIER_SECRET)).expect("the only carrier");
    let shop = Commerce::new(store, rail, Arc::new(TestModel), rates, tables, clock, IdSource::new([seed; 32]));
    Arc::new(shop.with_carriers(carriers))
}

pub fn input(seller: u128, price_usd_minor: i64) -> ProductInput {
    ProductInput {
        seller: SellerId::from_u128(seller),
        reference: format!("{seller}/{price_usd_minor}"),
        title: "Thing of \"clay\" — ünïcode".to_owned(),
        description: String::new(),
        category: Category::new("home/kitchen").expect("a valid category"),
        price: Money::usd(price_usd_minor),
        prices: Vec::new(),
        region: Region::new("GB").expect("a valid region"),
        sale_regions: dhow_events::SaleRegions::default(),
        weight_grams: 300,
        media: Vec::new(),
        attributes: std::collections::BTreeMap::new(),
        variant: None,
    }
}

pub fn imported(id: ProductId, seller: u128, price_usd_minor: i64, on_hand: i64) -> ImportedProduct {
    ImportedProduct { id, input: input(seller, price_usd_minor), on_hand }
}

/// Buyer 7 wants to buy `lines`.
pub fn cart(lines: &[(ProductId, i64)]) -> CheckoutRequest {
    CheckoutRequest {
        buyer: BuyerId::from_u128(7),
        session: None,
        device: Some(DeviceId::from_u128(8)),
        card: Some(CardId::from_u128(9)),
        address: None,
        region: Region::new("GB").expect("a valid region"),
        delivery_region: Region::new("NG-LA").expect("a valid region"),
        payment_method: PaymentMethod::Card,
        pay_later_plan: None,
        currency: None,
        lines: lines.iter().map(|(product, quantity)| CartLine { product: *product, quantity: *quantity }).collect(),
    }
}

pub fn key(key: &str, body: &str) -> Idempotency {
    Idempotency::new(key, "POST /v1/checkouts", body.as_bytes()).expect("a valid key")
}
