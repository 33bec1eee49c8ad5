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
    let read_back = request.plan_of_response(expected.to_string().as_bytes()).expect("the answer is well formed");
    assert_eq!(read_back, plan);
    let mut wrong = expected;
    wrong["routes"][0]["cost"] = json!(1_700);
    let wrong = request.plan_of_response(wrong.to_string().as_bytes()).expect("the answer is well formed");
    assert!(check(&request.problem, &wrong).iter().any(|violation| violation.path == "/routes/0/cost"));
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
    let unsupported: [(Change, &str); 4] = [
        (|r| r["shipments"] = json!([{ "pickup": { "priority": 1 }, "delivery": {} }]), "/shipments/0/pickup/priority"),
        (|r| r["jobs"][1]["setup_per_type"] = json!({ "bike": 60 }), "/jobs/1/setup_per_type"),
        (|r| r["options"] = json!({ "geometry": true }), "/options/geometry"),
        (|r| r["matrices"]["car"]["costs"] = json!([[1]]), "/matrices/car/costs"),
    ];
    for (change, path) in unsupported {
        let error = refusal(change);
        assert!(matches!(error, VroomError::Unsupported { .. }), "{error}");
        assert_eq!(error.path(), path);
    }
    let invalid: [(Change, &str); 14] = [
        (|r| r["vehicles"][0]["breaks"] = json!([{ "id": 1, "place": 3 }]), "/vehicles/0/breaks"),
        (|r| r["vehicles"][0]["speed_factor"] = json!(-1.5), "/vehicles/0/speed_factor"),
        (|r| r["jobs"][1]["time_windows"] = json!([[0, 2], [2, 3]]), "/jobs/1/time_windows/1"),
        (|r| r["vehicles"][0]["steps"] = json!([{ "type": "job", "id": 8 }]), "/vehicles/0/steps/0"),
        (|r| r["shipments"] = json!([{ "pickup": { "id": 1 }, "delivery": { "id": 1 } }]), "/shipments/0/pickup"),
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

#[test]
fn a_courier_with_a_break_carries_a_shipment_and_serves_a_job_in_its_second_window() {
    let request = json!({
        "vehicles": [{
            "id": 1, "start": [2.35, 48.85], "start_index": 0, "end": [2.35, 48.85], "end_index": 0, "capacity": [4],
            "speed_factor": 2.0, "costs": { "fixed": 100, "per_hour": 3_600, "per_km": 10 }, "time_window": [0, 20_000],
            "breaks": [{ "id": 5, "description": "lunch", "time_windows": [[4_000, 6_000]], "service": 600, "max_load": [0] }]
        }],
        "jobs": [{ "id": 11, "location": [2.36, 48.86], "location_index": 1, "setup": 30, "service": 60, "priority": 7,
            "time_windows": [[0, 100], [9_000, 10_000]] }],
        "shipments": [{ "amount": [3], "priority": 2,
            "pickup": { "id": 1, "location": [2.37, 48.87], "location_index": 2, "service": 120 },
            "delivery": { "id": 1, "location": [2.38, 48.88], "location_index": 3, "service": 180, "time_windows": [[0, 3_000]] }
        }],
        "matrices": { "car": {
            "durations": [[0, 600, 800, 900], [600, 0, 200, 400], [800, 200, 0, 300], [900, 400, 300, 0]],
            "distances": [[0, 1000, 2000, 3000], [1000, 0, 500, 900], [2000, 500, 0, 700], [3000, 900, 700, 0]]
        } },
        "options": { "g": true }
    });
    let request = parse(request.to_string().as_bytes(), 40.0).expect("the request is well formed");
    let plan = request.solve(&Budget { iterations: 200, seed: 1 }, &never).expect("the budget is in range");
    assert_eq!(check(&request.problem, &plan), vec![]);
    let answer = request.response(&plan);
    let route = &answer["routes"][0];
    let kinds: Vec<&str> =
        route["steps"].as_array().into_iter().flatten().filter_map(|step| step["type"].as_str()).collect();
    assert_eq!(kinds, ["start", "pickup", "delivery", "break", "job", "end"]);
    // Half of 800 + 300 + 400 + 600 s at double speed; 100 + 1,050 for driving + 46 for 4.6 km.
    assert_eq!((&route["duration"], &route["distance"], &route["cost"]), (&json!(1_050), &json!(4_600), &json!(1_196)));
    assert_eq!((&route["service"], &route["setup"], &route["priority"]), (&json!(960), &json!(30), &json!(11)));
    assert_eq!((&route["delivery"], &route["pickup"]), (&json!([3]), &json!([3])));
    assert_eq!(route["steps"][4]["arrival"].as_i64().map(|arrival| arrival <= 9_000), Some(true));
    assert_eq!(route["violations"], json!([]));
    assert!(route["geometry"].as_str().is_some_and(|line| line.starts_with("o_diHo~iM")), "{}", route["geometry"]);
}

#[test]
fn plan_mode_keeps_the_given_steps_and_names_what_they_break() {
    let mut value = request();
    value["options"] = json!({ "c": true });
    value["vehicles"][0]["steps"] =
        json!([{ "type": "start" }, { "type": "job", "id": 3 }, { "type": "job", "id": 1 }]);
    let request = parse(value.to_string().as_bytes(), 40.0).expect("the request is well formed");
    let plan = request.solve(&Budget::default(), &never).expect("the budget is in range");
    let answer = request.response(&plan);
    assert_eq!(answer["routes"][0]["steps"][0]["violations"], json!([{ "cause": "load" }]));
    assert_eq!(answer["unassigned"][0]["id"], json!(2));
    assert!(!check(&request.problem, &plan).is_empty());
}

#[test]
fn the_old_field_for_one_matrix_of_durations_is_read() {
    let request = json!({
        "vehicles": [{ "id": 0, "start_index": 0, "end_index": 3 }],
        "jobs": [{ "id": 14, "location_index": 1 }, { "id": 15, "location_index": 2 }],
        "matrix": [[0, 2_100, 200, 1_300], [2_100, 0, 2_250, 3_150], [200, 2_250, 0, 1_100], [1_300, 3_150, 1_100, 0]]
    });
    let request = parse(request.to_string().as_bytes(), 40.0).expect("the request is well formed");
    let plan = request.solve(&Budget { iterations: 50, seed: 1 }, &never).expect("the budget is in range");
    assert_eq!(request.response(&plan)["summary"]["cost"], json!(2_100 + 2_250 + 1_100));
}

/// The first example of VROOM's own description of its requests: coordinates, skills, a break and a shipment; only the times of
/// travel are left to the server.
#[test]
fn the_first_example_of_vrooms_description_is_planned() {
    let request = json!({
        "vehicles": [
            { "id": 1, "start": [2.35044, 48.71764], "end": [2.35044, 48.71764], "capacity": [4], "skills": [1, 14],
              "time_window": [28_800, 43_200] },
            { "id": 2, "start": [2.35044, 48.71764], "end": [2.35044, 48.71764], "capacity": [4], "skills": [2, 14],
              "time_window": [28_800, 43_200],
              "breaks": [{ "id": 1, "service": 300, "time_windows": [[32_400, 34_200]] }] }
        ],
        "jobs": [
            { "id": 1, "service": 300, "delivery": [1], "location": [1.98935, 48.701], "skills": [1],
              "time_windows": [[32_400, 36_000]] },
            { "id": 2, "service": 300, "pickup": [1], "location": [2.03655, 48.61128], "skills": [1] },
            { "id": 5, "service": 300, "delivery": [1], "location": [2.28325, 48.5958], "skills": [14] },
            { "id": 6, "service": 300, "delivery": [1], "location": [2.89357, 48.90736], "skills": [14] }
        ],
        "shipments": [{
            "amount": [1], "skills": [2],
            "pickup": { "id": 4, "service": 300, "location": [2.41808, 49.22619] },
            "delivery": { "id": 3, "service": 300, "location": [2.39719, 49.07611] }
        }]
    });
    let request = parse(request.to_string().as_bytes(), 60.0).expect("the request is well formed");
    let plan = request.solve(&Budget { iterations: 500, seed: 1 }, &never).expect("the budget is in range");
    assert_eq!(check(&request.problem, &plan), vec![]);
    let answer = request.response(&plan);
    assert_eq!((&answer["code"], &answer["summary"]["unassigned"]), (&json!(0), &json!(0)));
    let steps_of = |vehicle: u64| -> Vec<&Value> {
        let routes = answer["routes"].as_array().expect("an answer has routes");
        let route = routes.iter().find(|route| route["vehicle"] == json!(vehicle)).expect("both vehicles drive");
        route["steps"].as_array().expect("a route has steps").iter().collect()
    };
    let ids = |vehicle: u64, kind: &str| -> Vec<u64> {
        let of_kind = steps_of(vehicle).into_iter().filter(|step| step["type"] == json!(kind));
        of_kind.filter_map(|step| step["id"].as_u64()).collect()
    };
    // As VROOM plans it: each vehicle gets what its skills allow, and its break lies in the break's window.
    assert!(ids(1, "job").contains(&1) && ids(1, "job").contains(&2));
    assert_eq!((ids(2, "pickup"), ids(2, "delivery"), ids(2, "break")), (vec![4], vec![3], vec![1]));
    let pause = steps_of(2).into_iter().find(|step| step["type"] == json!("break")).expect("the break is taken");
    let begins = pause["arrival"].as_i64().unwrap_or(0) + pause["waiting_time"].as_i64().unwrap_or(0);
    assert!((32_400..=34_200).contains(&begins), "{begins}");
}

/// What VROOM's public front-end sends: places picked on a map, named, and geometries asked for.
#[test]
fn a_request_of_vrooms_front_end_is_answered_with_a_line_for_each_route() {
    let request = json!({
        "jobs": [
            { "id": 0, "description": "Rue de Rivoli", "location": [2.3522, 48.8566] },
            { "id": 1, "description": "Montmartre", "location": [2.3431, 48.8867] },
            { "id": 2, "description": "La Defense", "location": [2.2387, 48.8924] }
        ],
        "vehicles": [{ "id": 0, "description": "Vehicle 1", "start": [2.3730, 48.8443], "end": [2.3730, 48.8443] }],
        "options": { "g": true }
    });
    let request = parse(request.to_string().as_bytes(), 40.0).expect("the request is well formed");
    let plan = request.solve(&Budget { iterations: 50, seed: 1 }, &never).expect("the budget is in range");
    assert_eq!(check(&request.problem, &plan), vec![]);
    let answer = request.response(&plan);
    assert_eq!(answer["summary"]["unassigned"], json!(0));
    assert!(answer["summary"]["distance"].as_i64().is_some_and(|metres| metres > 20_000));
    let route = &answer["routes"][0];
    assert!(route["geometry"].as_str().is_some_and(|line| line.len() > 10), "{}", route["geometry"]);
    let described: Vec<&str> =
        route["steps"].as_array().into_iter().flatten().filter_map(|step| step["description"].as_str()).collect();
    assert_eq!(described.len(), 3, "{route}");
}
