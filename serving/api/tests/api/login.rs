//! People who log in: to a provider on this machine and back, what their session opens, and every way in that is refused.

use std::sync::Arc;

use dhow_api::{ApiSettings, router_with_login};
use dhow_commerce::{LOGIN_ATTEMPT_MICROS, Permission, RoleName};
use dhow_events::{Clock, HOUR_MICROS, ManualClock, SECOND_MICROS, SystemClock, TenantId, Timestamp};
use dhow_login::{Login, LoginSettings};
use serde_json::{Value, json};
use url::Url;

use crate::provider::{CLIENT, Provider, SECRET, Signer};
use crate::world::{Answer, START, World, product};

const ORIGIN: &str = "http://127.0.0.1:8080";

/// A platform where people log in at a provider of this test.
struct Shop {
    world: World,
    provider: Provider,
}

impl Shop {
    async fn open() -> Self {
        Self::with(ORIGIN, Arc::new(SystemClock)).await
    }

    async fn with(origin: &str, stopwatch: Arc<dyn Clock>) -> Self {
        let mut world = World::with(ApiSettings::default(), stopwatch).await;
        let now: Timestamp = START.parse().unwrap();
        let provider = Provider::start(now.micros() / SECOND_MICROS).await;
        let settings = LoginSettings {
            issuer: provider.issuer(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(SECRET.to_owned()),
            redirect_url: format!("{origin}/v1/login/callback"),
            scopes: vec!["email".to_owned()],
            role_claim: "groups".to_owned(),
            name_claim: "email".to_owned(),
            roles: [("shop-admins", RoleName::Owner), ("shop-support", RoleName::Support)]
                .map(|(value, role)| (value.to_owned(), role))
                .to_vec(),
            tenant: TenantId::default(),
            session_hours: 2,
        };
        let login = Arc::new(Login::discover(settings).await.unwrap());
        world.router = router_with_login(world.engine.clone(), ApiSettings::default(), login);
        Self { world, provider }
    }

    /// Begins a login; gives its cookie and where the provider sends the browser back to.
    async fn begun(&self) -> (String, Url) {
        let begun = self.world.get("/v1/login?return_to=/docs").await;
        assert_eq!(begun.status, 303, "{begun:?}");
        (cookies(&begun).remove(0), self.provider.log_in(begun.header("location")))
    }

    /// Comes back with a cookie to an address.
    async fn back(&self, cookie: &str, address: &Url) -> Answer {
        let path = format!("{}?{}", address.path(), address.query().unwrap());
        self.world.ask("GET", path).header("cookie", cookie).send().await
    }

    /// Logs in, and gives the session's cookie.
    async fn session(&self) -> String {
        let (cookie, address) = self.begun().await;
        let answer = self.back(&cookie, &address).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/docs"), "{answer:?}");
        let cookies = cookies(&answer);
        assert_eq!(cookies.len(), 2);
        assert!(cookies[1].ends_with('='), "the attempt's cookie is taken back: {cookies:?}");
        cookies[0].clone()
    }

    /// A login whose claims were changed.
    async fn refused(&self, change: impl Fn(&mut Value) + Send + 'static) -> Answer {
        self.provider.doings().claims = Box::new(change);
        let (cookie, address) = self.begun().await;
        let answer = self.back(&cookie, &address).await;
        assert!(cookies(&answer).is_empty(), "nobody gets a session: {answer:?}");
        answer
    }

    async fn status(&self, cookie: &str) -> Answer {
        self.world.ask("GET", "/v1/orders").header("cookie", cookie).send().await
    }
}

/// The cookies that an answer sets, as a browser sends them back.
fn cookies(answer: &Answer) -> Vec<String> {
    let all = answer.headers.get_all("set-cookie").iter();
    all.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
}

fn refusal(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_logs_in_does_what_the_role_grants_is_named_in_the_audit_log_and_logs_out() {
    let shop = Shop::open().await;
    let world = &shop.world;
    assert_eq!(refusal(&world.get("/v1/orders").await), (401, "unauthorized".to_owned()), "there is no open access");
    let session = shop.session().await;
    assert_eq!(shop.status(&session).await.status, 200);
    let ask = |method, path: &str| world.ask(method, path).header("cookie", &session).header("origin", ORIGIN);
    let refused = ask("POST", "/v1/products").json(&product("Cup", 500)).send().await;
    assert_eq!(refusal(&refused), (403, "permission_missing".to_owned()));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("ada@shop.example") && detail.contains("support"), "{detail}");

    shop.provider.doings().claims = Box::new(|claims| claims["groups"] = json!(["shop-admins"]));
    shop.provider.doings().signer = Signer::p256();
    shop.provider.doings().key_id = "another".to_owned();
    world.clock.advance(dhow_login::KEYS_PAUSE_MICROS);
    let owner = shop.session().await;
    let ask = |method, path: &str| world.ask(method, path).header("cookie", &owner).header("origin", ORIGIN);
    let made = ask("POST", "/v1/products").header("idempotency-key", "cup").json(&product("Cup", 500)).send().await;
    assert_eq!(made.status, 201, "{made:?}");
    let wrong = ask("POST", "/v1/products").header("idempotency-key", "pot").json(&product("", 500)).send().await;
    assert_eq!(wrong.status, 422);
    assert_eq!(ask("GET", "/v1/status").send().await.json()["access"], "session");
    let (key_id, key) = world.key("ten_default", &[Permission::Admin]).await;
    let by_key = ask("POST", "/v1/products").key(&key).header("idempotency-key", "can").json(&product("Can", 500));
    assert_eq!(by_key.send().await.status, 201, "a key stands before a session");

    let out = ask("POST", "/v1/logout").send().await;
    assert_eq!((out.status, cookies(&out)), (204, vec!["dhow_session=".to_owned()]));
    assert_eq!(refusal(&shop.status(&owner).await), (401, "unauthorized".to_owned()));
    assert_eq!(shop.status(&session).await.status, 200, "another session goes on");
    assert_eq!(ask("POST", "/v1/logout").send().await.status, 204, "to log out twice is no fault");

    let ada = json!("ada@shop.example");
    let log = world.ask("GET", "/v1/audit-log").key(&key);
    let log = until_chained(world, &key, 7, log.send().await).await;
    let rows: Vec<Value> =
        log.iter().rev().map(|row| json!([row["operation"], row["person"], row["key"], row["outcome"]])).collect();
    let expected = [
        json!(["GET /v1/login/callback", ada, null, "changed"]),
        json!(["GET /v1/login/callback", ada, null, "changed"]),
        json!(["POST /v1/products", ada, null, "changed"]),
        json!(["POST /v1/products", ada, null, "refused"]),
        json!(["POST /v1/products", null, key_id, "changed"]),
        json!(["POST /v1/logout", ada, null, "changed"]),
    ];
    assert_eq!(rows, expected, "what was refused for want of a permission is in no log");
    assert!(log.iter().all(|row| !row.to_string().contains("code")), "no code stands in the log: {log:?}");
    let verified = world.ask("GET", "/v1/audit-log/verification").key(&key).send().await.json();
    assert_eq!(verified["intact"], json!(true));
}

/// The rows of the log, newest first, once all are chained; at most `most`.
async fn until_chained(world: &World, key: &str, most: usize, mut answer: Answer) -> Vec<Value> {
    for _ in 0..500 {
        let rows = answer.json()["items"].as_array().unwrap().clone();
        if rows.len() + 1 >= most {
            return rows;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        answer = world.ask("GET", "/v1/audit-log").key(key).send().await;
    }
    panic!("the rows were not chained: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_a_wrong_nonce_audience_or_time_and_a_person_without_a_role_are_refused() {
    let shop = Shop::open().await;
    let expired = shop.world.clock.now().micros() / SECOND_MICROS - 61;
    for (claim, value, why) in [
        ("nonce", json!("another"), "`nonce`"),
        ("aud", json!("another client"), "not for"),
        ("exp", json!(expired), "expired"),
        ("iss", json!("https://id.example"), "issuer"),
    ] {
        let answer = shop.refused(move |claims| claims[claim] = value.clone()).await;
        assert_eq!(refusal(&answer), (401, "login_refused".to_owned()), "{claim}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why), "{claim}: {detail}");
    }
    for groups in [json!(["strangers"]), json!([]), Value::Null, json!("shop-admin")] {
        let answer = shop.refused(move |claims| claims["groups"] = groups.clone()).await;
        assert_eq!(refusal(&answer), (403, "no_role".to_owned()));
        assert!(answer.json()["detail"].as_str().unwrap().contains("`groups`"));
    }
    shop.provider.doings().signs_with = Some(Signer::p256());
    let answer = shop.refused(|_| {}).await;
    assert_eq!(
        refusal(&answer),
        (401, "login_refused".to_owned()),
        "signed by a key that the provider does not tell of"
    );
    shop.provider.doings().refusal = Some((500, json!({})));
    let answer = shop.refused(|_| {}).await;
    assert_eq!(refusal(&answer), (503, "identity_provider_failed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_finished_once_in_time_by_the_browser_that_began_it() {
    let shop = Shop::open().await;
    let unknown = (400, "login_unknown".to_owned());
    let (cookie, address) = shop.begun().await;
    let (other_cookie, other_address) = shop.begun().await;
    assert_eq!(refusal(&shop.back("a=b", &address).await), unknown, "a browser that has not begun one");
    assert_eq!(refusal(&shop.back(&other_cookie, &address).await), unknown, "another browser");
    assert_eq!(refusal(&shop.back("dhow_login=AAAA", &address).await), unknown, "a cookie that is none");
    let two = format!("{cookie}; {other_cookie}");
    assert_eq!(refusal(&shop.back(&two, &address).await), unknown, "of two cookies nobody knows which");
    let mut stateless = address.clone();
    stateless.set_query(Some("code=code/0"));
    assert_eq!(refusal(&shop.back(&cookie, &stateless).await), unknown, "without a state");
    assert_eq!(shop.back(&cookie, &address).await.status, 303);
    assert_eq!(refusal(&shop.back(&cookie, &address).await), unknown, "the state is replayed");

    shop.world.clock.advance(LOGIN_ATTEMPT_MICROS);
    assert_eq!(refusal(&shop.back(&other_cookie, &other_address).await), unknown, "too late");

    let (cookie, address) = shop.begun().await;
    let state = address.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let mut denied = address.clone();
    denied.query_pairs_mut().clear().append_pair("state", &state).append_pair("error", "access_denied<script>");
    let answer = shop.back(&cookie, &denied).await;
    assert_eq!(refusal(&answer), (401, "login_refused".to_owned()));
    assert!(answer.json()["detail"].as_str().unwrap().contains("access_denied"));
    assert_eq!(refusal(&shop.back(&cookie, &address).await), unknown, "the provider has answered once");
    for path in ["//evil.example", "https://evil.example", "docs", "/%5Cevil.example"] {
        let refused = shop.world.get(format!("/v1/login?return_to={path}")).await;
        assert_eq!((refused.status, refused.pointers()), (400, vec!["/return_to".to_owned()]), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_changes_nothing_from_a_page_of_another_site_and_ends_with_its_time() {
    let stopwatch = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let shop = Shop::with(ORIGIN, stopwatch.clone()).await;
    shop.provider.doings().claims = Box::new(|claims| claims["groups"] = json!("shop-admins"));
    let session = shop.session().await;
    let world = &shop.world;
    let made = json!({ "name": "mine", "permissions": ["admin"] });
    let make = |origin: Option<&'static str>| {
        let ask = world.ask("POST", "/v1/api-keys").header("cookie", &session);
        origin.map_or_else(
            || world.ask("POST", "/v1/api-keys").header("cookie", &session),
            |origin| ask.header("origin", origin),
        )
    };
    let cross = (403, "cross_origin".to_owned());
    for origin in [
        None,
        Some("null"),
        Some("https://evil.example"),
        Some("http://127.0.0.1:8081"),
        Some("https://127.0.0.1:8080"),
    ] {
        assert_eq!(refusal(&make(origin).json(&made).send().await), cross, "{origin:?}");
        let out = world.ask("POST", "/v1/logout").header("cookie", &session);
        let out = origin.map_or_else(
            || world.ask("POST", "/v1/logout").header("cookie", &session),
            |origin| out.header("origin", origin),
        );
        assert_eq!(refusal(&out.send().await), cross, "{origin:?}");
    }
    for (method, path) in
        [("PUT", "/v1/reorder-budgets"), ("DELETE", "/v1/fraud/lists/email/block"), ("POST", "/v1/sql")]
    {
        let refused = world.ask(method, path).header("cookie", &session).header("origin", "https://evil.example");
        assert_eq!(refusal(&refused.json(&json!({})).send().await), cross, "{method} {path}");
    }
    assert_eq!(shop.status(&session).await.status, 200, "to look needs no origin, and nobody was logged out");
    assert_eq!(make(Some(ORIGIN)).json(&made).send().await.status, 201);
    for wrong in ["dhow_session=", "dhow_session=0", "dhow_session=0; x=y", &format!("{session}0")] {
        assert_eq!(shop.status(wrong).await.status, 401, "{wrong}");
    }
    // Remembered or not, a session ends in time.
    world.clock.advance(2 * HOUR_MICROS);
    assert_eq!(refusal(&shop.status(&session).await), (401, "unauthorized".to_owned()));
    stopwatch.advance(dhow_api::KEY_MEMORY_MICROS);
    assert_eq!(shop.status(&session).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_are_closed_to_scripts_and_other_sites_and_to_plain_http_but_on_this_machine() {
    for (origin, name, secure) in [(ORIGIN, "dhow_login=", false), ("https://shop.example", "__Host-dhow_login=", true)]
    {
        let shop = Shop::with(origin, Arc::new(SystemClock)).await;
        let begun = shop.world.get("/v1/login").await;
        let cookie = begun.header("set-cookie");
        assert!(
            cookie.starts_with(name) && cookie.contains("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        assert_eq!(cookie.ends_with("; Secure"), secure, "{cookie}");
        assert_eq!(begun.header("cache-control"), "no-store");
        let session = shop.session().await;
        assert_eq!(session.starts_with("__Host-dhow_session="), secure, "{session}");
        assert_eq!(shop.status(&session).await.status, 200);
        let renamed = if secure { session.replace("__Host-", "") } else { format!("__Host-{session}") };
        assert_eq!(shop.status(&renamed).await.status, 401, "under another name it is none");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_provider_is_configured_nobody_logs_in_and_a_cookie_opens_nothing() {
    let world = World::new().await;
    for (method, path) in [("GET", "/v1/login"), ("GET", "/v1/login/callback?code=x"), ("POST", "/v1/logout")] {
        assert_eq!(refusal(&world.ask(method, path).send().await), (404, "not_found".to_owned()), "{path}");
    }
    world.key("ten_default", &[Permission::Admin]).await;
    let cookie = format!("dhow_session={}", "0".repeat(64));
    assert_eq!(world.ask("GET", "/v1/orders").header("cookie", &cookie).send().await.status, 401);
}
