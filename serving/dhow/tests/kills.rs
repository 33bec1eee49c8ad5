//! What buyers and sellers rely on when the server is killed in the midst of their requests: money and stock that are counted once.

#[path = "programs/postgres.rs"]
mod postgres;
mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use postgres::Postgres;
use programs::{Running, free_port};

/// Kills of one run on each database; `DHOW_TEST_KILLS=100` is the long version.
const KILLS: usize = 5;
const PRODUCTS: usize = 5;
const CHECKOUTS_BETWEEN_KILLS: usize = 12;
const BUYERS_AT_ONCE: usize = 4;
const ON_HAND: i64 = 1_000_000;
/// How long a server may take to answer again, and a request to be answered whoever was killed meanwhile.
const ANSWER_MAX: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A server on a folder and a database, which is killed and started again on its port.
struct Shop {
    data: PathBuf,
    database: Option<String>,
    port: u16,
}

impl Shop {
    fn start(&self) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dhow"));
        command.args(["serve", "--bind", &format!("127.0.0.1:{}", self.port), "--data-dir"]).arg(&self.data);
        if let Some(url) = &self.database {
            command.args(["--database-url", url]);
        }
        command.env("DHOW_SERVER_REQUESTS_PER_SECOND", "100000").stderr(Stdio::null());
        Running(command.spawn().expect("the server starts"))
    }

    /// One request over a connection of its own; nothing where the server went before it had answered.
    fn once(&self, method: &str, path: &str, key: &str, body: &Value) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             idempotency-key: {key}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.get(9..12)?.parse().ok()?, serde_json::from_str(body).ok()?))
    }

    /// Sends the same request until it is answered for good, as a client does that does not know what became of it.
    fn ask(&self, method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let mut last = None;
        for _ in 0..ANSWER_MAX.as_millis() / PAUSE.as_millis() {
            match self.once(method, path, key, body) {
                // In flight, or not up yet.
                Some((409, problem)) if problem["code"] == "request_in_flight" => last = Some((409, problem)),
                Some((429 | 500..=599, problem)) => last = Some((503, problem)),
                Some(answer) if !is_open(&answer.1) => return answer,
                other => last = other,
            }
            std::thread::sleep(PAUSE);
        }
        panic!("{method} {path} with {key} is never answered: {last:?}");
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "none", &Value::Null);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Every event of the feed, in its order.
    fn events(&self) -> Vec<Value> {
        let (mut events, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("/v1/events?limit=100{after}"));
            events.extend(page["items"].as_array().unwrap().iter().map(|item| item["event"].clone()));
            after = format!("&after={}", page["next"].as_str().unwrap());
            if page["more"] == false {
                return events;
            }
        }
    }
}

/// Whether a checkout or a movement of money has not come to its end.
fn is_open(answer: &Value) -> bool {
    matches!(answer["state"].as_str(), Some("pending_payment" | "asked" | "pending"))
}

/// A folder with a fraud model and the features that it reads; made once.
fn trained() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = Command::new(env!("CARGO_BIN_EXE_dhow"));
        demo.args(["demo", "--scale", "small", "--visits", "10", "--exit", "--port", "0", "--data-dir"]);
        let done = demo.arg(folder.path().join("data")).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        folder
    });
    folder.path()
}

/// A shop of its own on a copy of that folder.
fn shop(folder: &Path, database: Option<String>) -> Shop {
    let copied = Command::new("cp").arg("-r").arg(trained().join("data")).arg(folder).status().unwrap();
    assert!(copied.success());
    Shop { data: folder.join("data"), database, port: free_port() }
}

/// What a buyer was told in the end.
struct Told {
    key: String,
    body: Value,
    checkout: Value,
    captured: Option<(String, Value)>,
}

