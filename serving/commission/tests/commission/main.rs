//! The commission rule against golden cases that another program worked out, and what sellers rely on.

use dhow_commission::{
    Commission, CommissionError, CommissionTable, CommissionTables, DEFAULT_TABLE, DecidedBy, Margin, Plan, Sale,
    Strategic, TableError, UsdRate, previous_month,
};
use dhow_events::{Money, Timestamp};
use dhow_ledger::divide::RatePpm;
use proptest::prelude::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn default_table() -> CommissionTable {
    toml::from_str(DEFAULT_TABLE).unwrap()
}

/// The default rates with two categories that have a margin and one that is free in June 2026.
fn table() -> CommissionTable {
    let mut table = default_table();
    table.from = time("2026-01-01T00:00:00Z");
    table.margins = [("jewellery", Margin::High), ("groceries", Margin::Low)].map(|(c, m)| (c.to_owned(), m)).into();
    let [from, until] = ["2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"].map(time);
    table.strategic = vec![Strategic { category: "strategic".parse().unwrap(), from, until }];
    table
}

fn sale(plan: Plan, settled_usd_minor: i64, category: &str, amount: i64) -> Sale {
    Sale {
        plan,
        settled_usd_minor,
        contract: None,
        amount: Money::usd(amount),
        categories: vec![(category.parse().unwrap(), amount)],
        usd: UsdRate { usd_minor: 1, for_minor: 1 },
        placed_at: time("2026-06-15T12:00:00Z"),
    }
}

fn commission(sale: &Sale) -> Commission {
    CommissionTables::new(vec![table()]).unwrap().commission(sale).unwrap()
}

fn word<T: serde::de::DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(serde_json::Value::from(word)).unwrap()
}

#[test]
fn commissions_are_those_of_the_golden_cases() {
    let tables = CommissionTables::new(vec![table()]).unwrap();
    let mut cases = 0;
    for line in include_str!("golden.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |index: usize| fields[index].parse::<i64>().unwrap();
        let asked = Sale {
            contract: (!fields[2].is_empty()).then(|| RatePpm(fields[2].parse().unwrap())),
            amount: Money::new(number(4), fields[5].parse().unwrap()),
            usd: UsdRate { usd_minor: number(6) as u64, for_minor: number(7) as u64 },
            ..sale(word(fields[0]), number(1), fields[3], number(4))
        };
        let found = tables.commission(&asked).unwrap();
        assert_eq!(found.amount.amount_minor, number(8), "{line}: {found:?}");
        assert_eq!(i64::from(found.rate.0), number(9), "{line}");
        assert_eq!(found.decided_by, word::<DecidedBy>(fields[10]), "{line}");
        cases += 1;
    }
    assert!(cases >= 300, "{cases} cases");
}

#[test]
fn a_strategic_category_is_free_from_its_first_instant_to_just_before_its_last() {
    let at = |text: &str| commission(&Sale { placed_at: time(text), ..sale(Plan::Free, 0, "strategic", 10_000) });
    assert_eq!(at("2026-05-31T23:59:59.999999Z").amount, Money::usd(500));
    assert_eq!(at("2026-06-01T00:00:00Z").amount, Money::usd(0));
    assert_eq!(at("2026-06-30T23:59:59.999999Z").decided_by, DecidedBy::Strategic);
    assert_eq!(at("2026-07-01T00:00:00Z").amount, Money::usd(500));
}

#[test]
fn an_order_keeps_the_rates_of_the_day_on_which_it_was_placed() {
    let later = CommissionTable { version: 2, from: time("2026-06-10T00:00:00Z"), floor_ppm: 90_000, ..table() };
    let tables = CommissionTables::new(vec![table(), later]).unwrap();
    let placed = |text: &str| Sale { placed_at: time(text), ..sale(Plan::Free, 0, "books", 10_000) };
    let before = tables.commission(&placed("2026-06-09T23:59:59.999999Z")).unwrap();
    let after = tables.commission(&placed("2026-06-10T00:00:00Z")).unwrap();
    assert_eq!((before.table_version, before.amount), (1, Money::usd(500)));
    assert_eq!((after.table_version, after.amount), (2, Money::usd(900)));
    let too_early = tables.commission(&placed("2025-12-31T23:59:59Z"));
    assert!(matches!(too_early, Err(CommissionError::NoTable(_))));
}

