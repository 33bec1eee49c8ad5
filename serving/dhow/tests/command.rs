//! What somebody who types `dhow` relies on: exit statuses, clear errors, and a demo that a `kill -9` cannot harm.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

#[expect(dead_code, reason = "the tests of the registry use more of it")]
#[path = "../../../models/registry/tests/registry/protobuf.rs"]
mod protobuf;
#[path = "../../../models/registry/tests/registry/word_encoder.rs"]
mod word_encoder;

fn dhow(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dhow")).args(arguments).current_dir(std::env::temp_dir()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must be refused, and gives what it said.
fn refused(arguments: &[&str]) -> String {
    let output = dhow(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

fn run(arguments: &[&str]) -> String {
    let output = dhow(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn every_subcommand_explains_itself_with_an_example() {
    for command in [
        "demo",
        "serve",
        "simulate",
        "ingest",
        "stream",
        "features",
        "backfill",
        "sql",
        "train",
        "evaluate",
        "models",
        "forecast",
        "route",
        "operations",
    ] {
        assert!(run(&[command, "--help"]).contains("Example"), "{command}");
    }
}

#[test]
fn a_table_of_ones_own_is_forecast_by_date_and_its_methods_are_judged_once_for_one_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sales.csv");
    let month = |at: usize| format!("{}-{:02}-01", 2020 + at / 12, at % 12 + 1);
    let value = |at: usize, size: usize| size * (100 + at + 30 * usize::from(at % 12 == 11)) + at * 7919 % 11;
    let row = |at: usize| format!("cups,{},{}\npots,{},{}\n", month(at), value(at, 1), month(at), value(at, 3));
    fs::write(&file, std::iter::once("id,time,value\n".to_owned()).chain((0..60).map(row)).collect::<String>())
        .unwrap();
    let shown = file.display().to_string();
    let told = parsed(&run(&["forecast", &shown, "--season", "12", "--horizon", "14", "--json"]));
    let cups = &told[0];
    assert_eq!((&cups["times"][0], &cups["times"][13]), (&"2025-01-01".into(), &"2026-02-01".into()));
    assert_eq!(cups["intervals"].as_array().unwrap().len(), 14, "{cups}");
    assert!(cups["model"].as_str().unwrap().starts_with("weighted mean of 9 methods, mostly "), "{cups}");
    let judged = parsed(&run(&["evaluate", "forecast", "--long", &shown, "--season", "12", "--json"]));
    let groups: Vec<&serde_json::Value> = judged.as_array().unwrap().iter().map(|row| &row["group"]).collect();
    assert!(groups.len() == 8 && groups.iter().all(|group| *group == "series"), "{groups:?}");
    let refused = refused(&["forecast", &shown, "--horizon", "0"]);
    assert!(refused.contains("horizon is 0"), "{refused}");
}

#[test]
fn bad_arguments_and_configuration_end_with_status_two_and_name_the_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("dhow.toml");
    fs::write(&config, "data_dri = \"x\"\n").unwrap();
    let shown = config.display().to_string();
    assert!(refused(&["--config", &shown, "features", "list"]).contains("data_dri"));
    fs::write(&config, "[server]\nbind = \"nowhere\"\n").unwrap();
    assert!(refused(&["--config", &shown, "features", "list"]).contains("bind"));
    assert!(refused(&["demo", "--scale", "huge"]).contains("huge"));
    assert!(refused(&["sql", "SELECT 1", "--data-dir", "/nowhere/at/all"]).contains("there is no data folder"));
    let output = Command::new(env!("CARGO_BIN_EXE_dhow"))
        .args(["features", "list"])
        .env("DHOW_SERVER_BNID", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("DHOW_SERVER_BNID"));
}

#[test]
fn a_backfill_on_a_cluster_without_its_program_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    // Alone in a folder, and with no path to look on.
    let alone = folder.path().join("dhow");
    fs::copy(env!("CARGO_BIN_EXE_dhow"), &alone).unwrap();
    let (data, out) = (folder.path().display().to_string(), folder.path().join("out.parquet").display().to_string());
    let backfill = |engine: &str| {
        let arguments =
            ["backfill", "--spine", "checkout_submitted", "--engine", engine, "--out", &out, "--data-dir", &data];
        let output = Command::new(&alone).args(arguments).env("PATH", "").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(backfill("ballista://127.0.0.1:50050").contains("cargo install --path features/cluster"));
    let said = backfill("ballista://nowhere");
    assert!(said.contains("ballista://HOST:PORT"), "{said}");
}

#[test]
fn a_features_lineage_names_its_source_its_ratios_and_the_vectors_that_hold_it() {
    let lineage = parsed(&run(&["features", "lineage", "product_views_count_7d", "--json"]));
    assert_eq!((lineage["source"].as_str(), lineage["window"].as_str()), (Some("product_viewed"), Some("7d")));
    assert_eq!(lineage["ratios"], serde_json::json!(["product_orders_to_views_7d"]));
    assert!(lineage["requests"].as_array().unwrap().iter().any(|request| request == "item_ordered"), "{lineage}");
    assert!(refused(&["features", "lineage", "product_views_count_7y"]).contains("no feature"));
}

#[test]
fn the_dashboard_and_the_alert_rules_are_written_as_they_are_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let monitoring = folder.path().join("new/monitoring");
    for _ in 0..2 {
        let told = run(&["operations", "export", &monitoring.display().to_string()]);
        assert_eq!(told.lines().count(), 2, "{told}");
    }
    let dashboard = fs::read_to_string(monitoring.join("grafana-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert_eq!(dashboard["title"], "Dhow");
    assert!(fs::read_to_string(monitoring.join("prometheus-alerts.yaml")).unwrap().contains("DhowWorkerStopped"));
    let taken = folder.path().join("taken");
    fs::write(&taken, "").unwrap();
    assert_eq!(dhow(&["operations", "export", &taken.display().to_string()]).status.code(), Some(1));
}

#[test]
fn a_port_in_use_is_named_with_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let said = refused(&["demo", "--port", &port, "--data-dir", folder.path().join("shop").to_str().unwrap()]);
    assert!(said.contains(&port) && said.contains("--port 0"), "{said}");
}

#[test]
fn bad_lines_are_put_aside_with_number_and_reason_and_the_rest_goes_in() {
    let folder = tempfile::tempdir().unwrap();
    let event = |id: &str, time: &str, count: i64| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"dhow.search_performed","time":"{time}","data":{{"session":"ses_01890a5d-ac96-774b-bcce-b302099a8057","buyer":null,"query":"kettle","result_count":{count}}}}}"#
        )
    };
    let lines = [
        event("a", "2026-01-31T12:00:00Z", 3),
        "not json".to_owned(),
        event("b", "2026-01-31T12:00:01Z", -1),
        event("c", "2999-01-31T12:00:01Z", 1),
        event("d", "2026-01-31T12:00:02Z", 0),
    ];
    let file = folder.path().join("events.ndjson");
    fs::write(&file, lines.join("\n")).unwrap();
    let data = folder.path().join("shop");
    let data = data.to_str().unwrap();
    let said = refused(&["ingest", file.to_str().unwrap(), "--data-dir", data]);
    assert!(said.contains("2 events") && said.contains("3 bad lines"), "{said}");
    let aside = fs::read_to_string(Path::new(data).join("put_aside.ndjson")).unwrap();
    for expected in ["\"line\":2", "is not JSON", "\"line\":3", "/data/result_count", "\"line\":4", "is in the future"]
    {
        assert!(aside.contains(expected), "{expected} in {aside}");
    }
    run(&["stream", "--until-caught-up", "--data-dir", data]);
    assert!(
        run(&["sql", "SELECT count(*) AS n FROM search_performed", "--json", "--data-dir", data]).contains("\"n\": 2")
    );
    assert!(refused(&["sql", "DROP TABLE search_performed", "--data-dir", data]).contains("refused"));
}

