//! The rules of auctions: by hand, and millions of random bids held against the naive reference; no database is asked.

use dhow_auctions::*;
use dhow_events::{BuyerId, Currency, MINUTE_MICROS, SECOND_MICROS, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random auctions of a run; the long proof asks for more.
const AUCTIONS: u64 = 100_000;
const AUCTIONS_VARIABLE: &str = "DHOW_TEST_AUCTIONS";

const START: Timestamp = Timestamp::from_micros(1_000_000_000_000_000);

fn buyer(number: u128) -> BuyerId {
    BuyerId::from_u128(number)
}

fn terms() -> Terms {
    let tables = IncrementTables::marketplace().expect("the built-in tables");
    Terms {
        currency: Currency::USD,
        opening_minor: 100,
        reserve_minor: None,
        buy_now: None,
        increments: tables.of(Currency::USD).expect("a table for dollars").clone(),
        extension: Extension::default(),
        opens_at: START,
        ends_at: START + 60 * MINUTE_MICROS,
    }
}

fn bid(sequence: i64, bidder: u128, maximum_minor: i64) -> Bid {
    Bid { sequence, bidder: buyer(bidder), maximum_minor, placed_at: START + sequence * SECOND_MICROS }
}

fn prices(terms: &Terms, bids: &[(u128, i64)]) -> Vec<(Option<i64>, Option<u128>)> {
    let mut standing = Standing::new(terms);
    let follow = |(sequence, (bidder, maximum)): (i64, &(u128, i64))| {
        standing.bid(terms, &bid(sequence, *bidder, *maximum)).expect("it counts");
        (standing.price_minor, standing.leader.map(|leader| leader.bidder.as_u128()))
    };
    (1..).zip(bids).map(follow).collect()
}

#[test]
fn the_highest_maximum_leads_at_one_increment_above_the_second_and_of_equal_ones_the_earlier() {
    let led = prices(&terms(), &[(1, 1_000), (2, 500), (3, 1_000), (2, 5_000), (2, 9_000), (1, 6_000)]);
    let expected = [(100, 1), (550, 1), (1_000, 1), (1_050, 2), (1_050, 2), (6_100, 2)];
    assert_eq!(led, expected.map(|(price, leader)| (Some(price), Some(leader))));
}

#[test]
fn a_raise_of_ones_own_raises_the_price_to_the_reserve_and_no_further() {
    let terms = Terms { reserve_minor: Some(2_000), ..terms() };
    let led = prices(&terms, &[(1, 1_000), (1, 1_500), (1, 3_000), (1, 4_000)]);
    assert_eq!(led.iter().map(|(price, _)| price.unwrap_or(0)).collect::<Vec<_>>(), [100, 100, 2_000, 2_000]);
    let below = [bid(1, 1, 1_999), bid(2, 2, 1_500)];
    assert_eq!(Standing::of(&terms, &below).ending(&terms), Ending::ReserveNotMet);
    assert_eq!(Standing::new(&terms).ending(&terms), Ending::NoBids);
    let above = [bid(1, 1, 1_999), bid(2, 2, 2_500)];
    assert_eq!(Standing::of(&terms, &above).ending(&terms), Ending::Won { bidder: buyer(2), price_minor: 2_049 });
}

#[test]
fn what_does_not_count_says_why_and_changes_nothing() {
    let terms = terms();
    let mut standing = Standing::new(&terms);
    let low = standing.bid(&terms, &bid(1, 1, 99));
    assert_eq!(low, Err(BidRefusal::TooLow { minimum_minor: 100 }));
    standing.bid(&terms, &bid(1, 1, 500)).expect("it counts");
    let before = standing;
    let refused = [
        (bid(2, 2, 124), BidRefusal::TooLow { minimum_minor: 125 }),
        (bid(2, 1, 500), BidRefusal::TooLow { minimum_minor: 501 }),
        (bid(2, 2, AMOUNT_MINOR_MAX + 1), BidRefusal::TooHigh),
        (Bid { placed_at: terms.ends_at, ..bid(2, 2, 900) }, BidRefusal::Ended(terms.ends_at)),
        (Bid { placed_at: START - 1, ..bid(2, 2, 900) }, BidRefusal::NotOpen(START)),
    ];
    for (bid, why) in refused {
        assert_eq!((standing.bid(&terms, &bid), standing), (Err(why), before));
    }
}

#[test]
fn an_auction_is_bought_at_once_until_the_first_bid_or_a_share_of_the_price() {
    let first = Terms { buy_now: Some(BuyNow { price_minor: 1_000, until_ppm: None }), ..terms() };
    let half = Terms { buy_now: Some(BuyNow { price_minor: 1_000, until_ppm: Some(500_000) }), ..terms() };
    let bids = [bid(1, 1, 400), bid(2, 2, 420), bid(3, 3, 900), bid(4, 1, 800)];
    let bought = |terms: &Terms, count: usize| Standing::of(terms, &bids[..count]).buy_now(terms, START);
    assert_eq!((bought(&first, 0), bought(&first, 1)), (Ok(1_000), Err(BidRefusal::NoBuyNow)));
    assert_eq!((bought(&half, 2), bought(&half, 3)), (Ok(1_000), Ok(1_000)));
    assert_eq!(bought(&half, 4), Err(BidRefusal::NoBuyNow), "the price is 850");
    assert_eq!(Standing::new(&first).buy_now(&first, first.ends_at), Err(BidRefusal::Ended(first.ends_at)));
}

#[test]
fn late_bids_of_others_extend_the_auction_a_bounded_number_of_times() {
    let extension = Extension { window_micros: 60 * SECOND_MICROS, by_micros: 120 * SECOND_MICROS, times_max: 2 };
    let terms = Terms { extension, ..terms() };
    let mut standing = Standing::new(&terms);
    let mut late = |bidder, maximum_minor, before_end: i64| {
        let placed_at = standing.ends_at - before_end * SECOND_MICROS;
        let effect = standing.bid(&terms, &Bid { placed_at, ..bid(1, bidder, maximum_minor) }).expect("it counts");
        (effect.extended, standing.ends_at.micros_since(terms.ends_at) / SECOND_MICROS)
    };
    assert_eq!(late(1, 200, 61), (false, 0));
    assert_eq!(late(1, 300, 30), (false, 0), "a raise of one's own");
    assert_eq!(late(2, 1_000, 30), (true, 90));
    assert_eq!(late(3, 2_000, 60), (true, 150));
    assert_eq!(late(4, 4_000, 1), (false, 150), "as often as may be");
}

#[test]
fn tables_of_increments_rise_and_wrong_ones_are_named() {
    let tables = IncrementTables::marketplace().expect("the built-in tables");
    let pounds = tables.of(Currency::GBP).expect("a table");
    assert_eq!((pounds.step(0), pounds.step(99), pounds.step(100), pounds.step(i64::MAX)), (5, 5, 20, 10_000));
    let band = |from_minor, step_minor| Band { from_minor, step_minor };
    assert_eq!(Increments::new(vec![]), Err(IncrementError::Count(0)));
    assert_eq!(Increments::new(vec![band(1, 1)]), Err(IncrementError::Count(1)));
    assert_eq!(Increments::new(vec![band(0, 0)]), Err(IncrementError::Order(0)));
    assert_eq!(Increments::new(vec![band(0, 5), band(10, 4)]), Err(IncrementError::Order(1)));
    let parts = |terms: Terms| terms.check().err().map(|problems| problems.iter().map(|p| p.part).collect::<Vec<_>>());
    assert_eq!(parts(terms()), None);
    let buy_now = Some(BuyNow { price_minor: 150, until_ppm: Some(0) });
    let wrong = Terms { opening_minor: 200, reserve_minor: Some(199), buy_now, ends_at: START, ..terms() };
    assert_eq!(parts(wrong).expect("it is wrong"), ["reserve", "buy_now", "buy_now", "ends_at"]);
}

/// Terms, and bids of a few persons, most of them near what would count.
fn random_terms(random: &mut ChaCha8Rng) -> Terms {
    let opening_minor = random.random_range(1..5_000);
    let reserve_minor = random.random_bool(0.4).then(|| opening_minor + random.random_range(0..10_000));
    let extension = Extension {
        window_micros: random.random_range(0..90) * SECOND_MICROS,
        by_micros: random.random_range(0..90) * SECOND_MICROS,
        times_max: random.random_range(0..5),
    };
    let ends_at = START + 90 * SECOND_MICROS;
    Terms { opening_minor, reserve_minor, extension, ends_at, ..terms() }
}

/// One auction from its first bid to its end; gives how many bids counted.
fn live_one(random: &mut ChaCha8Rng) -> usize {
    let terms = random_terms(random);
    assert_eq!(terms.check(), Ok(()));
    let (mut standing, mut counted, mut now) = (Standing::new(&terms), Vec::<Bid>::new(), START);
    for _ in 0..random.random_range(1..25) {
        now = now + random.random_range(0..15) * SECOND_MICROS;
        let bidder = buyer(random.random_range(1..5));
        let about = naive::minimum(&terms, &counted, bidder);
        let maximum_minor = about + random.random_range(-200_i64..1_000) * random.random_range(0..3);
        let bid = Bid { sequence: counted.len() as i64 + 1, bidder, maximum_minor, placed_at: now };
        let in_time = now < standing.ends_at;
        let before = (standing, naive::leader(&counted).map(|leader| leader.bidder));
        match standing.bid(&terms, &bid) {
            Ok(effect) => {
                assert!(in_time && maximum_minor >= about, "{bid:?} must not count after {counted:?}");
                counted.push(bid);
                let leads = naive::leader(&counted).map(|leader| leader.bidder);
                assert_eq!(effect.leads, leads == Some(bidder));
                assert_eq!(effect.outbid, before.1.filter(|old| Some(*old) != leads));
                assert!(standing.price_minor >= before.0.price_minor, "prices never fall");
                assert_eq!(effect.extended, standing.ends_at > before.0.ends_at);
            }
            Err(why) => {
                assert!(!in_time || maximum_minor < about, "{bid:?} counts after {counted:?}: {why}");
                assert_eq!(standing, before.0);
            }
        }
    }
    assert_eq!(
        (standing.price_minor, standing.ending(&terms)),
        (naive::price(&terms, &counted), naive::ending(&terms, &counted)),
        "{terms:?} {counted:?}"
    );
    assert_eq!(standing, Standing::of(&terms, &counted), "followed again it is the same");
    assert!(standing.extensions <= terms.extension.times_max);
    // As though the winner had not bid: what a second chance rests on.
    if let Some(leader) = standing.leader {
        let others: Vec<Bid> = counted.iter().filter(|bid| bid.bidder != leader.bidder).copied().collect();
        let without = Standing::of(&terms, &others);
        assert_eq!(without.ending(&terms), naive::ending(&terms, &others), "{terms:?} {others:?}");
        assert!(without.price_minor <= standing.price_minor);
    }
    counted.len()
}

#[test]
fn random_auctions_stand_bid_by_bid_as_the_naive_reference_says() {
    let auctions = std::env::var(AUCTIONS_VARIABLE).map_or(AUCTIONS, |count| count.parse().expect("a number"));
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let counted: usize = (0..auctions).map(|_| live_one(&mut random)).sum();
    assert!(counted as u64 > auctions * 3, "{counted} bids counted in {auctions} auctions");
    println!("measured: {auctions} auctions, {counted} bids that counted");
}
