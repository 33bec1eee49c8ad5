//! A backfill from the lake equals the replay of the log bit for bit, whatever comes late, twice or at the same instant.

use std::sync::Arc;

use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_definitions::{FeatureSet, VectorPlan};
use dhow_events::facts::*;
use dhow_events::*;
use dhow_offline::backfill::{BackfillRequest, BackfilledSet, backfill};
use dhow_offline::{FolderStorage, LakeStorage, LakeWriter, TableFormat, TrainingSet, training_set};
use dhow_online::OnlineSettings;
use dhow_streams::{LocalLog, LocalLogSettings, Log, Offsets, Replay, Sink};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

const SETTINGS: OnlineSettings =
    OnlineSettings { allowed_lateness_micros: 3 * DAY_MICROS, duplicate_horizon_micros: 3 * DAY_MICROS };

/// Every shape of window, and aggregates of every kernel of the sweep.
const DEFINITIONS: &str = r#"
name = "backfilled"
version = 1

[[view]]
name = "buyer_checkouts"
source = "checkout_submitted"
entity = ["buyer"]
features = [
    { aggregates = ["count", "time_since_first", "time_since_last"], windows = ["1h", "7d", "ever"] },
    { column = "total_usd_minor", aggregates = ["sum", "mean", "variance", "min", "max", "last_3"], windows = ["1h", "30d"] },
    { column = "card", aggregates = ["distinct_count"], windows = ["7d", "ever"] },
    { column = "total_usd_minor", aggregates = ["sum", "decayed_sum_7d"], windows = ["7d"], hop = "1h", delay = "1d" },
]

[[view]]
name = "buyer_sign_ins"
source = "account_signed_in"
entity = ["buyer", "device"]
filter = "succeeded == true or region == 'GB'"
features = [{ aggregates = ["count"], windows = ["1h", "1d", "ever"] }]

[[view]]
name = "device_sign_ins"
source = "account_signed_in"
entity = ["device"]
features = [
    { aggregates = ["count"], windows = ["1d"] },
    { column = "buyer", aggregates = ["distinct_count"], windows = ["1d"] },
]

[[view]]
name = "device_returns"
source = "buyer_registered"
entity = ["device"]
features = [{ aggregates = ["count"], windows = ["ever"] }]

[[ratio]]
name = "share_today"
numerator = "buyer_checkouts_count_1h"
denominator = "buyer_checkouts_count_7d"

[[flag]]
name = "abroad"
source = "checkout_submitted"
filter = "region != delivery_region"
"#;

/// A log and the lake that the worker wrote of it.
struct Shop {
    log: LocalLog,
    folder: tempfile::TempDir,
}

