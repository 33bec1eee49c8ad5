//! Subscriptions as sellers live them: what months, changes, usage and endings cost, worked out by hand and held against a naive account of the times of use.

use std::collections::BTreeMap;

use dhow_billing::*;
use dhow_commission::Plan;
use dhow_events::Timestamp;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn prices() -> PriceList {
    let lists = PriceLists::marketplace().expect("the built-in prices");
    lists.at(at("2026-01-01T00:00:00Z")).expect("a list").clone()
}

fn terms(plan: Plan, cycle: Cycle, add_ons: &[(&str, u32)]) -> Terms {
    let add_ons = add_ons.iter().map(|(name, quantity)| ((*name).to_owned(), *quantity)).collect();
    Terms { plan, cycle, add_ons }
}

/// Items, quantities and amounts of an invoice whose total is the sum of its lines.
fn told(invoice: &Invoice) -> Vec<(&str, LineReason, u64, i64)> {
    assert_eq!(invoice.lines.iter().map(|line| line.amount_minor).sum::<i64>(), invoice.total_minor);
    invoice.lines.iter().map(|line| (line.item.as_str(), line.reason, line.quantity, line.amount_minor)).collect()
}

#[test]
fn a_seller_moves_up_within_a_month_uses_more_than_nothing_and_leaves() {
    let prices = prices();
    let (free, first) = Subscription::begin(terms(Plan::Free, Cycle::Month, &[]), &prices, at("2026-04-01T00:00:00Z"))
        .expect("it begins");
    assert_eq!((told(&first), first.total_minor), (Vec::new(), 0));
    assert_eq!(free.limits, Limits { products_max: Some(10), orders_per_month_max: Some(20) });
    // A third of April is over: two thirds of 199.00 and of two users at 20.00.
    let up = terms(Plan::Professional, Cycle::Month, &[("user", 2)]);
    let (professional, invoice) = free.change(up, &prices, at("2026-04-11T00:00:00Z")).expect("it changes");
    let added = LineReason::Added;
    assert_eq!(told(&invoice), [("plan.professional", added, 1, 13_267), ("add_on.user", added, 2, 2_667)]);
    assert_eq!(professional.limits, Limits::default());
    let used = professional.count("api_calls", 10_000, &prices).and_then(|used| used.count("api_calls", 1, &prices));
    let used = used.expect("it is counted");
    let (may, invoice) = used.renew(&prices).expect("it is renewed");
    let period = LineReason::Period;
    let usage = ("usage.api_calls", LineReason::Usage, 2, 10_000);
    assert_eq!(told(&invoice), [usage, ("plan.professional", period, 1, 19_900), ("add_on.user", period, 2, 4_000)]);
    assert_eq!((may.period.begin, may.period.end), (at("2026-05-01T00:00:00Z"), at("2026-06-01T00:00:00Z")));
    assert!(may.used.is_empty());
    // One user less on the 16th at noon: half of May is left.
    let fewer = terms(Plan::Professional, Cycle::Month, &[("user", 1)]);
    let (fewer, invoice) = may.change(fewer, &prices, at("2026-05-16T12:00:00Z")).expect("it changes");
    let removed = LineReason::Removed;
    assert_eq!(told(&invoice), [("add_on.user", removed, 2, -2_000), ("add_on.user", added, 1, 1_000)]);
    let (ending, invoice) = fewer.end(End::WithPeriod, &prices, at("2026-05-20T00:00:00Z")).expect("it is to end");
    assert_eq!((told(&invoice).len(), ending.ended_at), (0, None));
    let (ended, invoice) = ending.renew(&prices).expect("it ends");
    assert_eq!((told(&invoice).len(), ended.ended_at), (0, Some(at("2026-06-01T00:00:00Z"))));
    assert_eq!(ended.renew(&prices), Err(BillingError::Ended(at("2026-06-01T00:00:00Z"))));
}

#[test]
fn a_year_costs_its_own_price_and_a_change_to_it_gives_the_months_rest_back() {
    let prices = prices();
    let month = terms(Plan::Professional, Cycle::Month, &[("analytics", 1)]);
    let (monthly, _) = Subscription::begin(month, &prices, at("2026-06-01T00:00:00Z")).expect("it begins");
    let year = terms(Plan::Professional, Cycle::Year, &[("analytics", 1)]);
    let (yearly, invoice) = monthly.change(year, &prices, at("2026-06-16T00:00:00Z")).expect("it changes");
    let (removed, period) = (LineReason::Removed, LineReason::Period);
    let credits = [("plan.professional", removed, 1, -9_950), ("add_on.analytics", removed, 1, -4_950)];
    let charges = [("plan.professional", period, 1, 199_000), ("add_on.analytics", period, 1, 118_800)];
    assert_eq!(told(&invoice), [credits, charges].concat());
    assert_eq!(yearly.period.end, at("2027-06-16T00:00:00Z"));
    let (ended, invoice) = yearly.end(End::Now, &prices, at("2026-06-16T00:00:00Z")).expect("it ends");
    assert_eq!(invoice.total_minor, -317_800, "who leaves at once gets all of it back");
    assert_eq!(ended.ended_at, Some(at("2026-06-16T00:00:00Z")));
}

