//! What an operator of several machines relies on: Kafka as the log, workers beside each other, features read from Redis.

mod programs;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use programs::{Running, free_port};

/// Partitions of the topic.
const PARTITIONS: u32 = 4;
/// Events of the test.
const EVENTS: usize = 8_000;
/// How long a program may take to answer.
const START_MAX: Duration = Duration::from_secs(30);
/// How long the workers may take for all events.
const CATCH_UP_MAX: Duration = Duration::from_secs(180);

/// Features that do not change with the moment at which they are read.
const DEFINITIONS: &str = r#"
name = "fleet"
version = 1

[[view]]
name = "buyer_views"
source = "product_viewed"
entity = ["buyer"]
features = [
    { aggregates = ["count"], windows = ["ever"] },
    { column = "product", aggregates = ["distinct_count"], windows = ["ever"] },
]

[[view]]
name = "product_views"
source = "product_viewed"
entity = ["product"]
features = [
    { aggregates = ["count"], windows = ["ever"] },
    { column = "buyer", aggregates = ["distinct_count"], windows = ["ever"] },
]

[[view]]
name = "product_orders"
source = "item_ordered"
entity = ["product"]
features = [
    { aggregates = ["count"], windows = ["ever"] },
    { column = "quantity", aggregates = ["sum", "mean"], windows = ["ever"] },
]
"#;

fn wait_for(port: u16, what: &str) {
    for _ in 0..START_MAX.as_millis() / 50 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} does not answer on port {port}");
}

fn redis(folder: &Path) -> (Running, u16) {
    let port = free_port();
    let started = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn();
    let running = Running(started.expect("the program `redis-server` is needed; `.ci/install` installs it"));
    wait_for(port, "redis-server");
    (running, port)
}

