//! What Prometheus and Grafana get: Triton's figures beside the protocol's statistics, and that what is watched is there to be watched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use dhow_api::{ALERT_RULES, DASHBOARD};
use dhow_events::{Clock, DAY_MICROS, ProductId, TenantId};
use serde_json::{Value, json};

use crate::clients::python_with;
use crate::fraud::{applied, labelled, score};
use crate::inference::{ask, register};
use crate::operation::samples;
use crate::trained;
use crate::world::{MONITOR_WINDOW, World};

/// Loads models, asks one of them rightly and wrongly, and gives the name of one that was never asked.
async fn infer(world: &World) -> &'static str {
    register(world);
    for model in ["linear", "identity_INT8"] {
        let load = world.ask("POST", format!("/v2/repository/models/{model}/load")).send().await;
        assert_eq!(load.status, 200, "{load:?}");
    }
    for rows in [&[[1.0, 2.0, 3.0]][..], &[[0.5; 3]; 4], &[[0.0; 3]; 2]] {
        assert_eq!(world.post("/v2/models/linear/infer", &ask(rows)).await.status, 200);
    }
    let mut wrong = ask(&[[1.0, 2.0, 3.0]]);
    wrong["inputs"][0]["name"] = json!("z");
    assert_eq!(world.post("/v2/models/linear/infer", &wrong).await.status, 400);
    "identity_INT8"
}

#[tokio::test(flavor = "multi_thread")]
async fn tritons_metrics_and_the_protocols_statistics_tell_the_same_figures() {
    let world = World::new().await;
    let unasked = infer(&world).await;
    let stats = world.get("/v2/models/stats").await.json();
    let metrics = samples(&world.get("/metrics").await.text);
    let versions = stats["model_stats"].as_array().unwrap();
    assert_eq!(versions.len(), 2, "{stats}");
    for one in versions {
        let (name, version) = (one["name"].as_str().unwrap(), one["version"].as_str().unwrap());
        let told = |metric: &str| metrics[&format!(r#"{metric}{{model="{name}",version="{version}"}}"#)] as u64;
        let times = &one["inference_stats"];
        assert_eq!(times["success"]["count"], told("nv_inference_request_success"));
        assert_eq!(one["inference_count"], told("nv_inference_count"));
        assert_eq!(one["execution_count"], told("nv_inference_exec_count"));
        for (part, metric) in [
            ("success", "request"),
            ("queue", "queue"),
            ("compute_input", "compute_input"),
            ("compute_infer", "compute_infer"),
            ("compute_output", "compute_output"),
        ] {
            let micros = told(&format!("nv_inference_{metric}_duration_us"));
            assert_eq!(times[part]["ns"], micros * 1_000, "{part}");
        }
        let failed = |reason: &str| {
            let labels = format!(r#"{{model="{name}",version="{version}",reason="{reason}"}}"#);
            metrics[&format!("nv_inference_request_failure{labels}")] as u64
        };
        let reasons = ["REJECTED", "CANCELED", "BACKEND", "OTHER"].map(failed);
        assert_eq!(times["fail"]["count"], reasons.iter().sum::<u64>());
        let (answered, wrong) = if name == unasked { (0, 0) } else { (3, 1) };
        assert_eq!((&times["success"]["count"], reasons), (&json!(answered), [0, 0, 0, wrong]));
        assert_eq!(told("nv_inference_count"), if name == unasked { 0 } else { 7 });
        assert_eq!(told("nv_inference_pending_request_count"), 0);
    }
}

/// Answers of every kind that is watched: scores with known ends, a slate, and tensors.
async fn traffic(world: &World) {
    let products: Vec<ProductId> =
        vec![world.product("Cup", 500, 3).await.parse().unwrap(), world.product("Pot", 900, 3).await.parse().unwrap()];
    world.until("/v1/status", |status| status["products"] == 2 && status["lag_events"] == 0).await;
    trained::recommender(world, &products);
    assert_eq!(world.post("/v1/recommendations", &json!({})).await.status, 200);
    infer(world).await;
    trained::fraud(world);
    trained::fraud_challenger(world);
    let mut dear = Vec::new();
    for number in 0..MONITOR_WINDOW as i64 {
        let is_dear = number % 4 == 0;
        let cents = if is_dear { trained::DEAR_USD_MINOR * 2 } else { 1_000 + number };
        let scored = world.post("/v1/fraud/scores", &score(cents)).await;
        assert_eq!(scored.status, 200);
        if is_dear {
            dear.push(scored.json()["checkout"].clone());
        }
    }
    world.engine.watch_tenant(TenantId::default()).await.unwrap();
    world.clock.advance(5 * DAY_MICROS);
    let labels = dear.iter().zip(1_u128..).map(|(one, number)| labelled(number, one, world.clock.now()));
    assert_eq!(world.post("/v1/events", &Value::from(labels.collect::<Vec<_>>())).await.status, 202);
    applied(world).await;
    world.engine.checkpoint().unwrap();
    world.clock.advance(14 * DAY_MICROS);
    world.engine.judge_calibration(TenantId::default()).await.unwrap();
}

/// The metrics that an expression names, and the labels.
fn named(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    const OF_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':' || letter == '$';
    let (mut metrics, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let end = |close: char| rest.find(close).unwrap_or_else(|| panic!("{close} is missing in {expression}"));
        match first {
            '"' => rest = &rest[end('"') + rest[1..].find('"').unwrap() + 2..],
            '[' => rest = &rest[end(']') + 1..],
            '{' => {
                let inside = &rest[1..end('}')];
                let names = inside.split(',').map(|part| part.split(['=', '!']).next().unwrap().trim().to_owned());
                labels.extend(names);
                rest = &rest[end('}') + 1..];
            }
            letter if is_part(letter) => {
                let word = &rest[..rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())];
                rest = rest[word.len()..].trim_start();
                if OF_LABELS.contains(&word) {
                    let close = rest.find(')').unwrap();
                    let names = rest[1..close].split(',').map(|name| name.trim().to_owned());
                    labels.extend(names.filter(|name| !name.is_empty()));
                    rest = &rest[close + 1..];
                } else if !["(", "by ", "without "].iter().any(|next| rest.starts_with(next))
                    && !OPERATORS.contains(&word)
                    && !word.starts_with(|letter: char| letter.is_ascii_digit())
                {
                    metrics.insert(word.to_owned());
                }
            }
            other => rest = &rest[other.len_utf8()..],
        }
    }
    (metrics, labels)
}

#[test]
fn the_metrics_and_labels_of_an_expression_are_found() {
    let (metrics, labels) = named(
        r#"histogram_quantile(0.99, sum by (le, task) (rate(a_bucket{status=~"5..",x!="y"}[5m]))) > 3 * b and on () c == 0"#,
    );
    assert_eq!(metrics, ["a_bucket", "b", "c"].map(str::to_owned).into());
    assert_eq!(labels, ["le", "status", "task", "x"].map(str::to_owned).into());
}

/// The names within `{{…}}` of a text, without what stands before them.
fn placeholders(text: &str, before: &str) -> Vec<String> {
    let inside = text.split("{{").skip(1).map(|part| part.split("}}").next().unwrap().trim());
    inside.filter_map(|name| name.strip_prefix(before)).map(str::to_owned).collect()
}

/// Every expression of the dashboard with the labels that its legend shows.
fn of_dashboard() -> Vec<(String, Vec<String>)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut found = Vec::new();
    for panel in panels {
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{panel}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}");
            let shown = placeholders(target["legendFormat"].as_str().unwrap(), "");
            found.push((target["expr"].as_str().unwrap().to_owned(), shown));
        }
    }
    found
}

