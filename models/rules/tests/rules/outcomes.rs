//! How rules, lists and the model's band become one action, and what the outcome records.

use std::sync::Arc;

use dhow_rules::{
    Action, DecidedBy, FactsError, FieldValue, Listed, Outcome, ReasonCode, Rule, RuleId, RuleSet, State, Then,
};

use crate::world::{AMOUNT, CARD, COUNTRY, Case, case, decide, rule, schema, set};

fn outcome(rules: Vec<Rule>, case: &Case) -> Outcome {
    set(rules).evaluate(&case.facts()).unwrap()
}

fn always(id: &str, then: Then, priority: i32) -> Rule {
    rule(id, "true", then, priority, State::Live)
}

fn by_rule(id: &str) -> DecidedBy {
    DecidedBy::Rule { rule: RuleId::new(id).unwrap() }
}

#[test]
fn without_a_rule_that_fires_the_band_stands() {
    for band in Action::ALL {
        let case = Case { band, ..case() };
        let silent = outcome(vec![rule("r", "score > 0.9", decide(Action::Decline), 0, State::Live)], &case);
        assert_eq!((silent.action, silent.decided_by), (band, DecidedBy::Band));
    }
}

#[test]
fn the_strictest_deciding_rule_replaces_the_band_and_the_first_of_equals_is_named() {
    let rules = vec![
        always("approve", decide(Action::Approve), 0),
        always("step_up_b", decide(Action::StepUp), 2),
        always("step_up_a", decide(Action::StepUp), 1),
        always("review", decide(Action::Review), 3),
    ];
    let decided = outcome(rules, &Case { band: Action::Decline, ..case() });
    assert_eq!((decided.action, decided.decided_by), (Action::StepUp, by_rule("step_up_a")));
    let order: Vec<&str> = decided.fired.iter().map(|fired| fired.rule.as_str()).collect();
    assert_eq!(order, ["approve", "step_up_a", "step_up_b", "review"]);
    let trusted = outcome(vec![always("trust", decide(Action::Approve), 0)], &Case { band: Action::Decline, ..case() });
    assert_eq!((trusted.action, trusted.decided_by), (Action::Approve, by_rule("trust")));
}

#[test]
fn a_floor_raises_and_never_lowers() {
    let rules =
        vec![always("trust", decide(Action::Approve), 0), always("floor", Then::Floor { action: Action::Review }, 1)];
    let raised = outcome(rules, &case());
    let floor = DecidedBy::Floor { rule: RuleId::new("floor").unwrap() };
    assert_eq!((raised.action, raised.decided_by), (Action::Review, floor));
    let strict = Case { band: Action::Decline, ..case() };
    let kept = outcome(vec![always("floor", Then::Floor { action: Action::Review }, 1)], &strict);
    assert_eq!((kept.action, kept.decided_by), (Action::Decline, DecidedBy::Band));
}

#[test]
fn a_block_list_beats_an_allow_list_which_beats_rules_which_beat_the_band() {
    let rules = vec![always("decline", decide(Action::Decline), 0)];
    let mut listed = Case { listed: Listed { blocked: 0, allowed: 1 << CARD }, ..case() };
    let allowed = outcome(rules.clone(), &listed);
    assert_eq!((allowed.action, allowed.decided_by), (Action::Approve, DecidedBy::AllowList { field: "card".into() }));
    assert_eq!(allowed.fired.len(), 1, "what rules said is recorded all the same");
    listed.listed.blocked = 1 << COUNTRY;
    let blocked = outcome(vec![always("approve", decide(Action::Approve), 0)], &listed);
    let by_country = DecidedBy::BlockList { field: "country".into() };
    assert_eq!((blocked.action, blocked.decided_by), (Action::Decline, by_country));
}

#[test]
fn an_allowed_country_approves_nobody_but_rules_may_ask_for_it() {
    let case = Case { listed: Listed { blocked: 0, allowed: 1 << COUNTRY }, band: Action::Decline, ..case() };
    assert_eq!(outcome(vec![], &case).action, Action::Decline);
    let condition = "request.country in lists.allowed_countries";
    let softer = outcome(vec![rule("r", condition, decide(Action::Review), 0, State::Live)], &case);
    assert_eq!(softer.action, Action::Review);
}

