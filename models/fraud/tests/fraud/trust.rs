//! Trust scores as sellers and reviewers see them: neutral without history, lowered by every bad thing, explained in full.

use dhow_fraud::{Badge, BuyerEvidence, NEUTRAL_SCORE, RiskFlag, SellerEvidence, TrustFactor, TrustScore};
use proptest::prelude::*;

fn buyers() -> impl Strategy<Value = BuyerEvidence> {
    let count = || prop_oneof![2 => Just(0.0), 3 => 0.0..60.0_f64];
    (count(), count(), (0.0..4.0_f64, 0.0..4.0_f64), (0.0..9.0_f64, 0.0..20.0_f64), (0.0..1500.0_f64, 0.0..1.0_f64))
        .prop_map(|(orders, returned_orders, (frauds, disputes), (declined_payments, checkouts_1d), (age, ring))| {
            BuyerEvidence {
                orders: f64::floor(orders),
                returned_orders,
                known_frauds: f64::floor(frauds),
                disputes: f64::floor(disputes),
                declined_payments: f64::floor(declined_payments),
                checkouts_1d: f64::floor(checkouts_1d),
                account_age_days: age,
                ring_score: ring,
            }
        })
}

fn sellers() -> impl Strategy<Value = SellerEvidence> {
    let count = || prop_oneof![1 => Just(0.0), 3 => 0.0..400.0_f64];
    ((count(), count(), count()), (0.0..5.0_f64, 0.0..5.0_f64, 0.0..4.0_f64), (count(), 1.0..5.0_f64, 0.0..1.0_f64))
        .prop_map(|((orders, returned, late), (frauds, disputes, changes), (reviews, mean_rating, ring_score))| {
            SellerEvidence {
                orders,
                returned_orders: returned,
                known_frauds: frauds,
                disputes,
                deliveries: orders,
                late_deliveries: late,
                reviews,
                mean_rating,
                payout_changes: changes,
                account_age_days: 100.0,
                ring_score,
            }
        })
}

fn told(trust: &TrustScore) -> f64 {
    NEUTRAL_SCORE + trust.parts.iter().map(|part| part.points).sum::<f64>()
}

proptest! {
    #[test]
    fn a_buyer_scores_no_higher_with_any_more_of_any_bad_thing(buyer in buyers(), more in 0.01..20.0_f64) {
        let before = buyer.trust();
        prop_assert!((0.0..=100.0).contains(&before.score), "{before:?}");
        prop_assert!((told(&before) - before.score).abs() < 1e-9);
        let worse: [fn(&mut BuyerEvidence, f64); 6] = [
            |b, more| b.returned_orders += more,
            |b, more| b.known_frauds += more,
            |b, more| b.disputes += more,
            |b, more| b.declined_payments += more,
            |b, more| b.checkouts_1d += more,
            |b, more| b.ring_score += more / 20.0,
        ];
        for (number, worsen) in worse.iter().enumerate() {
            let mut changed = buyer;
            worsen(&mut changed, more);
            prop_assert!(changed.trust().score <= before.score + 1e-9, "bad thing {number}: {changed:?}");
        }
        let older = BuyerEvidence { account_age_days: buyer.account_age_days + more, ..buyer };
        let busier = BuyerEvidence { orders: buyer.orders + more, ..buyer };
        prop_assert!(older.trust().score >= before.score - 1e-9 && busier.trust().score >= before.score - 1e-9);
    }

    #[test]
    fn one_more_order_that_went_wrong_never_raises_a_score(buyer in buyers()) {
        let before = buyer.trust().score;
        let orders = buyer.orders + 1.0;
        for after in [
            BuyerEvidence { orders, returned_orders: buyer.returned_orders + 1.0, ..buyer },
            BuyerEvidence { orders, known_frauds: buyer.known_frauds + 1.0, ..buyer },
            BuyerEvidence { orders, disputes: buyer.disputes + 1.0, ..buyer },
        ] {
            prop_assert!(after.trust().score <= before + 1e-9, "{after:?}");
        }
    }

    #[test]
    fn a_seller_scores_no_higher_with_any_more_of_any_bad_thing(seller in sellers(), more in 0.01..20.0_f64) {
        let before = seller.trust();
        prop_assert!((0.0..=100.0).contains(&before.score), "{before:?}");
        prop_assert!((told(&before) - before.score).abs() < 1e-9);
        let worse: [fn(&mut SellerEvidence, f64); 7] = [
            |s, more| s.returned_orders += more,
            |s, more| s.known_frauds += more,
            |s, more| s.disputes += more,
            |s, more| s.late_deliveries += more,
            |s, more| s.mean_rating -= more / 20.0,
            |s, more| s.payout_changes += more,
            |s, more| s.ring_score += more / 20.0,
        ];
        for (number, worsen) in worse.iter().enumerate() {
            let mut changed = seller;
            worsen(&mut changed, more);
            prop_assert!(changed.trust().score <= before.score + 1e-9, "bad thing {number}: {changed:?}");
        }
    }

    #[test]
    fn numbers_that_are_missing_or_mean_nothing_still_give_a_score(
        values in proptest::collection::vec(prop_oneof![Just(f64::NAN), Just(f64::INFINITY), -1e300..1e300_f64], 8)
    ) {
        let buyer = BuyerEvidence {
            orders: values[0], returned_orders: values[1], known_frauds: values[2], disputes: values[3],
            declined_payments: values[4], checkouts_1d: values[5], account_age_days: values[6], ring_score: values[7],
        };
        prop_assert!((0.0..=100.0).contains(&buyer.trust().score));
    }
}

