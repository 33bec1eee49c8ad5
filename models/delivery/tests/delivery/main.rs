//! Delivery times on made-up deliveries whose distribution is known, and the day that is promised for them.

use dhow_delivery::*;
use dhow_events::{CarrierId, DAY_MICROS, HOUR_MICROS, OrderId, Region, SellerId, ShipmentId, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const REGIONS: [(&str, f64, f64, f64); 3] = [("GB", 53.0, -1.0, 1.0), ("KE", -1.0, 37.0, 1.8), ("NG", 8.0, 8.0, 1.4)];
const SLOWNESS: [f64; 6] = [0.7, 0.8, 1.0, 1.1, 1.3, 1.5];
const SPREADS: [f64; 2] = [0.15, 0.4];

fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// The median of the minutes.
fn median(parcel: &Parcel, seller: usize, slower: f64) -> f64 {
    let to = REGIONS.iter().find(|one| one.0 == parcel.destination.as_str()).unwrap();
    let abroad = if parcel.origin == parcel.destination { 0.0 } else { 50.0 };
    60.0 * (18.0 * to.3 + abroad) * SLOWNESS[seller] * slower
}

/// So many deliveries within sixty days from six sellers to three regions; the carrier says how much they scatter.
fn deliveries(count: usize, seed: u64) -> Vec<(Delivery, usize)> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let one = |at: usize| {
        let (seller, to) = (random.random_range(0..SLOWNESS.len()), REGIONS[random.random_range(0..REGIONS.len())]);
        let carrier = random.random_range(0..SPREADS.len());
        let parcel = Parcel {
            seller: SellerId::from_u128(seller as u128 + 1),
            carrier: Some(CarrierId::from_u128(carrier as u128 + 1)),
            origin: Region::new(REGIONS[seller % 3].0).unwrap(),
            destination: Region::new(to.0).unwrap(),
            latitude: to.1 + 0.02 * normal(&mut random),
            longitude: to.2 + 0.02 * normal(&mut random),
            weight_grams: random.random_range(100..5_000),
            at: Timestamp::from_micros(20_000 * DAY_MICROS + at as i64 * (60 * DAY_MICROS / count as i64)),
        };
        let minutes = median(&parcel, seller, 1.0) * (SPREADS[carrier] * normal(&mut random)).exp();
        (Delivery { parcel, minutes }, seller)
    };
    (0..count).map(one).collect()
}

fn until() -> Timestamp {
    Timestamp::from_micros(20_060 * DAY_MICROS)
}

fn learned(count: usize) -> Learned {
    let rows: Vec<Delivery> = deliveries(count, 3).into_iter().map(|(one, _)| one).collect();
    DeliveryModel::learn(&rows, &rows, until(), 7).unwrap()
}

#[test]
fn quantiles_cover_what_they_say_in_every_region_and_beat_means_without_trees() {
    let learned = learned(12_000);
    for quality in [&learned.ordered, &learned.dispatched] {
        assert!(quality.deliveries > 1_000);
        for region in quality.regions.values() {
            for (level, coverage) in LEVELS.iter().zip(region.coverage) {
                assert!((coverage - level).abs() < 0.06, "{level}: {quality:?}");
            }
        }
    }
    // Only what knows the carrier knows how much the time scatters.
    let quality = &learned.dispatched;
    assert!(quality.pinball_minutes < 0.98 * quality.pinball_minutes_of_means, "{quality:?}");
    assert!(quality.pinball_minutes < learned.ordered.pinball_minutes);
}

#[test]
fn quantiles_are_near_the_true_ones_and_never_cross() {
    let learned = learned(12_000);
    let (mut errors, mut count) = (0.0, 0.0);
    for (one, seller) in deliveries(500, 4) {
        let parcel = Parcel { at: until(), ..one.parcel };
        let minutes = learned.model.minutes(Stage::Dispatched, &parcel).unwrap();
        assert!(minutes[0] <= minutes[1] && minutes[1] <= minutes[2], "{minutes:?}");
        let spread = SPREADS[parcel.carrier.unwrap().as_u128() as usize - 1];
        for (normal, minutes) in [-1.2816, 0.0, 1.2816].into_iter().zip(minutes) {
            errors += (minutes.ln() - median(&parcel, seller, 1.0).ln() - normal * spread).abs();
            count += 1.0;
        }
    }
    assert!(errors / count < 0.08, "{}", errors / count);
}

