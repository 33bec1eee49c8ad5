//! A schema, rules and facts that the tests share; it checks nothing itself.

use std::sync::Arc;

use dhow_events::DecisionId;
use dhow_rules::{
    Action, Facts, Field, FieldType, FieldValue, ListKind, Listed, Recorded, Rule, RuleId, RuleSet, Schema, State, Then,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const FEATURES: [&str; 5] =
    ["buyer_checkouts_count_1h", "card_amount_mean_30d", "device_buyers_7d", "ring_size", "odd name-1"];

/// Places of fields in [`schema`].
pub const AMOUNT: usize = 0;
pub const COUNTRY: usize = 2;
pub const CARD: usize = 3;
pub const IP: usize = 7;

pub fn schema() -> Arc<Schema> {
    let fields = vec![
        Field::new("amount_minor", FieldType::Integer),
        Field::new("currency", FieldType::Text),
        Field::new("country", FieldType::Key(ListKind::Country)),
        Field::new("card", FieldType::Key(ListKind::Card)),
        Field::new("new_account", FieldType::Boolean),
        Field::new("distance_km", FieldType::Double),
        Field::new("quantity", FieldType::Integer),
        Field::new("ip", FieldType::Key(ListKind::IpPrefix)),
    ];
    Arc::new(Schema::new(FEATURES, fields).unwrap())
}

pub fn rule(id: &str, when: &str, then: Then, priority: i32, state: State) -> Rule {
    Rule { id: RuleId::new(id).unwrap(), name: format!("Rule {id}"), when: when.to_owned(), then, priority, state }
}

pub fn decide(action: Action) -> Then {
    Then::Decide { action }
}

pub fn set(rules: Vec<Rule>) -> RuleSet {
    RuleSet::compile(rules, schema()).unwrap()
}

/// Facts that are kept, so that a test may change one of them.
#[derive(Clone)]
pub struct Case {
    pub features: Vec<f64>,
    pub fields: Vec<FieldValue>,
    pub listed: Listed,
    pub score: f64,
    pub band: Action,
}

impl Case {
    pub fn facts(&self) -> Facts<'_> {
        let Self { features, fields, listed, score, band } = self;
        Facts { features, fields, listed: *listed, score: *score, band: *band }
    }
}

pub fn case() -> Case {
    Case {
        features: vec![3.0, 40.5, 1.0, 0.0, 7.0],
        fields: vec![
            FieldValue::Integer(12_000),
            FieldValue::Text("NGN".into()),
            FieldValue::Text("NG".into()),
            FieldValue::Text("crd_a".into()),
            FieldValue::Boolean(true),
            FieldValue::Double(12.5),
            FieldValue::Integer(2),
            FieldValue::Text("203.0.113.9".into()),
        ],
        listed: Listed::default(),
        score: 0.25,
        band: Action::Approve,
    }
}

/// Facts at random: few values, so that comparisons are often equal, and many missing.
pub fn random_case(random: &mut ChaCha8Rng) -> Case {
    let missing = |random: &mut ChaCha8Rng| random.random_bool(0.2);
    let number = |random: &mut ChaCha8Rng| f64::from(random.random_range(-4..=4)) / 2.0;
    let mut case = case();
    for feature in &mut case.features {
        *feature = if missing(random) { f64::NAN } else { number(random) };
    }
    for field in &mut case.fields {
        *field = match field {
            _ if missing(random) => FieldValue::Missing,
            FieldValue::Boolean(_) => FieldValue::Boolean(random.random_bool(0.5)),
            FieldValue::Double(_) => FieldValue::Double(number(random)),
            FieldValue::Integer(_) => FieldValue::Integer(match random.random_range(0..12) {
                0 => i64::MAX,
                1 => i64::MIN,
                _ => random.random_range(-3..=3),
            }),
            _ => FieldValue::Text(["NG", "GH", "NGN", "N", ""][random.random_range(0..5)].into()),
        };
    }
    case.listed = Listed { blocked: random.next_u64() & random.next_u64(), allowed: random.next_u64() };
    case.score = f64::from(random.random_range(0..=4)) / 4.0;
    case.band = Action::ALL[random.random_range(0..4)];
    case
}

/// Recorded decisions at random, answered by `set`; a third have no label.
pub fn recorded(set: &RuleSet, count: usize, seed: u64) -> Vec<Recorded> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let one = |number| {
        let mut case = random_case(&mut random);
        // Most requests are on no list.
        if random.random_bool(0.9) {
            case.listed = Listed::default();
        }
        let action = set.evaluate(&case.facts()).unwrap().action;
        let fraud = random.random_bool(0.67).then(|| random.random_bool(0.1));
        let amount_usd_minor = random.random_range(0..100_000);
        let Case { features, fields, listed, score, band } = case;
        let decision = DecisionId::from_u128(number as u128);
        Recorded { decision, features, fields, listed, score, band, action, fraud, amount_usd_minor }
    };
    (0..count).map(one).collect()
}
