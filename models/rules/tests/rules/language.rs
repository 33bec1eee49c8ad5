//! What a condition may say, what it means, and what is said of one that may not be published.

use dhow_rules::{Action, FieldValue, Listed, RuleSet, Silence, State, contains_card_number};

use proptest::prelude::*;

use crate::world::{AMOUNT, CARD, Case, case, decide, rule, schema, set};

/// Whether a condition holds, or why it has no answer.
fn answer(condition: &str, case: &Case) -> Result<bool, Silence> {
    let set = set(vec![rule("r", condition, decide(Action::Review), 0, State::Live)]);
    let outcome = set.evaluate(&case.facts()).unwrap();
    match outcome.unanswered.into_iter().next() {
        Some(unanswered) => Err(unanswered.silence),
        None => Ok(!outcome.fired.is_empty()),
    }
}

#[test]
fn conditions_mean_what_an_analyst_reads() {
    let mut case = case();
    case.listed = Listed { blocked: 1 << CARD, allowed: 0 };
    for (condition, holds) in [
        ("score > 0.2 && features.buyer_checkouts_count_1h >= 3", true),
        ("request.amount_minor > 10000 && request.currency == 'NGN'", true),
        ("request.country in ['GH', 'KE']", false),
        ("request.country in [\"NG\"] ? request.new_account : false", true),
        ("double(request.amount_minor) > 3.0 * features.card_amount_mean_30d", true),
        ("request.amount_minor / 7 % 5 == 4", true),
        ("request.card in lists.blocked_cards", true),
        ("request.card in lists.allowed_cards", false),
        ("request.currency.startsWith('NG') && !request.currency.endsWith('G')", true),
        ("features.`odd name-1` == 7", true),
        ("request.quantity in [1, 2, -3]", true),
        ("features.ring_size in [1, 0.0]", true),
        ("-request.distance_km < -12", true),
        ("request.new_account != true || has(features.ring_size)", true),
    ] {
        assert_eq!(answer(condition, &case), Ok(holds), "{condition}");
    }
}

#[test]
fn a_missing_value_keeps_a_rule_from_firing_and_says_so() {
    let mut case = case();
    case.features[3] = f64::NAN;
    case.fields[AMOUNT] = FieldValue::Missing;
    let feature = || Err(Silence::MissingFeature { name: "ring_size".into() });
    let field = || Err(Silence::MissingField { name: "amount_minor".into() });
    for (condition, expected) in [
        ("features.ring_size > 5", feature()),
        ("features.ring_size <= 5", feature()),
        ("!(features.ring_size > 5)", feature()),
        ("has(features.ring_size)", Ok(false)),
        ("has(features.ring_size) && features.ring_size > 5", Ok(false)),
        ("!has(request.amount_minor)", Ok(true)),
        ("features.ring_size > 5 || score < 1", Ok(true)),
        ("features.ring_size > 5 && score < 0", Ok(false)),
        ("score < 1 && request.amount_minor == 0", field()),
        ("request.amount_minor > 0 || features.ring_size > 5", field()),
    ] {
        assert_eq!(answer(condition, &case), expected, "{condition}");
    }
}

#[test]
fn impossible_computations_give_no_answer() {
    let mut case = case();
    case.fields[AMOUNT] = FieldValue::Integer(i64::MAX);
    assert_eq!(answer("request.amount_minor + 1 > 0", &case), Err(Silence::Overflow));
    assert_eq!(answer("request.amount_minor / (request.quantity - 2) > 0", &case), Err(Silence::DivisionByZero));
    let infinite = "1e300 * 1e300";
    assert_eq!(answer(&format!("{infinite} - {infinite} < score"), &case), Err(Silence::NotComparable));
}

#[test]
fn what_cannot_be_published_is_said_with_place_fault_and_remedy() {
    let golden = include_str!("type_errors.txt");
    let mut shown = String::new();
    for block in golden.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let condition = block.trim_start_matches('\n').split("\n=> ").next().unwrap().trim_end();
        let error = schema().check_condition(condition).unwrap_err();
        shown.push_str(&format!("{condition}\n=> {error}\n\n"));
    }
    if shown.trim() != golden.trim() {
        panic!("the messages changed; they are now:\n\n{shown}");
    }
}