#[test]
fn a_file_that_is_no_onnx_model_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    fs::write(&file, "this is not a model").unwrap();
    let data = folder.path().join("shop");
    let said = refused(&[
        "models",
        "import",
        file.to_str().unwrap(),
        "--licence",
        "MIT",
        "--task",
        "custom",
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    assert!(said.contains("model.onnx"), "{said}");
}

#[test]
fn a_model_that_no_trusted_key_signed_gets_no_role_until_it_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (ours, theirs, config, data) = (path("ours.key"), path("theirs.key"), path("dhow.toml"), path("shop"));
    let public = run(&["models", "keys", "new", &ours]).trim().to_owned();
    assert_eq!(run(&["models", "keys", "show", &ours]).trim(), public);
    assert!(refused(&["models", "keys", "new", &ours]).contains("ours.key"));
    run(&["models", "keys", "new", &theirs]);

    let with = |keys: &str| fs::write(&config, format!("data_dir = \"{data}\"\n[registry]\n{keys}\n")).unwrap();
    let (trusted, signing) = (format!("trusted_keys = [\"{public}\"]"), format!("signing_key_file = \"{ours}\""));
    let models = |rest: &[&str]| dhow(&[&["--config", config.as_str(), "models"], rest].concat());
    let trees =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/trees/tests/trees/fixtures/lightgbm_binary.txt");
    let trees = trees.to_str().unwrap();
    with("");
    let imported = models(&["import", trees, "--task", "custom", "--licence", "MIT", "--alias", "none"]);
    assert_eq!(imported.status.code(), Some(0), "{}", text(&imported.stderr));
    let id = text(&imported.stdout).split(' ').next().unwrap().to_owned();

    let promote = ["promote", id.as_str(), "--why", "a test"];
    with(&trusted);
    assert!(text(&models(&promote).stderr).contains("nobody signed it"));
    with(&format!("{trusted}\nsigning_key_file = \"{theirs}\""));
    assert!(text(&models(&promote).stderr).contains("is not among the trusted keys"));
    with(&signing);
    assert!(text(&models(&["sign", &id]).stdout).contains(&public));
    with(&trusted);
    assert_eq!(models(&promote).status.code(), Some(0));

    fs::set_permissions(&ours, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&["models", "keys", "show", &ours]).contains("chmod 600"));
}

