//! The promises about route plans, one function each; `main` runs each on both databases.

use dhow_commerce::*;
use dhow_events::facts::ShipmentPlanned;
use dhow_events::*;
use futures::future::join_all;
use serde_json::json;

use crate::world::*;

fn asked(number: u128, now: Timestamp) -> RoutePlan {
    RoutePlan {
        tenant: tenant(),
        id: PlanId::from_u128(number),
        version: 1,
        state: RoutePlanState::Queued,
        change: "asked for".to_owned(),
        seconds: 1.5,
        seed: 3,
        previous: None,
        stops: 2,
        request: json!({ "jobs": [1, 2] }),
        plan: None,
        figures: None,
        progress: RoutePlanProgress::default(),
        failure: None,
        created_at: now,
        updated_at: now,
    }
}

fn made(cost: i64) -> MadePlan {
    let (request, plan) = (json!({ "jobs": [1, 2] }), json!({ "summary": { "cost": cost } }));
    MadePlan { request, stops: 2, plan, figures: json!({ "kpis": cost }), change: format!("made at {cost}") }
}

fn stop(plan: PlanId, sequence: i64) -> ShipmentPlanned {
    ShipmentPlanned {
        plan,
        shipment: None,
        task: format!("job {sequence}"),
        vehicle: "1".to_owned(),
        sequence,
        arrival_s: 60,
        arrival_p10_s: 50,
        arrival_p90_s: 80,
    }
}

async fn finished(world: &World, number: u128) -> RoutePlan {
    let plan = world.shop.queue_route_plan(asked(number, world.clock.now()), None).await.expect("it is stored").value;
    let none = RoutePlanProgress::default();
    let told = world.shop.progress_route_plan(tenant(), plan.id, RoutePlanState::Running, &none).await;
    assert!(told.expect("it is written"));
    let end = RoutePlanEnd::Made(Box::new(made(100)));
    assert!(world.shop.end_route_plan(tenant(), plan.id, end).await.expect("it is ended"));
    world.shop.route_plan(tenant(), plan.id).await.expect("it is read")
}

pub async fn a_plan_is_queued_once_for_a_key_told_of_and_ended_once(world: World) {
    let key = Idempotency::new("once", "POST /v1/route-plans?", b"{}").expect("a valid key");
    let first = world.shop.queue_route_plan(asked(1, world.clock.now()), Some(&key)).await.expect("it is stored");
    let second = world.shop.queue_route_plan(asked(2, world.clock.now()), Some(&key)).await.expect("it is found");
    assert_eq!((second.value.id, first.replayed, second.replayed), (first.value.id, false, true));
    let id = first.value.id;
    let progress = RoutePlanProgress { share: 0.5, incumbents: 2, cost: Some(7), ..RoutePlanProgress::default() };
    assert!(world.shop.progress_route_plan(tenant(), id, RoutePlanState::Running, &progress).await.expect("written"));
    let head = world.shop.route_plan_head(tenant(), id).await.expect("it is read");
    assert_eq!((head.state, head.version, head.progress), (RoutePlanState::Running, 1, progress));
    world.clock.advance(ROUTE_PLAN_SILENT_MICROS + 1);
    let silent = world.shop.route_plan(tenant(), id).await.expect("it is read");
    assert_eq!(silent.state, RoutePlanState::Interrupted);

    assert!(world.shop.end_route_plan(tenant(), id, RoutePlanEnd::Made(Box::new(made(7)))).await.expect("ended"));
    assert!(!world.shop.end_route_plan(tenant(), id, RoutePlanEnd::Failed("late".to_owned())).await.expect("asked"));
    assert!(!world.shop.progress_route_plan(tenant(), id, RoutePlanState::Running, &progress).await.expect("asked"));
    let plan = world.shop.route_plan(tenant(), id).await.expect("it is read");
    assert_eq!((plan.state, plan.version, plan.figures), (RoutePlanState::Finished, 2, Some(json!({ "kpis": 7 }))));
    assert_eq!((plan.progress.share, plan.progress.cost), (1.0, Some(7)));
    let cancelled = world.shop.cancel_route_plan(tenant(), id).await;
    assert!(matches!(cancelled, Err(CommerceError::Transition(_))), "{cancelled:?}");
    let other: TenantId = "ten_other".parse().expect("a tenant");
    assert!(matches!(world.shop.route_plan(other, id).await, Err(CommerceError::NotFound(_))));
}

pub async fn an_accepted_plan_writes_its_stops_once_and_a_changed_one_is_accepted_again(world: World) {
    let plan = finished(&world, 1).await;
    let acceptances = (0..10).map(|_| {
        let (shop, id) = (world.shop.clone(), plan.id);
        tokio::spawn(async move { shop.accept_route_plan(tenant(), id, 2, vec![stop(id, 1), stop(id, 2)]).await })
    });
    for accepted in join_all(acceptances).await {
        let accepted = accepted.expect("no panic").expect("accepted is accepted");
        assert_eq!((accepted.state, accepted.version), (RoutePlanState::Accepted, 3));
    }
    assert_eq!(world.facts().await, ["shipment_planned", "shipment_planned"]);
    let stale = world.shop.change_route_plan(tenant(), plan.id, 2, made(90)).await;
    assert!(matches!(stale, Err(CommerceError::StaleVersion { found: Some(3), .. })), "{stale:?}");
    let changed = world.shop.change_route_plan(tenant(), plan.id, 3, made(90)).await.expect("it is changed");
    assert_eq!((changed.state, changed.version, &changed.change[..]), (RoutePlanState::Finished, 4, "made at 90"));
    let earlier = world.shop.storage().route_plan_version(tenant(), plan.id, 2).await.expect("it is read");
    assert_eq!(earlier.expect("it is kept").plan, Some(json!({ "summary": { "cost": 100 } })));
    let accepted = world.shop.accept_route_plan(tenant(), plan.id, 4, vec![stop(plan.id, 1)]).await;
    assert_eq!(accepted.expect("it is accepted").version, 5);
}

pub async fn the_last_plans_and_versions_are_kept_and_accepted_ones_stay(world: World) {
    let accepted = finished(&world, 1).await;
    world.shop.accept_route_plan(tenant(), accepted.id, 2, Vec::new()).await.expect("it is accepted");
    let changing = finished(&world, 2).await;
    for version in 2..30 {
        world.shop.change_route_plan(tenant(), changing.id, version, made(version)).await.expect("it is changed");
    }
    let version = async |version| {
        world.shop.storage().route_plan_version(tenant(), changing.id, version).await.expect("it is read").is_some()
    };
    assert_eq!((version(10).await, version(11).await, version(30).await), (false, true, true));
    for number in 0..=ROUTE_PLANS_KEPT_MAX as u128 {
        world.clock.advance(1_000);
        let plan = asked(100 + number, world.clock.now());
        world.shop.queue_route_plan(plan.clone(), None).await.expect("it is stored");
        world.shop.cancel_route_plan(tenant(), plan.id).await.expect("it is cancelled");
    }
    let kept = async |number| world.shop.route_plan(tenant(), PlanId::from_u128(number)).await.is_ok();
    assert_eq!((kept(1).await, kept(2).await, kept(101).await), (true, false, true));
}
