//! The second stage: ranked candidates, with rules, live visits and propensities, on a shop whose tastes were planted.

use std::sync::{Arc, OnceLock};

use dhow_events::{BuyerId, ProductId, SessionId};
use dhow_ranking::{Diversity, Draw, Exploration, Kind, Policy, Sponsorship};
use dhow_recommend::evaluation::{
    ChainPredictor, MarkovBaseline, PopularityBaseline, Repeats, SessionPredictor, evaluate_sessions, visits_of,
};
use dhow_recommend::{
    CatalogueItem, Interaction, LiveRecommender, LiveState, PriceBand, Reason, RecommendModel, Recommender, Seen,
    Settings, SlateRequest, SponsoredOffer, Step, Surface, choose_ranking, learn_ranker, train,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::{at, catalogue, category, product, products, region, request, view};

/// Products, of which the even ones are liked by the even persons and the odd ones by the odd.
const PRODUCTS: u128 = 120;
const PERSONS: u128 = 60;

/// Visits of six views: from a product n to n + 2, n + 4 …, which lie on the person's side; one in five views is any product.
fn visits(seed: u64, first: u128, count: u128) -> Vec<Interaction> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = Vec::new();
    for session in first..first + count {
        let person = random.random_range(0..PERSONS);
        let mut current = random.random_range(0..PRODUCTS / 2) * 2 + person % 2;
        for step in 0..6 {
            let shown = if random.random_range(0..5) == 0 { random.random_range(0..PRODUCTS) } else { current };
            let time = (session as i64) * 6 + step;
            rows.push(Interaction {
                person: Some(BuyerId::from_u128(person)),
                region: Some(region("NG-LA")),
                ..view(session, shown, time)
            });
            current = (current + 2 * random.random_range(1..3)) % PRODUCTS;
        }
    }
    rows
}

struct Shop {
    model: RecommendModel,
    known: Vec<Interaction>,
    catalogue: Vec<CatalogueItem>,
}

/// Learned once for all tests: the ranker from the later part of what is known.
fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| {
        let (earlier, later) = (visits(1, 0, 900), visits(2, 900, 400));
        let catalogue = catalogue(PRODUCTS);
        let settings = Settings::default();
        let first_stage = train(&earlier, &catalogue, &settings).unwrap();
        let ranking = choose_ranking(&first_stage, &earlier, &later).unwrap();
        let learned = learn_ranker(&first_stage, &earlier, &later, &[], &ranking, 7).unwrap().unwrap();
        assert!(learned.with_candidate * 10 > learned.cases * 6, "{learned:?}");
        let known = [earlier, later].concat();
        let model = train(&known, &catalogue, &settings).unwrap();
        Shop { model: model.with_ranking(&known, &ranking, &learned).unwrap(), known, catalogue }
    })
}

fn live() -> (Arc<LiveState>, LiveRecommender) {
    let model = Arc::new(shop().model.clone());
    let live = Arc::new(LiveState::new(&model));
    (live.clone(), LiveRecommender::new(model, live))
}

#[test]
fn ranked_slates_beat_the_last_item_markov_chain_and_popularity_on_visits_that_nothing_learned_from() {
    let shop = shop();
    let test = visits_of(&visits(3, 1_300, 300), Repeats::Collapse);
    let known = visits_of(&shop.known, Repeats::Collapse);
    let mrr =
        |predictor: &dyn SessionPredictor| evaluate_sessions(predictor, &test, 20, shop.catalogue.len()).unwrap().mrr;
    let ranked = mrr(&ChainPredictor { recommender: &shop.model, seen: Seen::HideCurrent });
    let markov = mrr(&MarkovBaseline::new(&known));
    let popular = mrr(&PopularityBaseline::new(&known));
    assert!(ranked > markov && markov > popular, "ranked {ranked}, Markov {markov}, popularity {popular}");
}

#[test]
fn a_person_known_from_training_is_shown_their_side_of_the_shop_on_the_first_request() {
    let of_side = |person: u128| {
        let ask = SlateRequest { person: Some(BuyerId::from_u128(person)), ..request(&[], 20) };
        let slate = shop().model.recommend(&ask, &|_| true).unwrap();
        assert_eq!(slate.answered_by(), Some(Step::History));
        assert!(!slate.degraded);
        slate.items.iter().filter(|item| item.product.as_u128() % 2 == person % 2).count()
    };
    for person in 0..6 {
        assert!(of_side(person) >= 16, "{} of 20", of_side(person));
    }
}

