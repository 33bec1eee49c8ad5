//! The promises about reorder proposals, one function each; `main` runs each on both databases.

use dhow_commerce::*;
use dhow_events::*;
use dhow_reorder::{Cut, Proposal};
use futures::future::join_all;

use crate::world::*;

fn proposed(number: u128, product: ProductId, units: i64, now: Timestamp) -> ReorderProposal {
    let cost_minor = units * 300;
    let reasons = Proposal {
        units,
        cost_minor,
        position_units: 3,
        order_up_to_units: 3 + units,
        safety_units: 1.25,
        expected_units: 8.0,
        service_level: 0.95,
        stockout_probability: [0.9, 0.04],
        lost_margin_minor: [800.0, 12.5],
        wanted_units: units,
        cut: Cut::No,
    };
    ReorderProposal {
        tenant: tenant(),
        id: ReorderId::from_u128(number),
        product,
        state: ReorderState::Proposed,
        units,
        unit_cost: Money::usd(300),
        cost_usd_minor: cost_minor,
        lead_days: 10,
        review_days: 7,
        model: "forecast-1".to_owned(),
        reasons,
        approvals: Vec::new(),
        approved_at: None,
        history: Vec::new(),
        created_at: now,
        updated_at: now,
    }
}

fn to(state: ReorderState) -> ReorderChange {
    ReorderChange { to: state, person: "ann".to_owned(), note: String::new(), units: None }
}

async fn on_its_way(world: &World) -> i64 {
    let units = world.shop.storage().reorders_on_their_way(tenant(), &[CUP, POT]).await.expect("they are read");
    units.values().sum()
}

pub async fn a_proposal_is_approved_ordered_and_received_into_stock_once(world: World) {
    let made = proposed(1, CUP, 20, world.clock.now());
    world.shop.propose_reorders(std::slice::from_ref(&made)).await.expect("it is stored");
    let read = world.shop.storage().reorder(tenant(), made.id).await.expect("it is read");
    assert_eq!(read.as_ref(), Some(&made));
    assert_eq!(on_its_way(&world).await, 0);
    let early = world.shop.change_reorder(tenant(), made.id, &to(ReorderState::Received)).await;
    assert!(matches!(early, Err(CommerceError::Transition(_))), "{early:?}");
    let fewer = ReorderChange { units: Some(12), ..to(ReorderState::Approved) };
    let approved = world.shop.change_reorder(tenant(), made.id, &fewer).await.expect("it is approved");
    assert_eq!((approved.units, approved.cost_usd_minor, approved.reasons.units), (12, 3_600, 20));
    assert_eq!(on_its_way(&world).await, 12);
    world.shop.change_reorder(tenant(), made.id, &to(ReorderState::Ordered)).await.expect("it is ordered");

    let receipts = (0..10).map(|_| {
        let (shop, id) = (world.shop.clone(), made.id);
        tokio::spawn(async move { shop.change_reorder(tenant(), id, &to(ReorderState::Received)).await })
    });
    for receipt in join_all(receipts).await {
        assert_eq!(receipt.expect("no panic").expect("received is received").state, ReorderState::Received);
    }
    assert_eq!((world.stock(CUP).await, on_its_way(&world).await), ((22, 0), 0));
    assert_eq!(world.facts().await, ["stock_changed"]);
    let page = PageRequest::new(10, None, "reo").expect("a valid page");
    let listed = world.shop.storage().reorders(tenant(), Some(ReorderState::Received), &page).await;
    let steps: Vec<ReorderState> =
        listed.expect("they are read").items[0].history.iter().map(|line| line.state).collect();
    assert_eq!(steps, [ReorderState::Approved, ReorderState::Ordered, ReorderState::Received]);
    let other = TenantId::new("ten_other").expect("a valid tenant");
    let foreign = world.shop.change_reorder(other, made.id, &to(ReorderState::Rejected)).await;
    assert!(matches!(foreign, Err(CommerceError::NotFound(_))), "{foreign:?}");
}