#[test]
fn deep_or_long_conditions_are_refused_within_a_small_stack() {
    let chain = |with: &str, count: usize| vec!["1"; count].join(with);
    let hostile = [
        format!("{} == 1", chain("+", 950)),
        format!("{}1{} == 1", "(".repeat(900), ")".repeat(900)),
        format!("{}true", "!".repeat(1_900)),
        format!("{}true", "!(".repeat(900)),
        format!("{}1 == 1", "-".repeat(1_900)),
        format!("request{}", ".a".repeat(900)),
        format!("{}1{}", "[".repeat(900), "]".repeat(900)),
        format!("{}true", "true?true:".repeat(190)),
        format!("{}true", "true?".repeat(390)),
        format!("{}true{}", "has(".repeat(300), ")".repeat(300)),
        chain("<", 950),
        "x".repeat(3_000),
        "\"".to_owned(),
        "$€".repeat(300),
    ];
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let refused = small.spawn(move || {
        let schema = schema();
        hostile.iter().map(|condition| schema.check_condition(condition).is_err()).collect::<Vec<_>>()
    });
    // An even number of signs cancels, so that `!…!true` is plainly true; all others are refused.
    let refused = refused.unwrap().join().unwrap();
    let accepted: Vec<usize> = (0..refused.len()).filter(|place| !refused[*place]).collect();
    assert_eq!(accepted, [2, 4]);
}

proptest! {
    /// The parser is another's: whatever is typed, it answers.
    #[test]
    fn any_text_gets_a_verdict(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "score", "request.amount_minor", "features.ring_size", "lists.blocked_cards", "has", "double", "in", "true",
                "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "&&", "||", "!", "-", "+", "*", "/", "%", "==", "<", ">=", "=",
                "1", "2.5", "1u", "0x1F", "1e999", "'a'", "\"", "'", "`", "b'x'", "r'", "null", "\n", "//", " ", "€",
                "\u{0}", "\\", "\\x", "'\\ud800'", "'\\777'", "b'\\xff'", "request", ".exists(x, x)", "_", "as", "1.", ".5",
                "9223372036854775808",
            ]),
            0..14,
        ),
    ) {
        if let Err(error) = schema().check_condition(&tokens.concat()) {
            prop_assert!(error.line >= 1 && error.column >= 1 && !error.problem.to_string().is_empty());
        }
    }
}

#[test]
fn a_chain_of_or_may_be_long() {
    let many: Vec<String> = (0..60).map(|number| format!("request.quantity == {number}")).collect();
    assert_eq!(answer(&many.join(" || "), &case()), Ok(true));
}

#[test]
fn draft_and_retired_rules_may_be_unfinished() {
    let rules = |state| vec![rule("r", "features.nothing >", decide(Action::Decline), 0, state)];
    for (state, accepted) in
        [(State::Draft, true), (State::Retired, true), (State::Shadow, false), (State::Live, false)]
    {
        assert_eq!(RuleSet::compile(rules(state), schema()).is_ok(), accepted, "{state:?}");
    }
}

#[test]
fn every_wrong_rule_of_a_set_is_named() {
    let wrong = "features.ring > 5";
    let mut rules = vec![
        rule("good", "score > 0.5", decide(Action::Review), 0, State::Live),
        rule("first", wrong, decide(Action::Review), 1, State::Live),
        rule("second", "request.amount_minor", decide(Action::Review), 2, State::Shadow),
        rule("good", "score > 0.5", decide(Action::Review), 3, State::Live),
        rule("planted", "request.card == '4111111111111111'", decide(Action::Review), 4, State::Live),
    ];
    rules.push(rule("named", "score > 0.5", decide(Action::Review), 5, State::Draft));
    rules[5].name = "watch 4111 1111 1111 1111".to_owned();
    let error = RuleSet::compile(rules, schema()).unwrap_err().to_string();
    assert!(!contains_card_number(&error));
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 5, "{error}");
    assert_eq!(
        lines[0],
        "rule `first`: line 1, column 1: `features.ring` is not known; did you mean `features.ring_size`?"
    );
    assert_eq!(lines[1], "rule `second`: line 1, column 1: a rule's condition is int, but must be bool");
    assert!(lines[2].starts_with("rule `good`: another rule of the set has this id"));
    assert!(lines[3].starts_with("rule `planted`: the condition holds what looks like a card number"));
    assert!(lines[4].starts_with("rule `named`: the name holds what looks like a card number"));
}
