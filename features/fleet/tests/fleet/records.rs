//! Re-keyed records as bytes.

use dhow_events::{Timestamp, codec};
use dhow_fleet::{RekeyedError, RekeyedRecord};

use crate::world::checkout;

#[test]
fn a_rekeyed_record_comes_back_and_other_bytes_are_refused() {
    let event = checkout(7, 1_000_000, 3, Some(4), 1_999);
    let known_time = Timestamp::from_micros(-5);
    let bytes = RekeyedRecord::encode(u32::MAX, u64::MAX, known_time, &codec::encode(&event, Vec::new()).unwrap());
    let record = RekeyedRecord::decode(&bytes).unwrap();
    assert_eq!(record, RekeyedRecord { source_partition: u32::MAX, source_offset: u64::MAX, known_time, event });
    for length in 0..21 {
        assert_eq!(RekeyedRecord::decode(&bytes[..length]), Err(RekeyedError::TooShort { found: length }));
    }
    for length in 21..bytes.len() {
        assert!(matches!(RekeyedRecord::decode(&bytes[..length]), Err(RekeyedError::Event(_))), "{length}");
    }
    let other = [&[9], &bytes[1..]].concat();
    assert_eq!(RekeyedRecord::decode(&other), Err(RekeyedError::Version { found: 9 }));
}
