//! Random lives of agreements beside a naive reference that keeps one pile of coins for each cause; money is not moved.

use dhow_credit::*;
use dhow_events::{Currency, DAY_MICROS, Money, Timestamp};
use proptest::prelude::*;

fn terms(instalments: u32, down_payment_ppm: u32, fee_ppm: u32, fixed_fee_minor: i64) -> PlanTerms {
    let offer = Offer { currency: Currency::USD, least_minor: 480, most_minor: 10_000_000, fixed_fee_minor };
    PlanTerms {
        title: "Later".to_owned(),
        instalments,
        interval_days: 30,
        down_payment_ppm,
        fee_ppm,
        offers: vec![offer],
        offered: true,
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    PayDue(i64),
    PayNext,
    PayAll,
    TakeBack,
    Refund(i64),
    WriteOff,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..200_i64).prop_map(Act::PayDue),
        Just(Act::PayNext),
        Just(Act::PayAll),
        Just(Act::TakeBack),
        (1..100_000_i64).prop_map(Act::Refund),
        Just(Act::WriteOff),
    ];
    prop::collection::vec(act, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_the_sums_add_up_and_the_schedule_says_the_same(
        amount in 480_i64..200_000, instalments in 1_u32..=24, down in 0_u32..=900_000, fee in 0_u32..=500_000,
        fixed in 0_i64..400, acts in acts(),
    ) {
        let terms = terms(instalments, down, fee, fixed);
        prop_assert!(terms.problems().is_empty());
        let start = Timestamp::from_micros(0);
        let schedule = terms.schedule(Money::usd(amount), start).expect("it is financed");
        let fee: i64 = schedule.iter().map(|line| line.fee_minor).sum();
        prop_assert_eq!(schedule.iter().map(|line| line.principal_minor).sum::<i64>(), amount);
        prop_assert!(schedule.iter().all(|line| line.principal_minor > 0 && line.fee_minor >= 0));
        prop_assert!(schedule.is_sorted_by(|a, b| a.due_at < b.due_at && a.number + 1 == b.number));

        let mut standing = Standing::new(amount, fee);
        // The reference: coins that came in, went out and were forgiven, each by its own cause.
        let (mut came, mut refunded, mut lost) = (Vec::new(), 0_i64, false);
        for act in acts {
            let before = standing;
            let step = match act {
                Act::PayDue(day) => {
                    let minor = due(&schedule, &standing, start + day * DAY_MICROS);
                    if minor == 0 { continue; }
                    came.push((minor, 0));
                    StandingStep::Paid { minor, waives_minor: 0 }
                }
                Act::PayNext => {
                    let Some(line) = next_unpaid(&schedule, &standing) else { continue };
                    came.push((line.left_minor, 0));
                    StandingStep::Paid { minor: line.left_minor, waives_minor: 0 }
                }
                Act::PayAll => {
                    let (minor, waives_minor) = payoff(&schedule, &standing, start);
                    if minor <= 0 { continue; }
                    came.push((minor, waives_minor));
                    StandingStep::Paid { minor, waives_minor }
                }
                Act::TakeBack => {
                    let Some((minor, waived_minor)) = came.pop() else { continue };
                    StandingStep::TakenBack { minor, waived_minor }
                }
                Act::Refund(minor) => {
                    let minor = minor.min(amount - refunded);
                    if minor == 0 { continue; }
                    refunded += minor;
                    StandingStep::Refunded { minor }
                }
                Act::WriteOff => {
                    lost |= standing.outstanding_minor() > 0;
                    StandingStep::WrittenOff
                }
            };
            standing = standing.after(step).expect("it is within bounds");
            let sums = [
                standing.paid_minor, standing.returned_minor, standing.outstanding_minor(), standing.written_off_minor,
                standing.fee_left_minor(), standing.fee_waived_minor,
            ];
            prop_assert!(sums.iter().all(|sum| *sum >= 0), "{act:?} made {standing:?} of {before:?}");
            prop_assert_eq!(standing.paid_minor, came.iter().map(|(minor, _)| minor).sum::<i64>());
            prop_assert_eq!(standing.principal_refunded_minor, refunded);
            prop_assert_eq!(
                amount + fee,
                standing.kept_minor() + standing.outstanding_minor() + standing.refunded_minor() + standing.written_off_minor
            );
            prop_assert!(lost || standing.written_off_minor == 0);
            let lines = lines(&schedule, &standing);
            let left: i64 = lines.iter().map(|line| line.left_minor).sum();
            prop_assert_eq!(left, standing.outstanding_minor() + standing.written_off_minor);
            prop_assert_eq!(lines.iter().map(|line| line.paid_minor).sum::<i64>(), standing.kept_minor());
        }
    }

    #[test]
    fn who_has_all_refunded_has_paid_nothing(
        amount in 480_i64..200_000, instalments in 1_u32..=24, fee in 0_u32..=500_000, paid in 0_u32..24,
        parts in prop::collection::vec(1_i64..50_000, 1..10),
    ) {
        let terms = terms(instalments, 250_000, fee, 99);
        let schedule = terms.schedule(Money::usd(amount), Timestamp::from_micros(0)).expect("it is financed");
        let mut standing = Standing::new(amount, schedule.iter().map(|line| line.fee_minor).sum());
        for _ in 0..paid {
            let Some(line) = next_unpaid(&schedule, &standing) else { break };
            let step = StandingStep::Paid { minor: line.left_minor, waives_minor: 0 };
            standing = standing.after(step).expect("it is paid");
        }
        for part in parts.into_iter().chain([amount]) {
            let minor = part.min(amount - standing.principal_refunded_minor);
            standing = standing.after(StandingStep::Refunded { minor }).expect("it is refunded");
        }
        prop_assert_eq!((standing.kept_minor(), standing.outstanding_minor()), (0, 0));
    }
}