/// Buys, and captures what was bought, however often the server is killed meanwhile.
fn buy(shop: &Shop, number: usize, products: &[String]) -> Told {
    let key = format!("buy-{number}");
    let body = json!({
        "buyer": format!("buy_00000000-0000-0000-0000-{:012x}", number % 40), "region": "GB", "delivery_region": "GB",
        "payment_method": "wallet",
        "lines": [
            { "product": products[number % PRODUCTS], "quantity": 1 + number % 3 },
            { "product": products[(number + 1) % PRODUCTS], "quantity": 1 },
        ],
    });
    let (status, checkout) = shop.ask("POST", "/v1/checkouts", &key, &body);
    assert_eq!(status, 201, "{checkout}");
    let captured = (checkout["state"] == "completed").then(|| {
        let path = format!("/v1/payments/{}/capture", checkout["payment"]["id"].as_str().unwrap());
        let (status, transfer) = shop.ask("POST", &path, &format!("capture-{number}"), &json!({}));
        assert_eq!((status, &transfer["state"]), (201, &json!("done")), "{transfer}");
        (path, transfer)
    });
    Told { key, body, checkout, captured }
}

/// Checkouts of many buyers while the server is killed and started again.
fn sell_under_kills(shop: &Shop, kills: usize, products: &[String]) -> Vec<Told> {
    let checkouts = kills * CHECKOUTS_BETWEEN_KILLS;
    let (next, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (told, killed) = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYERS_AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut told = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= checkouts {
                            return told;
                        }
                        told.push(buy(shop, number, products));
                        finished.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let mut killed = 0;
        let mut server = shop.start();
        while buyers.iter().any(|buyer| !buyer.is_finished()) {
            // A kill a little after a dozen more were answered, each at another moment of what is under way.
            let due = finished.load(Ordering::Relaxed) >= (killed + 1) * CHECKOUTS_BETWEEN_KILLS - BUYERS_AT_ONCE;
            if due && killed < kills {
                std::thread::sleep(Duration::from_micros(killed as u64 * 7_919 % 20_000));
                drop(server);
                killed += 1;
                server = shop.start();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let told: Vec<Told> = buyers.into_iter().flat_map(|buyer| buyer.join().unwrap()).collect();
        drop(server);
        (told, killed)
    });
    assert_eq!((told.len(), killed), (checkouts, kills));
    told
}

/// Everything that was told is so, once.
fn check(shop: &Shop, told: &[Told], products: &[String]) {
    let _server = shop.start();
    let mut sold: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut completed, mut captured_minor) = (BTreeMap::new(), 0);
    for one in told {
        let (status, again) = shop.ask("POST", "/v1/checkouts", &one.key, &one.body);
        assert_eq!((status, &again), (201, &one.checkout), "the same answer to the same request");
        let Some((path, transfer)) = &one.captured else { continue };
        let number = one.key.strip_prefix("buy-").unwrap();
        let (status, again) = shop.ask("POST", path, &format!("capture-{number}"), &json!({}));
        assert_eq!((status, &again), (201, transfer), "the same answer to the same request");
        let (id, orders) = (one.checkout["id"].as_str().unwrap(), one.checkout["orders"].as_array().unwrap().len());
        assert_eq!(completed.insert(id.to_owned(), orders), None, "a checkout answers two requests");
        for line in one.body["lines"].as_array().unwrap() {
            *sold.entry(line["product"].as_str().unwrap()).or_default() += line["quantity"].as_i64().unwrap();
        }
        let payment = shop.get(path.strip_suffix("/capture").unwrap());
        let total: i64 = one.checkout["total"]["amount"].as_str().unwrap().parse().unwrap();
        assert_eq!(payment["payment"]["captured_minor"], total);
        captured_minor += total;
    }
    assert!(completed.len() * 10 > told.len() * 8, "only {} of {} were bought", completed.len(), told.len());
    for product in products {
        let stock = shop.get(&format!("/v1/products/{product}/stock"));
        let left = ON_HAND - sold.get(product.as_str()).copied().unwrap_or_default();
        assert_eq!((&stock["on_hand"], &stock["reserved"]), (&json!(left), &json!(0)), "{product}");
    }
    let books = shop.get("/v1/ledger/trial-balance");
    assert_eq!(books["balanced"], true);
    check_events(shop, &completed, products, captured_minor);
}