#[test]
fn a_key_of_secrets_is_made_once_for_its_owner_alone_and_one_that_is_none_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, config, data) = (path("secrets.key"), path("dhow.toml"), path("shop"));
    let name = run(&["secrets", "keys", "new", &key]).trim().to_owned();
    assert_eq!(name.len(), 16);
    assert!(!fs::read_to_string(&key).unwrap().contains(&name));
    assert_eq!(run(&["secrets", "keys", "show", &key]).trim(), name);
    assert!(refused(&["secrets", "keys", "new", &key]).contains("never written over"));

    let serve = |files: &str| {
        fs::write(&config, format!("data_dir = \"{data}\"\n[secrets]\nkey_files = {files}\n")).unwrap();
        refused(&["--config", &config, "serve", "--bind", "127.0.0.1:0"])
    };
    assert!(serve(&format!("[\"{key}\", \"{key}\"]")).contains("named twice"));
    assert!(serve("[\"absent.key\"]").contains("absent.key"));
    let other = path("models.key");
    run(&["models", "keys", "new", &other]);
    let said = serve(&format!("[\"{other}\"]"));
    assert!(said.contains("models.key") && said.contains("dhow secrets keys new"), "{said}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(serve(&format!("[\"{key}\"]")).contains("chmod 600"));
}

#[test]
fn a_server_whose_identity_provider_is_away_or_wrongly_configured_does_not_start_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (config, data, secret) = (path("dhow.toml"), path("shop"), path("login.secret"));
    let serve = |change: &dyn Fn(&str) -> String| {
        let login = format!(
            "data_dir = \"{data}\"\n[login]\nissuer = \"http://127.0.0.1:1/shop\"\nclient_id = \"dhow\"\n\
             client_secret_file = \"{secret}\"\nredirect_url = \"http://127.0.0.1:8080/v1/login/callback\"\n\
             [login.roles]\n\"admins\" = \"owner\"\n"
        );
        fs::write(&config, change(&login)).unwrap();
        let output = dhow(&["--config", &config, "serve", "--bind", "127.0.0.1:0"]);
        (output.status.code(), text(&output.stderr))
    };
    let as_it_is = |login: &str| login.to_owned();
    let (code, said) = serve(&as_it_is);
    assert!(code == Some(2) && said.contains("login.secret"), "{said}");
    fs::write(&secret, "a secret\n").unwrap();
    let (code, said) = serve(&as_it_is);
    assert!(code == Some(2) && said.contains("chmod 600"), "{said}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, said) = serve(&as_it_is);
    assert!(code == Some(1) && said.contains("the identity provider http://127.0.0.1:1/shop"), "{said}");
    for (from, to, why) in [
        ("\"owner\"", "\"king\"", "king"),
        ("http://127.0.0.1:1/shop", "http://id.example", "login.issuer"),
        ("/v1/login/callback", "/", "login.redirect_url"),
        ("client_id = \"dhow\"\n", "", "client_id"),
        ("client_id", "colour = 7\nclient_id", "colour"),
    ] {
        let (code, said) = serve(&|login: &str| login.replace(from, to));
        assert!(code == Some(2) && said.contains(why), "{why}: {said}");
    }
}

