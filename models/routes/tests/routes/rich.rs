//! Problems that use every rule at once, and small ones whose best plan is plain to see.

use super::*;

/// Numbers below a bound, one after the other, from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % bound
    }

    fn one_in(&mut self, chances: i64) -> bool {
        self.below(chances) == 0
    }
}

/// Every rule appears with some chance: several windows, lateness, setup, releases, prizes, backhauls, alternatives, named
/// vehicles, shipments, profiles, speed changes, breaks, reloads, prefixes, overtime, limits.
pub fn rich(seed: u64, stops: usize, vehicles: usize) -> Problem {
    let mut dice = Dice(seed.wrapping_mul(977).wrapping_add(13));
    dice.below(2);
    let size = stops + 2;
    let mut matrix = || (0..size).map(|_| (0..size).map(|_| dice.below(900)).collect()).collect::<Vec<Vec<i64>>>();
    let profiles =
        (0..2).map(|_| Travel::Matrices { distances_m: matrix(), durations_s: matrix(), places: Vec::new() }).collect();
    let stop = |index: usize| {
        let mut stop =
            Stop::new(format!("s{index}"), index + 2).delivering(&[dice.below(4)]).picking_up(&[dice.below(4)]);
        stop.service_s = dice.below(100);
        let opens = dice.below(4_000);
        stop = stop.between(opens, opens + dice.below(3_000));
        if dice.one_in(3) {
            let last = stop.window().closes_s;
            stop = stop.between(last + 500, last + 2_000);
        }
        stop.lateness = dice.one_in(4).then(|| Lateness { most_s: dice.below(900), cost_per_hour: dice.below(5_000) });
        stop.setup_s = if dice.one_in(3) { dice.below(60) } else { 0 };
        stop.release_s = if dice.one_in(4) { dice.below(2_500) } else { 0 };
        stop.backhaul = dice.one_in(6);
        stop.vehicles = if dice.one_in(8) { vec![dice.below(vehicles as i64) as usize] } else { Vec::new() };
        stop
    };
    let mut all: Vec<Stop> = (0..stops).map(stop).collect();
    let mut shipments = Vec::new();
    let mut free = 0;
    while free + 2 <= stops {
        let prize = dice.one_in(3).then(|| dice.below(4_000));
        (all[free].prize, all[free + 1].prize) = (prize, prize);
        match dice.below(3) {
            0 => shipments.push(Shipment { pickup: free, delivery: free + 1, amount: vec![dice.below(6)] }),
            1 => (all[free].group, all[free + 1].group) = (Some(free as u32), Some(free as u32)),
            _ => all[free].priority = dice.below(3) as u8,
        }
        free += 2;
    }
    let vehicle = |index: usize| {
        let pause = |dice: &mut Dice, at: i64| Break {
            id: at.to_string(),
            windows: vec![TimeWindow { opens_s: at, closes_s: at + 1_500 }],
            service_s: dice.below(300),
            max_load: dice.one_in(3).then(|| vec![9]),
        };
        let breaks = if dice.one_in(2) { vec![pause(&mut dice, 1_500), pause(&mut dice, 4_000)] } else { Vec::new() };
        let change = |from_s: i64, percent: i64| SpeedChange { from_s, percent };
        Vehicle {
            start: (!dice.one_in(5)).then_some(dice.below(2) as usize),
            end: (!dice.one_in(5)).then_some(dice.below(2) as usize),
            profile: dice.below(2) as usize,
            speed: if dice.one_in(2) {
                vec![change(0, 100), change(1_000, 60), change(3_000, 130)]
            } else {
                Vec::new()
            },
            breaks,
            reload: dice.one_in(2).then(|| Reload { locations: vec![0, 1], most: 2, service_s: dice.below(200) }),
            fixed_cost: dice.below(300),
            cost_per_travel_hour: dice.below(3_000),
            cost_per_duty_hour: if dice.one_in(2) { dice.below(3_000) } else { 0 },
            overtime: dice.one_in(3).then(|| Overtime { after_s: dice.below(5_000), cost_per_hour: dice.below(9_000) }),
            max_duration_s: dice.one_in(3).then(|| 2_000 + dice.below(6_000)),
            max_stops: dice.one_in(4).then_some(5),
            ..Vehicle::new(format!("v{index}"), 0).carrying(&[6 + dice.below(8)]).working(50, 9_000)
        }
    };
    let vehicles = (0..vehicles).map(vehicle).collect();
    Problem::from_parts(Parts { stops: all, vehicles, shipments, profiles }).expect("the generator keeps the ranges")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn plans_of_problems_with_every_rule_pass_the_independent_checker(seed in 0..u64::MAX, stops in 1..24usize) {
        let problem = rich(seed, stops, 4);
        let plan = solve(&problem, 20);
        prop_assert_eq!(check(&problem, &plan), vec![]);
        prop_assert_eq!(check(&problem, &nearest_neighbour(&problem)), vec![]);
        prop_assert_eq!(&plan, &solve(&problem, 20));
    }
}

