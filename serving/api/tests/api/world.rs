//! A platform on a fresh folder with its API; every answer that a test gets is held against the OpenAPI document.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use dhow_api::{ApiSettings, router};
use dhow_commerce::{AccessStorage, ApiKey, ApiKeySecret, ExchangeRates, Permission};
use dhow_customs::{Borders, ComplianceRules, HsTable, TariffHead, TariffTable, TariffTables};
use dhow_definitions::FeatureSet;
use dhow_engine::{
    CarrierSettings, Engine, EngineError, EngineSettings, Folders, LogPlace, MonitorSettings, Port, SeaChart,
    StorefrontSettings,
};
use dhow_events::*;
use dhow_links::LinkSettings;
use dhow_offline::FolderStorage;
use dhow_online::OnlineSettings;
use dhow_registry::ModelKeys;
use dhow_shipping::{SeaLeg, SeaNetwork, SeaPoint};
use dhow_store::SecretKeys;
use dhow_streams::LocalLogSettings;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::document::Document;

pub const START: &str = "2026-03-01T12:00:00Z";

/// Vectors that are compared with what the fraud model learned from at once.
pub const MONITOR_WINDOW: usize = 40;

/// What the payment rail signs its messages with.
pub const RAIL_SECRET: &[u8] = b"the rail's own secret";
/// What the carriers' messages are signed with.
pub const CARRIER_SECRET: &[u8] = b"the carriers' own secret";

pub struct World {
    pub engine: Arc<Engine>,
    pub router: Router,
    pub clock: Arc<ManualClock>,
    pub document: Document,
    stop: tokio::sync::watch::Sender<bool>,
    folder: Arc<tempfile::TempDir>,
}

/// What a request was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["code"].as_str().unwrap().to_owned()
    }

    /// The words of an error of the Open Inference Protocol.
    pub fn protocol_error(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        self.json()["error"].as_str().unwrap().to_owned()
    }

    /// The pointers of a problem's errors.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

/// A request that is being put together.
pub struct Ask<'a> {
    world: &'a World,
    method: &'a str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn key(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    pub async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(self.body)).unwrap();
        let response = self.world.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, text, bytes: bytes.to_vec() };
        self.world.document.check_answer(self.method, &self.path, &answer);
        answer
    }
}

impl World {
    /// Open access, no models.
    pub async fn new() -> Self {
        Self::with(ApiSettings::default(), Arc::new(SystemClock)).await
    }