#[test]
fn an_account_without_history_is_neutral_and_new() {
    for trust in [BuyerEvidence::default().trust(), SellerEvidence::default().trust()] {
        assert_eq!((trust.score, trust.badges.as_slice()), (NEUTRAL_SCORE, [Badge::New].as_slice()));
        assert!(trust.parts.is_empty() && trust.flags.is_empty());
    }
}

#[test]
fn little_history_moves_a_score_little_and_much_history_much() {
    let of_orders = |orders| BuyerEvidence { orders, ..BuyerEvidence::default() }.trust();
    let scores = [1.0, 10.0, 100.0].map(|orders| of_orders(orders).score);
    assert!(scores[0] < 56.0 && scores[1] == 75.0 && scores[2] > 95.0, "{scores:?}");
    assert_eq!(of_orders(30.0).badges, [Badge::Established]);
    let once = BuyerEvidence { orders: 30.0, known_frauds: 1.0, ..BuyerEvidence::default() }.trust();
    assert!(once.score < NEUTRAL_SCORE && once.flags == [RiskFlag::KnownFraud] && once.badges.is_empty(), "{once:?}");
    let worst = once.parts.iter().min_by(|a, b| a.points.total_cmp(&b.points)).unwrap();
    assert_eq!(worst.factor, TrustFactor::KnownFrauds);
}

#[test]
fn a_seller_with_late_parcels_poor_reviews_and_a_new_payout_account_is_flagged_for_each() {
    let seller = SellerEvidence {
        orders: 40.0,
        deliveries: 40.0,
        late_deliveries: 16.0,
        reviews: 12.0,
        mean_rating: 2.2,
        payout_changes: 1.0,
        ..SellerEvidence::default()
    };
    let trust = seller.trust();
    assert_eq!(trust.flags, [RiskFlag::LateDeliveries, RiskFlag::LowRating, RiskFlag::NewPayoutAccount]);
    let good = SellerEvidence { late_deliveries: 0.0, mean_rating: 4.8, reviews: 25.0, payout_changes: 0.0, ..seller };
    assert_eq!(good.trust().badges, [Badge::Established, Badge::TopRated, Badge::OnTime]);
    assert!(good.trust().score > trust.score + 20.0);
}

#[test]
fn evidence_is_read_from_the_vector_of_a_checkout_and_a_lacking_feature_is_named() {
    let set = dhow_definitions::FeatureSet::marketplace().unwrap();
    let plan = dhow_definitions::VectorPlan::new(&set, dhow_events::FactKind::CheckoutSubmitted).unwrap();
    let mut names = plan.names().to_vec();
    names.push("link_ring_score".to_owned());
    let mut values = vec![f64::NAN; names.len()];
    let mut put = |name: &str, value| values[names.iter().position(|known| known == name).unwrap()] = value;
    put("buyer_orders_count_ever", 20.0);
    put("buyer_orders_total_usd_minor_sum_ever", 1_000.0);
    put("buyer_returns_amount_usd_minor_sum_ever", 500.0);
    put("buyer_registered_time_since_first_ever", 400.0 * 86_400.0);
    put("link_ring_score", 0.7);
    let buyer = BuyerEvidence::from_features(&names, &values).unwrap();
    assert_eq!((buyer.orders, buyer.returned_orders, buyer.account_age_days), (20.0, 10.0, 400.0));
    let trust = buyer.trust();
    assert_eq!(trust.flags, [RiskFlag::RingMember, RiskFlag::FrequentReturns]);
    assert_eq!(trust.badges, [Badge::LongStanding]);
    let lacking = SellerEvidence::from_features(&names, &values).unwrap_err();
    assert_eq!(lacking.name, "seller_deliveries_count_30d");
}
