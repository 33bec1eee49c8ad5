//! What others rely on in definitions: the set that ships, mistakes with their place, windows, exact sums and request vectors.

use dhow_definitions::oracle::{Known, compute};
use dhow_definitions::*;
use dhow_events::facts::*;
use dhow_events::*;
use proptest::prelude::*;

fn checkout(id: u128, micros: i64, card: Option<u128>, total: i64) -> Event {
    Event {
        id: EventId::from_u128(id),
        tenant: TenantId::default(),
        event_time: Timestamp::from_micros(micros),
        fact: CheckoutSubmitted {
            buyer: BuyerId::from_u128(1),
            checkout: CheckoutId::from_u128(id),
            session: None,
            device: Some(DeviceId::from_u128(2)),
            card: card.map(CardId::from_u128),
            address: None,
            region: Region::new("NG-LA").unwrap(),
            delivery_region: Region::new("GB").unwrap(),
            payment_method: "card".to_owned(),
            line_count: 2,
            quantity: 3,
            total: Money::usd(total),
            total_usd_minor: total,
        }
        .into(),
    }
}

fn set_of(features: &str) -> Result<FeatureSet, DefinitionError> {
    let head = "name = 'test'\nversion = 1\n[[view]]\nname = 'c'\nsource = 'checkout_submitted'\nentity = ['buyer']\n";
    FeatureSet::from_toml(&format!("{head}features = [{features}]\n"))
}

#[test]
fn the_marketplace_set_covers_every_entity_and_its_hash_changes_with_any_definition() {
    let set = FeatureSet::marketplace().unwrap();
    for entity in ["buyer", "card", "device", "address", "product", "seller"] {
        let features: usize =
            set.views().iter().filter(|view| view.entity() == [entity]).map(|view| view.features().len()).sum();
        assert!(features >= 4, "{entity}: {features}");
    }
    assert!(set.names().count() >= 80);
    let changed = include_str!("../src/marketplace.toml").replacen("windows = [\"1h\"", "windows = [\"2h\"", 1);
    assert_ne!(FeatureSet::from_toml(&changed).unwrap().schema_hash(), set.schema_hash());
    assert_eq!(set.schema_hash().len(), 64);
}

#[test]
fn every_ratio_and_flag_of_the_marketplace_set_has_a_place_in_some_vector() {
    let set = FeatureSet::marketplace().unwrap();
    let kinds = [FactKind::CheckoutSubmitted, FactKind::ItemOrdered];
    let plans: Vec<VectorPlan> = kinds.iter().map(|kind| VectorPlan::new(&set, *kind).unwrap()).collect();
    let ratios = set.ratios().iter().map(|ratio| &ratio.name);
    for name in ratios.chain(set.flags().iter().map(|flag| &flag.name)) {
        assert!(plans.iter().any(|plan| plan.names().contains(name)), "{name}");
    }
}