    pub async fn with(settings: ApiSettings, stopwatch: Arc<dyn Clock>) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), settings, stopwatch).await
    }

    /// The same platform after its process ended; `between` changes what it has left.
    pub async fn restarted(self, between: impl FnOnce(&Path)) -> Self {
        Self::on(self.ended(between).await, ApiSettings::default(), Arc::new(SystemClock)).await
    }

    /// The same platform after its process ended, with other settings.
    pub async fn restarted_with(self, settings: impl FnOnce(EngineSettings) -> EngineSettings) -> Self {
        let folder = self.ended(|_| {}).await;
        Self::opened(folder, ApiSettings::default(), Arc::new(SystemClock), settings).await.unwrap()
    }

    /// Why the same platform does not start with other settings.
    pub async fn refused_with(self, settings: impl FnOnce(EngineSettings) -> EngineSettings) -> String {
        let folder = self.ended(|_| {}).await;
        let opened = Self::opened(folder, ApiSettings::default(), Arc::new(SystemClock), settings).await;
        opened.err().expect("it is refused").to_string()
    }

    /// What its process left behind.
    async fn ended(self, between: impl FnOnce(&Path)) -> Arc<tempfile::TempDir> {
        let folder = self.folder.clone();
        drop(self);
        // Its tasks end a moment later, and with them the hold on the log.
        let place = folder.path().join("log");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        while dhow_streams::LocalLog::open(&place, LocalLogSettings::default(), clock.clone()).is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        between(folder.path());
        folder
    }

    async fn on(folder: Arc<tempfile::TempDir>, settings: ApiSettings, stopwatch: Arc<dyn Clock>) -> Self {
        Self::opened(folder, settings, stopwatch, |settings| settings).await.unwrap()
    }

    async fn opened(
        folder: Arc<tempfile::TempDir>,
        settings: ApiSettings,
        stopwatch: Arc<dyn Clock>,
        change: impl FnOnce(EngineSettings) -> EngineSettings,
    ) -> Result<Self, EngineError> {
        let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
        let engine = Engine::open(change(engine_settings(folder.path(), clock.clone(), stopwatch))).await?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let _end = engine.spawn_tasks(stopped).unwrap();
        let router = router(engine.clone(), settings);
        let document = Document::new(&serde_json::from_str(&dhow_api::openapi()).unwrap());
        Ok(Self { engine, router, clock, document, stop, folder })
    }

    pub fn ask<'a>(&'a self, method: &'a str, path: impl Into<String>) -> Ask<'a> {
        Ask { world: self, method, path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.ask("GET", path).send().await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path).json(body).send().await
    }

    /// Makes a key in the database, as another server would.
    pub async fn key(&self, tenant: &str, permissions: &[Permission]) -> (KeyId, String) {
        let number = self.engine.random();
        let mut bits = [0; 32];
        bits[..16].copy_from_slice(&number.to_le_bytes());
        let secret = ApiKeySecret::from_random(bits);
        let key = ApiKey {
            id: KeyId::from_u128(number),
            tenant: tenant.parse().unwrap(),
            name: "test".to_owned(),
            permissions: permissions.to_vec(),
            last_four: secret.last_four(),
            created_at: self.clock.now(),
            revoked_at: None,
        };
        self.engine.store().create_api_key(&key, &secret.hash()).await.unwrap();
        (key.id, secret.reveal().to_owned())
    }

    /// Lists a product and gives its id.
    pub async fn product(&self, title: &str, cents: i64, on_hand: i64) -> String {
        let listed = self.post("/v1/products", &product(title, cents)).await;
        assert_eq!(listed.status, 201, "{listed:?}");
        let id = listed.json()["id"].as_str().unwrap().to_owned();
        let stock =
            self.ask("PUT", format!("/v1/products/{id}/stock")).json(&json!({ "on_hand": on_hand })).send().await;
        assert_eq!(stock.status, 200, "{stock:?}");
        id
    }

    /// Asks again until `holds`, for at most ten seconds.
    pub async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..500 {
            let answer = self.get(path).await;
            if answer.status == 200 && holds(&answer.json()) {
                return answer.json();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{path} did not become what it should: {:?}", self.get(path).await);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        // A worker that failed was the test's own doing.
        let _stopped = self.engine.stop();
    }
}

/// A platform on `folder` for one tenant.
pub fn engine_settings(folder: &Path, clock: Arc<ManualClock>, stopwatch: Arc<dyn Clock>) -> EngineSettings {
    let rates = [(Currency::GBP, 800_000), (Currency::new("NGN").unwrap(), 1_500_000_000)];
    EngineSettings {
        data: folder.to_owned(),
        database_url: dhow_store::sqlite_url(&Folders::of(folder).database),
        lake: Arc::new(FolderStorage::new(Folders::of(folder).lake)),
        features: FeatureSet::marketplace().unwrap(),
        online: OnlineSettings { allowed_lateness_micros: DAY_MICROS, duplicate_horizon_micros: DAY_MICROS },
        links: LinkSettings::default(),
        log: LogPlace::Local(LocalLogSettings::default()),
        redis: None,
        checkpoint_records: 1_000,
        storefront: StorefrontSettings::default(),
        borders: Borders {
            tariffs: customs_of_2025(),
            rules: ComplianceRules::from_csv(include_str!("../../../customs/tests/customs/rules.csv")).unwrap(),
            codes: HsTable::default(),
        },
        carriers: CarrierSettings::simulated()
            .into_iter()
            .map(|carrier| CarrierSettings { secret: Some(CARRIER_SECRET.to_vec()), ..carrier })
            .collect(),
        sea: sea_chart(),
        model_keys: ModelKeys::default(),
        secret_keys: SecretKeys::default(),
        monitor: MonitorSettings { window_vectors: MONITOR_WINDOW, ..MonitorSettings::default() },
        tenants: vec![TenantId::default()],
        rates: ExchangeRates::new(clock.now(), rates).unwrap(),
        rail_secret: Some(RAIL_SECRET.to_vec()),
        feed_kept_micros: 30 * DAY_MICROS,
        webhooks_to_loopback: true,
        reviews_products: false,
        clock,
        stopwatch,
        id_seed: [7; 32],
    }
}

