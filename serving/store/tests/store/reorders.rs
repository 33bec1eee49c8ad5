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
    world.shop.set_reorder_budgets(tenant(), budgets).await.expect("it is set");
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
        let budgets = ReorderBudgets { day_usd_minor: day, week_usd_minor: week, month_usd_minor: month };
        world.shop.set_reorder_budgets(tenant(), budgets).await.expect("it is set");
        world.shop.reorder_budget_left(tenant()).await.expect("it is read")
    };
    assert_eq!(left(Some(5_000), None, None).await, Some(2_000));
    assert_eq!(left(Some(5_000), Some(4_000), Some(9_000)).await, Some(1_000), "the tightest counts");
    world.clock.advance(DAY_MICROS);
    assert_eq!(left(Some(5_000), None, None).await, Some(5_000), "a new day");
    assert_eq!(left(None, Some(4_000), None).await, Some(4_000), "a new week");
    assert_eq!(left(None, None, Some(2_500)).await, Some(0), "the same month, and spent");
    let wrong = ReorderBudgets { day_usd_minor: Some(-1), ..ReorderBudgets::default() };
    let refused = world.shop.set_reorder_budgets(tenant(), wrong).await;
    assert!(matches!(refused, Err(CommerceError::Invalid(_))), "{refused:?}");
}
