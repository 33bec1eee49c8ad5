//! Bad and extreme input: each has a defined answer.

use dhow_events::{BuyerId, SellerId, SessionId};
use dhow_recommend::{
    CatalogueItem, MAX_EXCLUDED, ModelFileError, Outcome, PriceBand, RecommendError, RecommendModel, Recommender,
    Settings, SlateRequest, Step, TrainError, train,
};

use crate::world::{catalogue, category, model, product, products, request, view};

fn small() -> RecommendModel {
    model(&[view(1, 1, 0), view(1, 2, 1), view(2, 1, 2), view(2, 2, 3)], 6)
}

#[test]
fn unknown_person_session_and_products_are_answered_by_the_next_step_that_can() {
    let ask = SlateRequest {
        person: Some(BuyerId::from_u128(404)),
        session: Some(SessionId::from_u128(404)),
        ..request(&[404, 405], 3)
    };
    let slate = small().recommend(&ask, &|_| true).unwrap();
    assert_eq!((slate.answered_by(), slate.degraded, slate.items.len()), (Some(Step::Popular), true, 3));
    assert_eq!(small().related(product(404), 5, &|_| true), Err(RecommendError::UnknownProduct(product(404))));
    assert_eq!(small().bought_together(product(404), 5, &|_| true), Err(RecommendError::UnknownProduct(product(404))));
}

#[test]
fn an_empty_session_is_shown_what_is_popular_and_that_is_no_fallback() {
    let slate = small().recommend(&request(&[], 4), &|_| true).unwrap();
    assert_eq!((slate.answered_by(), slate.degraded), (Some(Step::Popular), false));
}

#[test]
fn a_session_of_ten_thousand_products_is_answered_from_its_last_ones() {
    let long: Vec<u128> = (0..10_000).map(|n| n % 6).chain([4, 1]).collect();
    let slate = small().recommend(&request(&long, 1), &|_| true).unwrap();
    assert_eq!((slate.items[0].product, slate.answered_by()), (product(2), Some(Step::Session)));
    let trained = model(&long.iter().enumerate().map(|(hour, n)| view(1, *n, hour as i64)).collect::<Vec<_>>(), 6);
    assert_eq!(trained.summary().products_with_neighbours, 6);
}

#[test]
fn duplicates_in_a_request_change_nothing() {
    let doubled = SlateRequest { exclude: products(&[3, 3]), ..request(&[2, 2, 1, 1], 5) };
    let single = SlateRequest { exclude: products(&[3]), ..request(&[2, 1], 5) };
    assert_eq!(small().recommend(&doubled, &|_| true), small().recommend(&single, &|_| true));
}

#[test]
fn when_everything_is_filtered_out_the_answer_says_so() {
    let slate = small().recommend(&request(&[1], 5), &|_| false).unwrap();
    assert_eq!((slate.items.len(), slate.outcome, slate.answered_by()), (0, Outcome::NothingEligible, None));
    let cars = SlateRequest { category: Some(category("cars")), ..request(&[], 5) };
    assert_eq!(small().recommend(&cars, &|_| true).unwrap().outcome, Outcome::NothingEligible);
}

#[test]
fn requests_out_of_bounds_are_refused_with_the_bound() {
    let refused = |ask: SlateRequest| small().recommend(&ask, &|_| true).unwrap_err();
    assert_eq!(refused(request(&[], 0)), RecommendError::Count(0));
    assert_eq!(refused(request(&[], 101)).to_string(), "count is 101; it must be 1 to 100");
    let band = PriceBand { from_usd_minor: 5, to_usd_minor: 4 };
    assert_eq!(
        refused(SlateRequest { price_band: Some(band), ..request(&[], 1) }),
        RecommendError::PriceBand { from_usd_minor: 5, to_usd_minor: 4 }
    );
    let many = vec![product(1); MAX_EXCLUDED + 1];
    assert_eq!(
        refused(SlateRequest { exclude: many, ..request(&[], 1) }),
        RecommendError::TooManyExcluded(MAX_EXCLUDED + 1)
    );
    assert_eq!(refused(SlateRequest { max_per_seller: Some(0), ..request(&[], 1) }), RecommendError::SellerLimit);
    assert_eq!(small().related(product(1), 0, &|_| true), Err(RecommendError::Count(0)));
}

