//! Slates beside the slow arrangement, exploration beside its propensities, and the answers to odd requests.

use std::collections::BTreeMap;

use dhow_ranking::*;

use crate::oracle::arrange_slowly;
use crate::random::{Case, case, similarity};

const CASES: u64 = 20_000;

fn without_exploration(mut case: Case) -> Case {
    case.policy.exploration = None;
    case
}

#[test]
fn a_slate_is_what_trying_every_set_of_items_gives() {
    let mut scratch = Scratch::default();
    let (mut full, mut sponsored, mut relaxed) = (0, 0, 0);
    for seed in 0..CASES {
        let case = without_exploration(case(seed, 8));
        let (fast, slow) = (case.arrange(&mut scratch), arrange_slowly(&case));
        let places: Vec<(u32, Kind)> = fast.places.iter().map(|place| (place.item, place.kind)).collect();
        assert_eq!(places, slow.places, "case {seed}: {case:?}");
        assert_eq!(fast.relaxed, slow.relaxed, "case {seed}");
        let Removed { duplicate, no_score, seen, excluded, price, ineligible, seller_cap, category_cap } = fast.removed;
        assert_eq!(duplicate + no_score + seen + excluded + price + ineligible, slow.removed_alone, "case {seed}");
        assert_eq!((seller_cap, category_cap), (slow.seller_cap, slow.category_cap), "case {seed}");
        assert!(fast.places.iter().all(|place| place.propensity == 1.0));
        full += usize::from(places.len() == case.count);
        sponsored += usize::from(places.iter().any(|(_, kind)| *kind != Kind::Organic));
        relaxed += usize::from(fast.relaxed != Relaxed::default());
    }
    // The comparison means something only when all of it comes up.
    let often = CASES as usize / 20;
    assert!(full > often && sponsored > often && relaxed > often, "{full} {sponsored} {relaxed}");
}

#[test]
fn both_caps_together_still_give_the_longest_slate() {
    // By score, items 0 and 1 would use up seller 0 and leave nothing but item 0's category for the rest.
    let candidate = |item, score, seller, category| Candidate {
        item,
        score,
        seller,
        category,
        price_minor: 1,
        small_seller: false,
    };
    let mut case = case(0, 4);
    case.candidates = vec![candidate(0, 3.0, 0, 0), candidate(1, 2.0, 0, 1), candidate(2, 1.0, 1, 0)];
    case.offers.clear();
    case.count = 2;
    (case.max_per_seller, case.max_per_category, case.price_band) = (Some(1), Some(1), None);
    case.category_caps.clear();
    (case.seen, case.excluded, case.out_of_stock) = (vec![], vec![], vec![]);
    case.policy = Policy::default();
    let arranged = case.arrange(&mut Scratch::default());
    let items: Vec<u32> = arranged.places.iter().map(|place| place.item).collect();
    assert_eq!(items, [1, 2]);
}

#[test]
fn diversity_takes_the_items_that_the_plain_definition_takes() {
    let mut scratch = Scratch::default();
    for seed in 0..300 {
        let mut case = without_exploration(case(seed, 120));
        (case.max_per_seller, case.max_per_category) = (None, None);
        (case.offers, case.category_caps) = (vec![], vec![]);
        let lambda = (seed % 11) as f64 / 10.0;
        let diversity = Some(Diversity { lambda, max_similarity: 1.0 });
        case.policy = Policy { diversity, ..Policy::default() };
        let fast = case.arrange(&mut scratch);
        let relevance: BTreeMap<u32, f64> = Case { policy: Policy::default(), count: 100, ..case.clone() }
            .arrange(&mut scratch)
            .places
            .iter()
            .map(|place| (place.item, place.relevance))
            .collect();
        if relevance.len() == 100 {
            continue; // There may be more than the list shows.
        }
        let mut left: Vec<(u32, f64)> = relevance.into_iter().collect();
        left.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut slow: Vec<u32> = Vec::new();
        while slow.len() < case.count && !left.is_empty() {
            let value = |(item, relevance): &(u32, f64)| {
                let alike = slow.iter().map(|placed| similarity(*item, *placed)).filter(|s| !s.is_nan());
                lambda * relevance - (1.0 - lambda) * alike.map(|s| s.clamp(0.0, 1.0)).fold(0.0, f64::max)
            };
            let best = (0..left.len()).rev().max_by(|a, b| value(&left[*a]).total_cmp(&value(&left[*b]))).unwrap();
            slow.push(left.remove(best).0);
        }
        let items: Vec<u32> = fast.places.iter().map(|place| place.item).collect();
        assert_eq!(items, slow, "case {seed}");
    }
}

#[test]
fn propensities_are_the_frequencies_over_many_seeds() {
    const SEEDS: u64 = 40_000;
    let mut scratch = Scratch::default();
    let mut explored = 0;
    for seed in 0..200 {
        let case = case(seed, 12);
        let mut seen: BTreeMap<(usize, u32), (f64, u64)> = BTreeMap::new();
        if case.arrange(&mut scratch).explorable == 0 || explored == 12 {
            continue;
        }
        explored += 1;
        for draw in 0..SEEDS {
            let arranged = case.arrange_with_seed(draw, &mut scratch);
            for (at, place) in arranged.places.iter().enumerate() {
                let known = seen.entry((at, place.item)).or_insert((place.propensity, 0));
                assert_eq!(known.0, place.propensity, "one item at one place has one propensity");
                known.1 += 1;
            }
        }
        for ((at, item), (propensity, times)) in &seen {
            let deviation = (propensity * (1.0 - propensity) / SEEDS as f64).sqrt();
            let frequency = *times as f64 / SEEDS as f64;
            assert!(
                (frequency - propensity).abs() <= 5.0 * deviation,
                "case {seed}, place {at}, item {item}: {frequency} beside {propensity}"
            );
        }
        let places = 1 + seen.keys().map(|(at, _)| *at).max().unwrap();
        for place in 0..places {
            let sum: f64 = seen.iter().filter(|((at, _), _)| *at == place).map(|(_, (p, _))| p).sum();
            assert!((sum - 1.0).abs() < 1e-3, "case {seed}, place {place}: {sum}");
        }
    }
    assert_eq!(explored, 12);
}