/// A broker that speaks Kafka's protocol, with the topic in it.
fn broker(folder: &Path) -> (Running, u16) {
    let port = free_port();
    let started = Command::new(tansu())
        .arg("broker")
        .args(["--listener-url", &format!("tcp://127.0.0.1:{port}")])
        .args(["--advertised-listener-url", &format!("tcp://127.0.0.1:{port}")])
        .args(["--storage-engine", "sqlite://broker.db"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let running = Running(started.expect("the program `tansu` is needed; `.ci/install` installs it"));
    wait_for(port, "tansu");
    dhow_kafka::create_topic(&format!("127.0.0.1:{port}"), "marketplace", PARTITIONS, 1, START_MAX).unwrap();
    (running, port)
}

fn tansu() -> PathBuf {
    let cache = || {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
        std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("dhow-tools")
    };
    let installed = std::env::var_os("DHOW_TOOLS").map_or_else(cache, PathBuf::from).join("bin/tansu");
    if installed.exists() { installed } else { PathBuf::from("tansu") }
}

/// `dhow` in `folder`, whose `dhow.toml` it finds.
fn dhow(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhow"));
    command.args(arguments).current_dir(folder);
    command
}

fn done(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a worker leaves behind, which says little; one that does not end is a failure, not a wait.
fn ended(child: Child) -> Output {
    let mut running = Running(child);
    for _ in 0..CATCH_UP_MAX.as_millis() / 50 {
        if let Some(status) = running.0.try_wait().unwrap() {
            let mut stdout = Vec::new();
            running.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
            return Output { status, stdout, stderr: Vec::new() };
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("a worker has not caught up within {CATCH_UP_MAX:?}");
}

/// A server on a free port.
fn serve(folder: &Path) -> (Running, u16) {
    let mut child = dhow(folder, &["serve", "--bind", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let running = Running(child);
    let mut heard = String::new();
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "the server ended: {heard}");
        heard.push_str(&line);
        if let Some(rest) = line.split("serving on http://127.0.0.1:").nth(1) {
            let port = rest.split('/').next().unwrap().parse().unwrap();
            // What it says later must not fill the pipe.
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            return (running, port);
        }
    }
}

fn ask(port: u16, method: &str, path: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

fn caught_up(port: u16) {
    for _ in 0..START_MAX.as_millis() / 50 {
        if ask(port, "GET", "/v1/status", "")["lag_events"] == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the server does not catch up");
}

/// The values of all features of the entities of `rows`, as the server gives them.
fn values(port: u16, view: &str, entity: &str, rows: &[String]) -> Vec<Value> {
    let features = match view {
        "buyer_views" => vec!["buyer_views_count_ever", "buyer_views_product_distinct_count_ever"],
        "product_views" => vec!["product_views_count_ever", "product_views_buyer_distinct_count_ever"],
        _ => vec!["product_orders_count_ever", "product_orders_quantity_sum_ever", "product_orders_quantity_mean_ever"],
    };
    let entities: Vec<Value> = rows.iter().map(|row| json!({ entity: row })).collect();
    let asked = json!({ "features": features, "entities": entities }).to_string();
    let table = ask(port, "POST", "/v1/features", &asked);
    table["rows"].as_array().unwrap().iter().map(|row| row["values"].clone()).collect()
}

/// The different values of a column of the events.
fn distinct(events: &str, kind: &str, column: &str) -> Vec<String> {
    let mut found: Vec<String> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["type"] == kind)
        .filter_map(|event| event["data"][column].as_str().map(str::to_owned))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn two_workers_on_kafka_and_redis_serve_the_features_that_one_server_keeps_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (_redis, redis_port) = redis(folder.path());
    let (_broker, broker_port) = broker(folder.path());
    let all = path("all.ndjson").display().to_string();
    done(dhow(folder.path(), &["simulate", "--scale", "small", "--seed", "5", "--out", &all]));
    let kept = |line: &&str| line.contains("\"dhow.product_viewed\"") || line.contains("\"dhow.item_ordered\"");
    let all = std::fs::read_to_string(&all).unwrap();
    let events = all.lines().filter(kept).take(EVENTS).collect::<Vec<_>>().join("\n");
    std::fs::write(path("events.ndjson"), &events).unwrap();

    let mut configuration = "data_dir = \"data\"\n[features]\ndefinitions = \"features.toml\"\n".to_owned();
    for name in ["alone", "fleet"] {
        std::fs::create_dir(path(name)).unwrap();
        std::fs::write(path(name).join("features.toml"), DEFINITIONS).unwrap();
        if name == "fleet" {
            writeln!(configuration, "redis_url = \"redis://127.0.0.1:{redis_port}/0\"").unwrap();
            writeln!(
                configuration,
                "[log]\nkafka_brokers = \"127.0.0.1:{broker_port}\"\nkafka_topic = \"marketplace\""
            )
            .unwrap();
            writeln!(configuration, "partitions = {PARTITIONS}\nkafka_entity_partitions = 6").unwrap();
        }
        std::fs::write(path(name).join("dhow.toml"), &configuration).unwrap();
        done(dhow(&path(name), &["ingest", "../events.ndjson"]));
    }

    let worker = || dhow(&path("fleet"), &["stream", "--group", "test", "--until-caught-up", "--json"]);
    let both = [worker().stdout(Stdio::piped()).spawn().unwrap(), worker().stdout(Stdio::piped()).spawn().unwrap()];
    let mut routed = 0;
    for child in both {
        let output = ended(child);
        assert!(output.status.success());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        routed += report["routed_events"].as_u64().unwrap();
    }
    assert!(routed >= EVENTS as u64, "{routed} of {EVENTS} events were routed");

    let (_alone, alone) = serve(&path("alone"));
    let (_fleet, fleet) = serve(&path("fleet"));
    caught_up(alone);
    for (view, kind, entity) in [
        ("buyer_views", "dhow.product_viewed", "buyer"),
        ("product_views", "dhow.product_viewed", "product"),
        ("product_orders", "dhow.item_ordered", "product"),
    ] {
        let rows = distinct(&events, kind, entity);
        assert!(rows.len() > 10, "{view}: {} entities", rows.len());
        for some in rows.chunks(200) {
            let in_memory = values(alone, view, entity, some);
            assert!(in_memory.iter().all(|row| row[0].as_f64().unwrap() >= 1.0));
            assert_eq!(values(fleet, view, entity, some), in_memory, "{view}");
        }
    }
}

#[test]
fn a_fleet_without_kafka_or_redis_is_refused_with_the_keys_that_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |configuration: &str, arguments: &[&str]| {
        std::fs::write(folder.path().join("dhow.toml"), configuration).unwrap();
        let output = dhow(folder.path(), arguments).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused("", &["stream", "--group", "test"]);
    assert!(said.contains("log.kafka_brokers") && said.contains("features.redis_url"), "{said}");
    let said = refused("[features]\nredis_url = \"redis://127.0.0.1:1\"\n", &["serve"]);
    assert!(said.contains("needs log.kafka_brokers"), "{said}");
    let said = refused("[log]\nkafka_brokers = \"127.0.0.1:9\"\n", &["serve"]);
    assert!(said.contains("log.kafka_topic"), "{said}");
    let absent = free_port();
    let said = refused(
        &format!("[log]\nkafka_brokers = \"127.0.0.1:{absent}\"\nkafka_topic = \"t\"\n"),
        &["serve", "--bind", "127.0.0.1:0"],
    );
    assert!(said.contains(&format!("127.0.0.1:{absent}")), "{said}");
}
