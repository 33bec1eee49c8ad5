//! Single promises of the index: tenants apart, lapses, bounds, sellers, labels, snapshots, and words.

use dhow_events::*;
use dhow_links::*;

use crate::world::*;

fn index() -> LinkIndex {
    LinkIndex::new(LinkSettings::default())
}

fn put(index: &mut LinkIndex, events: impl IntoIterator<Item = Event>) {
    for event in events {
        index.apply(&event, event.event_time);
    }
}

/// Six accounts that are opened and check out with one card, device and address within hours.
fn six_in_a_burst() -> Vec<Event> {
    let each = |buyer: u128| {
        let opened = 1.0 + buyer as f64 / 24.0;
        [registered(buyer, day(opened)), checkout(buyer, [1, 2, 3], day(opened + 0.01))]
    };
    (1..=6).flat_map(each).collect()
}

#[test]
fn the_words_of_a_ring_tell_what_is_shared_how_fast_it_formed_and_what_is_known() {
    let mut index = index();
    put(&mut index, six_in_a_burst());
    put(&mut index, [labelled(2, 9, true, day(3.0))]);
    let ring = index.ring(&ask(1), day(4.0));
    assert!(ring.is_flagged());
    assert_eq!(
        ring.words(),
        "6 accounts share 1 card, 1 device, 1 address; 6 of them joined within 7 days, 0 in the last 24 hours; 6 joined \
         within 30 days of being opened; 1 with known fraud"
    );
    let lonely = index.ring(&ask(99), day(4.0));
    assert_eq!(lonely.words(), "shares nothing that joins it with another account");
    assert_eq!(lonely.features.ring_score, 0.0);
}

#[test]
fn a_ring_of_another_tenant_with_the_same_ids_is_not_seen() {
    let mut index = index();
    put(&mut index, six_in_a_burst());
    let other = TenantId::new("ten_other").unwrap();
    let query = LinkQuery { tenant: other, ..query(&checkout(1, [1, 2, 3], day(2.0))) };
    assert_eq!(index.features(&query, day(2.0)).ring_accounts, 1.0);
    index.observe(other, query.account, Thing::Card(CardId::from_u128(1)), day(2.0));
    assert_eq!(index.features(&query, day(3.0)).ring_accounts, 1.0);
    assert_eq!(index.features(&ask(1), day(3.0)).ring_accounts, 6.0);
}

#[test]
fn an_event_that_comes_twice_or_late_gives_the_same_ring() {
    let mut in_order = index();
    put(&mut in_order, six_in_a_burst());
    let mut jumbled = index();
    put(&mut jumbled, six_in_a_burst().into_iter().rev());
    put(&mut jumbled, six_in_a_burst());
    assert_eq!(in_order.stats(), jumbled.stats());
    assert_eq!(
        in_order.features(&ask(3), day(2.0)).values().map(f64::to_bits),
        jumbled.features(&ask(3), day(2.0)).values().map(f64::to_bits)
    );
}

#[test]
fn a_link_that_is_not_used_for_the_retention_lapses_and_its_memory_is_freed() {
    let mut index = index();
    put(&mut index, six_in_a_burst());
    assert_eq!(index.features(&ask(1), day(80.0)).ring_accounts, 6.0);
    assert_eq!(index.features(&ask(1), day(100.0)).ring_accounts, 1.0);
    assert_eq!(index.stats().links, 18);
    put(&mut index, [checkout(7, [0, 0, 9], day(1.0))]);
    put(&mut index, (0..20).map(|_| registered(77, day(100.0))));
    let stats = index.stats();
    // Of the seventh account it was not told when it was opened: nothing is left of it.
    assert_eq!((stats.links, stats.things, stats.accounts), (0, 0, 7));
    // What comes a retention late has lapsed when it comes.
    put(&mut index, six_in_a_burst());
    assert_eq!((index.stats().links, index.stats().late), (0, 18));
}

#[test]
fn a_hub_joins_nobody_and_a_full_index_refuses_and_says_so() {
    let mut index = index();
    let users = HUB_ACCOUNTS as u128 + 1;
    put(&mut index, (1..users).map(|buyer| checkout(buyer, [7, 0, 0], day(1.0))));
    let asking = query(&checkout(1, [7, 0, 0], day(2.0)));
    assert_eq!(index.features(&asking, day(2.0)).ring_accounts, HUB_ACCOUNTS as f64);
    put(&mut index, [checkout(users, [7, 0, 0], day(3.0)), checkout(users + 1, [7, 0, 0], day(3.0))]);
    let features = index.features(&asking, day(4.0));
    assert_eq!((features.ring_accounts, features.account_counts[0]), (1.0, users as f64));
    assert_eq!(index.features(&asking, day(3.0)).ring_accounts, HUB_ACCOUNTS as f64, "as it was before");

    let mut small = LinkIndex::new(LinkSettings { most_links: 2, ..LinkSettings::default() });
    put(&mut small, [checkout(1, [1, 2, 3], day(1.0))]);
    assert_eq!((small.stats().links, small.stats().refused, small.stats().things), (2, 1, 2));
    let mut small = LinkIndex::new(LinkSettings { most_accounts: 1, ..LinkSettings::default() });
    put(&mut small, [checkout(1, [1, 2, 3], day(1.0)), checkout(2, [1, 0, 0], day(1.0)), registered(3, day(1.0))]);
    assert_eq!((small.stats().accounts, small.stats().links, small.stats().refused), (1, 3, 2));
}