#[test]
fn codes_are_learned_from_labelled_texts_and_keep_the_embedding_model_that_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (data, graph, words, labelled) =
        (path("shop"), path("model.onnx"), path("tokenizer.json"), path("labelled.csv"));
    let (onnx, tokenizer) = word_encoder::word_encoder(&word_encoder::groups());
    fs::write(&graph, onnx).unwrap();
    fs::write(&words, tokenizer).unwrap();
    fs::write(&labelled, word_encoder::labelled()).unwrap();
    fs::create_dir(&data).unwrap();
    let until = "2026-01-01T00:00:00Z";
    let train = ["train", "codes", "--examples", &labelled, "--until", until, "--data-dir", &data, "--json"];
    assert!(refused(&["train", "codes", "--data-dir", &data]).contains("--examples"));
    let without = dhow(&train);
    assert!(text(&without.stderr).contains("dhow models import"), "{}", text(&without.stderr));
    run(&[
        "models",
        "import",
        &graph,
        "--tokenizer",
        &words,
        "--task",
        "embedding",
        "--licence",
        "MIT",
        "--data-dir",
        &data,
    ]);
    let report = parsed(&run(&train));
    assert_eq!((&report[0]["promoted"], &report[0]["training_rows"]), (&true.into(), &720.into()), "{report}");
    let [right, commonest] = [&report[0]["figures"][0]["value"], &report[0]["figures"][0]["baselines"][0][1]]
        .map(|value| value.as_f64().unwrap());
    assert!(right > 0.95 && commonest < 0.3, "the commonest code is right for one in six: {report}");
    assert_eq!(parsed(&run(&train))[0]["model"], report[0]["model"], "the same texts make the same model");
    let kept = parsed(&run(&["models", "collect", "--dry-run", "--json", "--data-dir", &data]));
    let codes = report[0]["model"].as_str().unwrap();
    let derived = format!("{codes} was derived from it");
    let needed = |one: &serde_json::Value| one["kept_because"].as_array().unwrap().contains(&derived.as_str().into());
    assert!(kept["kept"].as_array().unwrap().iter().any(needed), "{kept}");
    fs::write(&labelled, "code,words\n851830,headphones\n").unwrap();
    assert!(refused(&train).contains("labelled.csv"));
}

#[test]
fn a_parquet_file_with_the_wrong_columns_is_refused_by_the_column() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    let data = data.to_str().unwrap();
    let file = folder.path().join("events.ndjson");
    let viewed = r#"{"specversion":"1.0","id":"a","source":"/shop","type":"dhow.product_delisted","time":"2026-01-31T12:00:00Z","data":{"product":"prd_01890a5d-ac96-774b-bcce-b302099a8057"}}"#;
    fs::write(&file, viewed).unwrap();
    run(&["ingest", file.to_str().unwrap(), "--data-dir", data]);
    run(&["stream", "--until-caught-up", "--data-dir", data]);
    let day = Path::new(data).join("lake/ten_default/product_delisted/date=2026-01-31");
    let table = fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
    let said = refused(&["ingest", "--dataset", "online-retail", table.to_str().unwrap(), "--data-dir", data]);
    assert!(said.contains("InvoiceNo"), "{said}");
    let text = folder.path().join("table.parquet");
    fs::write(&text, "InvoiceNo,StockCode").unwrap();
    refused(&["ingest", "--dataset", "online-retail", text.to_str().unwrap(), "--data-dir", data]);
}

#[test]
fn the_lakes_small_files_are_merged_when_asked_and_training_sets_are_arrow_or_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [data, file] = ["shop", "events.ndjson"].map(path);
    for id in ["a", "b", "c"] {
        let event = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"dhow.product_delisted","time":"2026-01-31T12:00:00Z","data":{{"product":"prd_01890a5d-ac96-774b-bcce-b302099a8057"}}}}"#
        );
        fs::write(&file, event).unwrap();
        run(&["ingest", &file, "--data-dir", &data]);
        run(&["stream", "--until-caught-up", "--data-dir", &data]);
    }
    let merged = parsed(&run(&["stream", "--until-caught-up", "--compact", "--json", "--data-dir", &data]));
    assert_eq!((&merged["lake_files_merged"], &merged["lake_files_written"]), (&3.into(), &1.into()), "{merged}");
    let count = "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM product_delisted";
    assert_eq!(parsed(&run(&["sql", count, "--json", "--data-dir", &data])), serde_json::json!([{"n": 3, "ids": 3}]));

    let [arrow, parquet, named] = ["set.arrow", "set.parquet", "set"].map(path);
    let backfill = ["backfill", "--spine", "checkout_submitted", "--data-dir", &data, "--out"];
    run(&[&backfill[..], &[&arrow]].concat());
    run(&[&backfill[..], &[&parquet]].concat());
    run(&[&backfill[..], &[&named, "--format", "arrow"]].concat());
    assert!(refused(&[&backfill[..], &[&named, "--format", "csv"]].concat()).contains("parquet and arrow"));
    assert!(fs::read(&arrow).unwrap().starts_with(b"ARROW1"));
    assert!(fs::read(&named).unwrap() == fs::read(&arrow).unwrap());
    let rows = ["sql", "SELECT count(*) AS n FROM sets", "--json", "--data-dir", &data, "--table"];
    assert_eq!(parsed(&run(&[&rows[..], &[&format!("sets={parquet}")]].concat()))[0]["n"], 0);
    assert!(refused(&[&rows[..], &["sets"]].concat()).contains("NAME=FILE"));
}

