//! Which events lie in a window of each point, as runs of rows, and where late knowledge breaks them; no values here.

use dhow_definitions::Window;

use crate::bucket::Bucket;

/// For each point the first row that does not happen before the end of its windows.
pub(crate) fn ends(events: &Bucket, points: &Bucket, delay_micros: i64) -> Vec<u32> {
    boundaries(events, points, |at| at - delay_micros)
}

/// For each point the first row that happens at or after the start of its window.
pub(crate) fn begins(events: &Bucket, points: &Bucket, window: Window) -> Vec<u32> {
    let (delay, hop) = (window.delay_micros(), window.hop_micros());
    match window.length_micros() {
        None => boundaries(events, points, |_| i64::MIN),
        Some(length) if hop == 1 => boundaries(events, points, |at| at - delay - length),
        Some(length) => boundaries(events, points, |at| (at - delay - length).div_euclid(hop) * hop),
    }
}

/// For each point the first row of its entity at or after `boundary(at)`, which never falls as `at` grows.
fn boundaries(events: &Bucket, points: &Bucket, boundary: impl Fn(i64) -> i64) -> Vec<u32> {
    let mut rows = Vec::with_capacity(points.rows.times.len());
    for entity in 0..points.entity_count() {
        let range = events.of_entity(entity);
        let times = &events.rows.times[range.clone()];
        let mut row = 0;
        for &at in &points.rows.times[points.of_entity(entity)] {
            let boundary = boundary(at);
            row += times[row..].iter().take_while(|&&time| time < boundary).count();
            rows.push((range.start + row) as u32);
        }
    }
    rows
}

/// An entity of which, at some point, an event had happened before the windows' end but was not known yet.
pub(crate) struct LateEntity {
    pub(crate) entity: usize,
    /// The entity's first row.
    pub(crate) first: usize,
    /// For each of its rows the first instant at which it can count.
    pub(crate) counts_from: Vec<i64>,
    /// Its rows (from 0) in the order of those instants.
    pub(crate) order: Vec<u32>,
}

/// The late entities, in order. `ends` are those of windows of this delay.
pub(crate) fn late_entities(events: &Bucket, points: &Bucket, ends: &[u32], delay_micros: i64) -> Vec<LateEntity> {
    let Some(known_times) = &events.rows.known_times else { return Vec::new() };
    let mut late = Vec::new();
    for entity in 0..points.entity_count() {
        let (mut row, mut known_by) = (events.of_entity(entity).start, i64::MIN);
        let is_late = points.of_entity(entity).any(|point| {
            let end = ends[point] as usize;
            known_by = known_times[row..end].iter().copied().fold(known_by, i64::max);
            row = end;
            known_by > points.rows.times[point]
        });
        if is_late {
            late.push(LateEntity::new(events, known_times, entity, delay_micros));
        }
    }
    late
}

impl LateEntity {
    fn new(events: &Bucket, known_times: &[i64], entity: usize, delay_micros: i64) -> Self {
        let range = events.of_entity(entity);
        let (times, known_times) = (&events.rows.times[range.clone()], &known_times[range.clone()]);
        // An event counts when `event_time < at - delay` and `known_time <= at`.
        let counts_from: Vec<i64> =
            times.iter().zip(known_times).map(|(&time, &known)| known.max(time + delay_micros + 1)).collect();
        let mut order: Vec<u32> = (0..counts_from.len() as u32).collect();
        order.sort_by_key(|&row| counts_from[row as usize]);
        Self { entity, first: range.start, counts_from, order }
    }
}
