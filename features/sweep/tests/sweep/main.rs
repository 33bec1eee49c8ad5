//! Sweeps against the oracle, bit for bit, and against themselves; worlds are random and seeded.

mod world;

use std::collections::BTreeMap;

use dhow_definitions::oracle::{Known, compute};
use dhow_definitions::{FeatureSet, View};
use dhow_events::*;
use dhow_sweep::*;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use world::{Arrival, Kind, Table, World, entity_values};

fn features() -> FeatureSet {
    FeatureSet::from_toml(include_str!("features.toml")).unwrap()
}

fn view(set: &FeatureSet, name: &str) -> View {
    set.view(name).unwrap().1.clone()
}

fn bits(values: &[Vec<f64>]) -> Vec<Vec<u64>> {
    let bits = |value: &f64| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
    values.iter().map(|values| values.iter().map(bits).collect()).collect()
}

/// Points of random entities of the table, on the border of a window of some event, just beside it, or anywhere near.
fn probes(random: &mut ChaCha8Rng, view: &View, table: &Table<'_>, count: usize) -> (Vec<Option<u128>>, Vec<i64>) {
    let mut rows_of: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
    for (row, key) in table.keys.iter().enumerate() {
        rows_of.entry(key.unwrap()).or_default().push(row);
    }
    let rows_of: Vec<(u128, Vec<usize>)> = rows_of.into_iter().collect();
    let probe = |_| {
        let (key, rows) = rows_of.choose(random).unwrap();
        let row = *rows.choose(random).unwrap();
        let window = view.windows().choose(random).unwrap();
        let end = table.event_times[row] + window.delay_micros();
        let length = window.length_micros().unwrap_or(0);
        let border = match random.random_range(0..5) {
            0 => end,
            1 => end + length,
            2 => table.known_times[row],
            3 => end + length + window.hop_micros(),
            _ => end + random.random_range(-DAY_MICROS..DAY_MICROS),
        };
        (Some(*key), border + random.random_range(-1..=1))
    };
    (0..count).map(probe).unzip()
}

/// Sweeps `count` probes of a view and compares each value with the oracle's; gives the number of values compared.
fn compare(view: &View, world: &World, seed: u64, count: usize) -> usize {
    let table = Table::new(view, world);
    let (keys, at) = probes(&mut ChaCha8Rng::seed_from_u64(seed), view, &table, count);
    let dense = densify(table.keys.iter().copied(), keys.iter().copied()).unwrap();
    let columns = table.columns();
    let events = Events {
        entities: &dense.events,
        entity_count: dense.count,
        event_times: &table.event_times,
        known_times: Some(&table.known_times),
        ids: Some(&table.ids),
        columns: &columns,
    };
    let found = sweep(view, &events, &Points { entities: &dense.points, at: &at }).unwrap();
    // The oracle would give the same from all records, but slower.
    let mut records_of: BTreeMap<u128, Vec<&Arrival>> = BTreeMap::new();
    for (key, record) in table.keys.iter().zip(&table.records) {
        records_of.entry(key.unwrap()).or_default().push(record);
    }
    (0..count).into_par_iter().for_each(|point| {
        let records = &records_of[&keys[point].unwrap()];
        let known: Vec<Known<'_>> =
            records.iter().map(|record| Known { event: &record.event, known_time: record.known_time }).collect();
        let key = entity_values(view, &records[0].event.fact);
        let at = Timestamp::from_micros(at[point]);
        for (feature, found) in view.features().iter().zip(&found) {
            let wanted = compute(view, feature, TenantId::default(), &key, &known, at);
            let same = wanted.to_bits() == found[point].to_bits() || (wanted.is_nan() && found[point].is_nan());
            assert!(same, "{} at {at}: found {:?}, the oracle says {wanted:?}", feature.name(), found[point]);
        }
    });
    assert_eq!(found.len(), view.features().len());
    count * found.len()
}