#[test]
fn what_the_price_list_does_not_have_is_refused_in_words() {
    let prices = prices();
    let begin = |terms| Subscription::begin(terms, &prices, at("2026-06-01T00:00:00Z"));
    assert_eq!(begin(terms(Plan::Enterprise, Cycle::Year, &[])), Err(BillingError::Cycle));
    let words = begin(terms(Plan::Free, Cycle::Month, &[("sauna", 1)])).expect_err("there is none").to_string();
    assert!(words.contains("`sauna` is no add-on; there are analytics, fraud_protection"), "{words}");
    for quantity in [0, 2] {
        let words = begin(terms(Plan::Free, Cycle::Month, &[("analytics", quantity)])).expect_err("one").to_string();
        assert!(words.contains("from 1 to 1 times"), "{words}");
    }
    let (begun, _) = begin(terms(Plan::Free, Cycle::Month, &[])).expect("it begins");
    assert!(matches!(begun.count("steps", 1, &prices), Err(BillingError::Metric { .. })));
    let late = begun.change(terms(Plan::Free, Cycle::Month, &[]), &prices, begun.period.end);
    assert_eq!(late, Err(BillingError::OutsideOfPeriod(begun.period)));
    let full = begun.count("api_calls", u64::MAX, &prices).expect("it is counted");
    assert_eq!(full.count("api_calls", 1, &prices), Err(BillingError::Overflow));
}

/// Terms of one cycle, drawn.
fn drawn_terms() -> impl Strategy<Value = Terms> {
    let plan = prop::sample::select(vec![Plan::Free, Plan::Professional, Plan::Enterprise]);
    (plan, 0..4_u32, any::<bool>(), any::<bool>()).prop_map(|(plan, users, analytics, listing)| {
        let add_ons = [("user", users), ("analytics", u32::from(analytics)), ("priority_listing", u32::from(listing))];
        let taken: Vec<(&str, u32)> = add_ons.into_iter().filter(|(_, quantity)| *quantity > 0).collect();
        terms(plan, Cycle::Month, &taken)
    })
}

/// What an item costs for a whole month.
fn month_minor(item: &str, quantity: u32) -> i64 {
    let prices = prices();
    let one = match item {
        "plan.free" => 0,
        "plan.professional" => prices.plans[&Plan::Professional].month_minor,
        "plan.enterprise" => prices.plans[&Plan::Enterprise].month_minor,
        add_on => prices.add_ons[add_on.trim_start_matches("add_on.")].month_minor,
    };
    one * i64::from(quantity)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_often_it_changes_each_item_costs_its_times_of_use_and_a_whole_month_its_price(
        begins in 0_i64..2_000_000_000_000_000,
        first in drawn_terms(),
        mut changes in prop::collection::vec((0.0..1.0_f64, drawn_terms()), 0..8),
        ends in prop::option::of(0.0..1.0_f64),
    ) {
        let prices = PriceList { from: Timestamp::from_micros(0), ..prices() };
        let (mut now, invoice) = Subscription::begin(first, &prices, Timestamp::from_micros(begins)).expect("it begins");
        let (whole, begin) = (now.period.micros(), now.period.begin);
        let mut lines = invoice.lines;
        // A span of use of each item and quantity: from when, and of what price for the month.
        let mut open: BTreeMap<(String, u32), i64> = BTreeMap::new();
        let mut spans: Vec<(String, i64, i64, i64)> = Vec::new();
        let mut follow = |running: &[Running], at: i64, spans: &mut Vec<(String, i64, i64, i64)>| {
            let is_there = |key: &(String, u32)| running.iter().any(|item| (&item.item, item.quantity) == (&key.0, key.1));
            open.retain(|key, from| {
                let stays = is_there(key);
                if !stays {
                    spans.push((key.0.clone(), month_minor(&key.0, key.1), *from, at));
                }
                stays
            });
            for item in running {
                open.entry((item.item.clone(), item.quantity)).or_insert(at);
            }
        };
        follow(&now.running, 0, &mut spans);
        changes.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (share, terms) in changes {
            let offset = (share * whole as f64) as i64;
            let (changed, invoice) = now.change(terms, &prices, begin + offset).expect("it changes");
            follow(&changed.running, offset, &mut spans);
            lines.extend(invoice.lines);
            now = changed;
        }
        let last = ends.map(|_| whole - 1);
        if let Some(last) = last {
            let (ended, invoice) = now.end(End::Now, &prices, begin + last).expect("it ends");
            lines.extend(invoice.lines);
            now = ended;
        }
        follow(&[], last.unwrap_or(whole), &mut spans);
        prop_assert!(now.period.begin == begin);
        let mut exact: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (item, month, from, to) in spans {
            let sum = exact.entry(item).or_default();
            sum.0 += month as f64 * (to - from) as f64 / whole as f64;
            // Each cut of a span rounds once.
            sum.1 += 1.0;
            if (from, to) == (0, whole) {
                sum.1 -= 1.0;
            }
        }
        for (item, (cost, cuts)) in exact {
            let billed: i64 = lines.iter().filter(|line| line.item == item).map(|line| line.amount_minor).sum();
            prop_assert!((billed as f64 - cost).abs() <= cuts + 1e-6, "{item}: {billed} of {cost}, {cuts} cuts");
        }
    }
}
