//! Our programs against the interpreter of the `cel` crate, on conditions and facts at random.

use std::collections::HashMap;

use cel::{Context, Value};
use dhow_rules::{Action, FieldType, FieldValue, ListKind, RuleSet, State};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::{Case, FEATURES, decide, random_case, rule, schema};

const CONDITIONS: usize = 1_500;
const CASES: usize = 12;

/// A well-typed condition as text.
struct Writer {
    random: ChaCha8Rng,
}

impl Writer {
    fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.random.random_range(0..choices.len())]
    }

    fn boolean(&mut self, depth: usize) -> String {
        match self.random.random_range(0..if depth == 0 { 4 } else { 15 }) {
            0 => self.one(&["true", "false"]).to_owned(),
            1 => "request.new_account".to_owned(),
            2 => {
                let slot =
                    self.one(&["features.ring_size", "features.`odd name-1`", "request.card", "request.quantity"]);
                format!("has({slot})")
            }
            3 => self
                .one(&[
                    "request.card in lists.blocked_cards",
                    "request.country in lists.allowed_countries",
                    "request.ip in lists.blocked_ip_prefixes",
                ])
                .to_owned(),
            4..=6 => {
                let sign = self.one(&["==", "!=", "<", "<=", ">", ">="]);
                format!("{} {sign} {}", self.number(depth), self.number(depth))
            }
            7 => format!("{} {} {}", self.text(depth), self.one(&["==", "!="]), self.text(depth)),
            8 => format!("({}) {} ({})", self.boolean(depth - 1), self.one(&["==", "!="]), self.boolean(depth - 1)),
            9 => format!("!({})", self.boolean(depth - 1)),
            10 | 11 => format!("({}) && ({})", self.boolean(depth - 1), self.boolean(depth - 1)),
            12 => format!("({}) || ({})", self.boolean(depth - 1), self.boolean(depth - 1)),
            13 => {
                let (one, other) = (self.boolean(depth - 1), self.boolean(depth - 1));
                format!("(({}) ? ({one}) : ({other}))", self.boolean(depth - 1))
            }
            _ => match self.random.random_range(0..4) {
                0 => format!("{} in ['NG', 'GH', '']", self.text(depth)),
                1 => format!("{} in [1, -2, 3]", self.integer(depth)),
                2 => format!("{} in [0.5, -1.0, 2]", self.double(depth)),
                _ => {
                    let test = self.one(&["startsWith", "endsWith", "contains"]);
                    format!("{}.{test}({})", self.text(0), self.text(depth))
                }
            },
        }
    }

    fn number(&mut self, depth: usize) -> String {
        if self.random.random_bool(0.5) { self.double(depth) } else { self.integer(depth) }
    }

    fn double(&mut self, depth: usize) -> String {
        match self.random.random_range(0..if depth == 0 { 4 } else { 8 }) {
            0 => self.one(&["0.0", "1.5", "-0.5", "2.0", "1e300"]).to_owned(),
            1 => "score".to_owned(),
            2 => "request.distance_km".to_owned(),
            3 => format!("features.{}", self.one(&["ring_size", "device_buyers_7d", "`odd name-1`"])),
            4 => format!("double({})", self.number(depth - 1)),
            5 => format!("-({})", self.double(depth - 1)),
            6 => {
                let (one, other) = (self.double(depth - 1), self.double(depth - 1));
                format!("(({}) ? {one} : {other})", self.boolean(depth - 1))
            }
            _ => {
                let sign = self.one(&["+", "-", "*", "/"]);
                format!("({} {sign} {})", self.double(depth - 1), self.double(depth - 1))
            }
        }
    }

    fn integer(&mut self, depth: usize) -> String {
        match self.random.random_range(0..if depth == 0 { 3 } else { 6 }) {
            0 => self.one(&["0", "1", "-2", "3", "9223372036854775807"]).to_owned(),
            1 => "request.amount_minor".to_owned(),
            2 => "request.quantity".to_owned(),
            3 => format!("-({})", self.integer(depth - 1)),
            4 => {
                let (one, other) = (self.integer(depth - 1), self.integer(depth - 1));
                format!("(({}) ? {one} : {other})", self.boolean(depth - 1))
            }
            _ => {
                let sign = self.one(&["+", "-", "*", "/", "%"]);
                format!("({} {sign} {})", self.integer(depth - 1), self.integer(depth - 1))
            }
        }
    }

    fn text(&mut self, depth: usize) -> String {
        match self.random.random_range(0..if depth == 0 { 3 } else { 4 }) {
            0 => self.one(&["'NG'", "\"NGN\"", "'N'", "''"]).to_owned(),
            1 => "request.currency".to_owned(),
            2 => "request.country".to_owned(),
            _ => {
                let (one, other) = (self.text(depth - 1), self.text(depth - 1));
                format!("(({}) ? {one} : {other})", self.boolean(depth - 1))
            }
        }
    }
}