#[test]
fn a_shops_history_is_known_when_it_happened_and_fresh_events_are_known_now() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [data, file] = ["shop", "events.ndjson"].map(path);
    let event = |id: &str, time: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"dhow.product_delisted","time":"{time}","data":{{"product":"prd_01890a5d-ac96-774b-bcce-b302099a8057"}}}}"#
        )
    };
    // The second line came late: it was known with the first.
    let history = [event("a", "2026-01-31T12:00:00Z"), event("b", "2026-01-31T11:00:00Z")].join("\n");
    fs::write(&file, history).unwrap();
    run(&["ingest", &file, "--history", "--data-dir", &data]);
    fs::write(&file, event("c", "2026-01-31T12:30:00Z")).unwrap();
    run(&["ingest", &file, "--data-dir", &data]);
    run(&["stream", "--until-caught-up", "--data-dir", &data]);
    let known = "SELECT known_time = TIMESTAMP '2026-01-31T12:00:00Z' AS then, known_time > event_time AS later FROM product_delisted ORDER BY known_time, event_time";
    let rows = parsed(&run(&["sql", known, "--json", "--data-dir", &data]));
    let expected = [(true, true), (true, false), (false, true)]
        .map(|(then, later)| serde_json::json!({"then": then, "later": later}));
    assert_eq!(rows, serde_json::json!(expected), "{rows}");
    // History before what is known already would rewrite the past.
    let said = refused(&["ingest", &file, "--history", "--data-dir", &data]);
    assert!(said.contains("known"), "{said}");
}

/// The tables that must not depend on how often the demo was killed, as sums and counts.
fn tables(data: &str) -> Vec<String> {
    let sums = "SELECT count(*) AS n, count(DISTINCT event_id) AS ids, sum(arrow_cast(event_time, 'Int64') % 1000003) AS times, sum(log_offset) AS offsets FROM ";
    let kinds =
        ["product_viewed", "checkout_submitted", "item_ordered", "fraud_labelled", "stock_changed", "session_started"];
    kinds.iter().map(|kind| run(&["sql", &format!("{sums}{kind}"), "--json", "--data-dir", data])).collect()
}