/// Two ports with a canal between them and a way around, and one that lies far from both.
fn sea_chart() -> SeaChart {
    let at = |longitude: f64, latitude: f64| SeaPoint { longitude, latitude };
    let leg = |from, to, passage: Option<&str>| SeaLeg { from, to, passage: passage.map(str::to_owned) };
    let (a, b, c) = (at(0.0, 0.0), at(1.0, 0.0), at(0.5, 3.0));
    let legs = [leg(a, b, Some("canal")), leg(a, c, None), leg(c, b, Some("strait"))];
    let ports = [("NLRTM", "Rotterdam", a), ("CNSHA", "Shanghai", b), ("BOLPB", "La Paz", at(-68.0, -16.5))];
    let port =
        |(code, name, point): (&str, &str, SeaPoint)| (code.parse().unwrap(), Port { name: name.to_owned(), point });
    SeaChart { network: Some(SeaNetwork::new(&legs).unwrap()), ports: ports.into_iter().map(port).collect() }
}

/// A few provisions of the tariff of the United States in the spring of 2025, and an invented one of Kenya for 2026.
fn customs_of_2025() -> TariffTables {
    let head = TariffHead {
        version: "US-2025-spring".to_owned(),
        destination: "US".parse().unwrap(),
        currency: Currency::USD,
        from: "2025-01-01".parse().unwrap(),
        until: "2025-05-13".parse().unwrap(),
    };
    let mut tables = TariffTables::default();
    tables
        .add(TariffTable::from_csv(head, include_str!("../../../customs/tests/customs/us_2025.csv")).unwrap())
        .unwrap();
    let head = TariffHead {
        version: "KE-invented".to_owned(),
        destination: "KE".parse().unwrap(),
        currency: Currency::USD,
        from: "2026-01-01".parse().unwrap(),
        until: "2026-12-31".parse().unwrap(),
    };
    tables
        .add(TariffTable::from_csv(head, include_str!("../../../customs/tests/customs/invented.csv")).unwrap())
        .unwrap();
    tables
}

pub fn buyer() -> BuyerId {
    BuyerId::from_u128(0xb)
}

pub fn seller() -> SellerId {
    SellerId::from_u128(0x5)
}

pub fn product(title: &str, cents: i64) -> Value {
    json!({
        "seller": seller(), "reference": title, "title": title, "category": "home/kitchen",
        "price": { "amount": cents.to_string(), "currency": "USD" }, "region": "GB", "weight_grams": 300,
    })
}

pub fn view(number: u32, product: ProductId) -> Value {
    let viewed = facts::ProductViewed {
        session: SessionId::from_u128(0x77),
        buyer: Some(buyer()),
        product,
        device: DeviceId::from_u128(0xd),
        region: Region::new("GB").unwrap(),
        decision: None,
    };
    let (id, event_time) = (EventId::from_u128(u128::from(number)), START.parse().unwrap());
    cloudevents::to_json(&Event { id, tenant: TenantId::default(), event_time, fact: viewed.into() })
}
