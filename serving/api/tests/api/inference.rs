//! The Open Inference Protocol as Triton's own clients speak it, models changed under traffic, and what both leave in the audit log.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dhow_api::{ApiSettings, Entrances};
use dhow_commerce::Permission;
use dhow_events::{Clock, TenantId, Timestamp};
use dhow_registry::{Alias, EmbedderSettings, ModelCard, OnnxImport, Registry, Task, import_onnx};
use serde_json::{Value, json};

use crate::clients::python_with;
use crate::protobuf;
use crate::world::World;

/// The protocol's names of types, and ONNX's numbers of them.
const TYPES: [(&str, u64); 13] = [
    ("FP32", 1),
    ("UINT8", 2),
    ("INT8", 3),
    ("UINT16", 4),
    ("INT16", 5),
    ("INT32", 6),
    ("INT64", 7),
    ("BYTES", 8),
    ("BOOL", 9),
    ("FP16", 10),
    ("FP64", 11),
    ("UINT32", 12),
    ("UINT64", 13),
];

/// Gives back what it is given: `[rows, 2]` of one type.
fn identity(element_type: u64) -> Vec<u8> {
    let value = |name| protobuf::value(name, element_type, &["rows", "2"]);
    protobuf::model(vec![protobuf::node("Identity", &["x"], "y")], vec![], vec![value("x")], vec![value("y")])
}

fn import(registry: &Registry, name: &str, file: &str, bytes: &[u8], at: i64) -> ModelCard {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    std::fs::write(&path, bytes).unwrap();
    let import = OnnxImport {
        name,
        onnx: &path,
        tokenizer: None,
        task: Task::Custom,
        licence: "Apache-2.0",
        at: Timestamp::from_micros(at),
        embedder: EmbedderSettings::default(),
    };
    import_onnx(registry, &TenantId::default(), &import).unwrap().card
}

/// A tree of two features of four in LightGBM's text.
fn trees() -> Vec<u8> {
    let text = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=3\n\
        objective=binary sigmoid:1\nfeature_names=a b c d\nfeature_infos=[0:1] [0:1] [0:1] [0:1]\ntree_sizes=1\n\n\
        Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature=2 0\nsplit_gain=1 1\nthreshold=0.25 0.75\ndecision_type=10 10\n\
        left_child=-1 -2\nright_child=1 -3\nleaf_value=0.1 -0.7 0.3\nleaf_weight=1 1 1\nleaf_count=10 20 30\n\
        internal_value=0 0\ninternal_weight=1 1\ninternal_count=60 50\nis_linear=0\nshrinkage=1\n\n\nend of trees\n";
    text.as_bytes().to_vec()
}