pub async fn a_newer_proposal_supersedes_the_one_that_waits(world: World) {
    let now = world.clock.now();
    world.shop.propose_reorders(&[proposed(1, CUP, 5, now), proposed(2, POT, 5, now)]).await.expect("they are stored");
    world.shop.propose_reorders(&[proposed(3, CUP, 9, now)]).await.expect("it is stored");
    let state = async |number| {
        let read = world.shop.storage().reorder(tenant(), ReorderId::from_u128(number)).await.expect("it is read");
        read.expect("it is there").state
    };
    assert_eq!((state(1).await, state(2).await), (ReorderState::Superseded, ReorderState::Proposed));
    let late = world.shop.change_reorder(tenant(), ReorderId::from_u128(1), &to(ReorderState::Approved)).await;
    assert!(matches!(late, Err(CommerceError::Transition(_))), "{late:?}");
    assert_eq!(state(3).await, ReorderState::Proposed);
}

pub async fn approvals_at_once_never_go_beyond_a_budget(world: World) {
    let rows: Vec<_> = (0..12).map(|number| imported(ProductId::from_u128(900 + number), 1, 500, 1)).collect();
    world.shop.import_products(tenant(), &rows).await.expect("they are taken over");
    let made: Vec<_> = (0..12).map(|n| proposed(n, ProductId::from_u128(900 + n), 10, world.clock.now())).collect();
    world.shop.propose_reorders(&made).await.expect("they are stored");
    assert_eq!(world.shop.reorder_budget_left(tenant()).await.expect("it is read"), None);
    let budgets = ReorderBudgets { week_usd_minor: Some(16_000), ..ReorderBudgets::default() };
    world.shop.set_reorder_budgets(tenant(), &budgets).await.expect("it is set");
    let approvals = made.iter().map(|proposal| {
        let (shop, id) = (world.shop.clone(), proposal.id);
        tokio::spawn(async move { shop.change_reorder(tenant(), id, &to(ReorderState::Approved)).await })
    });
    let answers: Vec<_> = join_all(approvals).await.into_iter().map(|answer| answer.expect("no panic")).collect();
    let spent = |error: &CommerceError| matches!(error, CommerceError::BudgetSpent { period: "week", left: 1_000, .. });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5, "3,000 each");
    assert_eq!(answers.iter().filter(|answer| answer.as_ref().is_err_and(spent)).count(), 7, "{answers:?}");
    assert_eq!(world.shop.reorder_budget_left(tenant()).await.expect("it is read"), Some(1_000));
    let approved = answers.into_iter().flatten().next().expect("one was approved");
    world.shop.change_reorder(tenant(), approved.id, &to(ReorderState::Rejected)).await.expect("it is called off");
    assert_eq!(world.shop.reorder_budget_left(tenant()).await.expect("it is read"), Some(4_000));
}

pub async fn a_budget_counts_its_own_day_week_and_month(world: World) {
    // The clock stands at Sunday, the first of March 2026; the week began on Monday, the 23rd of February.
    let now = world.clock.now();
    world
        .shop
        .propose_reorders(&[proposed(1, CUP, 10, now), proposed(2, POT, 10, now)])
        .await
        .expect("they are stored");
    world.shop.change_reorder(tenant(), ReorderId::from_u128(1), &to(ReorderState::Approved)).await.expect("no bound");
    let left = async |day: Option<i64>, week: Option<i64>, month: Option<i64>| {
        let bounds = ReorderBudgets { day_usd_minor: day, week_usd_minor: week, ..ReorderBudgets::default() };
        let budgets = ReorderBudgets { month_usd_minor: month, ..bounds };
        world.shop.set_reorder_budgets(tenant(), &budgets).await.expect("it is set");
        world.shop.reorder_budget_left(tenant()).await.expect("it is read")
    };
    assert_eq!(left(Some(5_000), None, None).await, Some(2_000));
    assert_eq!(left(Some(5_000), Some(4_000), Some(9_000)).await, Some(1_000), "the tightest counts");
    world.clock.advance(DAY_MICROS);
    assert_eq!(left(Some(5_000), None, None).await, Some(5_000), "a new day");
    assert_eq!(left(None, Some(4_000), None).await, Some(4_000), "a new week");
    assert_eq!(left(None, None, Some(2_500)).await, Some(0), "the same month, and spent");
    let wrong = ReorderBudgets { day_usd_minor: Some(-1), ..ReorderBudgets::default() };
    let refused = world.shop.set_reorder_budgets(tenant(), &wrong).await;
    assert!(matches!(refused, Err(CommerceError::Invalid(_))), "{refused:?}");
}