/// The facts as the interpreter takes them: what is missing is not in its maps.
fn context(case: &Case) -> Context<'static, 'static> {
    let schema = schema();
    let features = FEATURES.iter().zip(&case.features).filter(|(_, value)| !value.is_nan());
    let features: HashMap<String, Value> =
        features.map(|(name, value)| ((*name).to_owned(), Value::Float(*value))).collect();
    let (mut request, mut lists) = (HashMap::new(), HashMap::<String, Value>::new());
    for (place, (field, value)) in schema.fields().iter().zip(&case.fields).enumerate() {
        let value = match value {
            FieldValue::Missing => continue,
            FieldValue::Boolean(value) => Value::Bool(*value),
            FieldValue::Integer(value) => Value::Int(*value),
            FieldValue::Double(value) => Value::Float(*value),
            FieldValue::Text(value) => Value::from(&**value),
        };
        request.insert(field.name.to_string(), value.clone());
        let FieldType::Key(kind) = field.field_type else { continue };
        for (side, bits) in [("blocked", case.listed.blocked), ("allowed", case.listed.allowed)] {
            let list = if bits >> place & 1 == 1 { vec![value.clone()] } else { Vec::new() };
            lists.insert(format!("{side}_{}", kind.plural()), Value::from(list));
        }
    }
    for kind in ListKind::ALL {
        for side in ["blocked", "allowed"] {
            lists.entry(format!("{side}_{}", kind.plural())).or_insert_with(|| Value::from(Vec::<Value>::new()));
        }
    }
    let mut context = Context::default();
    context.add_variable_from_value("features", features);
    context.add_variable_from_value("request", request);
    context.add_variable_from_value("lists", lists);
    context.add_variable_from_value("score", Value::Float(case.score));
    context
}

#[test]
fn random_conditions_answer_as_the_interpreter_of_cel_does() {
    let mut writer = Writer { random: ChaCha8Rng::seed_from_u64(7) };
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let cases: Vec<Case> = (0..64).map(|_| random_case(&mut random)).collect();
    let contexts: Vec<_> = cases.iter().map(context).collect();
    let environment = cel::Env::stdlib();
    let mut answers = [0; 3];
    for number in 0..CONDITIONS {
        let condition = writer.boolean(1 + number % 4);
        let parsed = schema().check_condition(&condition);
        if condition.len() > 2_000 || matches!(&parsed, Err(error) if error.to_string().contains("deep")) {
            continue;
        }
        let rules = vec![rule("r", &condition, decide(Action::Decline), 0, State::Live)];
        let set = RuleSet::compile(rules, schema()).unwrap_or_else(|error| panic!("{condition}\n{error}"));
        let parser = environment.parser().enable_ident_escape_syntax(true);
        let interpreted = parser.parse(&condition).unwrap();
        for _ in 0..CASES {
            let place = random.random_range(0..cases.len());
            let outcome = set.evaluate(&cases[place].facts()).unwrap();
            let ours = if outcome.unanswered.is_empty() { Some(!outcome.fired.is_empty()) } else { None };
            let theirs = contexts[place].resolve(&interpreted);
            let agreed = match (&ours, &theirs) {
                (Some(ours), Ok(Value::Bool(theirs))) => ours == theirs,
                (None, Err(_)) => true,
                _ => false,
            };
            assert!(agreed, "{condition}\nours {ours:?}, theirs {theirs:?}\n{:?}", cases[place].facts());
            answers[ours.map_or(2, usize::from)] += 1;
        }
    }
    assert!(
        answers.iter().all(|count| *count > 1_000),
        "too few false, true or unanswered to mean anything: {answers:?}"
    );
}