fn line(minutes: &[i64]) -> Travel {
    let matrix: Vec<Vec<i64>> = minutes.iter().map(|a| minutes.iter().map(|b| (a - b).abs() * 60).collect()).collect();
    Travel::Matrices { distances_m: matrix.clone(), durations_s: matrix, places: Vec::new() }
}

#[test]
fn a_van_that_may_reload_serves_what_one_load_cannot() {
    let stops = vec![Stop::new("a", 1).delivering(&[6]), Stop::new("b", 2).delivering(&[6])];
    let van = Vehicle::new("van", 0).carrying(&[10]);
    let once = Problem::new(stops.clone(), vec![van.clone()], line(&[0, 5, 6])).expect("well formed");
    assert_eq!(solve(&once, 50).unassigned.len(), 1);
    let reload = Some(Reload { locations: vec![0], most: 1, service_s: 120 });
    let twice = Problem::new(stops, vec![Vehicle { reload, ..van }], line(&[0, 5, 6])).expect("well formed");
    let plan = solve(&twice, 50);
    assert_eq!(check(&twice, &plan), vec![]);
    assert!(plan.unassigned.is_empty());
    assert_eq!(plan.routes[0].pauses.len(), 1);
    assert_eq!((plan.distance_m, plan.routes[0].pause_s), (22 * 60, 120));
}

#[test]
fn goods_released_at_ten_leave_no_earlier() {
    let stop = Stop { release_s: 36_000, ..Stop::new("late goods", 1) };
    let problem = Problem::new(vec![stop], vec![Vehicle::new("van", 0)], line(&[0, 5])).expect("well formed");
    let plan = solve(&problem, 5);
    assert_eq!(check(&problem, &plan), vec![]);
    assert_eq!((plan.routes[0].departure_s, plan.routes[0].visits[0].arrival_s), (36_000, 36_300));
}

#[test]
fn a_stop_is_left_out_when_its_prize_is_below_its_detour_and_served_when_above() {
    for (prize, served) in [(599, false), (601, true)] {
        let stops = vec![Stop::new("on the way", 1), Stop { prize: Some(prize), ..Stop::new("aside", 2) }];
        let problem = Problem::new(stops, vec![Vehicle::new("van", 0)], line(&[0, 5, 10])).expect("well formed");
        let plan = solve(&problem, 20);
        assert_eq!(check(&problem, &plan), vec![]);
        assert_eq!(plan.unassigned.is_empty(), served);
        assert_eq!(plan.cost, if served { 1_200 } else { 600 + prize });
    }
}

#[test]
fn the_nearer_of_two_alternatives_is_served_and_the_other_is_not_missed() {
    let stop = |id: &str, location: usize| Stop { group: Some(1), ..Stop::new(id, location) };
    let problem = Problem::new(vec![stop("far", 1), stop("near", 2)], vec![Vehicle::new("van", 0)], line(&[0, 9, 4]));
    let problem = problem.expect("well formed");
    let plan = solve(&problem, 20);
    assert_eq!(check(&problem, &plan), vec![]);
    assert_eq!((plan.routes[0].visits[0].stop, plan.routes[0].visits.len(), plan.unassigned.len()), (1, 1, 0));
}

#[test]
fn a_lunch_break_interrupts_the_drive_without_lengthening_the_way() {
    let lunch = Break {
        id: "lunch".into(),
        windows: vec![TimeWindow { opens_s: 600, closes_s: 900 }],
        service_s: 1_800,
        max_load: None,
    };
    let van = Vehicle { breaks: vec![lunch], ..Vehicle::new("van", 0) };
    let problem =
        Problem::new(vec![Stop::new("a", 1).between(0, 3_000)], vec![van], line(&[0, 20])).expect("well formed");
    let plan = solve(&problem, 5);
    assert_eq!(check(&problem, &plan), vec![]);
    let route = &plan.routes[0];
    assert_eq!((route.visits[0].arrival_s - route.departure_s, route.pauses.len(), route.waiting_s), (3_000, 1, 0));
}