impl Shop {
    fn of(arrivals: &[(Event, Timestamp)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = LocalLogSettings { partitions: 3, ..LocalLogSettings::default() };
        let log = LocalLog::open(&folder.path().join("log"), settings, Arc::new(SystemClock)).unwrap();
        arrivals.chunks(5000).for_each(|batch| drop(log.append_known(batch).unwrap()));
        let mut lake =
            LakeWriter::open(Arc::new(FolderStorage::new(folder.path().join("lake"))), Arc::new(SystemClock)).unwrap();
        let (mut offsets, ends) = (Offsets::start(log.partition_count()), Offsets::ends(&log).unwrap());
        for (count, record) in (1..).zip(Replay::new(&log, &offsets.clone(), &ends).unwrap()) {
            let record = record.unwrap();
            lake.apply(&record).unwrap();
            offsets.advance(&record);
            // Checkpoints in between make several files of each table.
            if count % 20_000 == 0 || offsets == ends {
                lake.checkpoint(&offsets).unwrap();
            }
        }
        Self { log, folder }
    }

    fn storage(&self) -> Arc<dyn LakeStorage> {
        Arc::new(FolderStorage::new(self.folder.path().join("lake")))
    }

    fn replayed(&self, definitions: &str, spine: FactKind, until: Timestamp) -> TrainingSet {
        let features = Arc::new(FeatureSet::from_toml(definitions).unwrap());
        let plan = VectorPlan::new(&features, spine).unwrap();
        training_set(&self.log, features, SETTINGS, &plan, TenantId::default(), until).unwrap()
    }

    fn request(&self, definitions: &str, spine: FactKind, until: Option<Timestamp>) -> BackfillRequest {
        BackfillRequest {
            tenant: TenantId::default(),
            definitions: definitions.to_owned(),
            schema_hash: FeatureSet::from_toml(definitions).unwrap().schema_hash(),
            spine,
            until,
            allowed_lateness_micros: SETTINGS.allowed_lateness_micros,
        }
    }

    /// Checks both engines against each other; gives the set.
    fn check(&self, definitions: &str, spine: FactKind, until: Option<Timestamp>) -> BackfilledSet {
        let replayed = self.replayed(definitions, spine, until.unwrap_or(Timestamp::MAX));
        let request = self.request(definitions, spine, until);
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let backfilled = threads.block_on(backfill(self.storage(), request)).unwrap();
        let spine: Vec<_> = replayed.spine.iter().map(|event| (event.id, event.event_time)).collect();
        assert_eq!(backfilled.spine, spine);
        assert_eq!((&backfilled.names, backfilled.too_late_count), (&replayed.names, replayed.too_late_count));
        let width = replayed.names.len();
        for (index, (found, wanted)) in backfilled.values.iter().zip(&replayed.values).enumerate() {
            let same = found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan());
            let (row, name) = (index / width, &replayed.names[index % width]);
            assert!(same, "{name} of row {row}, {}: {found} and not {wanted}", replayed.spine[row].event_time);
        }
        assert_eq!(backfilled.values.len(), replayed.values.len());
        backfilled
    }
}

fn simulated(days: u32, seed: u64) -> Vec<(Event, Timestamp)> {
    let settings = SimulationSettings {
        days,
        buyers: 4000,
        products: 100,
        sellers: 5,
        late_share: 0.05,
        duplicate_share: 0.01,
        ..SimulationSettings::at_scale(Scale::Small, seed)
    };
    Simulation::new(&settings).unwrap().map(|arrival| (arrival.event, arrival.arrives_at)).collect()
}

#[test]
fn a_backfill_of_a_simulated_market_equals_its_replay_for_every_spine() {
    let shop = Shop::of(&simulated(50, 3));
    let marketplace = include_str!("../../../definitions/src/marketplace.toml");
    for spine in [FactKind::CheckoutSubmitted, FactKind::ItemOrdered, FactKind::ProductViewed] {
        let set = shop.check(marketplace, spine, None);
        assert!(set.row_count() > 1000, "{} rows of {}", set.row_count(), spine.name());
        assert!(set.values.iter().filter(|value| **value > 0.0).count() > set.row_count());
        let until = set.spine[set.row_count() / 2].1;
        assert!(shop.check(marketplace, spine, Some(until)).row_count() < set.row_count());
    }
    // What is read back from Parquet is what was computed.
    let set = shop.check(marketplace, FactKind::CheckoutSubmitted, None);
    let [one, other] = ["one", "other"].map(|name| shop.folder.path().join(name));
    set.write(&one, TableFormat::Parquet).unwrap();
    shop.replayed(marketplace, FactKind::CheckoutSubmitted, Timestamp::MAX)
        .write(&other, TableFormat::Parquet)
        .unwrap();
    assert!(std::fs::read(one).unwrap() == std::fs::read(other).unwrap());
}

