//! A million random requests, whose slates are checked against every rule.

use dhow_ranking::*;
use rayon::prelude::*;

use crate::random::{Case, case};

const REQUESTS: u64 = 1_000_000;

/// The hard rules, the bounds on sponsored places, and fullness where it can be told by counting.
fn violation(case: &Case, arranged: &Arranged) -> Option<&'static str> {
    // What is named twice has the attributes of its first naming, candidates before offers.
    let named = || case.candidates.iter().chain(case.offers.iter().map(|offer| &offer.candidate));
    let attributes: Vec<Candidate> =
        arranged.places.iter().filter_map(|place| named().find(|c| c.item == place.item)).copied().collect();
    let sponsored: Vec<usize> =
        (0..arranged.places.len()).filter(|at| matches!(arranged.places[*at].kind, Kind::Sponsored { .. })).collect();
    for (at, shown) in attributes.iter().enumerate() {
        let source = arranged.places[at].source as usize;
        let source_item = match arranged.places[at].kind {
            Kind::Sponsored { .. } => case.offers[source].candidate.item,
            _ => case.candidates[source].item,
        };
        if shown.item != source_item {
            return Some("the source is of another item");
        }
        if case.is_barred(shown) {
            return Some("a barred item is shown");
        }
        if attributes[..at].iter().any(|other| other.item == shown.item) {
            return Some("an item is shown twice");
        }
        if attributes.iter().filter(|other| other.seller == shown.seller).count() > case.seller_cap() {
            return Some("a seller has too many places");
        }
        if attributes.iter().filter(|c| c.category == shown.category).count() > case.category_cap(shown.category) {
            return Some("a category has too many places");
        }
        if !(arranged.places[at].propensity > 0.0 && arranged.places[at].propensity <= 1.0) {
            return Some("a propensity is out of range");
        }
    }
    let mut left = case.budgets_minor.clone();
    for place in &arranged.places {
        if let Kind::Sponsored { campaign, cost_minor } = place.kind {
            left[campaign as usize] -= cost_minor;
        }
    }
    if sponsored.iter().any(|_| true) {
        let Some(sponsorship) = &case.policy.sponsorship else { return Some("sponsored without sponsorship") };
        if sponsored.len() as f64 > sponsorship.max_share * arranged.places.len() as f64 + 1e-6 {
            return Some("too many sponsored places");
        }
        if sponsored.iter().any(|at| !sponsorship.places.contains(at)) {
            return Some("a sponsored place stands where it must not");
        }
        if (0..left.len()).any(|campaign| left[campaign] < 0 && left[campaign] < case.budgets_minor[campaign]) {
            return Some("a campaign is overcharged");
        }
    }
    (is_too_short(case, arranged)).then_some("the slate is too short")
}

/// With a cap on sellers alone the longest slate is known by counting.
fn is_too_short(case: &Case, arranged: &Arranged) -> bool {
    if case.max_per_category.is_some() || !case.category_caps.is_empty() {
        return false;
    }
    let mut named: Vec<u32> = Vec::new();
    let mut of_seller = [0usize; 8];
    for candidate in &case.candidates {
        if !named.contains(&candidate.item) {
            named.push(candidate.item);
            of_seller[candidate.seller as usize] += usize::from(!case.is_barred(candidate));
        }
    }
    let longest: usize = of_seller.iter().map(|items| (*items).min(case.seller_cap())).sum();
    arranged.places.len() < longest.min(case.count)
}

/// The floor holds in every prefix of the organic places unless the slate says that it was given up.
fn floor_is_broken(case: &Case, arranged: &Arranged) -> bool {
    let Some(fairness) = case.policy.fairness.filter(|_| arranged.relaxed.fairness == 0) else { return false };
    let organic = arranged.places.iter().filter(|place| !matches!(place.kind, Kind::Sponsored { .. }));
    let mut small = 0;
    organic.enumerate().any(|(at, place)| {
        small += usize::from(case.candidates[place.source as usize].small_seller);
        small < (fairness.floor_share * (at + 1) as f64 + 1e-9) as usize
    })
}

#[test]
fn no_slate_of_a_million_breaks_a_rule() {
    let shown: usize = (0..REQUESTS)
        .into_par_iter()
        .map_init(Scratch::default, |scratch, seed| {
            let case = case(seed, if seed % 1_000 == 0 { 100 } else { 16 });
            let arranged = case.arrange(scratch);
            assert_eq!(violation(&case, &arranged), None, "case {seed}: {case:?}\n{arranged:?}");
            assert!(!floor_is_broken(&case, &arranged), "case {seed}: {case:?}\n{arranged:?}");
            arranged.places.len()
        })
        .sum();
    assert!(shown as u64 > REQUESTS, "the slates were nearly all empty: {shown} places");
}