#[test]
fn each_category_of_an_order_counts_with_its_own_amount_and_the_minimum_counts_once() {
    let mixed = |parts: &[(&str, i64)]| Sale {
        categories: parts.iter().map(|(category, minor)| (category.parse().unwrap(), *minor)).collect(),
        ..sale(Plan::Free, 0, "books", parts.iter().map(|(_, minor)| minor).sum())
    };
    let found = commission(&mixed(&[("books", 10_000), ("jewellery", 5_000), ("strategic", 5_000)]));
    assert_eq!((found.amount, found.rate), (Money::usd(500 + 300), RatePpm(40_000)));
    // Half a cent and half a cent are one cent: what is rounded is their sum.
    assert_eq!(commission(&mixed(&[("books", 2_010), ("groceries", 11)])).amount, Money::usd(101));
    let small = commission(&mixed(&[("books", 300), ("groceries", 300)]));
    assert_eq!((small.amount, small.decided_by), (Money::usd(50), DecidedBy::Minimum));
    assert_eq!(commission(&mixed(&[("strategic", 9), ("strategic", 1)])).decided_by, DecidedBy::Strategic);
    let tables = CommissionTables::new(vec![table()]).unwrap();
    let short = Sale { amount: Money::usd(9), ..sale(Plan::Free, 0, "books", 8) };
    assert!(matches!(tables.commission(&short), Err(CommissionError::Categories(_))));
}

#[test]
fn the_month_that_counts_is_the_calendar_month_before_in_utc() {
    let month = |text: &str| {
        let (from, to) = previous_month(time(text));
        [from.to_string(), to.to_string()]
    };
    let december = ["2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"];
    assert_eq!(month("2026-01-01T00:00:00Z"), december);
    assert_eq!(month("2026-01-31T23:59:59.999999Z"), december);
    assert_eq!(month("2024-03-15T00:00:00Z"), ["2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"]);
}

#[test]
fn tables_that_could_surprise_a_seller_are_refused_by_what_is_wrong() {
    let refused = |change: fn(&mut CommissionTable)| {
        let mut table = table();
        change(&mut table);
        CommissionTables::new(vec![table]).unwrap_err()
    };
    assert!(matches!(refused(|t| t.base_ppm.free = 1_000_001), TableError::Rate { field: "base_ppm.free", .. }));
    assert!(matches!(refused(|t| t.low_margin_ppm = -2_000_000), TableError::Rate { .. }));
    assert!(matches!(refused(|t| t.minimum_usd_minor = -1), TableError::Negative { .. }));
    assert!(matches!(refused(|t| t.volume.swap(0, 1)), TableError::Order { from_usd_minor: 1_000_000, .. }));
    assert!(matches!(refused(|t| t.strategic[0].until = t.strategic[0].from), TableError::Dates { .. }));
    assert_eq!(CommissionTables::new(Vec::new()), Err(TableError::None));
    assert!(matches!(CommissionTables::new(vec![table(), table()]), Err(TableError::Versions { version: 1 })));
    let misspelt = DEFAULT_TABLE.replace("floor_ppm", "flor_ppm");
    assert!(toml::from_str::<CommissionTable>(&misspelt).unwrap_err().to_string().contains("flor_ppm"));
}

#[test]
fn odd_orders_have_defined_answers() {
    let tables = CommissionTables::new(vec![table()]).unwrap();
    let negative = tables.commission(&sale(Plan::Free, 0, "books", -1));
    assert!(matches!(negative, Err(CommissionError::Negative(_))));
    let no_rate = Sale { usd: UsdRate { usd_minor: 0, for_minor: 1 }, ..sale(Plan::Free, 0, "books", 100) };
    assert!(matches!(tables.commission(&no_rate), Err(CommissionError::Rate(_))));
    // More was refunded than sold in the month before: that is the band of no sales.
    assert_eq!(commission(&sale(Plan::Free, -5_000_000, "books", 10_000)).rate, RatePpm(50_000));
    let huge = tables.commission(&sale(Plan::Free, 0, "books", i64::MAX)).unwrap();
    assert_eq!(huge.amount.amount_minor, (i128::from(i64::MAX) * 5 / 100) as i64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_commission_lies_between_nothing_and_the_order_and_comes_back_whole_with_its_refunds(
        plan in 0..3_usize,
        settled in -1_000_000..100_000_000_i64,
        amount in prop_oneof![0..10_000_i64, 0..i64::MAX],
        (usd_minor, for_minor) in (1..10_000_u64, 1..10_000_u64),
        category in 0..4_usize,
        cuts in prop::collection::vec(0.0..1.0_f64, 0..20),
    ) {
        let plan = [Plan::Free, Plan::Professional, Plan::Enterprise][plan];
        let category = ["books", "jewellery", "groceries", "strategic"][category];
        let asked = Sale { usd: UsdRate { usd_minor, for_minor }, ..sale(plan, settled, category, amount) };
        let found = commission(&asked);
        prop_assert!((0..=amount).contains(&found.amount.amount_minor), "{found:?}");
        if amount > 0 {
            let mut places: Vec<i64> = cuts.iter().map(|cut| (*cut * amount as f64) as i64).filter(|at| *at <= amount).collect();
            places.extend([0, amount]);
            places.sort_unstable();
            let back = places.windows(2).map(|step| found.of_refund(step[0], step[1]).unwrap().amount_minor);
            prop_assert_eq!(back.sum::<i64>(), found.amount.amount_minor);
            prop_assert!(found.of_refund(0, amount).is_ok() && found.of_refund(1, 0).is_err());
        }
    }
}