fn start_streaming(data: &str) -> Child {
    let arguments = ["demo", "--only-stream", "--port", "0", "--data-dir", data];
    Command::new(env!("CARGO_BIN_EXE_dhow"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_demo_killed_at_ten_points_of_its_streaming_ends_with_the_tables_of_an_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let [undisturbed, killed] = ["undisturbed", "killed"].map(|name| folder.path().join(name).display().to_string());
    let begin = Instant::now();
    let output = start_streaming(&undisturbed).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let whole = begin.elapsed();
    // Points spread over a run by a fixed sequence; each run goes on where the last was killed.
    for point in 1..=10_u32 {
        let mut child = start_streaming(&killed);
        std::thread::sleep(whole * (point * 7 % 11) / 14 + Duration::from_millis(30));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = start_streaming(&killed).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(tables(&killed), tables(&undisturbed));
    let features = |data: &str| {
        let out = folder.path().join("features.parquet").display().to_string();
        run(&["backfill", "--spine", "checkout_submitted", "--out", &out, "--data-dir", data]);
        fs::read(out).unwrap()
    };
    assert!(features(&killed) == features(&undisturbed), "the training sets differ");
}

#[test]
fn a_worker_killed_a_hundred_times_ends_with_the_tables_of_an_undisturbed_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [events, fresh, undisturbed, killed] = ["events.ndjson", "fresh", "undisturbed", "killed"].map(path);
    run(&["simulate", "--scale", "small", "--seed", "11", "--out", &events]);
    run(&["ingest", &events, "--data-dir", &fresh]);
    let copy_to = |folder: &str| assert!(Command::new("cp").args(["-r", &fresh, folder]).status().unwrap().success());
    copy_to(&undisturbed);
    copy_to(&killed);
    let stream = |data: &str| ["stream", "--until-caught-up", "--data-dir", data].map(str::to_owned);
    let begin = Instant::now();
    run(&stream(&undisturbed).each_ref().map(String::as_str));
    let whole = begin.elapsed();
    // Points that look random and are the same every time: most early, some late enough for a checkpoint or two.
    let (mut state, mut killed_at_work) = (11_u64, 0);
    for _ in 0..100 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut command = Command::new(env!("CARGO_BIN_EXE_dhow"));
        command.args(stream(&killed)).env("DHOW_STREAM_CHECKPOINT_RECORDS", "5000").stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(whole * ((state >> 33) % 100) as u32 / 600 + Duration::from_millis(5));
        let is_done = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        killed_at_work += u32::from(!is_done);
        // Where nothing is left to do, however fast the machine is just now, the next ones begin anew.
        if is_done {
            fs::remove_dir_all(&killed).unwrap();
            copy_to(&killed);
        }
    }
    assert!(killed_at_work > 50, "{killed_at_work} of 100 were killed at work");
    run(&stream(&killed).each_ref().map(String::as_str));
    assert_eq!(tables(&killed), tables(&undisturbed));
}

/// Visits to a shop of 40 products: after product n mostly comes n + 1.
fn visits(count: u64, first: u64) -> String {
    let mut text = "SessionId\tItemId\tTime\n".to_owned();
    for session in first..first + count {
        let start = session * 7 % 40;
        for step in 0..4 {
            let wandering = (session + step) % 5 == 0;
            let item = if wandering { (session * 13 + step * 11) % 40 } else { (start + step) % 40 };
            text.push_str(&format!("{session}\t{item}\t{}.0\n", session * 100 + step));
        }
    }
    text
}

#[test]
fn the_session_protocol_judges_the_recommender_beside_its_baselines_on_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name).display().to_string();
        fs::write(&path, text).unwrap();
        path
    };
    let (train, test) = (write("train.txt", visits(900, 0)), write("test.txt", visits(150, 900)));
    let asked = ["evaluate", "recommend", "--protocol", "sessions", "--train", &train, "--test", &test, "--json"];
    let found = parsed(&run(&asked));
    let mrr = |place: usize| found["figures"][place]["mrr"].as_f64().unwrap();
    assert_eq!((&found["figures"][0]["method"], &found["test_cases"]), (&"sessions".into(), &450.into()), "{found}");
    assert!(mrr(0) > 0.5 && mrr(0) > 2.0 * mrr(3), "{found}");
    assert!(
        refused(&["evaluate", "fraud", "--protocol", "sessions", "--train", &train, "--test", &test])
            .contains("judges `recommend` alone")
    );
    assert!(refused(&["evaluate", "recommend", "--protocol", "sessions", "--train", &train]).contains("--test"));

    let data = std::env::var("DHOW_DATA_DIR").unwrap_or_else(|_| "../../../shared/data".to_owned());
    let example = Path::new(&data).join("sessions/serenade_example");
    if !example.is_dir() {
        println!(
            "SKIPPED: the_session_protocol_judges_the_recommender_beside_its_baselines_on_files: data folder absent"
        );
        return;
    }
    let example = example.canonicalize().unwrap().display().to_string();
    let found = parsed(&run(&[
        "evaluate",
        "recommend",
        "--protocol",
        "sessions",
        "--train",
        &example,
        "--test",
        &example,
        "--json",
    ]));
    let mrr = |place: usize| found["figures"][place]["mrr"].as_f64().unwrap();
    assert!(mrr(0) >= mrr(1) && mrr(1) > 0.33, "{found}");
}

