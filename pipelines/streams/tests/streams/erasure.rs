//! A person is taken out of a log that is read and appended to meanwhile: nothing of the person is left in its files, and nothing else changes.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dhow_events::facts::{AuctionBidPlaced, OrderPlaced, ProductViewed, SearchPerformed, ShipmentDispatched};
use dhow_events::*;
use dhow_streams::{Log, LogError, Record};

use crate::common::*;

/// An id's bits that no other part of an event has by chance.
fn bits(kind: u64, number: u64) -> u128 {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ kind.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    u128::from(mixed) << 64 | u128::from(mixed.rotate_left(29).wrapping_mul(0x94d0_49bb_1331_11eb))
}

fn buyer(number: u64) -> BuyerId {
    BuyerId::from_u128(bits(1, number))
}

/// Event number `number`; buyer 0 makes every seventh, and visits before the name is known.
fn of_somebody(number: u64) -> Event {
    let who = number % 7;
    let (session, device) = (SessionId::from_u128(bits(2, who)), DeviceId::from_u128(bits(3, who)));
    let (product, region) = (ProductId::from_u128(bits(4, number)), Region::new("NG-LA").unwrap());
    let known = number.is_multiple_of(2).then_some(buyer(who));
    let fact: Fact = match number % 5 {
        0 => ProductViewed { session, buyer: known, product, device, region, decision: None }.into(),
        1 => SearchPerformed { session, buyer: known, query: format!("ünique {who} words"), result_count: 10 }.into(),
        2 => OrderPlaced {
            buyer: buyer(who),
            order: OrderId::from_u128(bits(5, who)),
            checkout: CheckoutId::from_u128(bits(6, number)),
            seller: SellerId::from_u128(bits(7, 1)),
            region,
            line_count: 1,
            quantity: 2,
            total: Money::usd(500),
            total_usd_minor: 500,
        }
        .into(),
        3 => ShipmentDispatched {
            order: OrderId::from_u128(bits(5, who)),
            shipment: ShipmentId::from_u128(bits(8, number)),
            seller: SellerId::from_u128(bits(7, 1)),
            carrier: CarrierId::from_u128(bits(9, 1)),
            origin: region,
            destination: region,
            latitude: 6.524_379 + who as f64 / 64.0,
            longitude: 3.379_206,
            weight_grams: 100,
            promised_at: Timestamp::from_micros(0),
        }
        .into(),
        _ => AuctionBidPlaced {
            auction: AuctionId::from_u128(bits(10, 1)),
            product,
            bidder: buyer((who + 1) % 7),
            sequence: 1,
            price: Money::usd(100),
            leader: buyer(who),
            outbid: Some(buyer((who + 2) % 7)),
            ends_at: Timestamp::from_micros(0),
        }
        .into(),
    };
    Event { id: EventId::from_u128(bits(0, number)), fact, ..event(number) }
}

fn erasure(log: &dyn Log) -> Erasure {
    let (person, pseudonym) = (buyer(0), BuyerId::from_u128(bits(1, 1_000)));
    let mut erasure = Erasure { tenant: TenantId::default(), person, pseudonym, things: PersonThings::default() };
    for record in all(log) {
        erasure.learn(&record.event).unwrap();
    }
    erasure
}

fn all(log: &dyn Log) -> Vec<Record> {
    (0..log.partition_count()).flat_map(|partition| read_all(log, partition, 64).unwrap()).collect()
}

fn rewrite(log: &dyn Log, erasure: &Erasure) -> Result<u64, LogError> {
    log.rewrite(&|event, record| erasure.rewrite(event, record).map_err(|error| error.to_string()))
}

fn holds(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => holds(&path, wanted),
            false => std::fs::read(&path).unwrap().windows(wanted.len()).any(|window| window == wanted),
        }
    })
}

#[test]
fn an_erased_person_is_in_no_file_of_the_log_and_all_else_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 3).unwrap();
    for first in (0..4_000).step_by(250) {
        log.append(&(first..first + 250).map(of_somebody).collect::<Vec<_>>()).unwrap();
    }
    let before = all(&log);
    let erasure = erasure(&log);
    assert_eq!((erasure.things.sessions.len(), erasure.things.orders.len()), (1, 1));
    let (person, session, device) = (bits(1, 0), bits(2, 0), bits(3, 0));
    let words = "ünique 0 words".as_bytes();
    for wanted in [&person.to_be_bytes()[..], &session.to_be_bytes(), &device.to_be_bytes(), words] {
        assert!(holds(folder.path(), wanted));
    }
    let ended = AtomicBool::new(false);
    let count = thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                // Every frame that a reader meets is whole.
                assert!(all(&log).len() >= before.len());
            }
        });
        scope.spawn(|| {
            for number in 4_000..4_200 {
                log.append(&[event(number)]).unwrap();
            }
        });
        let count = rewrite(&log, &erasure).unwrap();
        ended.store(true, Ordering::Release);
        count
    });
    for wanted in [&person.to_be_bytes()[..], &session.to_be_bytes(), &device.to_be_bytes(), words] {
        assert!(!holds(folder.path(), wanted));
    }
    assert!(holds(folder.path(), &erasure.pseudonym.as_u128().to_be_bytes()));
    assert!(holds(folder.path(), "ünique 1 words".as_bytes()), "others' words stay");
    let check = |log: &dyn Log| {
        let (after, mut changed) = (all(log), 0);
        assert_eq!(after.len(), before.len() + 200);
        for record in &before {
            let Record { partition, offset, .. } = *record;
            let found = after.iter().find(|one| (one.partition, one.offset) == (partition, offset)).unwrap();
            let expected = Record { event: erasure.rewritten(record.event.clone()).unwrap(), ..record.clone() };
            assert_eq!(*found, expected);
            changed += u64::from(expected != *record);
        }
        assert_eq!(changed, count, "what is not about the person is untouched");
        assert!(!after.iter().any(|record| erasure.is_about(&record.event)));
    };
    check(&log);
    drop(log);
    let log = open(folder.path(), 3).unwrap();
    assert_eq!(log.recovery().torn_bytes, 0);
    check(&log);
    assert_eq!(rewrite(&log, &erasure).unwrap(), 0, "what is done stays done");
    log.append(&[event(5_000)]).unwrap();
}

#[test]
fn a_record_that_cannot_be_rewritten_is_named_and_its_segment_stays() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), 1).unwrap();
    log.append(&(0..50).map(of_somebody).collect::<Vec<_>>()).unwrap();
    let before = all(&log);
    let error = log.rewrite(&|_, _| Err("it is not to be".to_owned())).unwrap_err();
    assert!(error.to_string().contains("it is not to be"), "{error}");
    assert_eq!(all(&log), before);
}