#[test]
fn shadow_rules_are_recorded_and_change_nothing() {
    let reason = Then::AddReason { code: ReasonCode::new("RULE_SEEN").unwrap() };
    let rules = vec![
        rule("shadow", "true", decide(Action::Decline), 0, State::Shadow),
        rule("shadow_reason", "true", reason, 1, State::Shadow),
        rule("live_reason", "true", reason, 2, State::Live),
        rule("draft", "true", decide(Action::Decline), 3, State::Draft),
        rule("retired", "true", decide(Action::Decline), 4, State::Retired),
        rule("shadow_silent", "features.ring_size > 1", decide(Action::Decline), 5, State::Shadow),
    ];
    let mut case = case();
    case.features[3] = f64::NAN;
    let outcome = outcome(rules, &case);
    assert_eq!((outcome.action, outcome.decided_by), (Action::Approve, DecidedBy::Band));
    assert_eq!(outcome.action_with_shadow, Action::Decline);
    let names = |fired: &[dhow_rules::Fired]| fired.iter().map(|f| f.rule.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&outcome.fired), ["live_reason"]);
    assert_eq!(names(&outcome.shadow_fired), ["shadow", "shadow_reason"]);
    assert_eq!(outcome.reasons, [ReasonCode::new("RULE_SEEN").unwrap()]);
    assert_eq!(outcome.unanswered[0].rule.as_str(), "shadow_silent");
}

#[test]
fn facts_that_do_not_fit_are_refused_by_name() {
    let set = set(vec![]);
    let mut short = case();
    short.features.pop();
    let error = set.evaluate(&short.facts()).unwrap_err();
    assert_eq!(error.to_string(), "4 features were given, but the rules were compiled for 5");
    let mut typed = case();
    typed.fields[AMOUNT] = FieldValue::Text("12000".into());
    let error = set.evaluate(&typed.facts()).unwrap_err();
    assert_eq!(error.to_string(), "request.amount_minor is string, but was declared as int");
    let mut nan = case();
    nan.fields[5] = FieldValue::Double(f64::NAN);
    assert_eq!(set.evaluate(&nan.facts()), Err(FactsError::NotFinite { name: "request.distance_km".to_owned() }));
    let mut infinite = case();
    infinite.features[3] = f64::INFINITY;
    assert_eq!(set.evaluate(&infinite.facts()), Err(FactsError::NotFinite { name: "features.ring_size".to_owned() }));
    let score = Case { score: f64::NAN, ..case() };
    assert!(matches!(set.evaluate(&score.facts()), Err(FactsError::BadScore(_))));
}

#[test]
fn the_version_is_that_of_the_content_whatever_the_order() {
    let rules = vec![always("a", decide(Action::Review), 0), always("b", decide(Action::Decline), 0)];
    let version = |rules: Vec<Rule>| RuleSet::compile(rules, schema()).unwrap().version();
    let first = version(rules.clone());
    assert_eq!(first, version(rules.iter().rev().cloned().collect()));
    type Edit = fn(&mut Rule);
    let changes: [Edit; 5] = [
        |rule| rule.name.push('!'),
        |rule| rule.when = "true ".to_owned(),
        |rule| rule.then = decide(Action::Approve),
        |rule| rule.priority = 1,
        |rule| rule.state = State::Shadow,
    ];
    for change in changes {
        let mut changed = rules.clone();
        change(&mut changed[0]);
        assert_ne!(first, version(changed));
    }
}

#[test]
fn an_outcome_and_a_rule_read_back_as_they_were_written() {
    let text = r#"{"id":"large","name":"Large first order","when":"request.amount_minor > 10000",
        "then":{"do":"decide","action":"step_up"},"priority":10,"state":"live"}"#;
    let rule: Rule = serde_json::from_str(text).unwrap();
    assert_eq!(rule.then, decide(Action::StepUp));
    let mut case = case();
    case.fields[AMOUNT] = FieldValue::Missing;
    let other = Rule { id: RuleId::new("other").unwrap(), when: "true".to_owned(), ..rule.clone() };
    let outcome = RuleSet::compile(vec![rule, other], Arc::clone(&schema())).unwrap().evaluate(&case.facts()).unwrap();
    let json = serde_json::to_string(&outcome).unwrap();
    assert!(json.contains(r#""unanswered":[{"rule":"large","why":"missing_field","name":"amount_minor"}]"#), "{json}");
    assert!(json.contains(r#""decided_by":{"by":"rule","rule":"other"}"#), "{json}");
    assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
}
