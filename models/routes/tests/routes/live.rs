//! Plans under way: an order goes where brute force says, and a plan is mended and improved with few changes.

use super::*;
use dhow_routes::{LiveError, insert, plan_of, reoptimise};

fn steps_of(problem: &Problem, orders: &[Vec<usize>]) -> Vec<Vec<Step>> {
    assert_eq!(orders.len(), problem.vehicles().len());
    orders.iter().map(|order| order.iter().map(|&stop| Step::Stop(stop)).collect()).collect()
}

/// What the cheapest of all places adds, by replaying every one.
fn least_added(problem: &Problem, orders: &[Vec<usize>], stop: usize) -> Option<f64> {
    let mut least: Option<f64> = None;
    for (vehicle, order) in orders.iter().enumerate() {
        let now = slow_cost(problem, vehicle, order).expect("the plan keeps the rules");
        for position in 0..=order.len() {
            let mut longer = order.clone();
            longer.insert(position, stop);
            if let Some(cost) = slow_cost(problem, vehicle, &longer) {
                least = Some(least.map_or(cost - now, |known| known.min(cost - now)));
            }
        }
    }
    least
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stop_is_inserted_at_the_cheapest_of_all_places(problem in any_problem(2..20), pick in 0..100usize) {
        let stop = pick % problem.stops().len();
        let mut orders = orders(&problem, &solve(&problem, 200));
        orders.iter_mut().for_each(|order| order.retain(|&other| other != stop));
        let live = plan_of(&problem, &steps_of(&problem, &orders));
        if !orders.iter().enumerate().all(|(vehicle, order)| slow_cost(&problem, vehicle, order).is_some()) {
            // Without the stop the route is late, as its way round was shorter.
            let error = insert(&problem, &live, stop).expect_err("a route is late");
            prop_assert!(matches!(error, LiveError::BrokenRoute { .. }), "{error}");
            return Ok(());
        }
        let found = insert(&problem, &live, stop).expect("the plan keeps the rules");
        let least = least_added(&problem, &orders, stop);
        prop_assert_eq!(found.is_some(), least.is_some());
        if let (Some(found), Some(least)) = (found, least) {
            prop_assert!((found.added_cost as f64 - least).abs() <= 0.51, "{} instead of {least}", found.added_cost);
            prop_assert_eq!(check(&problem, &found.plan), vec![]);
            prop_assert_eq!(insert(&problem, &found.plan, stop), Err(LiveError::ServedAlready { stop }));
            for (vehicle, order) in orders.iter().enumerate().filter(|&(vehicle, _)| vehicle != found.vehicle) {
                let route = found.plan.routes.iter().find(|route| route.vehicle == vehicle);
                prop_assert_eq!(&route.map_or(Vec::new(), |r| r.visits.iter().map(|v| v.stop).collect()), order);
            }
        }
    }

    #[test]
    fn a_changed_plan_costs_less_with_what_its_moves_cost(problem in any_problem(2..25), price in 0..300i64) {
        let start = nearest_neighbour(&problem);
        let budget = Budget { iterations: 500, seed: 3 };
        let new = reoptimise(&problem, &start, price, &budget, &|| 0.0).expect("the budget is in range");
        prop_assert_eq!(check(&problem, &new.plan), vec![]);
        prop_assert_eq!(new.price, new.moved.len() as i64 * price);
        let left = |plan: &Plan| plan.unassigned.iter().map(|l| 1 + i64::from(problem.stops()[l.stop].priority)).sum::<i64>();
        prop_assert!(left(&new.plan) <= left(&start));
        if left(&new.plan) == left(&start) {
            // Every route's cost is rounded by itself.
            let slack = (start.routes.len() + new.plan.routes.len()) as i64;
            prop_assert!(new.plan.cost + new.price <= start.cost + slack, "{} + {} after {}", new.plan.cost, new.price, start.cost);
        }
    }
}

#[test]
fn nobody_is_moved_at_a_high_price_and_new_orders_are_served() {
    let problem = quality::scattered(80, 8, 4);
    let orders = orders(&problem, &nearest_neighbour(&problem));
    let late: Vec<usize> = vec![3, 40, 77];
    let kept = |order: &Vec<usize>| order.iter().copied().filter(|stop| !late.contains(stop)).collect();
    let live = plan_of(&problem, &steps_of(&problem, &orders.iter().map(kept).collect::<Vec<Vec<usize>>>()));
    let budget = Budget { iterations: 3_000, seed: 1 };
    let calm = reoptimise(&problem, &live, 1_000_000, &budget, &|| 0.0).expect("the budget is in range");
    let free = reoptimise(&problem, &live, 0, &budget, &|| 0.0).expect("the budget is in range");
    assert!(calm.plan.unassigned.is_empty() && free.plan.unassigned.is_empty());
    assert_eq!((calm.moved.len(), calm.price), (0, 0));
    assert!(!free.moved.is_empty() && free.plan.cost < calm.plan.cost, "{} after {}", free.plan.cost, calm.plan.cost);
    assert_eq!((check(&problem, &calm.plan), check(&problem, &free.plan)), (vec![], vec![]));
}

#[test]
fn a_route_whose_van_lost_half_its_room_is_mended_and_the_others_stay() {
    let problem = quality::scattered(60, 6, 8);
    let live = solve(&problem, 5_000);
    let van = live.routes[0].vehicle;
    let smaller = problem
        .changed(|_, vehicles| {
            vehicles[van].capacity[0] /= 2;
            for (vehicle, other) in vehicles.iter_mut().enumerate() {
                other.capacity[0] += if vehicle == van { 0 } else { 20 };
            }
        })
        .expect("a smaller van is a van");
    assert!(matches!(insert(&smaller, &live, 0), Err(LiveError::BrokenRoute { .. })));
    let budget = Budget { iterations: 5_000, seed: 1 };
    let new = reoptimise(&smaller, &live, 1_000_000, &budget, &|| 0.0).expect("the budget is in range");
    assert_eq!(check(&smaller, &new.plan), vec![]);
    assert!(new.plan.unassigned.is_empty());
    let was_on_van = |stop: &usize| live.routes[0].visits.iter().any(|visit| visit.stop == *stop);
    assert!(!new.moved.is_empty() && new.moved.iter().all(was_on_van), "{:?}", new.moved);
}

#[test]
fn stops_that_do_not_exist_are_named() {
    let problem = quality::scattered(5, 1, 1);
    let error = insert(&problem, &solve(&problem, 10), 9).expect_err("there are five stops");
    assert_eq!(error.to_string(), "stop 9: the problem has 5 stops");
}
