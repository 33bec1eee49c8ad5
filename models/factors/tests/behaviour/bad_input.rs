//! Bad input: each has a defined answer, and errors say what would be right.

use dhow_factors::{
    Blend, ContentMap, Ease, FactorModel, FactorSettings, FactorsError, IndexSettings, Interaction, Interactions,
    ItemIndex, MAX_EASE_ITEMS, MAX_TOP, Matrix, Neighbours, OrderedSettings, Popularity, Scorer, Solver, Split,
};

fn small() -> Interactions {
    Interactions::from_histories(&[vec![0, 1], vec![1, 2], vec![2, 0]], 4).unwrap()
}

fn settings() -> FactorSettings {
    FactorSettings { dimensions: 4, iterations: 3, ..Default::default() }
}

#[test]
fn rows_that_make_no_sense_are_refused_with_their_place() {
    let row = |person, item, weight| Interaction { person, item, weight };
    let with = |bad| Interactions::new(2, 2, &[row(0, 0, 1.0), bad]).unwrap_err();
    assert_eq!(with(row(5, 0, 1.0)), FactorsError::UnknownPerson { row: 1, person: 5, people: 2 });
    assert_eq!(with(row(0, 9, 1.0)), FactorsError::UnknownItem { row: 1, item: 9, items: 2 });
    for weight in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
        let error = with(row(0, 0, weight));
        assert!(matches!(error, FactorsError::BadWeight { row: 1, .. }), "{error}");
        assert!(error.to_string().contains("row 1") && error.to_string().contains("above zero"), "{error}");
    }
    assert_eq!(Interactions::new(2, 2, &[]).unwrap_err(), FactorsError::NoInteractions);
}

#[test]
fn one_person_or_one_item_is_enough_to_train() {
    for histories in [vec![vec![0]], vec![vec![0], vec![0], vec![0]], vec![vec![0, 1, 2, 3, 4]]] {
        let items = histories.iter().flatten().max().unwrap() + 1;
        let data = Interactions::from_histories(&histories, items as usize).unwrap();
        let model = FactorModel::fit(&data, &settings()).unwrap();
        let person = model.fold_in(&[(0, 1.0)]).unwrap();
        let top = ItemIndex::new(model.items()).top(&person, 10, None, &[]).unwrap();
        assert_eq!(top.len(), items as usize);
        assert!(top.iter().all(|scored| scored.score.is_finite()));
        Ease::fit(&data, 1.0).unwrap();
        Neighbours::ordered(&data, &OrderedSettings::default()).unwrap();
    }
}

#[test]
fn unknown_people_and_items_in_requests_have_answers() {
    let data = small();
    let model = FactorModel::fit(&data, &settings()).unwrap();
    assert_eq!(data.history(77), [0_u32; 0]);
    assert_eq!(data.support(77), 0);
    assert_eq!(model.fold_in(&[]).unwrap(), [0.0; 4]);
    assert_eq!(
        model.fold_in(&[(0, 1.0), (8, 1.0)]).unwrap_err(),
        FactorsError::UnknownItem { row: 1, item: 8, items: 4 }
    );
    assert!(matches!(model.fold_in(&[(0, f32::NAN)]).unwrap_err(), FactorsError::BadWeight { row: 0, .. }));
    let neighbours = Neighbours::ordered(&data, &OrderedSettings::default()).unwrap();
    assert_eq!(neighbours.of(77), []);
    assert!(neighbours.add_scores(&[(77, 1.0)], &mut [0.0; 4]).is_err());
    assert!(Ease::fit(&data, 1.0).unwrap().add_scores(&[(0, 1.0)], &mut [0.0; 3]).is_err());
}

#[test]
fn a_person_or_an_item_without_rows_gets_no_behaviour() {
    let data = Interactions::from_histories(&[vec![0, 1], vec![], vec![1, 0]], 3).unwrap();
    let model = FactorModel::fit(&data, &settings()).unwrap();
    assert!(model.people().row(1).iter().chain(model.items().row(2)).all(|value| *value == 0.0));
}