/// Card transactions of sixty days: a terminal is defrauded for some days, and large amounts are frauds.
fn transactions() -> arrow::array::RecordBatch {
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
    let (mut times, mut customers, mut terminals) = (Vec::new(), Vec::new(), Vec::new());
    let (mut amounts, mut frauds, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut state = 1_u64;
    let mut below = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for minute in (0..60 * 24 * 60).step_by(5) {
        let (terminal, customer) = (below(60), below(300));
        let bad_terminal = terminal == (minute / (24 * 60 * 10)) as u64 * 7;
        let large = below(50) == 0;
        let amount = if large { 230.0 + below(100) as f64 } else { 5.0 + below(1_900) as f64 / 10.0 };
        times.push(1_525_132_800_000 + minute * 60_000);
        customers.push(customer as i64);
        terminals.push(terminal as i64);
        amounts.push(amount);
        frauds.push(i64::from(large || bad_terminal));
        notes.push("paid");
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("TX_DATETIME", std::sync::Arc::new(TimestampMillisecondArray::from(times))),
        ("CUSTOMER_ID", std::sync::Arc::new(Int64Array::from(customers))),
        ("TERMINAL_ID", std::sync::Arc::new(Int64Array::from(terminals))),
        ("TX_AMOUNT", std::sync::Arc::new(Float64Array::from(amounts))),
        ("TX_FRAUD", std::sync::Arc::new(Int64Array::from(frauds))),
        ("NOTE", std::sync::Arc::new(StringArray::from(notes))),
    ];
    arrow::array::RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn fraud_models_are_judged_on_files_beside_baselines_and_never_learn_from_labels_that_are_not_known_yet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("transactions.parquet");
    dhow_offline::write_parquet(&path, &transactions()).unwrap();
    let path = path.display().to_string();
    let of_model = |found: &serde_json::Value, place: usize| {
        let name = found["models"][place]["name"].as_str().unwrap().to_owned();
        (name, found["models"][place]["evaluation"]["average_precision"]["value"].as_f64().unwrap())
    };

    let any = ["evaluate", "fraud", "--table", &path, "--label", "TX_FRAUD", "--time", "TX_DATETIME", "--json"];
    let found = parsed(&run(&any));
    assert_eq!((&found["features"], &found["left_out"][0]), (&3.into(), &"NOTE".into()), "{found}");
    let (boosted, linear) = (of_model(&found, 0), of_model(&found, 1));
    assert_eq!((boosted.0.as_str(), linear.0.as_str()), ("boosted trees", "logistic regression"));
    let everything = found["baselines"][1]["average_precision"].as_f64().unwrap();
    assert!(boosted.1 > 5.0 * everything && linear.1 > 5.0 * everything, "{found}");

    let book = ["evaluate", "fraud", "--dataset", "handbook", "--data", &path, "--test", "2018-06-20..2018-06-27"];
    let with_train = |span: &str| [&book[..], &["--train", span, "--json"]].concat().join(" ");
    let early = with_train("2018-05-01..2018-06-14");
    let early: Vec<&str> = early.split(' ').collect();
    assert!(refused(&early).contains("end it by 2018-06-13"), "{}", refused(&early));
    let fit = with_train("2018-05-01..2018-06-13");
    let found = parsed(&run(&fit.split(' ').collect::<Vec<_>>()));
    let everything = found["baselines"][1]["average_precision"].as_f64().unwrap();
    assert!(of_model(&found, 0).1 > 5.0 * everything, "{found}");
    assert!(found["models"][0]["card_precision"]["mean"].as_f64().unwrap() > 0.0, "{found}");

    assert!(refused(&["evaluate", "fraud", "--table", &path, "--time", "TX_DATETIME"]).contains("--label is missing"));
    let unknown = ["evaluate", "fraud", "--table", &path, "--label", "FRAUD", "--time", "TX_DATETIME"];
    assert!(refused(&unknown).contains("there is no column `FRAUD`; there are TX_DATETIME"));
    assert!(refused(&["evaluate", "recommend", "--table", &path]).contains("judge `fraud` alone"));
}

fn parsed(output: &str) -> serde_json::Value {
    serde_json::from_str(output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// The first measure of a task's report with the best of its trivial methods.
fn deciding(report: &serde_json::Value, task: &str) -> (f64, f64) {
    let of_task = report["tasks"].as_array().unwrap().iter().find(|one| one["task"] == task).unwrap();
    let figure = &of_task["figures"][0];
    let larger = figure["larger_is_better"].as_bool().unwrap();
    let trivial = figure["baselines"].as_array().unwrap().iter().map(|pair| pair[1].as_f64().unwrap());
    let best = trivial.reduce(if larger { f64::max } else { f64::min }).unwrap();
    let value = figure["value"].as_f64().unwrap();
    if larger { (value, best) } else { (-value, -best) }
}

#[test]
fn the_demo_trains_serves_sells_and_leaves_a_folder_that_every_command_can_go_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop").display().to_string();
    let report = parsed(&run(&["demo", "--exit", "--json", "--port", "0", "--data-dir", &data]));
    for task in ["recommend", "forecast", "fraud"] {
        let (model, trivial) = deciding(&report, task);
        assert!(model >= trivial, "{task}: {model} against {trivial}: {}", report["tasks"]);
    }
    let fraud = report["tasks"].as_array().unwrap().iter().find(|one| one["task"] == "fraud").unwrap();
    assert_eq!(
        fraud["notes"].as_array().unwrap().len(),
        3,
        "each kind of fraud is scored, or the note says why not: {fraud}"
    );
    let trust: BTreeMap<&str, f64> = report["trust"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (group["accounts_of"].as_str().unwrap(), group["median_score"].as_f64().unwrap()))
        .collect();
    assert!(trust["buyers: honest"] > 50.0 && trust["sellers"] > 50.0, "{trust:?}");
    assert!(trust.get("buyers: ring").is_none_or(|ring| *ring < trust["buyers: honest"] - 20.0), "{trust:?}");
    let day = &report["replay"];
    let count = |name: &str| day[name].as_u64().unwrap();
    let outcomes = [
        "completed",
        "held",
        "refused_for_fraud",
        "refused_for_stock",
        "refused_by_payment",
        "pending",
        "not_sellable",
    ];
    assert_eq!(outcomes.iter().map(|name| count(name)).sum::<u64>(), count("checkouts"), "{day}");
    assert!(count("completed") * 10 > count("checkouts") * 8, "{day}");
    assert!(count("slate_hits") as f64 > count("slates") as f64 * day["popular_hit_rate"].as_f64().unwrap(), "{day}");
    assert_eq!(report["status"]["late"].as_u64().unwrap_or(0), 0, "{}", report["status"]);

    let orders = parsed(&run(&["sql", "SELECT count(*) AS n FROM order_placed", "--json", "--data-dir", &data]));
    assert!(orders[0]["n"].as_u64().unwrap() > count("completed"));
    let sold = "SELECT product, count(*) AS n FROM item_ordered GROUP BY product ORDER BY n DESC, product LIMIT 1";
    let best = parsed(&run(&["sql", sold, "--json", "--data-dir", &data]))[0]["product"].as_str().unwrap().to_owned();
    let forecast = parsed(&run(&["forecast", &best, "--horizon", "7", "--json", "--data-dir", &data]));
    assert_eq!(forecast["days"].as_array().unwrap().len(), 7, "{forecast}");

    let parity = parsed(&run(&["features", "parity", "--json", "--data-dir", &data]));
    assert!(parity["vectors"].as_u64().unwrap() >= count("checkouts"), "{parity}");
    assert_eq!((&parity["difference_count"], &parity["other_order"]), (&0.into(), &0.into()), "{parity}");

    let [features, expectations] =
        ["checkouts.parquet", "expectations.toml"].map(|name| folder.path().join(name).display().to_string());
    run(&["backfill", "--spine", "checkout_submitted", "--out", &features, "--data-dir", &data]);
    let swept = folder.path().join("swept.parquet").display().to_string();
    run(&["backfill", "--engine", "local", "--spine", "checkout_submitted", "--out", &swept, "--data-dir", &data]);
    assert!(fs::read(&swept).unwrap() == fs::read(&features).unwrap(), "the lake's training set is not the log's");
    run(&["features", "drift", "--reference", &features, "--current", &features]);
    fs::write(
        &expectations,
        "[columns.checkout_submitted_line_count]\nmin = 1\n[columns.buyer_checkouts_count_1d]\nmissing_share_max = 0.0\n",
    )
    .unwrap();
    run(&["features", "expect", &features, "--expectations", &expectations]);
    fs::write(&expectations, "[columns.checkout_submitted_line_count]\nmax = 2\n").unwrap();
    let broken = dhow(&["features", "expect", &features, "--expectations", &expectations]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(
        text(&broken.stderr).contains("checkout_submitted_line_count: expected at most 2, found"),
        "{}",
        text(&broken.stderr)
    );

    let judged = parsed(&run(&["evaluate", "recommend", "--json", "--data-dir", &data]));
    assert!(judged[0]["figures"][0]["value"].as_f64().unwrap() > 0.0, "{judged}");
    // Whether a label of the held-out day is known already hangs on the simulated day.
    let fraud = dhow(&["evaluate", "fraud", "--json", "--data-dir", &data]);
    if fraud.status.success() {
        let judged: serde_json::Value = serde_json::from_slice(&fraud.stdout).unwrap();
        assert!(judged[0]["rows"].as_u64() > Some(0), "{judged}");
    } else {
        assert_eq!(fraud.status.code(), Some(1));
        assert!(text(&fraud.stderr).contains("let labels mature"), "{}", text(&fraud.stderr));
    }

    // The lake and the log have grown by a day since the demo trained them.
    for task in ["fraud", "forecast"] {
        let trained = report["tasks"].as_array().unwrap().iter().find(|one| one["task"] == task).unwrap();
        let model = trained["model"].as_str().unwrap();
        let card = fs::read_to_string(Path::new(&data).join(format!("registry/cards/{model}.json"))).unwrap();
        let same = parsed(&run(&["train", task, "--from-card", model, "--json", "--data-dir", &data]));
        assert!(card.contains(same["artifact_hash"].as_str().unwrap()), "{task}: {same}, {card}");
    }

    let again = parsed(&run(&["train", "recommend", "--json", "--data-dir", &data]));
    let verdict = again[0]["verdict"].as_str().unwrap();
    assert!(verdict.contains("learned from data up to"), "a champion is not judged on what it learned: {verdict}");
}