#[test]
fn a_seller_who_slows_down_is_followed_and_a_stored_model_answers_alike() {
    let Learned { model, .. } = learned(6_000);
    let again = DeliveryModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
    let of_seller: Vec<Delivery> =
        deliveries(4_000, 5).into_iter().filter(|(_, seller)| *seller == 2).map(|(one, _)| one).collect();
    let parcel = Parcel { at: until(), ..of_seller[0].parcel };
    let before = model.minutes(Stage::Dispatched, &parcel).unwrap();
    assert_eq!(again.minutes(Stage::Dispatched, &parcel).unwrap(), before);
    for one in &of_seller {
        let slower = Delivery { minutes: 2.0 * one.minutes, ..*one };
        model.observe(Stage::Dispatched, &slower).unwrap();
    }
    let after = model.minutes(Stage::Dispatched, &parcel).unwrap();
    assert!(after[1] > 1.4 * before[1], "{before:?} {after:?}");
}

#[test]
fn what_followed_goes_on_elsewhere_with_the_same_answers() {
    let Learned { model, .. } = learned(3_000);
    let stored = model.to_bytes().unwrap();
    let rows = deliveries(600, 8);
    let parcel = Parcel { at: until(), ..rows[0].0.parcel };
    rows.iter()
        .for_each(|(one, _)| model.observe(Stage::Ordered, &Delivery { minutes: 3.0 * one.minutes, ..*one }).unwrap());
    assert_eq!(model.to_bytes().unwrap(), stored, "what was learned stays");
    let elsewhere = DeliveryModel::from_bytes(&stored).unwrap();
    let told =
        |model: &DeliveryModel| [Stage::Ordered, Stage::Dispatched].map(|stage| model.minutes(stage, &parcel).unwrap());
    assert_ne!(told(&elsewhere), told(&model));
    elsewhere.go_on(&model.followed().unwrap()).unwrap();
    assert_eq!(told(&elsewhere), told(&model));
    assert!(elsewhere.go_on(&stored[..40]).is_err());
    assert_eq!(told(&elsewhere), told(&model), "a damaged state changes nothing");
    let expected = model.expectation(Stage::Dispatched, &parcel).unwrap();
    let product = expected.lane_minutes * expected.place * expected.seller * expected.carrier;
    assert!((product / told(&model)[1][1]).ln().abs() < 0.4, "{expected:?}");
}

#[test]
fn quantiles_come_to_their_level_where_times_drift() {
    let Learned { model, .. } = learned(6_000);
    let (mut below, mut judged) = ([0.0; 3], 0.0);
    for (at, (one, _)) in deliveries(9_000, 11).into_iter().enumerate() {
        // Up to nearly twice the time that was learned, slowly.
        let drifting = Delivery { minutes: one.minutes * (0.6 * at as f64 / 9_000.0).exp(), ..one };
        if at > 1_000 {
            let told = model.minutes(Stage::Dispatched, &one.parcel).unwrap();
            below
                .iter_mut()
                .zip(told)
                .for_each(|(below, told)| *below += f64::from(u8::from(drifting.minutes <= told)));
            judged += 1.0;
        }
        model.observe(Stage::Dispatched, &drifting).unwrap();
    }
    for (below, level) in below.iter().zip(LEVELS) {
        assert!((below / judged - level).abs() < 0.02, "{level}: {}", below / judged);
    }
}

#[test]
fn deliveries_are_made_of_what_is_told_once_and_in_any_order() {
    let (order, shipment, first) = (OrderId::from_u128(1), ShipmentId::from_u128(2), until());
    let hours = |hours: i64| first + hours * HOUR_MICROS;
    let parcel = Parcel { at: hours(10), ..deliveries(1, 1)[0].0.parcel };
    let dispatch = Dispatch { order, parcel };
    let tell = |order_of: &[usize]| {
        let mut under_way = UnderWay::default();
        let mut told = Vec::new();
        for what in order_of {
            match what {
                0 => under_way.ordered(order, first),
                1 => told.extend(under_way.dispatched(shipment, dispatch)),
                _ => told.extend(under_way.delivered(shipment, hours(34))),
            }
        }
        told
    };
    let minutes =
        |told: &[(Stage, Delivery)]| told.iter().map(|(stage, one)| (*stage, one.minutes)).collect::<Vec<_>>();
    let both = [(Stage::Ordered, 34.0 * 60.0), (Stage::Dispatched, 24.0 * 60.0)];
    for order_of in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1]] {
        assert_eq!(minutes(&tell(&order_of)), both, "{order_of:?}");
    }
    assert_eq!(minutes(&tell(&[0, 0, 1, 1, 2, 2])), both);
    assert_eq!(minutes(&tell(&[0, 1, 2, 0, 1, 2, 1])), both, "told again when all was known");
    assert_eq!(minutes(&tell(&[1, 2, 0])), both[1..], "nobody told of the order in time");
    assert_eq!(tell(&[0, 2]), []);
    let mut under_way = UnderWay::default();
    under_way.ordered(order, first);
    under_way.dispatched(shipment, dispatch);
    under_way.expire(hours(24 * 179));
    assert_eq!(under_way.known(), (1, 1));
    under_way.expire(hours(24 * 181));
    assert_eq!(under_way.known(), (0, 0));
}