#[test]
fn one_person_and_one_product_make_a_model() {
    let model = model(&[view(1, 0, 0)], 1);
    assert_eq!(model.recommend(&request(&[], 5), &|_| true).unwrap().items.len(), 1);
    assert_eq!(model.recommend(&request(&[0], 5), &|_| true).unwrap().outcome, Outcome::NothingEligible);
    assert!(model.related(product(0), 5, &|_| true).unwrap().is_empty());
}

#[test]
fn a_training_set_that_teaches_nothing_is_refused_with_its_reason() {
    let settings = Settings::default();
    assert_eq!(train(&[], &catalogue(3), &settings), Err(TrainError::NoInteractions));
    assert_eq!(train(&[view(1, 0, 0)], &[], &settings), Err(TrainError::NoCatalogue));
    assert_eq!(train(&[view(1, 7, 0)], &catalogue(3), &settings), Err(TrainError::NoKnownProduct { interactions: 1 }));
    let twice = [catalogue(3), catalogue(1)].concat();
    assert_eq!(train(&[view(1, 0, 0)], &twice, &settings), Err(TrainError::DuplicateProduct(product(0))));
    let negative = CatalogueItem {
        text: String::new(),
        product: product(9),
        category: category("toys"),
        seller: SellerId::from_u128(1),
        regions: vec![],
        price_usd_minor: -1,
    };
    assert_eq!(
        train(&[view(1, 9, 0)], &[negative], &settings),
        Err(TrainError::NegativePrice { product: product(9), price_usd_minor: -1 })
    );
}

#[test]
fn settings_that_are_no_numbers_or_out_of_range_are_refused_by_name() {
    let refused = |settings: Settings| train(&[view(1, 0, 0)], &catalogue(3), &settings).unwrap_err().to_string();
    let decay = Settings { gap_decay: f64::NAN, ..Settings::default() };
    assert_eq!(refused(decay), "setting `gap_decay` is out of range; it must be above 0, at most 1");
    let shrinkage = Settings { shrinkage: -1.0, ..Settings::default() };
    assert_eq!(refused(shrinkage), "setting `shrinkage` is out of range; it must be at least 0");
    let mut kinds = Settings::default();
    kinds.kind_weights.view = f64::INFINITY;
    assert!(refused(kinds).contains("kind_weights"));
    assert!(refused(Settings { session_seeds: 51, ..Settings::default() }).contains("1 to 50"));
}

#[test]
fn a_model_survives_its_file_and_foreign_or_damaged_files_are_refused() {
    let model = small();
    let bytes = model.to_bytes().unwrap();
    assert_eq!(RecommendModel::from_bytes(&bytes).unwrap(), model);
    assert_eq!(RecommendModel::from_bytes(b"ONNX"), Err(ModelFileError::Foreign));
    assert_eq!(RecommendModel::from_bytes(&[]), Err(ModelFileError::Foreign));
    for length in 8..bytes.len() {
        assert_eq!(RecommendModel::from_bytes(&bytes[..length]), Err(ModelFileError::Damaged), "cut to {length} bytes");
    }
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(RecommendModel::from_bytes(&newer), Err(ModelFileError::Version { found: 9, supported: 3 }));
    let mut flipped = bytes.clone();
    flipped[60] ^= 1;
    assert_eq!(RecommendModel::from_bytes(&flipped), Err(ModelFileError::Damaged));
    let nonsense = [&bytes[..9], blake3::hash(&[7; 40]).as_bytes(), &[7; 40]].concat();
    assert!(matches!(RecommendModel::from_bytes(&nonsense), Err(ModelFileError::Unsound(_))));
}