#[test]
fn a_rush_hour_slows_the_leg_that_runs_into_it() {
    let speed = vec![SpeedChange { from_s: 0, percent: 100 }, SpeedChange { from_s: 300, percent: 50 }];
    let van = Vehicle { speed, max_duration_s: None, ..Vehicle::new("van", 0) };
    let stop = Stop::new("a", 1).between(0, 900);
    let problem = Problem::new(vec![stop], vec![van.clone()], line(&[0, 10])).expect("well formed");
    let plan = solve(&problem, 5);
    assert_eq!(check(&problem, &plan), vec![]);
    // Five minutes at full speed and the other five at half speed, then twenty back.
    assert_eq!((plan.routes[0].visits[0].arrival_s, plan.routes[0].return_s), (900, 2_100));
    // A second less is too early for it.
    let sooner = Problem::new(vec![Stop::new("a", 1).between(0, 899)], vec![van], line(&[0, 10])).expect("well formed");
    assert_eq!(solve(&sooner, 5).unassigned.len(), 1);
}

#[test]
fn overtime_is_paid_only_beyond_its_limit_and_lateness_only_beyond_the_window() {
    let overtime = Some(Overtime { after_s: 900, cost_per_hour: 3_600 });
    let van = Vehicle { overtime, cost_per_km: 0, ..Vehicle::new("van", 0) };
    let lateness = Some(Lateness { most_s: 600, cost_per_hour: 7_200 });
    let stop = Stop { lateness, ..Stop::new("a", 1).between(0, 500) };
    let problem = Problem::new(vec![stop], vec![van], line(&[0, 10])).expect("well formed");
    let plan = solve(&problem, 5);
    assert_eq!(check(&problem, &plan), vec![]);
    // 100 s late at 2 a second, 300 s of overtime at 1 a second.
    assert_eq!((plan.cost, plan.routes[0].late_s), (500, 100));
}

#[test]
fn the_checker_sees_each_rule_that_a_rich_plan_breaks() {
    let stops = vec![
        Stop { release_s: 100, ..Stop::new("a", 1).delivering(&[2]) },
        Stop::new("b", 2).between(0, 2_000),
        Stop::new("c", 3),
        Stop { backhaul: true, ..Stop::new("d", 4).picking_up(&[1]) },
    ];
    let lunch = Break { id: "lunch".into(), windows: Vec::new(), service_s: 60, max_load: None };
    let van = Vehicle { breaks: vec![lunch], prefix: vec![0], ..Vehicle::new("van", 0).carrying(&[3]) };
    let shipments = vec![Shipment { pickup: 1, delivery: 2, amount: vec![1] }];
    let parts = Parts { stops, vehicles: vec![van], shipments, profiles: vec![line(&[0, 5, 6, 7, 8])] };
    let problem = Problem::from_parts(parts).expect("well formed");
    let good = [Step::Stop(0), Step::Stop(1), Step::Break(0), Step::Stop(2), Step::Stop(3)];
    assert_eq!(check(&problem, &plan_of(&problem, &[good.to_vec()])), vec![]);
    let (stop, pause) = (Step::Stop, Step::Break(0));
    let faults: [(Vec<Step>, &str); 4] = [
        (vec![stop(0), stop(2), pause, stop(1), stop(3)], "picked up first"),
        (vec![stop(0), stop(3), pause, stop(1), stop(2)], "backhaul"),
        (vec![stop(1), stop(0), pause, stop(2), stop(3)], "fixed"),
        (vec![stop(0), stop(1), pause, Step::Reload(0), stop(2), stop(3)], "reload"),
    ];
    for (steps, message) in faults {
        let violations = check(&problem, &plan_of(&problem, &[steps]));
        assert!(violations.iter().any(|violation| violation.message.contains(message)), "{message}: {violations:?}");
    }
    let changes: [fn(&mut Plan); 4] = [
        |plan| plan.routes[0].departure_s = 99,
        |plan| drop(plan.routes[0].pauses.pop()),
        |plan| plan.routes[0].pauses[0].start_s -= 1,
        |plan| plan.routes[0].late_s = 5,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut bad = plan_of(&problem, &[good.to_vec()]);
        change(&mut bad);
        assert!(!check(&problem, &bad).is_empty(), "change {index} went unseen");
    }
}