#[test]
fn an_account_that_tries_a_thousand_cards_stays_small_and_keeps_the_latest() {
    let mut index = index();
    put(&mut index, (1..=1000).map(|card| checkout(1, [card, 0, 0], day(1.0 + card as f64 / 1e4))));
    let stats = index.stats();
    assert_eq!((stats.links, stats.things), (MOST_LINKS_OF_ACCOUNT, MOST_LINKS_OF_ACCOUNT));
    assert_eq!(stats.displaced, 1000 - MOST_LINKS_OF_ACCOUNT as u64);
    let first_use = |card| index.features(&query(&checkout(1, [card, 0, 0], day(2.0))), day(2.0)).first_uses[0];
    assert_eq!((first_use(1000), first_use(1)), (0.0, 1.0));
}

#[test]
fn sellers_that_move_to_one_payout_account_within_days_are_a_ring() {
    let mut index = index();
    let region = Region::new("NG-LA").unwrap();
    for number in 1..=5 {
        let seller = SellerId::from_u128(number);
        let opened = facts::SellerRegistered {
            seller,
            name: "Shop".to_owned(),
            region,
            payout_account: PayoutAccountId::from_u128(100 + number),
        };
        let moved = facts::PayoutAccountChanged { seller, payout_account: PayoutAccountId::from_u128(7) };
        put(&mut index, [event(day(1.0), opened), event(day(2.0 + number as f64 / 10.0), moved)]);
    }
    let query = LinkQuery::account(tenant(), Account::Seller(SellerId::from_u128(1)));
    let ring = index.ring(&query, day(5.0));
    assert_eq!((ring.accounts.len(), ring.is_flagged()), (5, true));
    assert_eq!(ring.things, [RingThing { thing: Thing::PayoutAccount(PayoutAccountId::from_u128(7)), accounts: 5 }]);
}

#[test]
fn a_fraud_counts_from_when_it_was_known_until_it_is_overruled() {
    let mut index = index();
    put(&mut index, six_in_a_burst());
    index.apply(&labelled(2, 9, true, day(5.0)), day(6.0));
    index.apply(&labelled(2, 9, false, day(8.0)), day(8.0));
    let frauds = |at: f64| index.features(&ask(1), day(at)).known_fraud_accounts;
    assert_eq!([4.0, 5.5, 6.5, 8.5].map(frauds), [0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn an_index_that_was_saved_goes_on_as_if_it_had_not_been() {
    let world = World::new(9, 300, 2, 5);
    let (before, after) = world.events.split_at(world.events.len() / 2);
    let mut undisturbed = LinkIndex::new(LinkSettings { retention_micros: 20 * DAY_MICROS, ..LinkSettings::default() });
    put(&mut undisturbed, before.to_vec());
    let bytes = undisturbed.snapshot().unwrap();
    let mut restored = LinkIndex::restore(&bytes).unwrap();
    assert_eq!(restored.snapshot().unwrap(), bytes);
    put(&mut undisturbed, after.to_vec());
    put(&mut restored, after.to_vec());
    assert!(undisturbed.stats().links > 100);
    assert_eq!(restored.snapshot().unwrap(), undisturbed.snapshot().unwrap());
}

#[test]
fn bytes_that_are_no_snapshot_are_refused_with_what_is_wrong() {
    let mut index = index();
    put(&mut index, six_in_a_burst());
    let bytes = index.snapshot().unwrap();
    let refusal = |bytes: &[u8]| LinkIndex::restore(bytes).unwrap_err().to_string();
    assert!(refusal(&[]).contains("it is empty"));
    assert!(refusal(&[9, 1]).contains("format version 9"));
    assert!(refusal(&[&bytes[..], &[0]].concat()).contains("1 bytes follow its end"));
    for length in 1..bytes.len() {
        assert!(LinkIndex::restore(&bytes[..length]).is_err(), "the first {length} bytes were taken for the whole");
    }
    // A damaged byte is refused, or gives an index that still works.
    for place in 1..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        if let Ok(mut index) = LinkIndex::restore(&damaged) {
            put(&mut index, six_in_a_burst());
            index.ring(&ask(1), day(2.0));
        }
    }
}
