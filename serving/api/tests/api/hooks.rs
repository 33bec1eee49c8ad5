//! Webhooks over HTTP: endpoints with their secrets, messages as the feed tells them, retries, and a public library that verifies them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use dhow_commerce::{sign, signing_secret};
use dhow_engine::EngineSettings;
use dhow_events::{Clock, MINUTE_MICROS, SystemClock};
use dhow_store::{SecretKey, SecretKeys};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::feed::{set_stock, told};
use crate::world::World;

const PATH: &str = "/v1/webhook-endpoints";

/// A message as a receiver got it.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub timestamp: String,
    pub signatures: String,
    pub body: String,
}

/// A receiver of webhooks on this machine.
pub struct Receiver {
    pub url: String,
    messages: Arc<Mutex<Vec<Message>>>,
}

async fn receive(State(messages): State<Arc<Mutex<Vec<Message>>>>, headers: HeaderMap, body: Bytes) {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let body = String::from_utf8(body.to_vec()).unwrap();
    messages.lock().push(Message { id, timestamp, signatures, body });
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let messages: Arc<Mutex<Vec<Message>>> = Arc::default();
        let route = axum::routing::post(receive);
        let router = axum::Router::new().route("/hooks", route).with_state(messages.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, messages }
    }

    /// Makes an endpoint of these types; gives it with its secret.
    pub async fn subscribe(&self, world: &World, types: &[&str]) -> (Value, String) {
        let made = world.post(PATH, &json!({ "url": self.url, "types": types })).await;
        assert_eq!(made.status, 201, "{made:?}");
        let made = made.json();
        (made["endpoint"].clone(), made["secret"].as_str().unwrap().to_owned())
    }

    /// The messages, once `holds`.
    pub async fn until(&self, holds: impl Fn(&[Message]) -> bool) -> Vec<Message> {
        for _ in 0..1_000 {
            if holds(&self.messages.lock()) {
                return self.messages.lock().clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the messages did not become what they should: {:?}", self.messages.lock());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_posted_signed_as_they_stand_in_the_feed() {
    let world = World::new().await;
    let receiver = Receiver::start().await;
    for (body, pointer) in [
        (json!({ "url": "http://10.0.0.1/" }), "/url"),
        (json!({ "url": "https://169.254.169.254/latest" }), "/url"),
        (json!({ "url": "http://shop.example/" }), "/url"),
        (json!({ "url": receiver.url, "types": ["order_eaten"] }), "/types"),
        (json!({ "url": receiver.url, "secret": "mine" }), "/secret"),
    ] {
        let refused = world.post(PATH, &body).await;
        assert_eq!((refused.status, refused.pointers()), (422, vec![pointer.to_owned()]), "{body}");
    }
    let (endpoint, secret) = receiver.subscribe(&world, &["dhow.stock_changed"]).await;
    let cup = world.product("Cup", 500, 3).await;
    let messages = receiver.until(|messages| messages.len() == 1).await;
    let Message { id, timestamp, signatures, body } = &messages[0];
    let signed = sign(&signing_secret(&secret).unwrap(), id, timestamp, body.as_bytes());
    assert_eq!(*signatures, signed);
    let feed = told(&world, 2).await;
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), feed[1], "one form for feed and webhooks");
    assert_eq!(feed[1]["id"], json!(id));

    let path = format!("{PATH}/{}", endpoint["id"].as_str().unwrap());
    let delivered = |page: &Value| page["items"][0]["state"] == "delivered";
    let list = world.until(&format!("{path}/deliveries"), delivered).await;
    assert_eq!((&list["items"][0]["event"], &list["items"][0]["attempts"][0]["status"]), (&json!(id), &json!(200)));
    let tested = world.ask("POST", format!("{path}/test")).send().await;
    assert_eq!((tested.status, &tested.json()["status"]), (200, &json!(200)));
    let messages = receiver.until(|messages| messages.len() == 2).await;
    assert!(messages[1].body.contains("dhow.webhook_tested"), "{:?}", messages[1]);

    let one = list["items"][0]["id"].as_str().unwrap();
    assert_eq!(world.ask("POST", format!("{path}/deliveries/{one}/replay")).send().await.status, 202);
    let messages = receiver.until(|messages| messages.len() == 3).await;
    assert_eq!(messages[2].id, *id, "known as a duplicate");
    world
        .until(&format!("{path}/deliveries?state=delivered"), |page| page["items"].as_array().unwrap().len() == 1)
        .await;
    let replay = world.post(&format!("{path}/replay"), &json!({})).await;
    assert_eq!((replay.status, replay.json()), (202, json!({ "replayed": 1, "next": null })));
    receiver.until(|messages| messages.len() == 4).await;

    let change = |tag: &str, disabled: bool| {
        let body = json!({ "url": receiver.url, "disabled": disabled });
        world.ask("PUT", &path).header("if-match", tag).json(&body)
    };
    let disabled = change("\"1\"", true).send().await;
    assert_eq!((disabled.header("etag"), &disabled.json()["disabled"]), ("\"2\"", &json!("asked")));
    assert_eq!(change("\"1\"", false).send().await.code(), "stale_version");
    let closed = world.post(&format!("{path}/replay"), &json!({})).await;
    assert_eq!((closed.status, closed.code().as_str()), (409, "webhook_bound"));
    set_stock(&world, &cup, 4).await;
    assert_eq!(change("\"2\"", false).send().await.status, 200);
    let messages = receiver.until(|messages| messages.len() == 5).await;
    assert!(messages[4].body.contains("\"on_hand\":4"), "what was told meanwhile follows: {:?}", messages[4]);
    let listed = world.get(PATH).await;
    assert!(!listed.text.contains("whsec_") && listed.json()["items"].as_array().unwrap().len() == 1);
    assert_eq!(world.ask("DELETE", &path).send().await.status, 204);
    assert_eq!(world.get(&path).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_makes_one_endpoint_and_shows_no_secret_again() {
    let world = World::new().await;
    let body = json!({ "url": "https://shop.example/hooks" });
    let ask = || world.ask("POST", PATH).header("idempotency-key", "e1").json(&body).send();
    let (first, again) = (ask().await.json(), ask().await.json());
    assert_eq!(first["endpoint"], again["endpoint"]);
    assert!(first["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(again["secret"], Value::Null);
    assert_eq!(world.get(PATH).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_verify_after_a_restart_that_sealed_the_secret_and_a_start_without_its_key_is_refused() {
    let keys = |numbers: &[u8]| {
        let key = |number: &u8| SecretKey::from_random(&[*number; 32]).unwrap();
        SecretKeys::new(numbers.iter().map(key).collect()).unwrap()
    };
    let mut world = World::new().await;
    let receiver = Receiver::start().await;
    let (_, secret) = receiver.subscribe(&world, &["dhow.stock_changed"]).await;
    let cup = world.product("Cup", 500, 3).await;
    for (count, configured) in [&[][..], &[1], &[2, 1], &[2]].into_iter().enumerate() {
        if count > 0 {
            // Another process draws other ids.
            let id_seed = [count as u8; 32];
            let change = |settings| EngineSettings { secret_keys: keys(configured), id_seed, ..settings };
            world = world.restarted_with(change).await;
            set_stock(&world, &cup, 3 + count as i64).await;
        }
        let messages = receiver.until(|messages| messages.len() == count + 1).await;
        let Message { id, timestamp, signatures, body } = &messages[count];
        let signed = sign(&signing_secret(&secret).unwrap(), id, timestamp, body.as_bytes());
        assert_eq!(*signatures, signed, "with {configured:?}");
        let stand = if configured.is_empty() { "clear" } else { "sealed" };
        assert_eq!(world.get("/v1/status").await.json()["webhook_secrets"], stand);
    }
    let refused = world.refused_with(|settings| EngineSettings { secret_keys: keys(&[1]), ..settings }).await;
    let needed = SecretKey::from_random(&[2; 32]).unwrap();
    assert!(refused.contains(needed.id()) && refused.contains("secrets.key_files"), "{refused}");
}

/// A public library of Standard Webhooks behind an HTTP server.
struct LibraryReceiver {
    child: Child,
    secrets: ChildStdin,
    lines: BufReader<ChildStdout>,
    url: String,
}

impl LibraryReceiver {
    fn start(script: &str) -> Self {
        let mut command = crate::clients::program_for("standardwebhooks", script);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (secrets, lines) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut receiver = Self { child, secrets, lines, url: String::new() };
        receiver.url = format!("http://127.0.0.1:{}/", receiver.line().trim());
        receiver
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// Puts a secret in force with the receiver, which then says so; `refusals` is how many messages it verifies and does not take.
    fn secret(&mut self, secret: &str, refusals: u32) {
        writeln!(self.secrets, "{secret} {refusals}").unwrap();
        assert_eq!(self.line().trim(), "ready");
    }

    /// The next message: whether the library verified it, with its id and type and how many signatures it had.
    fn next(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

impl Drop for LibraryReceiver {
    fn drop(&mut self) {
        // It has ended already where it broke down.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_library_of_standard_webhooks_verifies_every_message_through_a_rotation() {
    a_library_verifies_every_message_through_a_rotation("webhook_receiver.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_library_of_standard_webhooks_verifies_every_message_through_a_rotation() {
    a_library_verifies_every_message_through_a_rotation("node/webhook_receiver.cjs").await;
}

async fn a_library_verifies_every_message_through_a_rotation(script: &str) {
    let world = World::new().await;
    // The library looks at the machine's clock: a message must be of now.
    world.clock.advance(SystemClock.now().micros_since(world.clock.now()));
    let mut receiver = LibraryReceiver::start(script);
    let made = world.post(PATH, &json!({ "url": receiver.url, "types": ["stock_changed"] })).await.json();
    let path = format!("{PATH}/{}", made["endpoint"]["id"].as_str().unwrap());
    let old = made["secret"].as_str().unwrap().to_owned();
    receiver.secret(&old, 1);
    let cup = world.product("Cup", 500, 1).await;
    let verified = |message: &Value, signatures: u32| {
        let expected = json!([true, "dhow.stock_changed", signatures]);
        assert_eq!(json!([message["verified"], message["type"], message["signatures"]]), expected, "{message}");
        message["id"].as_str().unwrap().to_owned()
    };
    let refused = verified(&receiver.next(), 1);
    let waits = |page: &Value| page["items"][0]["attempt_count"] == 1;
    world.until(&format!("{path}/deliveries"), waits).await;
    world.clock.advance(MINUTE_MICROS);
    let mut ids = vec![verified(&receiver.next(), 1)];
    assert_eq!(ids[0], refused, "the id stays over attempts");

    let rotated = world.ask("POST", format!("{path}/rotate-secret")).send().await;
    assert_eq!(rotated.status, 200);
    let new = rotated.json()["secret"].as_str().unwrap().to_owned();
    set_stock(&world, &cup, 2).await;
    ids.push(verified(&receiver.next(), 2));
    receiver.secret(&new, 0);
    set_stock(&world, &cup, 3).await;
    ids.push(verified(&receiver.next(), 2));
    receiver.secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0);
    set_stock(&world, &cup, 4).await;
    assert_eq!(receiver.next()["verified"], json!(false), "another secret verifies nothing");

    let stock = world.get("/v1/events?type=stock_changed").await.json();
    let feed: Vec<&str> =
        stock["items"].as_array().unwrap().iter().map(|i| i["event"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids, feed[..3]);
}