/// The feed tells each change once.
fn check_events(shop: &Shop, completed: &BTreeMap<String, usize>, products: &[String], captured_minor: i64) {
    let ends = |events: &[Value]| events.iter().filter(|event| event["type"] == "dhow.payment_captured").count();
    let mut events = shop.events();
    for _ in 0..ANSWER_MAX.as_millis() / PAUSE.as_millis() {
        if ends(&events) >= completed.len() {
            break;
        }
        std::thread::sleep(PAUSE);
        events = shop.events();
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "each event once");
    let of = |kind: &'static str| {
        events.iter().filter(move |event| event["type"] == kind).map(|event| &event["data"]).collect::<Vec<_>>()
    };
    // An order is placed with each seller.
    for (kind, thing) in [
        ("dhow.checkout_submitted", "checkout"),
        ("dhow.payment_authorized", "checkout"),
        ("dhow.order_placed", "order"),
    ] {
        let ours = |data: &&&Value| data["checkout"].as_str().is_some_and(|id| completed.contains_key(id));
        let told = of(kind);
        let told: Vec<&str> = told.iter().filter(ours).map(|data| data[thing].as_str().unwrap()).collect();
        let expected = if thing == "order" { completed.values().sum() } else { completed.len() };
        assert_eq!((told.len(), told.iter().collect::<BTreeSet<_>>().len()), (expected, expected), "{kind}");
    }
    let captured: i64 = of("dhow.payment_captured")
        .iter()
        .map(|data| data["amount"]["amount"].as_str().unwrap().parse::<i64>().unwrap())
        .sum();
    assert_eq!(captured, captured_minor);
    for product in products {
        let stock = shop.get(&format!("/v1/products/{product}/stock"));
        let changes = of("dhow.stock_changed").into_iter().filter(|data| data["product"] == product.as_str());
        let sum: i64 = changes.map(|data| data["quantity_change"].as_i64().unwrap()).sum();
        assert_eq!(stock["on_hand"], sum, "{product}");
    }
}

fn live_through_kills(shop: &Shop) {
    let kills = std::env::var("DHOW_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let products: Vec<String> = {
        let _server = shop.start();
        let list = |number: usize| {
            let product = json!({
                "seller": format!("sel_00000000-0000-0000-0000-{:012x}", 0xabc + number % 2), "category": "home/kitchen",
                "reference": format!("killed-{number}"), "title": "Cup", "region": "GB", "weight_grams": 300,
                "price": { "amount": "2500", "currency": "USD" },
            });
            let (status, listed) = shop.ask("POST", "/v1/products", &format!("list-{number}"), &product);
            assert_eq!(status, 201, "{listed}");
            let id = listed["id"].as_str().unwrap().to_owned();
            let path = format!("/v1/products/{id}/stock");
            let (status, stock) = shop.ask("PUT", &path, &format!("stock-{number}"), &json!({ "on_hand": ON_HAND }));
            assert_eq!(status, 200, "{stock}");
            id
        };
        (0..PRODUCTS).map(list).collect()
    };
    let told = sell_under_kills(shop, kills, &products);
    check(shop, &told, &products);
    println!("measured: {} checkouts under {kills} kills", told.len());
}

#[test]
fn money_and_stock_on_sqlite_are_counted_once_though_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    live_through_kills(&shop(folder.path(), None));
}

#[test]
fn money_and_stock_on_postgresql_are_counted_once_though_the_server_is_killed() {
    let (folder, postgres) = (tempfile::tempdir().unwrap(), Postgres::start());
    live_through_kills(&shop(folder.path(), Some(postgres.url())));
}
