//! What route planners rely on over HTTP: plans made beside the request, watched, changed and accepted, and bad input named.

use dhow_commerce::{Outbox, Permission};
use dhow_events::ShipmentId;
use serde_json::{Value, json};

use crate::clients::run_client;
use crate::world::{Answer, World};

const PLANS: &str = "/v1/route-plans";

/// Jobs on a crooked line and two vans that hold six parcels each.
fn problem(jobs: i64) -> Value {
    let job = |id: i64| {
        let location = [3.3 + (id * 37 % 50) as f64 / 500.0, 6.5 + (id * 53 % 50) as f64 / 500.0];
        json!({ "id": id, "location": location, "service": 120, "delivery": [1] })
    };
    let van = |id: i64| json!({ "id": id, "start": [3.3, 6.5], "end": [3.3, 6.5], "capacity": [6] });
    json!({ "jobs": (1..=jobs).map(job).collect::<Vec<_>>(), "vehicles": [van(1), van(2)] })
}

/// Asks for a plan and waits until it is made.
async fn made(world: &World, problem: &Value) -> (String, Value) {
    let asked = world.post(&format!("{PLANS}?seconds=0.1"), problem).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let path = asked.header("location").to_owned();
    let plan = world.until(&path, |plan| plan["state"] == "finished").await;
    (path, plan)
}

