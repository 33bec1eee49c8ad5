//! The best items: the 8-bit pass and the batch against scoring everything and sorting, with filters.

use crate::planted::tastes;
use dhow_factors::{FactorModel, FactorSettings, Interactions, ItemIndex, ItemSet, Scored};
use proptest::prelude::*;

/// Scores everything in f64, sorts, filters.
fn naive(model: &FactorModel, person: &[f32], count: usize, keep: impl Fn(u32) -> bool) -> Vec<(u32, f64)> {
    let score = |item: u32| -> f64 {
        let row = model.items().row(item as usize);
        row.iter().zip(person).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mut all: Vec<(u32, f64)> =
        (0..model.items().rows() as u32).filter(|item| keep(*item)).map(|item| (item, score(item))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(count);
    all
}

/// The same scores in the same order; items may differ only where f32 cannot tell their scores apart.
fn agree(found: &[Scored], expected: &[(u32, f64)]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (found, (item, score)) in found.iter().zip(expected) {
        let near = (f64::from(found.score) - score).abs() < 1e-5;
        prop_assert!(near, "item {} scored {}, expected {item} with {score}", found.item, found.score);
    }
    Ok(())
}

fn model(seed: u64, items: usize, dimensions: usize) -> FactorModel {
    let data = Interactions::from_histories(&tastes(seed, 150, items, 3, 10), items).unwrap();
    let settings = FactorSettings { dimensions, iterations: 3, observed_weight: 5.0, ..Default::default() };
    FactorModel::fit(&data, &settings).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_best_are_those_of_a_full_sort_whatever_the_filter(
        seed in 0_u64..100,
        items in 30_usize..400,
        dimensions in 1_usize..50,
        count in 0_usize..40,
        one_in in 1_u32..12,
    ) {
        let model = model(seed, items, dimensions);
        let index = ItemIndex::new(model.items());
        let allowed = ItemSet::new((0..items as u32).filter(|item| item % one_in == 0));
        for person in [0, 1, 2, 77, 149] {
            let factors = model.people().row(person);
            let exclude = [0, 5, 9, 9, 4_000_000_000];
            let found = index.top(factors, count, Some(&allowed), &exclude).unwrap();
            prop_assert!(found.iter().all(|s| allowed.contains(s.item) && !exclude.contains(&s.item)));
            agree(&found, &naive(&model, factors, count, |item| item % one_in == 0 && !exclude.contains(&item)))?;
        }
    }

    #[test]
    fn the_batch_gives_everybody_what_the_single_request_gives(seed in 0_u64..100, items in 30_usize..400, dimensions in 1_usize..50) {
        let model = model(seed, items, dimensions);
        let index = ItemIndex::new(model.items());
        let seen: Vec<Vec<u32>> = tastes(seed, 150, items, 3, 10);
        let all = index.top_for_all(model.people(), 20, |person| &seen[person]).unwrap();
        prop_assert_eq!(all.len(), 150);
        for (person, found) in all.iter().enumerate() {
            prop_assert_eq!(found, &index.top(model.people().row(person), 20, None, &seen[person]).unwrap());
        }
    }
}

#[test]
fn a_question_is_asked_only_of_items_that_could_be_in_the_list() {
    let model = model(4, 400, 16);
    let index = ItemIndex::new(model.items());
    let asked = std::cell::Cell::new(0);
    let odd = |item: u32| {
        asked.set(asked.get() + 1);
        item % 2 == 1
    };
    let found = index.top_where(model.people().row(3), 10, &odd).unwrap();
    let allowed = ItemSet::new((0..400).filter(|item| item % 2 == 1));
    assert_eq!(found, index.top(model.people().row(3), 10, Some(&allowed), &[]).unwrap());
    assert!(asked.get() < 200, "{} items were asked about", asked.get());
}

#[test]
fn people_whom_every_item_suits_alike_get_the_lowest_numbers() {
    let model = model(2, 300, 8);
    let index = ItemIndex::new(model.items());
    let nothing_of_the_second = Interactions::from_histories(&[vec![0], vec![]], 300).unwrap();
    let settings = FactorSettings { dimensions: 8, iterations: 1, ..Default::default() };
    let people = FactorModel::fit(&nothing_of_the_second, &settings).unwrap();
    let all = index.top_for_all(people.people(), 5, |_| &[]).unwrap();
    let items: Vec<u32> = all[1].iter().map(|scored| scored.item).collect();
    assert_eq!(items, [0, 1, 2, 3, 4]);
}

#[test]
fn a_filter_that_leaves_nothing_gives_an_empty_list() {
    let model = model(1, 60, 8);
    let index = ItemIndex::new(model.items());
    assert_eq!(index.top(model.people().row(0), 20, Some(&ItemSet::new([])), &[]).unwrap(), []);
    let everything: Vec<u32> = (0..60).collect();
    assert_eq!(index.top(model.people().row(0), 20, None, &everything).unwrap(), []);
}

#[test]
fn equal_scores_come_by_item_number() {
    let model = model(2, 60, 8);
    let index = ItemIndex::new(model.items());
    let items: Vec<u32> = index.top(&[0.0; 8], 5, None, &[]).unwrap().iter().map(|scored| scored.item).collect();
    assert_eq!(items, [0, 1, 2, 3, 4]);
}
