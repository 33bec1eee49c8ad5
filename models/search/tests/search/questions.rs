//! What questions are refused, corrected and completed, told by examples.

use dhow_events::{SaleRegions, SellerId};
use dhow_search::{
    CHANGES_MAX, Change, Filters, Mode, ProductDocument, SearchError, SearchIndex, SearchRequest, SearchSettings,
    difference, lift,
};

use crate::world::{ask, product};

fn put(number: u128, title: &str) -> Change {
    Change::Put(Box::new(ProductDocument {
        product: product(number),
        title: title.to_owned(),
        description: String::new(),
        category: "home/kitchen".to_owned(),
        attributes: Default::default(),
        seller: SellerId::from_u128(1),
        price_minor: 100,
        sale_regions: SaleRegions::default(),
        available: true,
    }))
}

fn index(titles: &[&str]) -> SearchIndex {
    let index = SearchIndex::new(SearchSettings::default()).unwrap();
    index.apply((1..).zip(titles).map(|(number, title)| put(number, title)).collect()).unwrap();
    index
}

fn titles(index: &SearchIndex, request: &SearchRequest<'_>) -> Vec<String> {
    index.search(request).unwrap().hits.iter().map(|hit| hit.product.title.clone()).collect()
}

#[test]
fn a_typo_finds_the_nearest_words_and_the_answer_says_so() {
    let index = index(&["wireless headphones", "ceramic mug", "mud mask"]);
    let answer = index.search(&ask("hedaphones")).unwrap();
    assert_eq!(answer.hits[0].product.title, "wireless headphones");
    assert_eq!(
        (answer.corrections[0].word.as_str(), &answer.corrections[0].used),
        ("hedaphones", &vec!["headphone".to_owned()])
    );
    // A word that products have is not replaced by its neighbours; short words and those with digits never are.
    assert_eq!(titles(&index, &ask("mug")), ["ceramic mug"]);
    assert!(titles(&index, &ask("mux")).is_empty());
    assert!(titles(&index, &ask("headph0nes")).is_empty());
}

#[test]
fn the_last_word_may_be_a_beginning_while_somebody_types() {
    let index = index(&["ceramic mug", "ceiling lamp", "lamp shade ceramic"]);
    let typing = |text| SearchRequest { as_you_type: true, ..ask(text) };
    assert_eq!(titles(&index, &typing("lamp cer"))[0], "lamp shade ceramic");
    assert_eq!(titles(&index, &typing("cei")), ["ceiling lamp"]);
    assert!(titles(&index, &ask("cei")).is_empty());
}

#[test]
fn every_part_out_of_bounds_is_named_at_once() {
    let index = index(&["ceramic mug"]);
    let filters = Filters { price_min: Some(5), price_max: Some(4), ..Filters::default() };
    let request = SearchRequest { limit: 0, cursor: Some("abc"), filters, ..ask("…") };
    let Err(SearchError::Invalid(problems)) = index.search(&request) else { panic!("was answered") };
    assert_eq!(problems.iter().map(|problem| problem.part).collect::<Vec<_>>(), ["q", "limit", "cursor", "price"]);
    let long = "a ".repeat(257);
    assert!(index.search(&ask(&long)).is_err());
    let many: String = (0..65).map(|word| format!("w{word} ")).collect();
    assert!(index.search(&ask(&many)).is_err());
}

#[test]
fn a_cursor_belongs_to_its_question() {
    let index = index(&["red mug", "blue mug", "green mug"]);
    let first = index.search(&SearchRequest { limit: 1, ..ask("mug") }).unwrap();
    let next = first.next.as_deref();
    assert!(next.is_some() && index.search(&SearchRequest { limit: 1, cursor: next, ..ask("mug") }).is_ok());
    assert!(index.search(&SearchRequest { limit: 1, cursor: next, ..ask("red mug") }).is_err());
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let index = index(&["red mug"]);
    let long = "x".repeat(2_000);
    assert!(matches!(index.apply(vec![put(2, "blue mug"), put(3, &long)]), Err(SearchError::Product { .. })));
    let crooked = Change::Meaning { product: product(1), of: "red mug".to_owned(), vector: vec![0.5, 0.5] };
    assert!(matches!(index.apply(vec![put(2, "blue mug"), crooked]), Err(SearchError::Vector { .. })));
    assert!(index.apply(vec![Change::Remove(product(1)); CHANGES_MAX + 1]).is_err());
    assert_eq!((index.len(), titles(&index, &ask("mug"))), (1, vec!["red mug".to_owned()]));
}