#[test]
fn settings_out_of_range_are_named() {
    let data = small();
    let named = |settings: FactorSettings| match FactorModel::fit(&data, &settings).unwrap_err() {
        FactorsError::BadSetting { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(named(FactorSettings { dimensions: 0, ..settings() }), "dimensions");
    assert_eq!(named(FactorSettings { iterations: 1_000_000, ..settings() }), "iterations");
    assert_eq!(named(FactorSettings { observed_weight: f32::NAN, ..settings() }), "observed_weight");
    assert_eq!(named(FactorSettings { unobserved_weight: 0.0, ..settings() }), "unobserved_weight");
    assert_eq!(named(FactorSettings { regularization: -1.0, ..settings() }), "regularization");
    assert_eq!(named(FactorSettings { frequency_exponent: 2.0, ..settings() }), "frequency_exponent");
    assert_eq!(named(FactorSettings { solver: Solver::Subspace { block: 5 }, ..settings() }), "solver.block");
    let no_steps = Solver::ConjugateGradients { steps: 0 };
    assert_eq!(named(FactorSettings { solver: no_steps, ..settings() }), "solver.steps");
    assert!(Ease::fit(&data, f32::NAN).is_err());
    assert!(Neighbours::ordered(&data, &OrderedSettings { window: 0, ..Default::default() }).is_err());
}

#[test]
fn what_is_too_large_or_of_the_wrong_length_is_refused() {
    let data = small();
    let many = Interactions::from_histories(&[vec![0]], MAX_EASE_ITEMS + 1).unwrap();
    assert!(matches!(Ease::fit(&many, 1.0).unwrap_err(), FactorsError::TooMany { .. }));
    let model = FactorModel::fit(&data, &settings()).unwrap();
    let index = ItemIndex::new(model.items());
    assert!(index.top(&[0.0; 4], MAX_TOP + 1, None, &[]).is_err());
    assert!(index.top(&[0.0; 3], 5, None, &[]).is_err());
    assert!(model.loss(&Interactions::from_histories(&[vec![0]], 4).unwrap()).is_err());
    assert!(ContentMap::fit(&[vec![0]], &data, model.items(), 1.0, 1.0).is_err());
}

#[test]
fn a_blend_needs_parts_of_one_catalogue_and_something_to_learn_from() {
    let data = small();
    let part = |data: &Interactions| -> (String, Box<dyn Scorer>) { ("p".into(), Box::new(Popularity::fit(data))) };
    let split = Split { train: vec![vec![0], vec![1]], test: vec![vec![], vec![]] };
    assert!(Blend::learn(vec![], &split, 5).is_err());
    assert!(matches!(Blend::learn(vec![part(&data)], &split, 5), Err(FactorsError::NoInteractions)));
    let other = Interactions::from_histories(&[vec![0]], 9).unwrap();
    assert!(matches!(Blend::learn(vec![part(&data), part(&other)], &split, 5), Err(FactorsError::WrongLength { .. })));
}

#[test]
fn values_that_are_no_rows_of_finite_numbers_make_no_matrix() {
    assert_eq!(Matrix::from_rows(2, &[1.0, 2.0, 3.0, 4.0]).unwrap().row(1), [3.0, 4.0]);
    assert_eq!(Matrix::from_rows(3, &[]).unwrap().rows(), 0);
    assert!(matches!(Matrix::from_rows(0, &[]), Err(FactorsError::BadSetting { name: "columns", .. })));
    assert!(matches!(Matrix::from_rows(2, &[1.0; 3]), Err(FactorsError::WrongLength { got: 1, .. })));
    assert_eq!(Matrix::from_rows(2, &[1.0, 0.0, 0.0, f32::NAN]), Err(FactorsError::BadMatrix { row: 1 }));
}

#[test]
fn settings_of_an_index_out_of_their_ranges_are_named() {
    let items = Matrix::from_rows(2, &[1.0; 8]).unwrap();
    let usual = IndexSettings::default();
    for (name, settings) in [
        ("links", IndexSettings { links: 3, ..usual }),
        ("build_breadth", IndexSettings { build_breadth: 1_001, ..usual }),
        ("search_breadth", IndexSettings { search_breadth: 0, ..usual }),
    ] {
        let refused = ItemIndex::with_settings(&items, &settings).unwrap_err();
        assert!(matches!(refused, FactorsError::BadSetting { name: of, .. } if of == name), "{refused}");
    }
    // Four equal items in a graph.
    let walked = ItemIndex::with_settings(&items, &IndexSettings { max_exact_items: 0, ..usual }).unwrap();
    let best = walked.search(&[1.0, 1.0], 3, &|item| item != 1).unwrap().best;
    assert_eq!(best.iter().map(|scored| scored.item).collect::<Vec<_>>(), [0, 2, 3]);
}
