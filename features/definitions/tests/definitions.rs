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
        ("'count'", "'quantile_0'", (10, 19), "a percentage above 0"),
        ("'count'", "'quantile_5_25'", (10, 19), "a percentage above 0"),
        ("'count'", "'last_33'", (10, 19), "`last_<n>` takes 1 to 32"),
        ("'count'", "'top_3_4'", (10, 19), "its places go from 1 to n"),
        ("'count'", "'top_x'", (10, 19), "`top_x` is not an aggregate"),
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
    let wanted = ["address", "buyer", "buyer+address", "buyer+card", "buyer+device", "buyer+region", "card", "device"];
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
        let (last, quantile): (Aggregate, Aggregate) = ("last_3_2".parse().unwrap(), "quantile_30".parse().unwrap());
        let of_floats = [Aggregate::Sum, Aggregate::Mean, Aggregate::Variance, Aggregate::Min, Aggregate::Last, half_life, last, quantile];
        for aggregate in of_floats {
            let spec = (aggregate, CellKind::Float);
            let (plain, shuffled) = (folded(spec, &floats, 0, 2 * DAY_MICROS), folded(spec, &floats, shuffle, 2 * DAY_MICROS));
            prop_assert_eq!(plain.to_bits(), shuffled.to_bits());
        }
        let tokens: Vec<(i64, Cell)> = events.iter().map(|(time, _)| (*time, Cell::Token((time % 7) as u128))).collect();
        for aggregate in [Aggregate::DistinctCount, Aggregate::ApproxDistinctCount, "top_2_2".parse().unwrap()] {
            let spec = (aggregate, CellKind::Token);
            let (plain, shuffled) = (folded(spec, &tokens, 0, 2 * DAY_MICROS), folded(spec, &tokens, shuffle, 2 * DAY_MICROS));
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

const TRANSACTIONS: &str = r#"name = 'handbook'
version = 1
[[table]]
name = 'transactions'
columns = { TX_TIME = 'time', customer_id = 'int', terminal_id = 'int', amount = 'float', fraud = 'bool', label = 'text' }
[[view]]
name = 'customer'
source = 'transactions'
entity = ['customer_id']
features = [
  { aggregates = ['count'], windows = ['1d', '7d'] },
  { column = 'amount', aggregates = ['mean'], windows = ['1d'] },
]
[[view]]
name = 'terminal'
source = 'transactions'
entity = ['terminal_id', 'label']
filter = "amount > 1.5 and label != 'void'"
features = [{ column = 'fraud', aggregates = ['mean'], windows = ['1d'], delay = '7d' }]
"#;

/// A row of the table above.
struct Transaction(Vec<Value<'static>>);

impl Row for Transaction {
    fn value(&self, column: usize) -> Value<'_> {
        self.0.get(column).copied().unwrap_or(Value::Null)
    }
}

#[test]
fn a_table_of_the_users_own_is_a_source_like_any_kind_of_event() {
    let set = FeatureSet::from_toml(TRANSACTIONS).unwrap();
    let (customer, terminal) = (&set.views()[0], &set.views()[1]);
    let names: Vec<&str> = customer.source().columns().iter().map(|column| column.name).collect();
    assert_eq!(names, ["TX_TIME", "customer_id", "terminal_id", "amount", "fraud", "label"], "in the file's order");
    assert_eq!(customer.source().fact(), None);
    assert!(set.require_facts().unwrap_err().to_string().contains("view `customer` is of table `transactions`"));

    let row = |customer: i64, amount: Value<'static>, label: &'static str| {
        let time = Value::Time(Timestamp::from_micros(0));
        Transaction(vec![time, Value::Int(customer), Value::Int(7), amount, Value::Bool(true), Value::Text(label)])
    };
    assert_eq!(customer.entity_of(&row(5, Value::Float(1.0), "a")), Some(5));
    assert_eq!(terminal.entity_of(&row(5, Value::Float(1.0), "a")), None, "the filter leaves it out");
    assert_eq!(terminal.entity_of(&row(5, Value::Null, "a")), None, "a missing value never passes");
    assert_eq!(terminal.entity_of(&row(5, Value::Float(2.0), "void")), None);
    assert!(terminal.entity_of(&row(5, Value::Float(2.0), "a")).is_some());
    let cells: Vec<Cell> = terminal.read_cells(&row(5, Value::Null, "a")).collect();
    assert_eq!(cells, [Cell::Integer(1)]);

    let rows = [row(5, Value::Float(1.0), "a"), row(6, Value::Float(9.0), "a"), row(5, Value::Float(4.0), "a")];
    let observed: Vec<_> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| {
            let time = Timestamp::from_micros(number as i64 * HOUR_MICROS);
            oracle::Observation { id: number as u128, event_time: time, known_time: time, row }
        })
        .collect();
    let mean = &customer.features()[2];
    assert_eq!(mean.name(), "customer_amount_mean_1d");
    let at = |hours: i64| {
        oracle::compute_rows(customer, mean, &[Value::Int(5)], &observed, Timestamp::from_micros(hours * HOUR_MICROS))
    };
    assert_eq!((at(2), at(3), at(26)), (1.0, 2.5, 4.0));
    assert!(VectorPlan::new(&set, FactKind::CheckoutSubmitted).is_err(), "a request of the marketplace names no rows");
}

