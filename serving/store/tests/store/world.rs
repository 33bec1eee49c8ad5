//! A small marketplace for each test: a database, two sellers' products, a rail and a model that do as they are told.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dhow_commerce::*;
use dhow_events::*;
use dhow_store::{Store, StoreSettings, sqlite_url};
use tokio::sync::Barrier;

use crate::server;

/// A checkout of this many cents is declined by the model.
pub const FRAUD_USD_MINOR: i64 = 66_600;
/// A checkout of this many cents is to be reviewed; the model gives it even odds.
pub const REVIEW_USD_MINOR: i64 = 77_701;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// A rail that keeps books of what it holds, and can take a process down after it did.
#[derive(Clone)]
pub struct TestRail {
    inner: SimulatedRail,
    pub approved: Arc<Mutex<BTreeSet<String>>>,
    /// The keys of what was voided.
    pub voided: Arc<Mutex<BTreeSet<String>>>,
    /// Where set, requests to void get no answer.
    pub loses_voids: Arc<AtomicBool>,
    pub dies_after_approving: Arc<AtomicBool>,
    /// Where set, answers wait until as many requests are under way as the barrier asks for.
    pub meeting: Arc<Mutex<Option<Arc<Barrier>>>>,
}

impl PaymentRail for TestRail {
    async fn authorise(&self, request: &AuthorisationRequest) -> Result<Authorisation, RailError> {
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
        answer
    }

    async fn void(&self, request: &VoidRequest) -> Result<(), RailError> {
        let held = self.approved.lock().expect("no test panics here").contains(&request.idempotency_key);
        assert!(held && request.reference.ends_with(&request.idempotency_key), "only what is held is given up");
        self.voided.lock().expect("no test panics here").insert(request.idempotency_key.clone());
        if self.loses_voids.load(Ordering::SeqCst) {
            return Err(RailError::NoAnswer("lost".to_owned()));
        }
        self.inner.void(request).await
    }
}

struct TestModel;

impl FraudCheck for TestModel {
    fn score(&self, request: &FraudRequest<'_>) -> Result<FraudDecision, FraudCheckError> {
        let (probability, action) = match request.checkout.total_usd_minor {
            FRAUD_USD_MINOR => (0.97, FraudAction::Decline),
            REVIEW_USD_MINOR => (0.5, FraudAction::Review),
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
    pub shop: Arc<Shop>,
    _folder: tempfile::TempDir,
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
            inner: SimulatedRail::new(clock.clone()),
            approved: Arc::default(),
            voided: Arc::default(),
            loses_voids: Arc::default(),
            dies_after_approving: Arc::default(),
            meeting: Arc::default(),
        };
        let shop = open(&url, rail.clone(), clock.clone(), 1).await;
        shop.import_products(tenant(), &[imported(CUP, 1, 500, 10), imported(POT, 2, 2000, 5)])
            .await
            .expect("the products are taken over");
        Self { url, clock, rail, shop, _folder: folder }
    }

    /// Another process on the same database and rail.
    pub async fn another_process(&self, seed: u8) -> Arc<Shop> {
        open(&self.url, self.rail.clone(), self.clock.clone(), seed).await
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

async fn open(url: &str, rail: TestRail, clock: Arc<ManualClock>, seed: u8) -> Arc<Shop> {
    let store = Store::connect(url, StoreSettings::default()).await.expect("the database opens");
    let rates = ExchangeRates::new(clock.now(), [(Currency::EUR, 900_000)]).expect("positive rates");
    Arc::new(Commerce::new(store, rail, Arc::new(TestModel), rates, clock, IdSource::new([seed; 32])))
}

pub fn input(seller: u128, price_usd_minor: i64) -> ProductInput {
    ProductInput {
        seller: SellerId::from_u128(seller),
        reference: format!("{seller}/{price_usd_minor}"),
        title: "Thing of \"clay\" — ünïcode".to_owned(),
        description: String::new(),
        category: Category::new("home/kitchen").expect("a valid category"),
        price: Money::usd(price_usd_minor),
        region: Region::new("GB").expect("a valid region"),
        weight_grams: 300,
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
        lines: lines.iter().map(|(product, quantity)| CartLine { product: *product, quantity: *quantity }).collect(),
    }
}

pub fn key(key: &str, body: &str) -> Idempotency {
    Idempotency::new(key, "POST /v1/checkouts", body.as_bytes()).expect("a valid key")
}
