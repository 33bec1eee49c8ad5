//! Watermarks over partitions that run ahead, lag, fall silent and wake up; what a state frees by them is tested beside it.

use dhow_events::{SECOND_MICROS, Timestamp};
use dhow_streams::{LogError, Watermark};
use proptest::prelude::*;

const IDLE_MICROS: i64 = 30 * SECOND_MICROS;

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * SECOND_MICROS)
}

#[test]
fn the_slowest_active_partition_holds_the_watermark_however_far_ahead_another_is() {
    let mut watermark = Watermark::new(2, IDLE_MICROS, second(0));
    watermark.observe(0, second(1_000_000), second(1)).unwrap();
    assert_eq!(watermark.at(second(1)), None);
    watermark.observe(1, second(100), second(2)).unwrap();
    assert_eq!(watermark.at(second(2)), Some(second(100)));
    watermark.observe(1, second(90), second(3)).unwrap();
    assert_eq!(watermark.at(second(3)), Some(second(100)));
    assert_eq!(watermark.behind_count(), 1);
}

#[test]
fn a_dead_partition_holds_nothing_back_after_its_time_also_one_that_never_spoke() {
    let mut watermark = Watermark::new(3, IDLE_MICROS, second(0));
    watermark.observe(0, second(500), second(0)).unwrap();
    watermark.observe(1, second(100), second(0)).unwrap();
    for now in (5..=60).step_by(5) {
        watermark.observe(0, second(500 + now), second(now)).unwrap();
        let expected = (now >= 30).then_some(second(500 + now));
        assert_eq!(watermark.at(second(now)), expected, "after {now} s");
    }
}

#[test]
fn a_partition_that_wakes_up_holds_the_watermark_where_it_is_until_it_has_caught_up() {
    let mut watermark = Watermark::new(2, IDLE_MICROS, second(0));
    watermark.observe(0, second(1000), second(40)).unwrap();
    assert_eq!(watermark.at(second(40)), Some(second(1000)));
    watermark.observe(1, second(700), second(41)).unwrap();
    watermark.observe(0, second(1100), second(41)).unwrap();
    assert_eq!(watermark.at(second(41)), Some(second(1000)));
    assert_eq!(watermark.behind_count(), 1);
    watermark.observe(1, second(1050), second(42)).unwrap();
    assert_eq!(watermark.at(second(42)), Some(second(1050)));
}

#[test]
fn a_silent_log_frees_nothing() {
    let mut watermark = Watermark::new(2, IDLE_MICROS, second(0));
    watermark.observe(0, second(2000), second(1)).unwrap();
    watermark.observe(1, second(1000), second(1)).unwrap();
    assert_eq!(watermark.at(second(1)), Some(second(1000)));
    assert_eq!(watermark.at(second(1_000_000)), Some(second(1000)));
}

#[test]
fn a_partition_that_does_not_exist_is_refused() {
    let mut watermark = Watermark::new(2, IDLE_MICROS, second(0));
    let error = watermark.observe(2, second(1), second(1)).unwrap_err();
    assert!(matches!(error, LogError::Partition { partition: 2, partition_count: 2 }));
}

proptest! {
    /// Beside the definition computed anew from the whole history; saved and restored on the way.
    #[test]
    fn a_watermark_is_the_running_maximum_of_the_least_of_the_active(
        steps in prop::collection::vec((0_u32..4, 0_i64..200, 0_i64..20), 1..200),
    ) {
        let mut watermark = Watermark::new(4, IDLE_MICROS, second(0));
        let mut history: Vec<(u32, i64, i64)> = Vec::new();
        let (mut now, mut reached) = (0, None);
        for (partition, event_time, pause) in steps {
            now += pause;
            watermark.observe(partition, second(event_time), second(now)).unwrap();
            history.push((partition, event_time, now));
            let active = (0..4).filter(|partition| {
                let seen = history.iter().filter(|step| step.0 == *partition).map(|step| step.2).max().unwrap_or(0);
                now - seen < 30
            });
            let newest = |partition| history.iter().filter(|step| step.0 == partition).map(|step| step.1).max();
            let least = active.map(newest).min().flatten();
            reached = reached.max(least);
            prop_assert_eq!(watermark.at(second(now)), reached.map(second));
            watermark = serde_json::from_str(&serde_json::to_string(&watermark).unwrap()).unwrap();
        }
    }
}