#[test]
fn the_schema_of_a_table_is_part_of_what_a_set_means() {
    let hash = |text: &str| FeatureSet::from_toml(text).unwrap().schema_hash();
    let text = TRANSACTIONS;
    assert_eq!(hash(text), hash(&text.replace("name = 'handbook'", "name =   'handbook'")));
    assert_ne!(hash(text), hash(&text.replace("terminal_id = 'int'", "terminal_id = 'time'")));
    let facts = FeatureSet::marketplace().unwrap();
    assert!(facts.require_facts().is_ok() && !facts.canonical().contains("table "));
}

#[test]
fn a_mistake_in_a_table_is_told_with_its_line_and_column() {
    let cases = [
        ("name = 'transactions'", "name = 'item_ordered'", (4, 8), "is a kind of event"),
        ("name = 'transactions'", "nome = 'transactions'", (4, 1), "unknown field `nome`"),
        ("'float'", "'double'", (5, 82), "not a type of column; known are int, float, bool, text, time"),
        ("amount = 'float'", "or = 'float'", (5, 73), "cannot name a column"),
        ("amount = 'float'", "'a b' = 'float'", (5, 73), "cannot name a column"),
        ("amount = 'float', ", "", (12, 3), "has no column `amount`; it has TX_TIME, customer_id"),
        ("source = 'transactions'", "source = 'transaction'", (8, 10), "a declared table; known are transactions"),
        ("entity = ['customer_id']", "entity = ['amount']", (9, 10), "cannot tell entities apart"),
        ("amount > 1.5", "amount > 'x'", (18, 10), "compares Float with Text"),
        (
            "[[view]]\nname = 'customer'",
            "[[table]]\nname = 'transactions'\ncolumns = { a = 'int' }\n[[view]]\nname = 'customer'",
            (7, 8),
            "declared twice",
        ),
    ];
    for (from, to, place, message) in cases {
        let text = TRANSACTIONS.replacen(from, to, 1);
        match FeatureSet::from_toml(&text) {
            Err(DefinitionError::Text { line, column, message: found }) => {
                assert!(found.contains(message), "{to}: {found}");
                assert_eq!((line, column), place, "{to}: {found}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn last_values_and_top_shares_are_one_column_for_each_place() {
    let set = set_of("{ column = 'total_usd_minor', aggregates = ['last_2', 'quantile_99_9', 'quantile_50'], windows = ['1d'] }, { column = 'card', aggregates = ['top_2', 'approx_distinct_count'], windows = ['1h'], hop = '1m' }").unwrap();
    let names: Vec<&str> = set.names().collect();
    let wanted = [
        "c_total_usd_minor_last_2_1_1d",
        "c_total_usd_minor_last_2_2_1d",
        "c_total_usd_minor_quantile_99_9_1d",
        "c_total_usd_minor_quantile_50_1d",
        "c_card_top_2_1_1h_hop_1m",
        "c_card_top_2_2_1h_hop_1m",
        "c_card_approx_distinct_count_1h_hop_1m",
    ];
    assert_eq!(names, wanted);
    assert_eq!(set.views()[0].slots().len(), 4, "places and quantiles share their accumulators");
    for feature in set.views()[0].features() {
        assert_eq!(feature.aggregate().to_string().parse(), Ok(feature.aggregate()));
    }
}

#[test]
fn a_ratio_divides_two_features_of_its_view_window_by_window_and_is_refused_without_them() {
    let parts = "{ column = 'total_usd_minor', aggregates = ['sum'], windows = ['1h', '1d'] }, { aggregates = ['count'], windows = ['1h', '1d'] }";
    let ratio =
        "{ aggregates = ['ratio'], numerator = 'total_usd_minor_sum', denominator = 'count', windows = ['1d', '1h'] }";
    let set = set_of(&format!("{ratio}, {parts}")).unwrap();
    let names: Vec<&str> = set.names().collect();
    let wanted =
        ["c_total_usd_minor_sum_per_count_1d", "c_total_usd_minor_sum_per_count_1h", "c_total_usd_minor_sum_1h"];
    assert_eq!(names[..3], wanted);
    assert_eq!(set.views()[0].ratios(), [[0, 3, 5], [1, 2, 4]]);
    assert_eq!(set.views()[0].slots().len(), 2, "a ratio accumulates nothing of its own");
    let turned = set_of(&format!("{}, {parts}", ratio.replace("'count'", "'total_usd_minor_sum'"))).unwrap();
    assert_ne!(set.schema_hash(), turned.schema_hash());
    for (wrong, told) in [
        (ratio.replace("'1h'", "'2h'"), "needs a feature `c_total_usd_minor_sum_2h`"),
        (ratio.replace("'count'", "'total_usd_minor_sum_per_count'"), "and no ratio"),
        (ratio.replace("denominator = 'count', ", ""), "both `numerator` and `denominator`"),
        (ratio.replace("['ratio']", "['count']"), "belong to the aggregate `ratio`"),
        (ratio.replace("['ratio']", "['ratio'], column = 'card'"), "takes no column"),
        ("{ aggregates = ['ratio'], windows = ['1h'] }".to_owned(), "belong to the aggregate `ratio`"),
    ] {
        let error = set_of(&format!("{parts}, {wrong}")).unwrap_err().to_string();
        assert!(error.contains(told) && error.starts_with("line "), "{wrong}: {error}");
    }
}

fn finished(aggregate: &str, kind: CellKind, cells: impl IntoIterator<Item = Cell>) -> f64 {
    let aggregate: Aggregate = aggregate.parse().unwrap();
    let mut accumulator = Accumulator::new(aggregate, Some(kind));
    for (number, cell) in cells.into_iter().enumerate() {
        accumulator.update(number as i64, number as u128, Some(cell));
    }
    accumulator.finish(aggregate, Window::ever(), Timestamp::from_micros(0))
}

#[test]
fn an_approximate_distinct_count_stays_within_four_standard_errors_and_is_nearly_exact_for_few() {
    for (different, tolerance) in
        [(0_u64, 0.0), (1, 0.0), (30, 0.04), (1_000, 0.065), (20_000, 0.065), (1_000_000, 0.065)]
    {
        let tokens = (0..different).chain(0..different / 2).map(|number| Cell::Token(u128::from(number)));
        let estimate = finished("approx_distinct_count", CellKind::Token, tokens);
        assert!((estimate - different as f64).abs() <= tolerance * different as f64, "{different}: {estimate}");
    }
}

#[test]
fn a_quantile_is_within_one_in_256_of_the_exact_one_and_exact_for_small_whole_numbers() {
    let values: Vec<f64> = (1..=10_000).map(|number| f64::from(number).powi(3) * 1e-7 - 40.0).collect();
    for (name, per_mille) in [("quantile_0_1", 1), ("quantile_5", 50), ("quantile_50", 500), ("quantile_99_9", 999)] {
        let exact = values[(values.len() * per_mille).div_ceil(1000) - 1];
        let found = finished(name, CellKind::Float, values.iter().rev().map(|value| Cell::of_float(*value)));
        assert!((found - exact).abs() <= exact.abs() / 256.0, "{name}: {found} for {exact}");
    }
    assert_eq!(finished("quantile_50", CellKind::Integer, (0..=255).map(Cell::Integer)), 127.0);
    assert_eq!(finished("quantile_25", CellKind::Integer, (-3..=0).map(Cell::Integer)), -3.0);
    assert!(finished("quantile_50", CellKind::Integer, []).is_nan());
}

#[test]
fn the_most_frequent_values_come_by_count_and_then_by_value() {
    let aggregate: Aggregate = "top_3_1".parse().unwrap();
    let mut accumulator = Accumulator::new(aggregate, Some(CellKind::Token));
    for (number, token) in [4, 9, 4, 2, 9, 7].into_iter().enumerate() {
        accumulator.update(0, number as u128, Some(Cell::Token(token)));
    }
    assert_eq!(accumulator.most_frequent(3), [(4, 2), (9, 2), (2, 1)]);
    let share = |name: &str| accumulator.finish(name.parse().unwrap(), Window::ever(), Timestamp::from_micros(0));
    assert_eq!((share("top_3_1"), share("top_3_3"), share("top_5_5")), (2.0 / 6.0, 1.0 / 6.0, 0.0));
}
