//! VROOM's JSON: a request with a known answer, and refusals that name the field.

use super::*;
use dhow_routes::vroom::{VroomError, parse};
use serde_json::{Value, json};

fn request() -> Value {
    json!({
        "vehicles": [{
            "id": 7, "profile": "car", "description": "van", "start_index": 0, "end_index": 0, "capacity": [4],
            "skills": [1], "time_window": [28_800, 43_200], "max_tasks": 3
        }],
        "jobs": [
            { "id": 1, "location_index": 1, "service": 300, "delivery": [1], "skills": [1],
              "time_windows": [[32_400, 36_000]] },
            { "id": 2, "location_index": 2, "service": 300, "delivery": [2], "pickup": [1] },
            { "id": 3, "location_index": 2, "delivery": [9], "description": "too heavy" }
        ],
        "matrices": { "car": {
            "durations": [[0, 600, 900], [600, 0, 300], [900, 400, 0]],
            "distances": [[0, 6000, 9000], [6000, 0, 3000], [9000, 4000, 0]]
        } }
    })
}

type Change = fn(&mut Value);

fn refusal(change: Change) -> VroomError {
    let mut request = request();
    change(&mut request);
    parse(request.to_string().as_bytes(), 40.0).expect_err("the request is bad")
}

#[test]
fn a_request_gets_vrooms_answer() {
    let request = parse(request().to_string().as_bytes(), 40.0).expect("the request is well formed");
    let plan = solve(&request.problem, 100);
    assert_eq!(check(&request.problem, &plan), vec![]);
    let step = |kind: &str, index: usize, arrival: i64, travel: i64, distance: i64, load: i64| {
        json!({ "type": kind, "location_index": index, "arrival": arrival, "duration": travel, "distance": distance,
            "load": [load], "setup": 0, "service": 0, "waiting_time": 0, "violations": [] })
    };
    let job = |id: u64, mut step: Value| {
        step["id"] = json!(id);
        step["job"] = json!(id);
        step["service"] = json!(300);
        step
    };
    // Driving 0-1-2-0 takes 1,800 s, 0-2-1-0 would take 1,900 s. Job 1 opens at 32,400 s, 600 s from the depot.
    let steps = json!([
        step("start", 0, 31_800, 0, 0, 3),
        job(1, step("job", 1, 32_400, 600, 6_000, 2)),
        job(2, step("job", 2, 33_000, 900, 9_000, 1)),
        step("end", 0, 34_200, 1_800, 18_000, 1)
    ]);
    let expected = json!({
        "code": 0,
        "summary": { "cost": 1_800, "routes": 1, "unassigned": 1, "delivery": [3], "pickup": [1], "setup": 0,
            "service": 600, "duration": 1_800, "waiting_time": 0, "priority": 0, "distance": 18_000, "violations": [] },
        "unassigned": [{ "id": 3, "type": "job", "location_index": 2, "description": "too heavy",
            "reason": "over_every_capacity",
            "reason_text": "its amounts exceed the capacity of every suitable vehicle" }],
        "routes": [{ "vehicle": 7, "description": "van", "cost": 1_800, "delivery": [3], "pickup": [1], "setup": 0,
            "service": 600, "duration": 1_800, "waiting_time": 0, "priority": 0, "distance": 18_000, "steps": steps,
            "violations": [] }]
    });
    assert_eq!(request.response(&plan), expected);
}

#[test]
fn coordinates_without_a_matrix_use_the_great_circle() {
    let request = json!({
        "vehicles": [{ "id": 1, "start": [3.4, 6.5], "end": [3.4, 6.5] }],
        "jobs": [{ "id": 1, "location": [3.5, 6.5] }, { "id": 2, "location": [3.4, 6.6] }]
    });
    let request = parse(request.to_string().as_bytes(), 36.0).expect("the request is well formed");
    let plan = solve(&request.problem, 10);
    // 0.1 degrees are about 11.1 km; the triangle is about 11.05 + 15.67 + 11.12 km long, at 10 m/s.
    assert!((plan.distance_m - 37_840).abs() < 100, "{}", plan.distance_m);
    assert_eq!(request.response(&plan)["summary"]["cost"], json!(plan.routes[0].travel_s));
}

#[test]
fn what_is_not_supported_or_wrong_is_named() {
    let unsupported: [(Change, &str); 7] = [
        (|r| r["shipments"] = json!([{ "amount": [1] }]), "/shipments"),
        (|r| r["vehicles"][0]["breaks"] = json!([{ "id": 1 }]), "/vehicles/0/breaks"),
        (|r| r["vehicles"][0]["speed_factor"] = json!(1.5), "/vehicles/0/speed_factor"),
        (|r| r["jobs"][1]["setup"] = json!(60), "/jobs/1/setup"),
        (|r| r["jobs"][1]["time_windows"] = json!([[0, 1], [2, 3]]), "/jobs/1/time_windows/1"),
        (|r| r["options"] = json!({ "g": true }), "/options/g"),
        (|r| r["matrices"]["car"]["costs"] = json!([[1]]), "/matrices/car/costs"),
    ];
    for (change, path) in unsupported {
        let error = refusal(change);
        assert!(matches!(error, VroomError::Unsupported { .. }), "{error}");
        assert_eq!(error.path(), path);
    }
    let invalid: [(Change, &str); 9] = [
        (|r| r["jobs"] = Value::Null, "/jobs"),
        (|r| r["jobs"][0]["id"] = json!("one"), "/jobs/0/id"),
        (|r| r["jobs"][2]["id"] = json!(1), "/jobs/2/id"),
        (|r| r["jobs"][0]["delivery"] = json!([-1]), "/jobs/0/delivery/0"),
        (|r| r["jobs"][0]["location_index"] = json!(3), "/jobs/0/location"),
        (|r| r["jobs"][0]["time_windows"] = json!([[9, 3]]), "/jobs/0/time_windows/0"),
        (|r| r["vehicles"][0]["time_window"] = json!("morning"), "/vehicles/0/time_window"),
        (|r| r["vehicles"][0]["costs"] = json!({ "per_km": -1 }), "/vehicles/0/costs/per_km"),
        (|r| r["matrices"]["car"]["durations"][0] = json!([0, 1]), "/matrices/car/durations/0"),
    ];
    for (change, path) in invalid {
        let error = refusal(change);
        assert!(matches!(error, VroomError::Invalid { .. }), "{error}");
        assert_eq!(error.path(), path, "{error}");
        assert_eq!(error.response()["code"], json!(2));
    }
    assert!(matches!(parse(b"[1", 40.0), Err(VroomError::NotJson { .. })));
}