pub async fn what_is_dear_takes_several_people_one_of_them_named(world: World) {
    let level = |from_usd_minor, approvals, approvers: &[&str]| ApprovalLevel {
        from_usd_minor,
        approvals,
        approvers: approvers.iter().map(|name| (*name).to_owned()).collect(),
    };
    let levels = vec![level(2_000, 2, &[]), level(9_000, 2, &["cleo"])];
    let budgets = ReorderBudgets { approval_levels: levels, ..ReorderBudgets::default() };
    world.shop.set_reorder_budgets(tenant(), &budgets).await.expect("it is set");
    assert_eq!(world.shop.storage().reorder_budgets(tenant()).await.expect("they are read"), budgets);
    let now = world.clock.now();
    let products: Vec<_> = (0..4).map(|number| imported(ProductId::from_u128(900 + number), 1, 500, 1)).collect();
    world.shop.import_products(tenant(), &products).await.expect("they are taken over");
    let units = [5, 10, 30, 40];
    let made: Vec<_> = (0..4).map(|n| proposed(n, ProductId::from_u128(900 + n), units[n as usize], now)).collect();
    world.shop.propose_reorders(&made).await.expect("they are stored");
    let approve = async |number: u128, person: &str, units: Option<i64>| {
        let change = ReorderChange { person: person.to_owned(), units, ..to(ReorderState::Approved) };
        world.shop.change_reorder(tenant(), ReorderId::from_u128(number), &change).await
    };
    let state = |answer: Result<ReorderProposal, CommerceError>| answer.expect("it is answered").state;
    assert_eq!(state(approve(0, "ann", None).await), ReorderState::Approved, "15.00 takes one person");
    assert_eq!(state(approve(1, "ann", None).await), ReorderState::Proposed);
    let again = approve(1, "ann", None).await;
    assert!(matches!(again, Err(CommerceError::AnotherPersonNeeded { .. })), "{again:?}");
    assert_eq!(world.shop.reorder_budget_left(tenant()).await.expect("it is read"), None);
    let approved = approve(1, "ben", None).await.expect("it is approved");
    let people: Vec<&str> = approved.approvals.iter().map(|approval| approval.person.as_str()).collect();
    assert_eq!((approved.state, people), (ReorderState::Approved, vec!["ann", "ben"]));
    for (person, expected) in
        [("ann", ReorderState::Proposed), ("ben", ReorderState::Proposed), ("cleo", ReorderState::Approved)]
    {
        assert_eq!(state(approve(2, person, None).await), expected, "{person}");
    }
    // Other units are another order: who agreed to 40 has not agreed to 31.
    assert_eq!(state(approve(3, "cleo", None).await), ReorderState::Proposed);
    assert_eq!(state(approve(3, "ann", Some(31)).await), ReorderState::Proposed);
    assert_eq!(state(approve(3, "cleo", None).await), ReorderState::Approved);
    // Of many at once, as many agree as it takes, each once.
    world.shop.propose_reorders(&[proposed(9, CUP, 10, now)]).await.expect("it is stored");
    let agreeing = (0..8).map(|number| {
        let (shop, person) = (world.shop.clone(), format!("person {}", number / 2));
        let change = ReorderChange { person, ..to(ReorderState::Approved) };
        tokio::spawn(async move { shop.change_reorder(tenant(), ReorderId::from_u128(9), &change).await })
    });
    for answer in join_all(agreeing).await {
        match answer.expect("no panic") {
            Ok(_) | Err(CommerceError::AnotherPersonNeeded { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let kept = world.shop.storage().reorder(tenant(), ReorderId::from_u128(9)).await.expect("it is read");
    let kept = kept.expect("it is there");
    assert_eq!((kept.state, kept.approvals.len()), (ReorderState::Approved, 2));
    for (wrong, pointer) in [
        (vec![level(5, 1, &[]), level(5, 2, &[])], "/approval_levels/1/from_usd_minor"),
        (vec![level(-1, 1, &[])], "/approval_levels/0/from_usd_minor"),
        (vec![level(0, 0, &[])], "/approval_levels/0/approvals"),
        (vec![level(0, 1, &["ann", " "])], "/approval_levels/0/approvers/1"),
    ] {
        let wrong = ReorderBudgets { approval_levels: wrong, ..ReorderBudgets::default() };
        let refused = world.shop.set_reorder_budgets(tenant(), &wrong).await;
        let Err(CommerceError::Invalid(problems)) = refused else { panic!("{refused:?}") };
        assert_eq!(problems.iter().map(|problem| problem.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
    }
}
