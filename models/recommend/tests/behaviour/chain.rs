//! The fallback chain: which step answers, what a slate may hold, and that it is never empty without need.

use std::sync::Arc;

use dhow_events::{BuyerId, ProductId, SellerId, SessionId};
use dhow_recommend::{
    CatalogueItem, Interaction, InteractionKind, LiveRecommender, LiveState, Outcome, PriceBand, Reason, Recommender,
    Seen, Settings, SlateRequest, Step, StepCount, Surface, train,
};
use proptest::prelude::*;

use crate::world::{
    CATEGORIES, REGIONS, act, at, catalogue, category, interactions, model, product, products, region, request, view,
};

/// Sessions in which 1 leads to 2; product 3 is viewed alone in Lagos, product 7 often in London.
fn shop() -> Vec<Interaction> {
    let mut rows = Vec::new();
    for session in 0..5 {
        rows.extend([view(session, 1, 0), view(session, 2, 1)]);
        rows.push(Interaction { region: Some(region("NG-LA")), ..view(10 + session, 3, 2) });
    }
    for session in 0..9 {
        rows.push(Interaction { region: Some(region("GB-LND")), ..view(20 + session, 7, 3) });
    }
    rows
}

#[test]
fn a_session_is_answered_by_what_follows_its_products_and_says_why() {
    let slate = model(&shop(), 10).recommend(&request(&[1], 1), &|_| true).unwrap();
    let item = slate.items[0];
    assert_eq!((item.product, item.step, item.reason), (product(2), Step::Session, Reason::AlsoViewed));
    assert_eq!(item.because, Some(product(1)));
    assert!(!slate.degraded);
    assert_eq!(slate.outcome, Outcome::Complete);
}

#[test]
fn an_order_that_sessions_show_counts_more_than_its_reverse() {
    let model = model(&shop(), 10);
    let score = |from, to| model.related(product(from), 5, &|p| p == product(to)).unwrap()[0].score;
    assert!(score(1, 2) > score(2, 1) && score(2, 1) > 0.0);
}

#[test]
fn each_weaker_step_fills_what_the_stronger_left_open() {
    let ask = SlateRequest { person_history: products(&[7]), region: Some(region("NG-LA")), ..request(&[1], 10) };
    let rows = [shop(), vec![view(50, 7, 0), view(50, 4, 1)]].concat();
    let slate = model(&rows, 12).recommend(&ask, &|_| true).unwrap();
    let steps: Vec<Step> = slate.steps.iter().map(|count| count.step).collect();
    assert_eq!(steps, [Step::Session, Step::History, Step::SegmentTrending, Step::CategoryBestSellers, Step::Popular]);
    assert_eq!(slate.answered_by(), Some(Step::Session));
    assert_eq!(slate.items[1].product, product(4));
    assert_eq!(slate.items[2].product, product(3));
    assert!(slate.degraded);
    assert_eq!(slate.items.len(), 10);
    assert_eq!(slate.steps.iter().map(|count| count.items).sum::<usize>(), 10);
}

#[test]
fn a_region_is_shown_what_is_popular_there_and_a_part_without_actions_what_is_in_its_country() {
    let model = model(&shop(), 10);
    let top = |text: &str| {
        model.recommend(&SlateRequest { region: Some(region(text)), ..request(&[], 1) }, &|_| true).unwrap()
    };
    assert_eq!(top("NG-LA").items[0].product, product(3));
    assert_eq!(top("NG-KN").items[0].product, product(3));
    assert_eq!(top("GB").items[0].product, product(7));
    assert_eq!(top("GB").items[0].reason, Reason::PopularInRegion);
    assert!(!top("GB").degraded);
    assert_eq!(top("EG").answered_by(), Some(Step::Popular));
    assert!(top("EG").degraded);
}