#[test]
fn features_know_nothing_of_what_arrived_after_their_moment() {
    let rows: Vec<Delivery> = deliveries(1_000, 6).into_iter().map(|(one, _)| one).collect();
    let whole = feature_table(&rows).unwrap();
    let cut = feature_table(&rows[..500]).unwrap();
    // A parcel's features hang on earlier ones only; carriers' and regions' numbers, too.
    let same = |at: usize| whole.rows[at].iter().zip(&cut.rows[at]).all(|(a, b)| a.to_bits() == b.to_bits());
    assert!((0..500).all(same));
}

#[test]
fn the_promised_day_is_the_cheapest_of_all_days() {
    let at = Timestamp::from_micros(20_000 * DAY_MICROS + 15 * HOUR_MICROS);
    let minutes = [1_500.0, 2_400.0, 5_000.0];
    let of = |late: f64, late_per_day: f64, early_per_day: f64| {
        promise(at, &minutes, &PromiseCosts { late, late_per_day, early_per_day }).unwrap()
    };
    // With one price for each day the best day is the quantile of late over both (the newsvendor's).
    let day = |promise: Promise| promise.by.day() - at.day();
    assert!(of(0.0, 9.0, 1.0).probability_late < 0.25);
    let (early, even, late) = (of(0.0, 1.0, 9.0), of(0.0, 1.0, 1.0), of(0.0, 19.0, 1.0));
    assert!(day(early) <= day(even) && day(even) < day(late), "{early:?} {even:?} {late:?}");
    assert!(day(of(50.0, 1.0, 1.0)) > day(of(0.0, 1.0, 1.0)));
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let draws: Vec<f64> = (0..40_000)
        .map(|_| {
            let normal = normal(&mut random);
            let side = if normal < 0.0 { f64::ln(2_400.0 / 1_500.0) } else { f64::ln(5_000.0 / 2_400.0) };
            f64::exp(2_400_f64.ln() + normal * side / 1.2816)
        })
        .collect();
    let cost = |days: i64| {
        let by = ((at.day() + days) * DAY_MICROS - at.micros()) as f64 / 60e6;
        let of_one = |minutes: &f64| {
            let late = (minutes - by) / 1_440.0;
            if late > 0.0 { 20.0 + 4.0 * late } else { -3.0 * late }
        };
        draws.iter().map(of_one).sum::<f64>() / draws.len() as f64
    };
    let cheapest = (1..20).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap();
    let chosen = of(20.0, 4.0, 3.0);
    assert_eq!(day(chosen), cheapest);
    assert!((chosen.expected_cost / cost(cheapest) - 1.0).abs() < 0.05);
}

#[test]
fn what_cannot_be_is_refused_with_its_name() {
    let rows: Vec<Delivery> = deliveries(100, 6).into_iter().map(|(one, _)| one).collect();
    assert!(matches!(DeliveryModel::learn(&rows, &rows, until(), 7), Err(DeliveryError::TooFew { .. })));
    let wrong = |change: fn(&mut Delivery), name: &str| {
        let mut rows = rows.clone();
        change(&mut rows[3]);
        assert!(feature_table(&rows).unwrap_err().to_string().contains(name), "{name}");
    };
    wrong(|one| one.parcel.latitude = 91.0, "latitude");
    wrong(|one| one.parcel.longitude = f64::NAN, "longitude");
    wrong(|one| one.parcel.weight_grams = -1, "weight_grams");
    wrong(|one| one.minutes = 0.0, "minutes");
    let at = until();
    let costs = PromiseCosts { late: 1.0, late_per_day: 1.0, early_per_day: 1.0 };
    assert!(promise(at, &[2.0, 1.0, 3.0], &costs).is_err());
    assert!(promise(at, &[1.0, 2.0, 3.0], &PromiseCosts { late: f64::NAN, ..costs }).is_err());
    assert!(promise(at, &[1.0, 2.0, 3.0], &PromiseCosts { early_per_day: 0.0, ..costs }).is_err());
    assert!(matches!(DeliveryModel::from_bytes(&[9, 1]), Err(DeliveryError::Version { found: 9, .. })));
    assert!(DeliveryModel::from_bytes(&[]).is_err());
}