/// Events of few people on a coarse grid of times: ties of event times and known times, events known before they happen,
/// hours, days and months late, and copies.
fn adversarial(seed: u64, count: usize) -> Vec<(Event, Timestamp)> {
    const HOUR: i64 = DAY_MICROS / 24;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |bound: u64| random.next_u64() % bound;
    let mut known = 400 * DAY_MICROS;
    let mut arrivals: Vec<(Event, Timestamp)> = Vec::new();
    for number in 0..count {
        known += [0, 0, 0, 1, 1, HOUR / 4, HOUR, 5 * HOUR][below(8) as usize];
        let known_time = Timestamp::from_micros(known);
        if below(12) == 0 && !arrivals.is_empty() {
            // A copy of something recent or old: the same event, known again.
            let copied = arrivals[below(arrivals.len() as u64) as usize].0.clone();
            arrivals.push((copied, known_time));
            continue;
        }
        let late =
            [-1, 0, 0, 0, 1, HOUR, 2 * HOUR, DAY_MICROS, 4 * DAY_MICROS, 11 * DAY_MICROS, 45 * DAY_MICROS, -HOUR];
        let event_time = Timestamp::from_micros(known - late[below(12) as usize]);
        let (buyer, device) =
            (BuyerId::from_u128(1 + u128::from(below(3))), DeviceId::from_u128(9 + u128::from(below(2))));
        let region = Region::new(["GB", "NG"][below(2) as usize]).unwrap();
        let fact = match below(5) {
            0 | 1 => Fact::from(AccountSignedIn { buyer, device, region, succeeded: below(2) == 0 }),
            2 => BuyerRegistered { buyer, region, device: (below(2) == 0).then_some(device) }.into(),
            _ => checkout(buyer, (below(3) > 0).then_some(device), region, number, below(1000) as i64).into(),
        };
        let tenant = if below(9) == 0 { TenantId::new("ten_other").unwrap() } else { TenantId::default() };
        arrivals.push((Event { id: EventId::from_u128(number as u128), tenant, event_time, fact }, known_time));
    }
    arrivals
}

fn checkout(buyer: BuyerId, device: Option<DeviceId>, region: Region, number: usize, cents: i64) -> CheckoutSubmitted {
    CheckoutSubmitted {
        buyer,
        checkout: CheckoutId::from_u128(number as u128),
        session: None,
        device,
        card: (cents % 3 > 0).then(|| CardId::from_u128((cents % 5) as u128)),
        address: None,
        region,
        delivery_region: Region::new("GB").unwrap(),
        payment_method: "card".into(),
        line_count: 1,
        quantity: 1,
        total: Money::usd(cents),
        total_usd_minor: cents,
    }
}

#[test]
fn ties_copies_and_late_events_change_a_backfill_as_they_change_a_replay() {
    let (mut rows, mut too_late) = (0, 0);
    for seed in 0..40 {
        let shop = Shop::of(&adversarial(seed, 600));
        let set = shop.check(DEFINITIONS, FactKind::CheckoutSubmitted, None);
        rows += set.row_count();
        too_late += set.too_late_count;
        shop.check(DEFINITIONS, FactKind::AccountSignedIn, Some(Timestamp::from_micros(420 * DAY_MICROS)));
    }
    assert!(rows > 5000 && too_late > 500, "{rows} rows, {too_late} too late");
}

#[test]
fn a_backfill_of_an_empty_lake_has_no_rows_and_one_of_other_definitions_is_refused() {
    let shop = Shop::of(&[]);
    let set = shop.check(DEFINITIONS, FactKind::CheckoutSubmitted, None);
    assert_eq!(set.row_count(), 0);
    let threads = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut request = shop.request(DEFINITIONS, FactKind::CheckoutSubmitted, None);
    request.definitions = DEFINITIONS.replace("\"30d\"", "\"29d\"");
    let refused = threads.block_on(backfill(shop.storage(), request)).unwrap_err().to_string();
    assert!(refused.contains("schema hash"), "{refused}");
    let request = shop.request(DEFINITIONS, FactKind::ProductListed, None);
    let refused = threads.block_on(backfill(shop.storage(), request)).unwrap_err().to_string();
    assert!(refused.contains("no view of `backfilled` has an entity that `product_listed` names"), "{refused}");
}