#[test]
fn a_plan_out_of_its_bounds_is_told_where() {
    let mut wrong = terms(25, 900_001, 0, 481);
    wrong.offers.push(wrong.offers[0]);
    let places: Vec<String> = wrong.problems().into_iter().map(|problem| problem.pointer).collect();
    let expected = [
        "/instalments",
        "/down_payment_ppm",
        "/offers/0/fixed_fee_minor",
        "/offers/1/currency",
        "/offers/1/fixed_fee_minor",
    ];
    assert_eq!(places, expected);
    let plan = terms(3, 0, 0, 0);
    let small = plan.schedule(Money::usd(479), Timestamp::from_micros(0));
    assert!(matches!(small, Err(PlanRefusal::Amount { least_minor: 480, .. })), "{small:?}");
    let other = plan.schedule(Money::new(500, Currency::EUR), Timestamp::from_micros(0));
    assert_eq!(other, Err(PlanRefusal::Currency(Currency::EUR)));
}

#[test]
fn who_pays_all_at_once_is_not_asked_for_fees_that_are_not_due() {
    let plan = terms(4, 0, 100_000, 0);
    let start = Timestamp::from_micros(0);
    let schedule = plan.schedule(Money::usd(1_000), start).expect("it is financed"); // 4 × 2.50 + 0.25
    let standing = Standing::new(1_000, 100);
    assert_eq!(payoff(&schedule, &standing, start), (1_000, 100));
    let one = standing.after(StandingStep::Paid { minor: 275, waives_minor: 0 }).expect("it is paid");
    assert_eq!(payoff(&schedule, &one, start + 61 * DAY_MICROS), (275 + 500, 50), "the second is due with its fee");
    let all = one.after(StandingStep::Paid { minor: 775, waives_minor: 50 }).expect("it is paid");
    assert_eq!((all.outstanding_minor(), all.refunded_minor()), (0, 50));
    let back = all.after(StandingStep::TakenBack { minor: 775, waived_minor: 50 }).expect("it is taken back");
    assert_eq!(back, one);
}
