//! What follows from a checkout's vector: read by analysts as flags, so that each must mean what its name says.

use dhow_events::{HOUR_MICROS, Timestamp};
use dhow_fraud::{DERIVED_FEATURES, Derived};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The derived numbers of a checkout at an hour, by name, where the vector holds what is given and nothing else.
fn derived(given: &[(&str, f64)], hour: f64) -> impl Fn(&str) -> f64 + use<> {
    let set = dhow_definitions::FeatureSet::marketplace().unwrap();
    let plan = dhow_definitions::VectorPlan::new(&set, dhow_events::FactKind::CheckoutSubmitted).unwrap();
    let mut vector = vec![f64::NAN; plan.names().len()];
    for (name, value) in given {
        vector[plan.names().iter().position(|known| known == name).unwrap()] = *value;
    }
    let at = Timestamp::from_micros((hour * HOUR_MICROS as f64) as i64);
    let values = Derived::of(plan.names()).unwrap().values(&vector, at);
    move |name| values[DERIVED_FEATURES.iter().position(|known| *known == name).unwrap()]
}

/// A customer of years who buys at noon at home with what was used before.
const USUAL: [(&str, f64); 9] = [
    ("buyer_registered_time_since_first_ever", 9e7),
    ("buyer_region_registered_count_ever", 1.0),
    ("buyer_checkouts_count_ever", 4.0),
    ("buyer_checkouts_quantity_mean_ever", 10.0),
    ("buyer_device_checkouts_count_ever", 4.0),
    ("buyer_address_checkouts_count_ever", 4.0),
    ("buyer_card_checkouts_count_ever", 4.0),
    ("checkout_submitted_quantity", 10.0),
    ("checkout_by_card", 1.0),
];

fn usual_but(changes: &[(&'static str, f64)], hour: f64) -> impl Fn(&str) -> f64 + use<> {
    derived(&[&USUAL[..], changes].concat(), hour)
}

#[test]
fn a_usual_checkout_has_nothing_new() {
    let of = usual_but(&[], 12.0);
    for name in ["checkout_at_night", "checkout_away_from_home", "account_of_the_day", "new_things"] {
        assert_eq!(of(name), 0.0, "{name}");
    }
    assert_eq!((of("checkout_hour_of_day"), of("checkout_quantity_to_usual")), (12.0, 1.0));
}

#[test]
fn each_new_thing_is_told_and_counted() {
    let device = [("buyer_device_checkouts_count_ever", 0.0), ("buyer_device_sign_ins_time_since_first_ever", 60.0)];
    let address = [("buyer_address_checkouts_count_ever", 0.0), ("buyer_address_added_time_since_first_ever", 60.0)];
    let card = [("buyer_card_checkouts_count_ever", 0.0)];
    let of = usual_but(&[&device[..], &address, &card].concat(), 3.0);
    for name in ["device_is_new", "address_is_new", "card_is_new", "checkout_at_night"] {
        assert_eq!(of(name), 1.0, "{name}");
    }
    assert_eq!(of("new_things"), 3.0);
    // A device that the account was opened with, or that was signed in with last week, is known.
    for known in
        [("buyer_device_registered_count_ever", 1.0), ("buyer_device_sign_ins_time_since_first_ever", 7.0 * 86_400.0)]
    {
        assert_eq!(usual_but(&[device[0], device[1], known], 12.0)("device_is_new"), 0.0);
    }
    assert_eq!(usual_but(&[("buyer_region_registered_count_ever", 0.0)], 12.0)("checkout_away_from_home"), 1.0);
}

#[test]
fn on_the_day_that_an_account_is_opened_nothing_of_it_counts_as_new() {
    let of = derived(&[("buyer_registered_time_since_first_ever", 600.0), ("checkout_submitted_quantity", 3.0)], 22.0);
    assert_eq!((of("account_of_the_day"), of("new_things"), of("checkout_quantity_to_usual")), (1.0, 0.0, 1.0));
}

#[test]
fn a_quantity_is_compared_with_the_buyers_own_the_more_so_the_more_there_are() {
    let ratio = |count: f64| {
        let given = [("buyer_checkouts_count_ever", count), ("checkout_submitted_quantity", 100.0)];
        usual_but(&given, 12.0)("checkout_quantity_to_usual")
    };
    assert!(ratio(1.0) < ratio(4.0) && ratio(4.0) < ratio(1e6) && (ratio(1e9) - 10.0).abs() < 1e-6);
}

#[test]
fn a_vector_without_a_needed_feature_is_refused_by_its_name() {
    let refused = Derived::of(&["checkout_by_card".to_owned()]).unwrap_err();
    assert_eq!((refused.name, refused.given), ("buyer_registered_time_since_first_ever", 1));
}

#[test]
fn each_number_follows_from_the_features_that_it_names_and_from_no_other() {
    let set = dhow_definitions::FeatureSet::marketplace().unwrap();
    let plan = dhow_definitions::VectorPlan::new(&set, dhow_events::FactKind::CheckoutSubmitted).unwrap();
    let derived = Derived::of(plan.names()).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let draw = |random: &mut ChaCha8Rng| -> Vec<f64> {
        let value = |random: &mut ChaCha8Rng| [f64::NAN, 0.0, 1.0, 4.0, 90_000.0, 9e6][random.random_range(0..6)];
        plan.names().iter().map(|_| value(random)).collect()
    };
    let mut moved = [false; DERIVED_FEATURES.len()];
    for _ in 0..2_000 {
        let at = Timestamp::from_micros(random.random_range(0..HOUR_MICROS * 24));
        let (one, other) = (draw(&mut random), draw(&mut random));
        let before = derived.values(&one, at);
        for (index, before) in before.iter().enumerate() {
            let named = Derived::follows_from(index);
            let mix = |named_from: &[f64], rest_from: &[f64]| -> Vec<f64> {
                let value = |(place, name): (usize, &String)| {
                    if named.contains(&name.as_str()) { named_from[place] } else { rest_from[place] }
                };
                plan.names().iter().enumerate().map(value).collect()
            };
            let same = derived.values(&mix(&one, &other), at)[index];
            assert_eq!(
                same.to_bits(),
                before.to_bits(),
                "{} moved with what it does not name",
                DERIVED_FEATURES[index]
            );
            moved[index] |= derived.values(&mix(&other, &one), at)[index].to_bits() != before.to_bits();
        }
    }
    let named = |index: usize| !Derived::follows_from(index).is_empty();
    assert!((0..moved.len()).all(|index| moved[index] == named(index)), "{moved:?}");
}