#[test]
fn a_mistake_in_a_definition_file_is_told_with_its_line_and_column() {
    let good = "name = 'a'\nversion = 1\n\n[[view]]\nname = 'v'\nsource = 'fraud_labelled'\nentity = ['card']\nfilter = 'fraud == true'\nfeatures = [\n  { aggregates = ['count'], windows = ['1d'] },\n]\n";
    FeatureSet::from_toml(good).unwrap();
    let cases = [
        ("version = 1", "versoin = 1", (2, 1), "unknown field `versoin`"),
        ("version = 1", "version = 'one'", (2, 11), "expected u32"),
        ("['card']", "['card'", (8, 1), ""),
        ("'fraud_labelled'", "'fraud_labeled'", (6, 10), "not a kind of event"),
        ("['card']", "['cart']", (7, 10), "has no column `cart`"),
        ("fraud == true", "fraud = true", (8, 17), "expected one of =="),
        ("fraud == true", "fraud == 1", (8, 10), "compares Bool with Int"),
        ("fraud == true", "fraud == true and", (8, 28), "expected the name of a column"),
        ("'count'", "'cuont'", (10, 19), "`cuont` is not an aggregate"),
        ("'1d'", "'1 day'", (10, 40), "not a span of time"),
        ("'count'", "'sum'", (10, 3), "needs a column"),
        ("{ agg", "{ column = 'card', agg", (10, 3), ""),
        ("['1d']", "['1d', '24h']", (10, 3), "defined twice"),
    ];
    for (from, to, place, message) in cases {
        let text = good.replacen(from, to, 1);
        let text = if place == (10, 3) && message.is_empty() { text.replacen("'count'", "'mean'", 1) } else { text };
        match FeatureSet::from_toml(&text) {
            Err(DefinitionError::Text { line, column, message: found }) => {
                assert_eq!((line, column), place, "{to}: {found}");
                assert!(found.contains(message), "{to}: {found}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn names_follow_source_column_aggregate_and_window() {
    let set = set_of(
        "{ column = 'total_usd_minor', aggregates = ['sum', 'decayed_sum_7d'], windows = ['48h'], hop = '1h', delay = '7d' }, { aggregates = ['count'], windows = ['ever', '90m'] }",
    );
    let set = set.unwrap();
    let names: Vec<&str> = set.names().collect();
    let wanted = [
        "c_total_usd_minor_sum_2d_hop_1h_delay_7d",
        "c_total_usd_minor_decayed_sum_7d_2d_hop_1h_delay_7d",
        "c_count_ever",
        "c_count_90m",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn a_window_holds_its_start_but_not_its_end_and_nothing_acknowledged_later() {
    let set = set_of("{ aggregates = ['count'], windows = ['1h', '1d'] }, { aggregates = ['count'], windows = ['1h'], hop = '1h', delay = '1m' }").unwrap();
    let view = &set.views()[0];
    let count = |feature: usize, event_micros: i64, known_micros: i64, at: i64| {
        let event = checkout(7, event_micros, None, 1);
        let known = [Known { event: &event, known_time: Timestamp::from_micros(known_micros) }];
        let key = [Value::Id(1)];
        compute(view, &view.features()[feature], TenantId::default(), &key, &known, Timestamp::from_micros(at))
    };
    let at = 1_000 * HOUR_MICROS + 30 * MINUTE_MICROS;
    assert_eq!(count(0, at - HOUR_MICROS, at, at), 1.0, "the start is inside");
    assert_eq!(count(0, at - HOUR_MICROS - 1, at, at), 0.0);
    assert_eq!(count(0, at - 1, at, at), 1.0);
    assert_eq!(count(0, at, at, at), 0.0, "an event does not count towards itself");
    assert_eq!(count(0, at - 1, at + 1, at), 0.0, "not yet known");
    // The hopping window begins at the full hour before 29 minutes past the hour before, and ends a minute ago.
    assert_eq!(count(2, 999 * HOUR_MICROS, at, at), 1.0);
    assert_eq!(count(2, 999 * HOUR_MICROS - 1, at, at), 0.0);
    assert_eq!(count(2, at - MINUTE_MICROS, at, at), 0.0);
    assert_eq!(count(2, at - MINUTE_MICROS - 1, at, at), 1.0);
    // Before 1970 the start is still rounded down.
    let hopping = view.features()[2].window();
    assert_eq!(hopping.bounds(Timestamp::from_micros(-1)).0, Timestamp::from_micros(-2 * HOUR_MICROS));
}

#[test]
fn a_plan_reads_the_views_whose_entities_the_request_names() {
    let set = FeatureSet::marketplace().unwrap();
    let plan = VectorPlan::new(&set, FactKind::CheckoutSubmitted).unwrap();
    let entities: std::collections::BTreeSet<_> =
        plan.views().iter().map(|planned| set.views()[planned.view].entity().join("+")).collect();
    let wanted = ["address", "buyer", "buyer+card", "buyer+device", "card", "device"];
    assert!(entities.iter().eq(wanted), "{entities:?}");
    assert!(!plan.names().iter().any(|name| name == "checkout_submitted_total_minor"), "naira do not compare with yen");

    let event = checkout(1, 5, None, 5_000);
    let keys: Vec<Option<u128>> = plan.keys(&event.fact).collect();
    for (planned, key) in plan.views().iter().zip(keys) {
        let entity = set.views()[planned.view].entity();
        let lacking = entity.iter().any(|column| column == "card" || column == "address");
        assert_eq!(key.is_none(), lacking, "{entity:?}");
    }
    let width = plan.views().iter().map(|planned| planned.width).sum();
    let mut values = vec![f64::NAN; width];
    let place = |name: &str| plan.names().iter().position(|known| known == name).unwrap();
    values[place("buyer_checkouts_total_usd_minor_mean_30d")] = 2_000.0;
    plan.complete(&event.fact, &mut values);
    assert_eq!(values.len(), plan.names().len());
    assert_eq!(values[place("checkout_submitted_total_usd_minor")], 5_000.0);
    assert_eq!(values[place("checkout_total_to_buyer_mean_30d")], 2.5);
    assert_eq!(values[place("checkout_delivers_elsewhere")], 1.0);
    assert_eq!(values[place("checkout_by_cash_on_delivery")], 0.0);
    assert!(VectorPlan::new(&set, FactKind::RoutesPlanned).is_err());
}

#[test]
fn filters_join_comparisons_with_the_usual_precedence_and_missing_values_never_hold() {
    let view = |filter: &str| {
        let text = format!(
            "name='a'\nversion=1\n[[view]]\nname='v'\nsource='checkout_submitted'\nentity=['buyer']\nfilter=\"{filter}\"\nfeatures=[{{aggregates=['count'],windows=['1d']}}]"
        );
        FeatureSet::from_toml(&text).map(|set| set.views()[0].clone())
    };
    let event = checkout(1, 5, None, 5_000);
    let cases = [
        ("total_usd_minor >= 5000 and quantity < 3 or line_count == 2", true),
        ("total_usd_minor >= 5000 and (quantity < 3 or line_count == 1)", false),
        ("payment_method == 'card' and region != delivery_region", true),
        ("card == card", false),
        ("card != card", false),
        ("total_usd_minor > 4999.5", true),
    ];
    for (filter, wanted) in cases {
        assert_eq!(view(filter).unwrap().entity_of(&event.fact).is_some(), wanted, "{filter}");
    }
    assert!(view("payment_method < 'card'").is_err());
    assert!(view(&format!("{}quantity == 1{}", "(".repeat(20), ")".repeat(20))).is_err());
}

#[test]
fn a_decayed_sum_halves_with_every_half_life() {
    let set = set_of("{ column = 'total_usd_minor', aggregates = ['decayed_sum_1h'], windows = ['2d'] }").unwrap();
    let (view, event) = (&set.views()[0], checkout(1, 64 * HOUR_MICROS, None, 1_000));
    let known = [Known { event: &event, known_time: event.event_time }];
    for half_lives in 1..40 {
        let at = event.event_time + half_lives * HOUR_MICROS;
        let value = compute(view, &view.features()[0], TenantId::default(), &[Value::Id(1)], &known, at);
        assert_eq!(value, 1_000.0 * 0.5_f64.powi(half_lives as i32));
    }
}

/// Folds in two halves and merges them, in the order that `shuffle` gives.
fn folded(spec: (Aggregate, CellKind), events: &[(i64, Cell)], shuffle: usize, at: i64) -> f64 {
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.rotate_left(shuffle % events.len().max(1));
    let mut parts = [Accumulator::new(spec.0, Some(spec.1)), Accumulator::new(spec.0, Some(spec.1))];
    for index in order {
        parts[(index ^ shuffle) % 2].update(events[index].0, index as u128, Some(events[index].1));
    }
    let [mut whole, other] = parts;
    whole.merge(&other);
    whole.finish(spec.0, Window::exact("2d".parse().unwrap()), Timestamp::from_micros(at))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_order_of_updates_and_merges_changes_a_result(
        events in prop::collection::vec((0..2 * DAY_MICROS, prop_oneof![-1e6..1e6_f64, -1e-9..1e-9_f64, -1e30..1e30_f64]), 0..60),
        shuffle in 0..60_usize,
    ) {
        let floats: Vec<(i64, Cell)> = events.iter().map(|(time, value)| (*time, Cell::of_float(*value))).collect();
        let half_life = Aggregate::DecayedSum { half_life: "1h".parse().unwrap() };
        for aggregate in [Aggregate::Sum, Aggregate::Mean, Aggregate::Variance, Aggregate::Min, Aggregate::Last, half_life] {
            let spec = (aggregate, CellKind::Float);
            let (plain, shuffled) = (folded(spec, &floats, 0, 2 * DAY_MICROS), folded(spec, &floats, shuffle, 2 * DAY_MICROS));
            prop_assert_eq!(plain.to_bits(), shuffled.to_bits());
        }
    }

    #[test]
    fn an_exact_sum_is_the_correctly_rounded_sum(values in prop::collection::vec((-1_i64 << 52..1_i64 << 52, -40..40_i32), 0..50)) {
        // Multiples of 2^-40 below 2^92: their sum fits 140 bits, so it is checked in two integers of 128 bits.
        let mut sum = ExactSum::default();
        let (mut high, mut low) = (0_i128, 0_i128);
        for (mantissa, exponent) in &values {
            sum.add(*mantissa as f64 * 2_f64.powi(*exponent));
            if *exponent >= 0 { high += (*mantissa as i128) << exponent } else { low += (*mantissa as i128) << (40 + exponent) }
        }
        high += low >> 40;
        low &= (1 << 40) - 1;
        // High holds at least as many bits as a float when it is large; the rest only matters as "something more".
        let wanted = if high.unsigned_abs() >> 60 == 0 {
            ((high << 40) + low) as f64 * 2_f64.powi(-40)
        } else {
            ((high << 1) | i128::from(low != 0)) as f64 / 2.0
        };
        prop_assert_eq!(sum.value(), wanted);
    }

    #[test]
    fn an_unknown_text_is_refused_but_never_panics(text in "\\PC{0,80}") {
        let _ = FeatureSet::from_toml(&text);
        let _ = text.parse::<Aggregate>();
        let _ = text.parse::<Span>();
    }
}