#[test]
fn every_feature_at_any_instant_is_bit_for_bit_what_the_oracle_says() {
    let set = features();
    let mut compared = 0;
    for (seed, kind) in
        (0..).zip([Kind::Usual, Kind::Usual, Kind::Prompt, Kind::Imported, Kind::Extreme, Kind::Extreme])
    {
        let grid = 30 * MINUTE_MICROS;
        let world = World::new(seed, 4_000, 60, grid, 20 * MINUTE_MICROS, kind);
        for view in set.views() {
            compared += compare(view, &world, seed, 800);
        }
    }
    assert!(compared >= 300_000, "{compared}");
}

#[test]
fn a_million_probes_of_common_features_are_bit_for_bit_what_the_oracle_says() {
    let set = features();
    let world = World::new(7, 400_000, 20_000, HOUR_MICROS, 3 * SECOND_MICROS, Kind::Usual);
    let view = view(&set, "common");
    assert_eq!(compare(&view, &world, 7, 1_000_000), 6_000_000);
    assert_eq!(compare(&view, &world, 8, 2_000), 12_000, "where most entities have no point");
}

#[test]
fn entities_with_thousands_of_events_read_what_the_oracle_says() {
    let set = features();
    for (seed, kind) in (20..).zip([Kind::Usual, Kind::Prompt, Kind::Imported, Kind::Extreme]) {
        let world = World::new(seed, 6_000, 2, MINUTE_MICROS, 20 * SECOND_MICROS, kind);
        for view in set.views() {
            compare(view, &world, seed, 40);
        }
    }
}

/// A sweep at each event of a table, and at instants near them.
fn swept(view: &View, table: &Table<'_>) -> [Vec<Vec<f64>>; 2] {
    let (keys, at) = probes(&mut ChaCha8Rng::seed_from_u64(1), view, table, 5_000);
    let dense = densify(table.keys.iter().copied(), keys.iter().copied()).unwrap();
    let columns = table.columns();
    let events = Events {
        entities: &dense.events,
        entity_count: dense.count,
        event_times: &table.event_times,
        known_times: Some(&table.known_times),
        ids: Some(&table.ids),
        columns: &columns,
    };
    let near = Points { entities: &dense.points, at: &at };
    [near, Points::at_events(&events)].map(|points| sweep(view, &events, &points).unwrap())
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let set = features();
    let world = World::new(30, 60_000, 9_000, HOUR_MICROS, 10 * SECOND_MICROS, Kind::Usual);
    for view in set.views() {
        let table = Table::new(view, &world);
        let [one, three] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| swept(view, &table).map(|values| bits(&values)))
        });
        assert!(one == three, "{}", view.name());
    }
}

const COUNTS: &str = r#"
name = "counts"
version = 1
[[view]]
name = "checkouts"
source = "checkout_submitted"
entity = ["buyer"]
features = [
    { aggregates = ["count"], windows = ["1h", "ever"] },
    { column = "total_usd_minor", aggregates = ["mean", "last"], windows = ["1h"] },
]
"#;

/// Sweeps the view above; an event is (entity, time, value).
fn sweep_rows(
    rows: &[(u32, i64, i64)],
    known_times: Option<&[i64]>,
    ids: Option<&[u128]>,
    points: &[(u32, i64)],
) -> Vec<Vec<f64>> {
    let set = FeatureSet::from_toml(COUNTS).unwrap();
    let (entities, times): (Vec<u32>, Vec<i64>) = rows.iter().map(|row| (row.0, row.1)).unzip();
    let values: Vec<i64> = rows.iter().map(|row| row.2).collect();
    let (point_entities, at): (Vec<u32>, Vec<i64>) = points.iter().copied().unzip();
    let events = Events {
        entities: &entities,
        entity_count: 4,
        event_times: &times,
        known_times,
        ids,
        columns: &[CellColumn::Integer { values: &values, valid: None }],
    };
    sweep(&set.views()[0], &events, &Points { entities: &point_entities, at: &at }).unwrap()
}

