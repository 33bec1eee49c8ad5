//! A backtest of generated decisions under generated rules, in process, beside the same decisions taken one by one; nothing is stored.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use dhow_benches::machine::process_cpu_seconds;
use dhow_events::DecisionId;
use dhow_rules::{
    Action, Backtest, DecisionsHash, Field, FieldType, FieldValue, ListKind, Listed, Recorded, Rule, RuleId, RuleSet,
    Schema, State, Then,
};

/// Decisions held in memory at a time.
const CHUNK: u64 = 50_000;
/// Currencies of the generated requests.
const CURRENCIES: [&str; 4] = ["NGN", "KES", "GHS", "USD"];
/// Countries of the generated requests.
const COUNTRIES: [&str; 5] = ["NG", "KE", "GH", "ZA", "GB"];

/// Repeats generated decisions under a set of rules and prints how long that took.
#[derive(Parser)]
struct Arguments {
    /// Decisions.
    #[arg(long, default_value_t = 1_000_000)]
    decisions: u64,
    /// Rules.
    #[arg(long, default_value_t = 30)]
    rules: u64,
    /// Features of each decision.
    #[arg(long, default_value_t = 60)]
    features: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("rules: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let set = rule_set(arguments)?;
    let mut backtest = Backtest::new(&set);
    let mut live = DecisionsHash::new();
    let (mut backtest_s, mut backtest_cpu_s, mut live_s) = (0.0, 0.0, 0.0);
    for begin in (0..arguments.decisions).step_by(CHUNK as usize) {
        let end = arguments.decisions.min(begin + CHUNK);
        let chunk: Vec<Recorded> = (begin..end).map(|number| recorded(number, arguments.features)).collect();

        let (start, cpu_before) = (Instant::now(), process_cpu_seconds(std::process::id()));
        backtest.add(&chunk)?;
        backtest_s += start.elapsed().as_secs_f64();
        backtest_cpu_s += process_cpu_seconds(std::process::id()) - cpu_before;

        let start = Instant::now();
        for decision in &chunk {
            live.add(decision.decision, &set.evaluate(&decision.facts())?);
        }
        live_s += start.elapsed().as_secs_f64();
    }
    let report = backtest.report();
    let fired: u64 = report.rules.iter().map(|rule| rule.fired.decisions).sum();
    let unanswered: u64 = report.rules.iter().map(|rule| rule.unanswered).sum();
    let result = serde_json::json!({
        "decisions": report.decisions, "rules": report.rules.len(), "features": arguments.features,
        "backtest_s": backtest_s, "backtest_cpu_s": backtest_cpu_s, "live_s": live_s,
        "live_us_per_decision": live_s * 1e6 / report.decisions as f64,
        "fired_per_decision": fired as f64 / report.decisions as f64,
        "unanswered_per_decision": unanswered as f64 / report.decisions as f64,
        "changed": report.changed(), "hash": report.hash, "equals_live": report.hash == live.hash(),
    });
    println!("RESULT {result}");
    Ok(())
}

/// Rules of six shapes over ever other features; every fifth runs in shadow.
fn rule_set(arguments: &Arguments) -> Result<RuleSet, Box<dyn std::error::Error>> {
    let names: Vec<String> = (0..arguments.features).map(|number| format!("feature_{number}_1d")).collect();
    let fields = vec![
        Field::new("amount_minor", FieldType::Integer),
        Field::new("currency", FieldType::Text),
        Field::new("country", FieldType::Key(ListKind::Country)),
        Field::new("card", FieldType::Key(ListKind::Card)),
        Field::new("new_account", FieldType::Boolean),
    ];
    let schema = Arc::new(Schema::new(names.iter().map(String::as_str), fields)?);
    let rule = |number: u64| {
        let feature =
            |place: u64| format!("features.{}", names[((number * 7 + place * 13) % arguments.features) as usize]);
        let (one, two, three) = (feature(0), feature(1), feature(2));
        let when = match number % 6 {
            0 => format!("{one} > 95.0 && score > 0.4"),
            1 => format!("request.amount_minor > 9000000 && {one} >= 60 && {two} < 20"),
            2 => format!("double(request.amount_minor) > 150000.0 * {one} && request.new_account"),
            3 => format!("request.country in ['GB', 'US', 'RU'] && request.currency != 'USD' && {one} + {two} > 180.0"),
            4 => {
                format!("request.card in lists.blocked_cards || (has({one}) && {one} > 99.0 && {two} / {three} > 4.0)")
            }
            _ => format!("score > 0.3 && ({one} > 97.0 || {two} > 97.0 || {three} > 97.0)"),
        };
        let then = match number % 4 {
            0 => Then::Decide { action: Action::Decline },
            1 => Then::Decide { action: Action::StepUp },
            _ => Then::Floor { action: Action::Review },
        };
        let state = if number % 5 == 4 { State::Shadow } else { State::Live };
        let id = RuleId::new(&format!("rule_{number}"))?;
        Ok::<_, Box<dyn std::error::Error>>(Rule { id, name: format!("Rule {number}"), when, then, priority: 0, state })
    };
    let rules = (0..arguments.rules).map(rule).collect::<Result<_, _>>()?;
    Ok(RuleSet::compile(rules, schema)?)
}

/// A decision that follows from its number alone; one feature in fifty is missing.
fn recorded(number: u64, features: u64) -> Recorded {
    let draw = |place: u64| mixed(number.wrapping_mul(1_000_003) ^ place);
    let feature = |place: u64| match draw(place) {
        missing if missing.is_multiple_of(50) => f64::NAN,
        drawn => (drawn >> 40) as f64 % 10_000.0 / 100.0,
    };
    let of = |texts: &[&str], place: u64| FieldValue::Text(texts[(draw(place) % texts.len() as u64) as usize].into());
    let score = (draw(1_001) >> 40) as f64 % 1_000.0 / 2_000.0;
    let band = if score > 0.48 { Action::Decline } else { Action::Approve };
    Recorded {
        decision: DecisionId::from_u128(u128::from(number)),
        features: (0..features).map(feature).collect(),
        fields: vec![
            FieldValue::Integer((draw(1_002) >> 30) as i64 % 10_000_000),
            of(&CURRENCIES, 1_003),
            of(&COUNTRIES, 1_004),
            FieldValue::Text(format!("crd_{}", draw(1_005) % 100_000).into()),
            FieldValue::Boolean(draw(1_006).is_multiple_of(4)),
        ],
        listed: Listed { blocked: if draw(1_007).is_multiple_of(1_000) { 1 << 3 } else { 0 }, allowed: 0 },
        score,
        band,
        action: band,
        fraud: draw(1_008).is_multiple_of(2).then(|| draw(1_009).is_multiple_of(300)),
        amount_usd_minor: (draw(1_010) >> 40) as i64 % 100_000,
    }
}

/// The finalizer of SplitMix64: numbers without a pattern, the same on every machine.
fn mixed(number: u64) -> u64 {
    let word = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
