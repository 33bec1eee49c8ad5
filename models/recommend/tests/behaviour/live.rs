//! Live state: a click changes the next slate, memory stays bounded, order of arrival does not matter.

use std::sync::Arc;

use dhow_events::{BuyerId, SessionId};
use dhow_recommend::{
    Interaction, LiveRecommender, LiveState, MAX_LIVE_KEYS, MAX_RECENT_PRODUCTS, MAX_TRENDING_PRODUCTS, Recommender,
    SlateRequest, Step,
};

use crate::world::{act, at, model, product, products, region, request, view};

fn shop() -> Vec<Interaction> {
    (0..5).flat_map(|s| [view(s, 1, 0), view(s, 2, 1), view(10 + s, 3, 2), view(10 + s, 4, 3)]).collect()
}

fn live_shop() -> (Arc<LiveState>, LiveRecommender) {
    let model = Arc::new(model(&shop(), 10));
    let live = Arc::new(LiveState::new(&model));
    (live.clone(), LiveRecommender::new(model, live))
}

#[test]
fn a_click_changes_the_next_slate_of_its_session_and_of_its_person() {
    let (live, recommender) = live_shop();
    let here = SlateRequest { session: Some(SessionId::from_u128(77)), ..request(&[], 1) };
    let person = SlateRequest { person: Some(BuyerId::from_u128(5)), ..request(&[], 1) };
    let first = |ask: &SlateRequest| recommender.recommend(ask, &|_| true).unwrap();
    assert_eq!(first(&here).answered_by(), Some(Step::Popular));
    assert!(first(&here).degraded && first(&person).degraded);

    let click = |number, hour| Interaction { person: Some(BuyerId::from_u128(5)), ..view(77, number, hour) };
    live.observe(&click(1, 10));
    assert_eq!(first(&here).items[0].product, product(2));
    assert_eq!(first(&person).items[0].product, product(2));
    assert_eq!(first(&person).answered_by(), Some(Step::History));
    live.observe(&click(3, 11));
    assert_eq!(first(&here).items[0].product, product(4));
    assert!(!first(&here).degraded);
}

#[test]
fn clicks_after_training_make_a_product_trend_where_they_happened_and_later_ones_weigh_more() {
    let (live, recommender) = live_shop();
    let in_lagos = SlateRequest { region: Some(region("NG-LA")), ..request(&[], 2) };
    let click = |session, number, hour| Interaction { region: Some(region("NG-LA")), ..view(session, number, hour) };
    live.observe(&click(1, 5, 0));
    assert!(live.trending(None).is_empty(), "the model has seen that hour already");

    live.observe(&click(1, 5, 10));
    live.observe(&click(2, 8, 24 * 60));
    let slate = recommender.recommend(&in_lagos, &|_| true).unwrap();
    let shown: Vec<_> = slate.items.iter().map(|item| (item.product, item.step)).collect();
    assert_eq!(shown, [(product(8), Step::SegmentTrending), (product(5), Step::SegmentTrending)]);
    let anywhere = recommender.recommend(&request(&[], 1), &|_| true).unwrap();
    assert_eq!(anywhere.items[0].product, product(8));

    live.rebase(&model(&shop(), 10));
    assert!(live.trending(Some(region("NG"))).is_empty());
    assert_eq!(live.session(SessionId::from_u128(1)), products(&[5]));
}

#[test]
fn late_and_repeated_clicks_find_their_place_by_event_time() {
    let (live, _) = live_shop();
    for (number, hour) in [(1, 10), (3, 30), (2, 20), (1, 40), (3, 5), (2, 20)] {
        live.observe(&view(1, number, hour));
    }
    assert_eq!(live.session(SessionId::from_u128(1)), products(&[2, 3, 1]));
}

#[test]
fn memory_is_bounded_however_long_a_session_or_wide_a_region() {
    let (live, recommender) = live_shop();
    for number in 0..10_000 {
        live.observe(&Interaction { person: Some(BuyerId::from_u128(1)), ..view(1, number, 10 + number as i64) });
    }
    let last: Vec<u128> = (10_000 - MAX_RECENT_PRODUCTS as u128..10_000).collect();
    assert_eq!(live.session(SessionId::from_u128(1)), products(&last));
    assert_eq!(live.person(BuyerId::from_u128(1)), products(&last));
    let trending = live.trending(None);
    assert!(trending.len() >= MAX_TRENDING_PRODUCTS && trending.len() <= 2 * MAX_TRENDING_PRODUCTS);
    assert!(trending.iter().all(|t| t.count.is_finite()));
    let slate =
        recommender.recommend(&SlateRequest { session: Some(SessionId::from_u128(1)), ..request(&[], 5) }, &|_| true);
    assert_eq!(slate.unwrap().items.len(), 5);
}

#[test]
fn when_there_are_too_many_sessions_those_seen_longest_ago_are_forgotten() {
    let (live, _) = live_shop();
    let count = MAX_LIVE_KEYS as u128 + 50_000;
    for session in 0..count {
        live.observe(&view(session, 1, 10 + session as i64));
    }
    let (sessions, persons) = live.sizes();
    assert!(sessions <= MAX_LIVE_KEYS && sessions > MAX_LIVE_KEYS / 2, "{sessions}");
    assert_eq!(persons, 0);
    assert!(live.session(SessionId::from_u128(0)).is_empty());
    assert_eq!(live.session(SessionId::from_u128(count - 1)), products(&[1]));
}

#[test]
fn the_oldest_sessions_go_when_told_and_a_far_future_click_stays_finite() {
    let (live, recommender) = live_shop();
    live.observe(&view(1, 1, 10));
    live.observe(&view(2, 2, 20));
    live.expire_before(at(15));
    assert_eq!(live.sizes(), (1, 0));
    assert!(live.session(SessionId::from_u128(1)).is_empty());

    live.observe(&act(3, 6, dhow_recommend::InteractionKind::Purchase, 10_000_000));
    let slate = recommender.recommend(&request(&[], 3), &|_| true).unwrap();
    assert_eq!(slate.items[0].product, product(6));
    assert!(slate.items.iter().all(|item| item.score.is_finite()));
}

#[test]
fn a_product_that_both_the_state_and_the_request_know_counts_once_where_the_request_names_it() {
    let (live, recommender) = live_shop();
    for (number, hour) in [(1, 10), (3, 11)] {
        live.observe(&view(77, number, hour));
    }
    let session = Some(SessionId::from_u128(77));
    let both = SlateRequest { session, ..request(&[3, 1], 10) };
    assert_eq!(recommender.recommend(&both, &|_| true), recommender.recommend(&request(&[3, 1], 10), &|_| true));
}