#[test]
fn words_and_meanings_together_find_what_shares_no_word() {
    let index = index(&["red mug", "crimson coffee cup", "green kite"]);
    let vector = |x: f32| vec![x, (1.0 - x * x).sqrt()];
    let meaning =
        |number, of: &str, x| Change::Meaning { product: product(number), of: of.to_owned(), vector: vector(x) };
    index
        .apply(vec![
            meaning(1, "red mug", 0.99),
            meaning(2, "crimson coffee cup", 0.98),
            meaning(3, "green kite", -0.9),
        ])
        .unwrap();
    let towards = vector(1.0);
    assert_eq!(
        titles(&index, &SearchRequest { mode: Mode::Hybrid(&towards), ..ask("red mug") }),
        ["red mug", "crimson coffee cup"]
    );
    // Vectors of another length are another model's.
    let other = SearchRequest { mode: Mode::Hybrid(&[1.0]), ..ask("red mug") };
    assert!(matches!(index.search(&other), Err(SearchError::Vector { .. })));
    index.forget_meanings();
    assert_eq!((index.meanings(), index.without_meaning(2).len()), (0, 2));
}

#[test]
fn codes_that_are_written_otherwise_and_numbers_decide_between_products_of_one_meaning() {
    let titles_of =
        ["cordless phone kx tg 9341 t", "cordless phone kx tg 1032 s", "phone stand 13 inch", "phone stand 15 inch"];
    let index = index(&titles_of);
    let one = |number: u128, of: &str| Change::Meaning {
        product: product(number),
        of: of.to_owned(),
        vector: vec![1.0, 0.0],
    };
    index.apply((1..).zip(titles_of).map(|(number, title)| one(number, title)).collect()).unwrap();
    let both = |text| SearchRequest { mode: Mode::Hybrid(&[1.0, 0.0]), ..ask(text) };
    let first = |text| titles(&index, &both(text)).remove(0);
    assert_eq!(first("panasonic KX-TG1032S"), titles_of[1]);
    assert_eq!(first("panasonic kxtg9341"), titles_of[0]);
    assert_eq!(first("stands, 15in."), titles_of[3]);
    // A filter changes no score.
    let score = |filters| {
        let answer = index.search(&SearchRequest { filters, ..both("stand 15") }).unwrap();
        answer.hits.iter().find(|hit| hit.product.title == titles_of[3]).map(|hit| hit.score)
    };
    let narrow = Filters { categories: vec!["home".to_owned()], price_max: Some(100), ..Filters::default() };
    assert!(score(narrow).is_some_and(|narrow| Some(narrow) == score(Filters::default())));
}

#[test]
fn a_ratio_to_next_to_nothing_is_none_and_the_difference_stays() {
    let (ours, theirs) = ([0.2, 0.4, 0.0, 0.2], [0.0, 0.0, 0.1, 0.0]);
    assert_eq!(lift(&ours, &theirs, 500, 7), None);
    let gap = difference(&ours, &theirs, 500, 7);
    assert!((gap.value - 0.175).abs() < 1e-12 && gap.low < gap.value && gap.value < gap.high, "{gap:?}");
    let twice = lift(&ours, &[0.1, 0.2, 0.0, 0.1], 0, 7);
    assert!(twice.is_some_and(|lift| (lift.value - 1.0).abs() < 1e-12), "{twice:?}");
}