#[test]
fn the_same_seed_gives_the_same_slate_whatever_was_arranged_before() {
    let mut used = Scratch::default();
    for seed in 0..2_000 {
        let case = case(seed, 30);
        assert_eq!(case.arrange(&mut used), case.arrange(&mut Scratch::default()), "case {seed}");
    }
}

#[test]
fn odd_requests_get_defined_answers() {
    let mut scratch = Scratch::default();
    let nothing = Request {
        count: 10,
        candidates: &[],
        offers: &[],
        campaign_budgets_minor: &[],
        rules: Rules::default(),
        eligible: &|_| true,
        similarity: None,
        seed: 0,
    };
    assert_eq!(arrange(&nothing, &Policy::default(), &mut scratch).unwrap(), Arranged::default());
    let one = Candidate { item: 7, score: f64::MAX, seller: 1, category: 1, price_minor: 5, small_seller: false };
    let other = Candidate { item: u32::MAX, score: -f64::MAX, seller: u32::MAX, ..one };
    let candidates = [one, other, one];
    let arranged = arrange(&Request { candidates: &candidates, ..nothing }, &Policy::default(), &mut scratch).unwrap();
    assert_eq!(arranged.removed.duplicate, 1);
    let shown: Vec<(u32, f64)> = arranged.places.iter().map(|place| (place.item, place.relevance)).collect();
    assert_eq!(shown, [(7, 1.0), (u32::MAX, 0.0)]);
    let none_eligible = Request { candidates: &candidates, eligible: &|_| false, ..nothing };
    let arranged = arrange(&none_eligible, &Policy::default(), &mut scratch).unwrap();
    assert_eq!((arranged.places.len(), arranged.removed.ineligible), (0, 2));

    let refused = |request: Request| arrange(&request, &Policy::default(), &mut Scratch::default()).unwrap_err();
    assert_eq!(refused(Request { count: 0, ..nothing }).to_string(), "count is 0, expected 1 to 100");
    let rules = Rules { price_band: Some(PriceBand { from_minor: 2, to_minor: 1 }), ..Rules::default() };
    assert_eq!(refused(Request { rules, ..nothing }), RankingError::EmptyPriceBand { from_minor: 2, to_minor: 1 });
    let rules = Rules { max_per_seller: Some(0), ..Rules::default() };
    assert!(refused(Request { rules, ..nothing }).to_string().contains("max_per_seller is 0"));
    let offers = [Offer { candidate: one, campaign: 3, bid_minor: 1 }];
    let unknown = RankingError::UnknownCampaign { offer: 0, campaign: 3, campaigns: 0 };
    assert_eq!(refused(Request { offers: &offers, ..nothing }), unknown);
    let policy = Policy { diversity: Some(Diversity { lambda: f64::NAN, max_similarity: 1.0 }), ..Policy::default() };
    assert!(arrange(&nothing, &policy, &mut scratch).unwrap_err().to_string().starts_with("diversity.lambda is NaN"));
}

#[test]
fn item_vectors_give_the_cosine() {
    let vectors = ItemVectors::new(3, vec![3.0, 4.0, 0.0, 4.0, 3.0, 0.0, -3.0, -4.0, 0.0, 0.0, 0.0, 0.0]).unwrap();
    assert!((vectors.similarity(0, 1) - 24.0 / 25.0).abs() < 1e-6);
    assert_eq!([vectors.similarity(0, 2), vectors.similarity(0, 3), vectors.similarity(0, 99)], [0.0; 3]);
    assert!(ItemVectors::new(2, vec![1.0; 3]).unwrap_err().to_string().contains("multiple of the 2 dimensions"));
    assert!(ItemVectors::new(1, vec![f32::NAN]).is_err() && ItemVectors::new(0, vec![]).is_err());
}

#[test]
fn sellers_outside_the_top_are_those_left_when_the_share_is_held() {
    assert_eq!(outside_top(&[5, 50, 20, 25], 0.7), [true, false, true, false]);
    assert_eq!(outside_top(&[0, 0], 0.5), [true, true]);
}

#[test]
fn a_policy_is_read_part_by_part_and_unknown_words_are_refused() {
    let read = |text: &str| serde_json::from_str::<Policy>(text);
    assert_eq!(read("{}").unwrap(), Policy::default());
    let text = r#"{"exploration": {"epsilon": 0.1, "tail": 50, "draw": {"softmax": {"temperature": 0.2}}}}"#;
    let draw = Draw::Softmax { temperature: 0.2 };
    let exploration = Some(Exploration { epsilon: 0.1, tail: 50, draw });
    assert_eq!(read(text).unwrap(), Policy { exploration, ..Policy::default() });
    assert!(read(r#"{"diversety": null}"#).unwrap_err().to_string().contains("unknown field `diversety`"));
    let unknown = read(r#"{"fairness": {"floor_share": 0.1, "more": 1}}"#).unwrap_err().to_string();
    assert!(unknown.contains("unknown field `more`"), "{unknown}");
}
