//! Publishing, rolling back, and the log of both.

use dhow_events::Timestamp;
use dhow_rules::{Action, BookError, BookEvent, RuleBook, RuleSet, State, backtest};

use crate::world::{decide, recorded, rule, set};

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn review_above(score: f64) -> RuleSet {
    set(vec![rule("r", &format!("score > {score:?}"), decide(Action::Review), 0, State::Live)])
}

fn published(book: &mut RuleBook, set: &RuleSet, second: i64) {
    let report = backtest(set, recorded(set, 50, 1)).unwrap();
    book.publish(set, &report, "ada", at(second)).unwrap();
}

#[test]
fn versions_are_published_with_their_backtest_and_rolled_back_with_a_reason() {
    let (first, second) = (review_above(0.5), review_above(0.25));
    let mut book = RuleBook::default();
    assert!(book.current().is_none());
    published(&mut book, &first, 1);
    let report = backtest(&second, recorded(&first, 400, 2)).unwrap();
    let entry = book.publish(&second, &report, "ben", at(2)).unwrap();
    assert_eq!(entry.replaced, Some(first.version()));
    let expected = BookEvent::Published { decisions: 400, changed: report.changed(), hash: report.hash };
    assert_eq!(entry.event, expected);
    assert!(report.changed() > 0);

    book.roll_back(first.version(), "ada", "too many reviews", at(3)).unwrap();
    let current = book.current().unwrap();
    assert_eq!((current.version, current.rules.as_slice()), (first.version(), first.rules()));
    assert_eq!(book.versions().len(), 2);
    let who: Vec<(&str, Timestamp)> = book.log().iter().map(|line| (line.author.as_str(), line.at)).collect();
    assert_eq!(who, [("ada", at(1)), ("ben", at(2)), ("ada", at(3))]);

    let loaded = RuleBook::load(book.versions().to_vec(), book.log().to_vec()).unwrap();
    assert_eq!(loaded, book);
}

#[test]
fn what_may_not_come_into_force_leaves_the_book_as_it_was() {
    let (first, second) = (review_above(0.5), review_above(0.25));
    let mut book = RuleBook::default();
    published(&mut book, &first, 10);
    let before = book.clone();
    let other = backtest(&first, Vec::new()).unwrap();
    let own = backtest(&second, Vec::new()).unwrap();
    let errors = [
        book.publish(&second, &other, "ada", at(11)).unwrap_err(),
        book.publish(&first, &other, "ada", at(11)).unwrap_err(),
        book.publish(&second, &own, " ", at(11)).unwrap_err(),
        book.publish(&second, &own, "ada", at(9)).unwrap_err(),
        book.roll_back(second.version(), "ada", "why not", at(11)).unwrap_err(),
        book.roll_back(first.version(), "ada", "card 4111 1111 1111 1111", at(11)).unwrap_err(),
    ];
    assert!(matches!(errors[0], BookError::BacktestOfAnother { .. }));
    assert_eq!(errors[1], BookError::InForce(first.version()));
    assert_eq!(errors[2], BookError::BadWords { field: "author" });
    assert_eq!(errors[3], BookError::BeforeTheLast { at: at(9), last: at(10) });
    assert_eq!(errors[4], BookError::NeverPublished(second.version()));
    assert_eq!(errors[5], BookError::BadWords { field: "reason" });
    assert_eq!(book, before);
}

#[test]
fn a_stored_version_that_was_changed_is_noticed() {
    let first = review_above(0.5);
    let mut book = RuleBook::default();
    published(&mut book, &first, 1);
    let mut versions = book.versions().to_vec();
    versions[0].rules[0].when = "score > 0.9".to_owned();
    let error = RuleBook::load(versions, book.log().to_vec()).unwrap_err();
    assert!(matches!(error, BookError::Changed { stored, .. } if stored == first.version()));
    assert_eq!(RuleBook::load(Vec::new(), book.log().to_vec()).unwrap_err(), BookError::NotStored(first.version()));
}