/// Every expression of the alert rules with the labels that its words name.
fn of_rules() -> Vec<(String, Vec<String>)> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("operations/prometheus-alerts.yaml");
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new(python_with("moto")).args(["-c", script]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rules: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of_group = |group: &Value| group["rules"].as_array().unwrap().clone();
    let rules: Vec<Value> = rules["groups"].as_array().unwrap().iter().flat_map(of_group).collect();
    assert_eq!(rules.len(), ALERT_RULES.matches("- alert: ").count());
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(names.len(), rules.len());
    let rule = |rule: &Value| {
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
        let words = format!("{} {}", rule["annotations"]["summary"], rule["annotations"]["description"]);
        assert!(!words.contains("null"), "{rule}");
        (rule["expr"].as_str().unwrap().to_owned(), placeholders(&words, "$labels."))
    };
    rules.iter().map(rule).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_and_label_of_the_dashboard_and_the_alert_rules_is_told_by_a_server_with_traffic() {
    let world = World::new().await;
    traffic(&world).await;
    let text = world.get("/metrics").await.text;
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in samples(&text).into_keys() {
        let (name, labels) = sample.split_once('{').unwrap_or((&sample, ""));
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| Some(label.split_once('=')?.0));
        told.entry(name.to_owned()).or_default().extend(labels.map(str::to_owned));
    }
    let mut watched = BTreeSet::new();
    for (expression, shown) in of_dashboard().into_iter().chain(of_rules()) {
        let (metrics, labels) = named(&expression);
        assert!(!metrics.is_empty(), "{expression}");
        let mut known = BTreeSet::new();
        for metric in &metrics {
            known.extend(told.get(metric).unwrap_or_else(|| panic!("{expression}: no {metric} in\n{text}")));
        }
        for label in labels.iter().chain(&shown) {
            assert!(known.contains(label), "{expression}: no label {label}");
        }
        watched.extend(metrics);
    }
    assert!(watched.len() > 40, "{watched:?}");

    let metrics = samples(&text);
    let champion = |name: &str| {
        let of_model = metrics.iter().filter(|(sample, _)| sample.starts_with(&format!("{name}{{model=")));
        of_model.map(|(_, value)| *value).collect::<Vec<f64>>()
    };
    let scored = MONITOR_WINDOW as f64;
    assert_eq!(champion("dhow_fraud_mature_decisions"), [scored, scored], "of the champion and of the challenger");
    assert_eq!(champion("dhow_fraud_observed_frauds"), [scored / 4.0, scored / 4.0]);
    let answers: f64 =
        metrics.iter().filter(|(name, _)| name.contains(r#"decisions_total{task="fraud""#)).map(|one| one.1).sum();
    assert_eq!(answers, scored);
    assert_eq!(metrics[r#"dhow_decision_duration_seconds_count{task="fraud"}"#], scored);
    assert_eq!(metrics[r#"dhow_decision_duration_seconds_count{task="recommendation"}"#], 1.0);
}