/// Models of every type, trees, and three versions of a linear one of which the first is the champion.
pub fn register(world: &World) -> Vec<ModelCard> {
    let registry = world.engine.registry();
    for (name, number) in TYPES {
        import(registry, &format!("identity_{name}"), "model.onnx", &identity(number), 1);
    }
    import(registry, "trees", "model.txt", &trees(), 1);
    let linear = |version: u8| {
        let bytes = protobuf::linear(&[f32::from(version); 6], &[0.0, 0.0]);
        import(registry, "linear", "model.onnx", &bytes, i64::from(version))
    };
    let versions: Vec<ModelCard> = (1..=3).map(linear).collect();
    let at = world.clock.now();
    let champion = (Alias::Champion, versions[0].model_id);
    registry.promote(&TenantId::default(), Task::Custom, champion.0, champion.1, at, "a test").unwrap();
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn tritons_python_clients_pass_over_http_and_grpc() {
    let world = World::new().await;
    register(&world);
    let all = [Permission::ModelsRead, Permission::ModelsInfer, Permission::ModelsWrite];
    let (_, key) = world.key("ten_default", &all).await;
    let (_, weak) = world.key("ten_default", &[Permission::ModelsRead]).await;
    let listen = || tokio::net::TcpListener::bind("127.0.0.1:0");
    let (http, grpc) = (listen().await.unwrap(), listen().await.unwrap());
    let url = |listener: &tokio::net::TcpListener| listener.local_addr().unwrap().to_string();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/api/triton_client.py");
    let arguments = [url(&http), url(&grpc), key.clone(), weak];
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let settings = ApiSettings::default();
    let entrances = Entrances { listener: http, grpc: Some(grpc), login: None };
    let server = tokio::spawn(dhow_api::serve_all(world.engine.clone(), settings, entrances, shutdown));
    let run = move || Command::new(python_with("tritonclient")).arg(script).args(arguments).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{wrong}");
    drop(stop);
    server.await.unwrap().unwrap();

    // What was loaded and unloaded stands in the audit log, by either way.
    let (_, admin) = world.key("ten_default", &[Permission::AuditRead]).await;
    for operation in
        ["gRPC RepositoryModelLoad", "gRPC RepositoryModelUnload", "POST /v2/repository/models/{model}/load"]
    {
        assert!(is_logged(&world, &admin, operation).await, "{operation}");
    }
}

/// Whether the audit log holds an operation; rows get their places a moment after they were written.
async fn is_logged(world: &World, key: &str, operation: &str) -> bool {
    for _ in 0..200 {
        let mut cursor = String::new();
        loop {
            let page = world.ask("GET", format!("/v1/audit-log?limit=100{cursor}")).key(key).send().await.json();
            if page["items"].as_array().unwrap().iter().any(|row| row["operation"] == operation) {
                return true;
            }
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    false
}

pub fn ask(rows: &[[f32; 3]]) -> Value {
    json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [rows.len(), 3], "data": rows }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_changes_of_model_under_traffic_fail_no_request() {
    const CHANGES: usize = 100;
    let world = World::new().await;
    let versions: Vec<String> = register(&world).iter().map(|card| card.model_id.to_string()).collect();
    let load = |version: &str| {
        let body = json!({ "parameters": { "version": version } });
        let request = world.ask("POST", "/v2/repository/models/linear/load").json(&body);
        async { assert_eq!(request.send().await.status, 200) }
    };
    load(&versions[0]).await;
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let traffic = async {
        while !over.load(Ordering::Acquire) {
            let answer = world.post("/v2/models/linear/infer", &ask(&[[1.0, 2.0, 3.0]])).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let answer = answer.json();
            // Of whichever version it is: the version that it says is the one that computed it.
            let place = versions.iter().position(|version| answer["model_version"] == json!(version)).unwrap();
            let expected = 6.0 * (place + 1) as f32;
            assert_eq!(answer["outputs"][0]["data"], json!([expected, expected]));
            answered.fetch_add(1, Ordering::AcqRel);
            tokio::task::yield_now().await;
        }
    };
    let changes = async {
        for change in 1..=CHANGES {
            // Of three versions the one before the one before is loaded anew each time.
            load(&versions[change % 3]).await;
        }
        over.store(true, Ordering::Release);
    };
    tokio::join!(changes, traffic);
    assert!(answered.load(Ordering::Acquire) > CHANGES, "{answered:?} requests between {CHANGES} changes");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_alone_works_with_nested_data_and_names_what_is_wrong() {
    let world = World::new().await;
    register(&world);
    for model in ["linear", "custom.champion", "identity_INT8"] {
        assert_eq!(
            world.ask("POST", format!("/v2/repository/models/{model}/load")).send().await.status,
            200,
            "{model}"
        );
    }
    let answer = world.post("/v2/models/custom.champion/infer", &ask(&[[1.0, 2.0, 3.0], [0.5, 0.0, 0.0]])).await;
    assert_eq!(
        answer.json()["outputs"][0],
        json!({ "name": "y", "datatype": "FP32", "shape": [2, 2], "data": [6.0, 6.0, 0.5, 0.5] })
    );
    let newest = world.post("/v2/models/linear/infer", &ask(&[[1.0, 0.0, 0.0]])).await.json();
    assert_eq!(newest["outputs"][0]["data"], json!([3.0, 3.0]), "a name stands for its newest version");
    let nested = |depth: usize| format!("{}1,2{}", "[".repeat(depth), "]".repeat(depth));
    let int8 = |data: &str| format!(r#"{{"inputs":[{{"name":"x","datatype":"INT8","shape":[1,2],"data":{data}}}]}}"#);
    for (body, words) in [
        (int8("[1,128]"), "`data`"),
        (int8("[1,1.5]"), "`data`"),
        (int8("[1,true]"), "`data`"),
        (int8("[1]"), "needs 2 elements; 1 were given"),
        (int8(&nested(1_000_000)), "deep"),
        (r#"{"inputs":[{"name":"x","datatype":"BF16","shape":[1,2],"data":[1,2]}]}"#.to_owned(), "BF16"),
        (
            r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[-1,2],"data":[1,2]}]}"#.to_owned(),
            "as the protocol says",
        ),
        (r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[1,2]}]}"#.to_owned(), "neither"),
        ("{".to_owned(), "as the protocol says"),
    ] {
        let refused = world.ask("POST", "/v2/models/identity_INT8/infer").body("application/json", body).send().await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.protocol_error().contains(words), "{words}: {}", refused.text);
    }
    let answered =
        world.ask("POST", "/v2/models/identity_INT8/infer").body("application/json", int8(&nested(32))).send();
    assert_eq!(answered.await.status, 200);
    for (method, path, status) in
        [("GET", "/v2/nothing", 404), ("DELETE", "/v2/models/linear", 405), ("GET", "/v2/models/linear/ready?x=1", 400)]
    {
        let refused = world.ask(method, path).send().await;
        assert_eq!(refused.status, status, "{path}");
        assert!(!refused.protocol_error().is_empty());
    }
    let other = world.key("ten_other", &[Permission::ModelsInfer]).await.1;
    let refused = world.ask("POST", "/v2/models/linear/infer").key(&other).json(&ask(&[[0.0; 3]])).send().await;
    assert_eq!(refused.status, 404, "another tenant's models are not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_tried_on_a_share_of_keys_judged_by_outcomes_and_put_in_force() {
    let world = World::new().await;
    let versions: Vec<String> = register(&world).iter().map(|card| card.model_id.to_string()).collect();
    let load = json!({ "parameters": { "version": versions[0] } });
    assert_eq!(world.ask("POST", "/v2/repository/models/linear/load").json(&load).send().await.status, 200);
    let trial = "/v1/models/linear/trial";
    assert_eq!(world.ask("GET", trial).send().await.status, 404);
    let put = |body: Value| world.ask("PUT", trial).json(&body).send();
    for (body, status, words) in [
        (json!({ "kind": "canary", "share": 0 }), 422, "`share`"),
        (json!({ "kind": "canary", "share": 0.5, "version": versions[0] }), 422, "nothing to try"),
        (json!({ "kind": "canary", "share": 0.5, "version": "mdl_x" }), 404, "no model"),
        (json!({ "kind": "canary", "share": 0.5, "guard": { "requests_min": 0 } }), 422, "requests_min"),
        (json!({ "kind": "canary", "share": 0.5, "guards": {} }), 422, "guards"),
    ] {
        let refused = put(body).await;
        assert!(refused.status == status && refused.text.contains(words), "{refused:?}");
    }
    let guard = json!({ "requests_min": 20, "latency_ratio_max": 1000.0, "shift_max": 1000.0 });
    let begun = put(json!({ "kind": "canary", "share": 0.5, "version": versions[1], "guard": guard })).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    let infer = |key: usize| {
        let mut body = ask(&[[key as f32 / 100.0, 0.0, 0.0]]);
        body["id"] = json!(format!("r{key}"));
        body["parameters"] = json!({ "routing_key": format!("buyer {key}") });
        let world = &world;
        async move {
            let answer = world.post("/v2/models/linear/infer", &body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()["model_version"].as_str().unwrap().to_owned()
        }
    };
    let mut canary = 0;
    for key in 0..100 {
        let version = infer(key).await;
        assert_eq!(infer(key).await, version);
        canary += usize::from(version == versions[1]);
    }
    assert!((20..=80).contains(&canary), "{canary}");

    // What came out is what the version in force says: the other says twice as much, and is taken off.
    let told = |key: usize| json!({ "id": format!("r{key}"), "value": key as f64 / 100.0 });
    let outcomes = json!({ "outcomes": (0..100).map(told).collect::<Vec<_>>() });
    let known = world.ask("POST", format!("{trial}/outcomes")).json(&outcomes).send().await;
    assert_eq!(known.json(), json!({ "known": 100 }), "{known:?}");
    let report = world.ask("GET", trial).send().await.json();
    assert!(report["stopped"]["why"].as_str().unwrap().contains("beside what came out"), "{report}");
    assert_eq!(infer(3).await, versions[0]);

    // Against the advice, by its version: nothing is loaded, and the trial is over.
    let load = json!({ "parameters": { "version": versions[1] } });
    assert_eq!(world.ask("POST", "/v2/repository/models/linear/load").json(&load).send().await.status, 200);
    assert_eq!(infer(3).await, versions[1]);
    assert_eq!(world.ask("DELETE", trial).send().await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_by_another_process_reaches_the_running_server() {
    let world = World::new().await;
    let versions = register(&world);
    let role = "/v2/models/custom.champion/infer";
    assert_eq!(world.ask("POST", "/v2/repository/models/custom.champion/load").send().await.status, 200);
    let version = async || world.post(role, &ask(&[[1.0, 0.0, 0.0]])).await.json()["model_version"].clone();
    assert_eq!(version().await, json!(versions[0].model_id));

    // Another handle on the folder, as another process has; its clock is this world's.
    let folder = world.engine.folders().registry.clone();
    let elsewhere = Registry::open(folder).unwrap();
    let (tenant, champion) = (TenantId::default(), versions[1].model_id);
    elsewhere.promote(&tenant, Task::Custom, Alias::Champion, champion, world.clock.now(), "better").unwrap();
    let mut looks = 0;
    while version().await != json!(champion) {
        looks += 1;
        assert!(looks < 2_000, "the promotion is not followed");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