#[test]
fn a_category_filter_holds_for_the_parts_of_the_category() {
    let ask = SlateRequest { category: Some(category("home")), ..request(&[], 20) };
    let slate = model(&shop(), 12).recommend(&ask, &|_| true).unwrap();
    assert_eq!(slate.answered_by(), Some(Step::CategoryBestSellers));
    assert_eq!((slate.items.len(), slate.outcome), (6, Outcome::Short));
    assert_eq!(slate.items[0].product, product(1));
}

#[test]
fn the_cart_is_answered_by_what_is_bought_in_the_same_basket() {
    let mut rows = shop();
    for session in 100..104 {
        rows.push(act(session, 1, InteractionKind::Purchase, 4));
        rows.push(act(session, 5, InteractionKind::Purchase, 4));
        rows.push(act(session + 50, 6, InteractionKind::Purchase, 4));
    }
    let model = model(&rows, 10);
    let on = |surface| model.recommend(&SlateRequest { surface, ..request(&[1], 1) }, &|_| true).unwrap().items[0];
    let cart = on(Surface::Cart);
    assert_eq!((cart.product, cart.step, cart.reason), (product(5), Step::BoughtTogether, Reason::BoughtTogether));
    assert_eq!(on(Surface::Home).step, Step::Session);
}

#[test]
fn the_session_s_own_products_are_shown_as_asked() {
    let rows: Vec<_> = (0..4).flat_map(|s| [view(s, 1, 0), view(s, 2, 1), view(s, 1, 2)]).collect();
    let model = model(&rows, 3);
    let shown = |seen| {
        let slate = model.recommend(&SlateRequest { seen, ..request(&[1, 2], 3) }, &|_| true).unwrap();
        let mut shown: Vec<_> = slate.items.iter().map(|item| item.product).collect();
        shown.sort();
        shown
    };
    assert_eq!(shown(Seen::HideCurrent), products(&[0, 1]));
    assert_eq!(shown(Seen::HideSession), products(&[0]));
    assert_eq!(shown(Seen::Show), products(&[0, 1, 2]));
}

#[test]
fn a_product_seen_earlier_in_the_session_comes_back_as_such_and_only_with_a_revisit_weight() {
    let first = |revisit_weight| {
        let settings = Settings { revisit_weight, ..Settings::default() };
        let model = train(&shop(), &catalogue(10), &settings).unwrap();
        model.recommend(&request(&[8, 3], 1), &|_| true).unwrap().items[0]
    };
    let again = first(1.0);
    assert_eq!((again.product, again.step, again.reason), (product(8), Step::Session, Reason::ViewedEarlier));
    assert_eq!(again.because, Some(product(8)));
    assert_ne!(first(0.0).step, Step::Session);
}

#[test]
fn recent_sessions_and_recent_popularity_outweigh_old_ones() {
    let month = 30 * 24;
    let rows = [view(1, 1, 0), view(1, 2, 1), view(2, 1, 6 * month), view(2, 3, 6 * month + 1)];
    let model = model(&rows, 5);
    assert_eq!(model.recommend(&request(&[1], 1), &|_| true).unwrap().items[0].product, product(3));
    let popular = model.recommend(&request(&[], 3), &|_| true).unwrap();
    assert_eq!(popular.items[2].product, product(2));
}

/// The rules of a request, judged from the catalogue alone.
fn passes(
    item: &CatalogueItem,
    ask: &SlateRequest,
    hidden: &[ProductId],
    eligible: &dyn Fn(ProductId) -> bool,
) -> bool {
    let within = |inner: &str, outer: &str, mark: char| inner == outer || inner.starts_with(&format!("{outer}{mark}"));
    let sold = |r: &dhow_events::Region| {
        item.regions.is_empty() || item.regions.iter().any(|sold_in| within(r.as_str(), sold_in.as_str(), '-'))
    };
    ask.category.is_none_or(|c| within(item.category.as_str(), c.as_str(), '/'))
        && ask.region.as_ref().is_none_or(sold)
        && ask
            .price_band
            .is_none_or(|b| b.from_usd_minor <= item.price_usd_minor && item.price_usd_minor <= b.to_usd_minor)
        && !ask.exclude.contains(&item.product)
        && !hidden.contains(&item.product)
        && eligible(item.product)
}