#[test]
fn without_events_points_read_nothing_and_without_an_entity_they_have_no_value() {
    let none = f64::NAN;
    let read = |rows: &[_]| bits(&sweep_rows(rows, None, None, &[(3, 50), (NO_ENTITY, 50)]));
    let nothing = bits(&[vec![0.0, none], vec![0.0, none], vec![none, none], vec![none, none]]);
    assert_eq!(read(&[]), nothing, "no event at all");
    assert_eq!(read(&[(2, 10, 1), (NO_ENTITY, 10, 1)]), nothing, "events of others and of nobody");
    assert_eq!(sweep_rows(&[(2, 10, 1)], None, None, &[]), vec![Vec::<f64>::new(); 4], "no point");
}

#[test]
fn of_rows_with_one_id_the_first_acknowledged_counts_wherever_it_happened() {
    let rows = [(0, 10, 1), (1, 20, 2), (0, 12, 4), (0, 12, 8)];
    let ids = [5, 5, 6, 6];
    let points = [(0, 100), (1, 100)];
    let values = bits(&sweep_rows(&rows, Some(&[90, 80, 70, 70]), Some(&ids), &points));
    assert_eq!(values[0], bits(&[vec![1.0, 1.0]])[0]);
    assert_eq!(values[3], bits(&[vec![4.0, 2.0]])[0], "the lesser known time, then the first of the rows");
}

#[test]
fn without_ids_every_row_is_an_event_and_the_later_row_of_one_time_is_the_last() {
    let values = sweep_rows(&[(0, 10, 1), (0, 10, 1), (0, 10, 9), (0, 5, 3)], None, None, &[(0, 10), (0, 11)]);
    assert_eq!(values, [[1.0, 4.0], [1.0, 4.0], [3.0, 3.5], [3.0, 9.0]]);
}

#[test]
fn columns_that_do_not_fit_are_refused_by_name() {
    let set = features();
    let view = view(&set, "common");
    let good = [CellColumn::Integer { values: &[1, 2], valid: None }];
    let events = Events {
        entities: &[0, 1],
        entity_count: 2,
        event_times: &[1, 2],
        known_times: None,
        ids: None,
        columns: &good,
    };
    let points = Points { entities: &[1], at: &[5] };
    let refused = |events: Events<'_>, points: Points<'_>| sweep(&view, &events, &points).err().map(|e| e.to_string());
    assert_eq!(refused(events, points), None);
    let cases = [
        (Events { event_times: &[1], ..events }, points, "event_times has 1 rows"),
        (Events { known_times: Some(&[1]), ..events }, points, "known_times has 1 rows"),
        (Events { ids: Some(&[1, 2, 3]), ..events }, points, "ids has 3 rows"),
        (Events { columns: &[], ..events }, points, "there are 0 columns"),
        (
            Events { columns: &[CellColumn::Integer { values: &[1], valid: None }], ..events },
            points,
            "column 0 has 1 rows",
        ),
        (
            Events { columns: &[CellColumn::Integer { values: &[1, 2], valid: Some(&[true]) }], ..events },
            points,
            "the validity of column 0 has 1 rows",
        ),
        (
            Events { columns: &[CellColumn::Float { values: &[1.0, 2.0], valid: None }], ..events },
            points,
            "holds Float",
        ),
        (Events { entity_count: 1, ..events }, points, "row 1 of the events names entity 1"),
        (events, Points { entities: &[2], ..points }, "row 0 of the points names entity 2"),
        (events, Points { at: &[], ..points }, "the points' `at` has 0 rows"),
        (events, Points { at: &[i64::MAX], ..points }, "row 0 of the points' `at` is"),
    ];
    for (events, points, wanted) in cases {
        let message = refused(events, points).unwrap();
        assert!(message.contains(wanted), "{message}, not {wanted}");
    }
}