/// Sends a change of a plan for the version whose ETag is given.
async fn change(world: &World, path: &str, tag: &str, body: Option<&Value>) -> Answer {
    let ask = world.ask("POST", path).header("if-match", tag);
    match body {
        Some(body) => ask.json(body).send().await,
        None => ask.send().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_made_beside_the_request_and_tells_its_figures_beside_those_of_other_plans() {
    let world = World::new().await;
    let (first, plan) = made(&world, &problem(12)).await;
    assert_eq!(
        (&plan["plan"]["summary"]["unassigned"], &plan["version"], &plan["stops"]),
        (&json!(0), &json!(2), &json!(12))
    );
    let figures = &plan["figures"];
    assert!(figures["kpis"]["cost"].as_i64() <= figures["nearest_neighbour"]["cost"].as_i64(), "{figures}");
    assert!(figures["kpis"]["cost"].as_i64() <= figures["savings"]["cost"].as_i64(), "{figures}");
    assert_eq!((&figures["previous"], &figures["kpis"]["co2e_g_per_km"]), (&Value::Null, &json!(240.0)));
    let arrivals = figures["arrivals"].as_array().unwrap();
    assert_eq!(arrivals.len(), 12);
    let seconds = |arrival: &Value, name: &str| arrival[name].as_i64().unwrap();
    assert!(
        arrivals
            .iter()
            .all(|one| seconds(one, "p10_s") <= seconds(one, "p90_s") && one["sequence"].as_i64() >= Some(1))
    );

    let previous = first.rsplit('/').next().unwrap();
    let again = world.post(&format!("{PLANS}?seconds=0.1&previous={previous}"), &problem(12)).await;
    let again = world.until(again.header("location"), |plan| plan["state"] == "finished").await;
    assert_eq!(again["figures"]["previous"], figures["kpis"]);
    let listed = world.get(format!("{PLANS}?state=finished")).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let decisions = world.until("/v1/decisions?kind=route", |page| page["items"].as_array().unwrap().len() == 2).await;
    // Both were made at one instant of the test's clock, so either may stand first.
    assert!(decisions["items"].as_array().unwrap().iter().any(|decision| decision["subject"] == again["id"]));
    let unknown = format!("{PLANS}?previous=pln_01890a5d-ac96-774b-bcce-b302099a8057");
    assert_eq!(world.post(&unknown, &problem(3)).await.pointers(), ["/previous"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_a_plan_is_told_of_each_better_one_and_of_the_end() {
    let world = World::new().await;
    let asked = world.post(&format!("{PLANS}?seconds=1.5"), &problem(12)).await;
    let events = world.get(format!("{}/events", asked.header("location"))).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    let names: Vec<&str> = events.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((names.last(), names.contains(&"incumbent")), (Some(&"end"), true), "{}", events.text);
    let data = events.text.lines().filter_map(|line| line.strip_prefix("data: "));
    let data: Vec<Value> = data.map(|line| serde_json::from_str(line).unwrap()).collect();
    let costs: Vec<i64> = data.iter().filter_map(|event| event["progress"]["cost"].as_i64()).collect();
    assert!(costs.is_sorted_by(|earlier, later| earlier >= later), "{costs:?}");
    assert_eq!(data.last().unwrap()["state"], "finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gives_the_same_plan_and_a_cancelled_one_ends() {
    let world = World::new().await;
    let ask = |jobs: i64| {
        world.ask("POST", format!("{PLANS}?seconds=600")).header("idempotency-key", "once").json(&problem(jobs)).send()
    };
    let (first, second) = (ask(12).await, ask(12).await);
    assert_eq!(first.json()["id"], second.json()["id"]);
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), ("false", "true"));
    assert_eq!(ask(11).await.code(), "idempotency_key_reused");
    let path = first.header("location");
    world.until(path, |plan| plan["state"] == "running").await;
    let waiting = world.post(&format!("{PLANS}?seconds=0.1"), &problem(3)).await;
    assert_eq!(waiting.json()["state"], "queued");
    let ended = world.ask("DELETE", path).send().await;
    assert_eq!((ended.status, &ended.json()["state"]), (200, &json!("cancelled")));
    // The next one has its turn as soon as the cancelled search is over.
    world.until(waiting.header("location"), |plan| plan["state"] == "finished").await;
    assert_eq!(world.get(path).await.json()["state"], "cancelled");
    assert_eq!(world.ask("DELETE", waiting.header("location")).send().await.code(), "state_conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_plan_becomes_one_event_for_each_stop_once() {
    let world = World::new().await;
    let mut problem = problem(4);
    let parcel = ShipmentId::from_u128(0x51);
    problem["jobs"][2]["description"] = json!(parcel);
    let (path, plan) = made(&world, &problem).await;
    let accept = format!("{path}/accept");
    let without = world.ask("POST", &accept).send().await;
    assert_eq!((without.status, without.code().as_str()), (428, "precondition_required"));
    assert_eq!(change(&world, &accept, "\"1\"", None).await.code(), "stale_version");
    for _ in 0..2 {
        let accepted = change(&world, &accept, "\"2\"", None).await;
        assert_eq!(
            (accepted.status, accepted.header("etag"), &accepted.json()["state"]),
            (200, "\"3\"", &json!("accepted"))
        );
    }
    assert_eq!(world.get(format!("{path}?version=2")).await.json()["state"], "finished");
    let query =
        json!({ "query": "SELECT plan, task, shipment, sequence, arrival_s FROM shipment_planned ORDER BY task" });
    for _ in 0..500 {
        if world.engine.store().outbox_waiting().await.unwrap() == 0 && world.engine.lag().unwrap().1 == 0 {
            world.engine.checkpoint().unwrap();
            let rows = world.post("/v1/sql", &query).await.json()["rows"].clone();
            if rows.as_array().is_some_and(|rows| !rows.is_empty()) {
                let tasks: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row[1].as_str().unwrap()).collect();
                assert_eq!(tasks, ["job 1", "job 2", "job 3", "job 4"]);
                assert_eq!((&rows[2][0], &rows[2][2], &rows[0][2]), (&plan["id"], &json!(parcel), &Value::Null));
                return;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the stops did not reach the lake");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_into_a_live_plan_at_its_price_and_nothing_else_moves() {
    let world = World::new().await;
    let (path, plan) = made(&world, &problem(11)).await;
    let insert = format!("{path}/insert");
    let job = json!({ "id": 99, "location": [3.31, 6.51], "service": 120, "delivery": [1] });
    let asked = change(&world, &insert, "\"2\"", Some(&json!({ "job": job, "price_only": true }))).await;
    assert_eq!((asked.status, asked.header("etag")), (200, "\"2\""), "{asked:?}");
    let done = change(&world, &insert, "\"2\"", Some(&json!({ "job": job }))).await;
    assert_eq!((done.status, done.header("etag")), (200, "\"3\""), "{done:?}");
    let (asked, done) = (asked.json(), done.json());
    for part in ["vehicle", "position", "added_cost"] {
        assert_eq!(asked[part], done[part], "the price was the one asked for");
    }
    let cost = |plan: &Value| plan["plan"]["summary"]["cost"].as_i64().unwrap();
    assert_eq!(cost(&done["plan"]), cost(&plan) + done["added_cost"].as_i64().unwrap());
    let rounds = |plan: &Value| -> Vec<Vec<i64>> {
        let routes = plan["plan"]["routes"].as_array().unwrap().iter();
        let tasks = |route: &Value| {
            let steps = route["steps"].as_array().unwrap().iter();
            steps.filter_map(|step| step["id"].as_i64()).filter(|id| *id != 99).collect()
        };
        routes.map(tasks).collect()
    };
    assert_eq!(rounds(&plan), rounds(&done["plan"]));
    assert_eq!(done["plan"]["figures"]["previous"], plan["figures"]["kpis"]);

    let again = change(&world, &insert, "\"2\"", Some(&json!({ "job": job }))).await;
    assert_eq!((again.status, again.code().as_str()), (412, "stale_version"));
    let twice = change(&world, &insert, "\"3\"", Some(&json!({ "job": job }))).await;
    assert_eq!(twice.pointers(), ["/job/id"]);
    let full = json!({ "job": { "id": 100, "location": [3.31, 6.51], "delivery": [1] } });
    let full = change(&world, &insert, "\"3\"", Some(&full)).await;
    assert_eq!((full.status, full.code().as_str()), (409, "conflict"));
    assert!(full.text.contains("carry [1] more"), "{full:?}");
    let neither = change(&world, &insert, "\"3\"", Some(&json!({}))).await;
    assert_eq!(neither.status, 422);
    assert_eq!(world.post(&insert, &json!({ "job": job })).await.code(), "precondition_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_plan_gets_no_dearer_and_a_task_changes_its_vehicle_only_where_it_pays() {
    let world = World::new().await;
    let mut steps = problem(12);
    // The plan's own steps are kept: odd jobs go by one van, even ones by the other, which is far from the best.
    for van in [0, 1] {
        let mine = (1..=12).filter(|id| id % 2 == van).map(|id| json!({ "type": "job", "id": id }));
        steps["vehicles"][van as usize]["steps"] = mine.collect();
    }
    steps["options"] = json!({ "c": true });
    let (path, _) = made(&world, &steps).await;
    let reoptimise = format!("{path}/reoptimise");
    let never = json!({ "stability_price": 1_000_000, "seconds": 0.1 });
    let never = change(&world, &reoptimise, "\"2\"", Some(&never)).await;
    assert_eq!(never.status, 200, "{never:?}");
    let tag = never.header("etag").to_owned();
    let never = never.json();
    assert_eq!((&never["moved"], &never["stability_cost"]), (&json!([]), &json!(0)));
    assert!(never["cost"].as_i64() <= never["cost_before"].as_i64());
    let free = json!({ "stability_price": 0, "seconds": 0.1 });
    let free = change(&world, &reoptimise, &tag, Some(&free)).await.json();
    assert!(free["cost"].as_i64() < never["cost"].as_i64() && !free["moved"].as_array().unwrap().is_empty(), "{free}");
    let wrong = change(&world, &reoptimise, "\"1\"", Some(&json!({ "stability_price": -1 }))).await;
    assert_eq!(wrong.pointers(), ["/stability_price"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_solution_is_checked_and_what_it_leaves_out_is_explained_with_a_change_that_lets_it_in() {
    let world = World::new().await;
    let mut asked = problem(13);
    let solution = world.post("/v1/routes", &asked).await.json();
    assert_eq!(solution["unassigned"].as_array().unwrap().len(), 1, "two vans hold twelve");
    let judged = |path: &'static str, problem: &Value, solution: &Value| {
        let body = json!({ "problem": problem, "solution": solution });
        let world = &world;
        async move { world.post(path, &body).await }
    };
    let found = judged("/v1/routes/check", &asked, &solution).await.json();
    assert_eq!((&found["valid"], &found["kpis"]["cost"]), (&json!(true), &solution["summary"]["cost"]), "{found}");
    let mut dearer = solution.clone();
    dearer["routes"][0]["cost"] = json!(1);
    let found = judged("/v1/routes/check", &asked, &dearer).await.json();
    assert_eq!(found["valid"], json!(false));
    assert!(found["violations"][0]["path"].as_str().unwrap().starts_with("/routes/0"), "{found}");

    let explained = judged("/v1/routes/explain", &asked, &solution).await.json();
    let reason = &explained["explanations"][0];
    assert_eq!(
        (&reason["reason"], &reason["impossible_alone"]),
        (&json!("no_room_left"), &json!(false)),
        "{explained}"
    );
    assert_eq!(reason["missing"], json!([{ "rule": "capacity", "missing": 1 }]));
    let van = reason["vehicle"].as_str().unwrap().parse::<usize>().unwrap();
    assert_eq!(reason["relaxation"], json!([format!("let vehicle \"{van}\" carry [1] more")]));
    asked["vehicles"][van - 1]["capacity"] = json!([7]);
    assert_eq!(world.post("/v1/routes", &asked).await.json()["unassigned"], json!([]), "with it, all are served");

    let mut unknown = solution.clone();
    unknown["routes"][0]["vehicle"] = json!(9);
    assert_eq!(judged("/v1/routes/check", &asked, &unknown).await.pointers(), ["/solution/routes/0/vehicle"]);
    assert_eq!(judged("/v1/routes/check", &json!({ "jobs": [] }), &solution).await.pointers(), ["/problem/vehicles"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_problems_are_refused_with_their_place_wherever_they_are_sent() {
    let world = World::new().await;
    let skewed = json!({
        "jobs": [{ "id": 1, "location_index": 1 }],
        "vehicles": [{ "id": 1, "start_index": 0 }],
        "matrices": { "car": { "durations": [[0, 60, 60], [60, 0, 60]] } },
    });
    let cases: [(&str, Value, &str); 8] = [
        ("/jobs/1/delivery", json!([-1]), "/jobs/1/delivery/0"),
        ("/jobs/1/time_windows", json!([[20, 10]]), "/jobs/1/time_windows/0"),
        ("/jobs/1/location", json!([3.3, 91.0]), "/jobs/1/location"),
        ("/jobs/1/id", json!(1), "/jobs/1/id"),
        ("/jobs/1/colour", json!("red"), "/jobs/1/colour"),
        ("/vehicles", json!([]), "/vehicles"),
        ("/jobs", json!([]), "/jobs"),
        ("/vehicles/0/capacity", json!(["six"]), "/vehicles/0/capacity"),
    ];
    for route in ["/v1/routes", "/v1/optimization", PLANS] {
        for (place, value, pointer) in &cases {
            let mut wrong = problem(3);
            let (parent, name) = place.rsplit_once('/').unwrap();
            wrong.pointer_mut(parent).unwrap()[name] = value.clone();
            let refused = world.post(route, &wrong).await;
            assert_eq!(
                (refused.status, refused.pointers()),
                (422, vec![(*pointer).to_owned()]),
                "{place}: {refused:?}"
            );
        }
        assert_eq!(world.post(route, &skewed).await.pointers(), ["/matrices/car/durations/0"]);
        for text in ["{\"jobs\": [{\"id\": 1, \"location\": [3.3, NaN]}]}", "{\"jobs\": [{\"id\": 1, \"loc", ""] {
            let broken = world.ask("POST", route).body("application/json", text).send().await;
            assert_eq!((broken.status, broken.code().as_str()), (400, "malformed_json"), "{text}");
        }
    }
    let many: Vec<Value> = (1..=2_001).map(|id| json!({ "id": id, "location": [3.3, 6.5] })).collect();
    let large = json!({ "jobs": many, "vehicles": [{ "id": 1, "start": [3.3, 6.5] }] });
    let refused = world.post("/v1/routes", &large).await;
    assert!(refused.pointers() == ["/jobs"] && refused.text.contains("POST /v1/route-plans"), "{refused:?}");
    for seconds in ["0", "601", "NaN"] {
        assert_eq!(world.post(&format!("{PLANS}?seconds={seconds}"), &problem(3)).await.pointers(), ["/seconds"]);
    }
    assert_eq!(world.get(PLANS).await.json()["items"], json!([]), "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_served_is_left_out_with_its_reason_and_odd_matrices_are_planned() {
    let world = World::new().await;
    let mut asked = problem(4);
    asked["jobs"][0]["delivery"] = json!([7]);
    asked["jobs"][1]["location"] = json!([13.0, 52.0]);
    asked["jobs"][1]["time_windows"] = json!([[0, 60]]);
    asked["jobs"][2]["skills"] = json!([5]);
    let answer = world.post("/v1/routes", &asked).await.json();
    let reasons = |answer: &Value| -> Vec<(i64, String)> {
        let left = answer["unassigned"].as_array().unwrap().iter();
        left.map(|task| (task["id"].as_i64().unwrap(), task["reason"].as_str().unwrap().to_owned())).collect()
    };
    let word = |id: i64, reason: &str| (id, reason.to_owned());
    let expected = [word(1, "over_every_capacity"), word(2, "window_unreachable"), word(3, "no_vehicle_with_skills")];
    assert_eq!(reasons(&answer), expected);

    let place = |index: usize| json!({ "id": index, "location_index": index });
    let odd = json!({
        "jobs": [place(1), place(2), place(3)],
        "vehicles": [{ "id": 1, "start_index": 0, "end_index": 0 }],
        "matrices": { "car": { "durations": [[0, 10, 99, 5], [70, 0, 1, 80], [3, 40, 0, 7], [9, 2, 60, 0]] } },
    });
    let answer = world.post("/v1/routes", &odd).await.json();
    let checked = world.post("/v1/routes/check", &json!({ "problem": odd, "solution": answer })).await.json();
    assert_eq!(
        (&checked["valid"], &answer["summary"]["cost"]),
        (&json!(true), &json!(11)),
        "0-3-1-2-0 is the shortest way"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_of_openrouteservice_works_unchanged() {
    let world = World::new().await;
    let (_, key) = world.key("ten_default", &[Permission::RoutesPlan]).await;
    run_client(&world, "openrouteservice", "openrouteservice_client.py", "/v1", &key).await;
}