fn requests() -> impl Strategy<Value = SlateRequest> {
    let numbers = || prop::collection::vec((0..16u128).prop_map(product), 0..5);
    let place = prop::option::of(prop::sample::select([&REGIONS[..], &["EG"]].concat()));
    let kind = prop::option::of(prop::sample::select([&CATEGORIES[..], &["home", "cars"]].concat()));
    let band = prop::option::of((0..800i64, 0..800i64));
    let seen = prop::sample::select(vec![Seen::HideCurrent, Seen::HideSession, Seen::Show]);
    let surface = prop::sample::select(vec![Surface::Home, Surface::Cart]);
    let limit = prop::option::of(1..4usize);
    let who = (prop::option::of(0..4u128), prop::option::of(0..10u128));
    ((numbers(), numbers(), numbers()), place, kind, band, (seen, surface), limit, who, 1..15usize).prop_map(
        |((session_items, person_history, exclude), place, kind, band, (seen, surface), max_per_seller, who, count)| {
            SlateRequest {
                person: who.0.map(BuyerId::from_u128),
                session: who.1.map(SessionId::from_u128),
                session_items,
                person_history,
                surface,
                region: place.map(region),
                category: kind.map(category),
                price_band: band.map(|(from, width)| PriceBand { from_usd_minor: from, to_usd_minor: from + width }),
                exclude,
                seen,
                max_per_seller,
                count,
                ..SlateRequest::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn slates_hold_only_what_may_be_shown_and_all_of_it_when_asked_for_more(
        trained in interactions(),
        later in interactions(),
        ask in requests(),
        stock in prop::collection::vec(any::<bool>(), 12),
    ) {
        let catalogue = catalogue(12);
        let eligible = |p: ProductId| stock[p.as_u128() as usize];
        let model = Arc::new(train(&trained, &catalogue, &Settings::default()).unwrap());
        let live = Arc::new(LiveState::new(&model));
        for i in &later {
            live.observe(&Interaction { time: i.time + (at(24).micros() - at(0).micros()), ..*i });
        }
        let known = ask.session.map(|s| live.session(s)).unwrap_or_default();
        let recommenders: [(&dyn Recommender, bool); 2] = [(&*model, false), (&LiveRecommender::new(model.clone(), live), true)];
        for (recommender, is_live) in recommenders {
            let known = if is_live { known.as_slice() } else { &[] };
            let session = [known, &ask.session_items].concat();
            let hidden = match ask.seen {
                Seen::HideCurrent => session.last().copied().into_iter().collect(),
                Seen::HideSession => session,
                Seen::Show => vec![],
            };
            let allowed: Vec<_> = catalogue.iter().filter(|i| passes(i, &ask, &hidden, &eligible)).collect();
            let slate = recommender.recommend(&ask, &eligible).unwrap();
            let mut shown: Vec<_> = slate.items.iter().map(|i| i.product).collect();
            prop_assert!(shown.iter().all(|p| allowed.iter().any(|i| i.product == *p)));
            shown.sort();
            shown.dedup();
            prop_assert_eq!(shown.len(), slate.items.len());
            let of_seller = |s: u128| allowed.iter().filter(|i| i.seller == SellerId::from_u128(s)).count();
            let reachable: usize = (0..3).map(|s| of_seller(s).min(ask.max_per_seller.unwrap_or(usize::MAX))).sum();
            prop_assert_eq!(slate.items.len(), reachable.min(ask.count));
            let outcome = match slate.items.len() {
                0 => Outcome::NothingEligible,
                n if n < ask.count => Outcome::Short,
                _ => Outcome::Complete,
            };
            prop_assert_eq!(slate.outcome, outcome);
            prop_assert!(slate.steps.is_sorted_by(|a: &StepCount, b| a.step < b.step));
            prop_assert!(slate.items.iter().all(|i| i.score.is_finite() && i.score >= 0.0));
        }
    }
}