#[test]
fn a_ranked_model_comes_back_from_its_bytes_and_answers_the_same() {
    let model = &shop().model;
    let again = RecommendModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
    assert_eq!(&again, model);
    let ask = SlateRequest { person: Some(BuyerId::from_u128(3)), ..request(&[11, 13], 10) };
    assert_eq!(again.recommend(&ask, &|_| true), model.recommend(&ask, &|_| true));
}

#[test]
fn a_click_of_another_visit_a_moment_ago_changes_the_next_slate_and_a_merge_changes_nothing() {
    let (live, recommender) = live();
    // Nobody went from 10 to 77 in training.
    let asked = || recommender.recommend(&request(&[10], 20), &|_| true).unwrap();
    let place = |slate: &dhow_recommend::Slate| slate.items.iter().position(|item| item.product == product(77));
    let before = place(&asked());
    for session in 5_000..5_060 {
        live.observe(&view(session, 10, 100_000));
        live.observe(&view(session, 77, 100_001));
    }
    let after = asked();
    assert!(place(&after).is_some_and(|place| place < 3 && before.is_none_or(|before| place < before)), "{after:?}");
    assert_eq!(live.fresh_visits(), 60);
    let merged = live.merge_visits(at(200_000)).unwrap().unwrap();
    assert_eq!((merged.merged, merged.remaining, live.fresh_visits()), (60, 0, 0));
    assert_eq!(place(&asked()), place(&after));
}

#[test]
fn a_new_model_goes_on_with_the_visits_since_its_training_ended() {
    let (live, _) = live();
    for session in 5_000..5_060 {
        live.observe(&view(session, 10, 100_000));
        live.observe(&view(session, 77, 100_001));
    }
    let model = Arc::new(shop().model.clone());
    live.rebase(&model);
    assert_eq!(live.fresh_visits(), 60);
    let slate = LiveRecommender::new(model, live).recommend(&request(&[10], 3), &|_| true).unwrap();
    assert!(slate.items.iter().any(|item| item.product == product(77)), "{slate:?}");
}

#[test]
fn no_rule_is_broken_in_twenty_thousand_random_requests_and_no_slate_is_short_without_need() {
    let shop = shop();
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let by_id = |wanted: ProductId| shop.catalogue.iter().find(|item| item.product == wanted).unwrap();
    for _ in 0..20_000 {
        let some = |random: &mut ChaCha8Rng, most: u128| -> Vec<u128> {
            (0..random.random_range(0..=most)).map(|_| random.random_range(0..PRODUCTS + 5)).collect()
        };
        let (session, exclude) = (some(&mut random, 5), some(&mut random, 30));
        let mut ask = request(&session, random.random_range(1..=30));
        ask.exclude = products(&exclude);
        ask.person = (random.random_range(0..2) == 0).then(|| BuyerId::from_u128(random.random_range(0..PERSONS + 5)));
        ask.category =
            (random.random_range(0..3) == 0).then(|| category(["home", "toys", "books"][random.random_range(0..3)]));
        ask.region = (random.random_range(0..3) == 0).then(|| region(["GB", "NG-LA", "US"][random.random_range(0..3)]));
        ask.price_band = (random.random_range(0..3) == 0)
            .then(|| PriceBand { from_usd_minor: 1_000, to_usd_minor: random.random_range(1_000..12_000) });
        ask.max_per_seller = (random.random_range(0..3) == 0).then(|| random.random_range(1..5));
        ask.max_per_category = (random.random_range(0..3) == 0).then(|| random.random_range(1..5));
        ask.seed = random.random();
        ask.surface = [Surface::Home, Surface::Cart][random.random_range(0..2)];
        let cap = (random.random_range(0..3) == 0).then(|| random.random_range(0..4));
        ask.policy = Policy {
            category_caps: cap.map(|most| ("toys".to_owned(), most)).into_iter().collect(),
            diversity: Some(Diversity { lambda: 0.7, max_similarity: 0.99 }),
            exploration: Some(Exploration { epsilon: 0.3, tail: 20, draw: Draw::Uniform }),
            ..Policy::default()
        };
        let in_stock = |product: ProductId| product.as_u128() % 7 != 3;
        let slate = shop.model.recommend(&ask, &in_stock).unwrap();
        let shown: Vec<&CatalogueItem> = slate.items.iter().map(|item| by_id(item.product)).collect();
        let fits = |item: &CatalogueItem| {
            in_stock(item.product)
                && !ask.exclude.contains(&item.product)
                && ask.session_items.last() != Some(&item.product)
                && ask.category.is_none_or(|wanted| item.category.as_str().starts_with(wanted.as_str()))
                && ask
                    .price_band
                    .is_none_or(|band| (band.from_usd_minor..=band.to_usd_minor).contains(&item.price_usd_minor))
                && ask.region.is_none_or(|wanted| {
                    item.regions.is_empty()
                        || item.regions.iter().any(|sold| wanted.as_str().starts_with(sold.as_str()))
                })
        };
        assert!(shown.iter().all(|item| fits(item)), "{ask:?} {slate:?}");
        let mut distinct: Vec<ProductId> = shown.iter().map(|item| item.product).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), shown.len());
        for item in &shown {
            let same = |other: &&&CatalogueItem| other.seller == item.seller;
            assert!(ask.max_per_seller.is_none_or(|most| shown.iter().filter(same).count() <= most));
            let same = |other: &&&CatalogueItem| other.category == item.category;
            let most = cap.filter(|_| item.category == category("toys")).or(ask.max_per_category);
            assert!(most.is_none_or(|most| shown.iter().filter(same).count() <= most), "{ask:?} {slate:?}");
        }
        let possible = shop.catalogue.iter().filter(|item| fits(item)).count();
        if ask.max_per_seller.is_none() && ask.max_per_category.is_none() && cap.is_none() {
            assert_eq!(shown.len(), ask.count.min(possible), "{ask:?}");
        }
        assert!(slate.items.iter().all(|item| item.propensity > 0.0 && item.propensity <= 1.0));
    }
}

#[test]
fn a_sponsored_product_takes_a_sponsored_place_says_so_and_never_a_place_that_it_cannot_pay() {
    let offer = |budget_minor| SponsoredOffer { product: product(99), campaign: 4, bid_minor: 25, budget_minor };
    let sponsorship = Some(Sponsorship { places: vec![1], max_share: 0.5, relevance_floor: 0.0 });
    let ask = |budget_minor| SlateRequest {
        offers: vec![offer(budget_minor)],
        policy: Policy { sponsorship: sponsorship.clone(), ..Policy::default() },
        ..request(&[10], 4)
    };
    let shown = |budget_minor| shop().model.recommend(&ask(budget_minor), &|_| true).unwrap().items;
    let paid = shown(25)[1];
    assert_eq!((paid.product, paid.reason), (product(99), Reason::Sponsored));
    assert_eq!(paid.kind, Kind::Sponsored { campaign: 4, cost_minor: 25 });
    assert!(shown(24).iter().all(|item| item.kind == Kind::Organic && item.product != product(99)));
}

#[test]
fn an_endless_visit_of_unknown_and_known_products_is_answered() {
    let mut session: Vec<ProductId> = (0..10_000).map(|number| product(number % 500)).collect();
    session.push(product(20));
    let ask = SlateRequest { session: Some(SessionId::from_u128(1)), session_items: session, ..request(&[], 10) };
    let slate = shop().model.recommend(&ask, &|_| true).unwrap();
    assert_eq!(slate.items.len(), 10);
    assert!(slate.items.iter().all(|item| item.product != product(20) && item.score.is_finite()));
}

#[test]
fn a_category_capped_by_name_has_no_more_places_whoever_asks_and_an_unknown_name_holds_nothing_back() {
    let policy = |caps: &[(&str, usize)]| Policy {
        category_caps: caps.iter().map(|(name, most)| ((*name).to_owned(), *most)).collect(),
        ..Policy::default()
    };
    let shown = |session: &[u128], policy: Policy, wanted: &str| {
        let slate = shop().model.recommend(&SlateRequest { policy, ..request(session, 30) }, &|_| true).unwrap();
        assert_eq!(slate.items.len(), 30);
        let of_category =
            |id: ProductId| shop().catalogue.iter().any(|item| item.product == id && item.category == category(wanted));
        slate.items.iter().filter(|item| of_category(item.product)).count()
    };
    for session in [&[10, 12][..], &[]] {
        assert!(shown(session, Policy::default(), "toys") > 2);
        assert_eq!(shown(session, policy(&[("toys", 2), ("books", 0)]), "toys"), 2);
        assert_eq!(shown(session, policy(&[("toys", 2), ("books", 0)]), "books"), 0);
        let unknown = policy(&[("no-such-category", 0), ("not a category", 0)]);
        assert_eq!(shown(session, unknown, "toys"), shown(session, Policy::default(), "toys"));
    }
}
