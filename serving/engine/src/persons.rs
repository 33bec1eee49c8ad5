//! Persons who ask what is held of them, and who are erased: from the database, the log, the lake and the state in memory, one after the other.
//!
//! An erasure is first in force and then carried out: from the moment it is asked for, whatever names the person enters the
//! log under the pseudonym, so nothing that was on its way comes behind. Each step leaves alone what it did before; a process
//! that ends on the way begins again.

use std::sync::Arc;
use std::time::Duration;

use dhow_commerce::{
    ERASURE_PASSES_MAX, ErasureCounts, ErasureRecord, PersonPlace, PersonRows, PersonStorage, StorageError,
};
use dhow_events::{BuyerId, Erasure, ErasureId, Event, PersonThings, TenantId};
use dhow_links::LinkIndex;
use dhow_offline::LakeWriter;
use dhow_online::OnlineStore;
use dhow_streams::{Offsets, Record, Replay, Watermark};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use crate::engine::IDLE_PARTITION_MICROS;
use crate::error::failed;
use crate::priority::beside_requests;
use crate::sink::join;
use crate::tasks::{RETRY_PAUSE, stopped};
use crate::{Engine, EngineError, ViewReading};

/// How often erasures are looked for.
const ERASE_PAUSE: Duration = Duration::from_millis(500);
/// How many are read at once.
const ERASURES_AT_ONCE: u32 = 10;
/// While state is built anew, what no read can reach is freed after each so many records.
const FREED_AFTER_RECORDS: u64 = 100_000;
/// Records of the log that one page of an export looks at, at most.
const EXPORT_RECORDS_LOOKED_AT_MAX: usize = 20_000;
/// Records of the log that are read at once.
const RECORDS_AT_ONCE: usize = 1_000;
const PART: &str = "erasures";

/// Who was erased: for each mark the pseudonym.
#[derive(Default)]
pub(crate) struct Erased(RwLock<FxHashMap<(TenantId, String), BuyerId>>);

impl Erased {
    /// All who were or are being erased.
    pub async fn open(store: &dhow_store::Store) -> Result<Self, StorageError> {
        let marks = store.erased_marks().await?;
        Ok(Self(RwLock::new(marks.into_iter().map(|(tenant, mark, pseudonym)| ((tenant, mark), pseudonym)).collect())))
    }

    fn insert(&self, record: &ErasureRecord) {
        self.0.write().insert((record.tenant, record.mark.clone()), record.pseudonym);
    }

    fn pseudonym(&self, tenant: TenantId, person: BuyerId) -> Option<BuyerId> {
        let erased = self.0.read();
        // A mark is a hash: none is made where nobody was erased.
        if erased.is_empty() { None } else { erased.get(&(tenant, Erasure::mark(tenant, person))).copied() }
    }

    /// Events as they may enter the log.
    pub fn admit(&self, events: Vec<Event>) -> Result<Vec<Event>, EngineError> {
        if self.0.read().is_empty() {
            return Ok(events);
        }
        let admit = |event: Event| {
            let persons: Vec<BuyerId> = Erasure::persons(&event).collect();
            persons.into_iter().try_fold(event, |event, person| {
                let tenant = event.tenant;
                let Some(pseudonym) = self.pseudonym(tenant, person) else { return Ok(event) };
                let erasure = Erasure { tenant, person, pseudonym, things: PersonThings::default() };
                erasure.rewritten(event).map_err(failed(PART))
            })
        };
        events.into_iter().map(admit).collect()
    }
}

/// A place in what is held of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportPlace {
    /// In the database.
    Database(PersonPlace),
    /// In the log: a partition, and the offset of the next record.
    Log(u32, u64),
    /// The features, which come last.
    Features,
}

/// A part of what is held of a person.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportPart {
    /// Rows of the database.
    Rows(PersonRows),
    /// Events of the log.
    Events(Vec<Event>),
    /// Features as they stand now.
    Features(Vec<ViewReading>),
}

impl Engine {
    /// Asks for the erasure of a person; one that was asked for before is given again. It is carried out beside the requests.
    ///
    /// # Errors
    /// The log or the features are kept where nothing can be taken out; the database fails.
    pub async fn ask_erasure(&self, tenant: TenantId, person: BuyerId) -> Result<ErasureRecord, EngineError> {
        if !self.can_erase() {
            let words = "a person is erased where the log and the features are kept by this server; records of a Kafka topic \
                         and state in Redis are not rewritten: let the topic's retention remove them";
            return Err(EngineError::Conflict(words.to_owned()));
        }
        let now = self.clock().now();
        let record = ErasureRecord {
            tenant,
            id: ErasureId::at(now, self.random()),
            mark: Erasure::mark(tenant, person),
            // Not of the time of the erasure, which others may know.
            pseudonym: BuyerId::from_reference(&tenant, &format!("pseudonym/{:032x}", self.random())),
            person: Some(person),
            things: PersonThings::default(),
            counts: ErasureCounts::default(),
            asked_at: now,
            done_at: None,
        };
        let record = self.store().ask_erasure(&record).await?;
        self.erased().insert(&record);
        Ok(record)
    }

    /// An erasure and how far it came.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn erasure(&self, tenant: TenantId, id: ErasureId) -> Result<ErasureRecord, EngineError> {
        let found = self.store().erasure(tenant, id).await?;
        found.ok_or_else(|| EngineError::NotFound(format!("erasure {id}")))
    }

    /// Whether a person was erased, or is being.
    pub fn is_erased(&self, tenant: TenantId, person: BuyerId) -> bool {
        self.erased().pseudonym(tenant, person).is_some()
    }

    /// Carries out what was asked for.
    pub(crate) async fn erase_persons(self: &Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = match self.erase_once().await {
                Ok(()) => ERASE_PAUSE,
                Err(error) => {
                    tracing::error!(%error, "an erasure waits; trying again");
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    async fn erase_once(self: &Arc<Self>) -> Result<(), EngineError> {
        for record in self.store().erasures_under_way(ERASURES_AT_ONCE).await? {
            self.erased().insert(&record);
            self.carry_out(record).await?;
        }
        Ok(())
    }

    async fn carry_out(self: &Arc<Self>, mut record: ErasureRecord) -> Result<(), EngineError> {
        let Some(erasure) = record.erasure() else { return Ok(()) };
        // What is known to be the person's is written down before anything is changed: afterwards nothing tells it any more.
        let engine = self.clone();
        let erasure = beside_requests(move || engine.learn(erasure)).await.map_err(failed(PART))??;
        record.things.clone_from(&erasure.things);
        self.store().write_erasure(&record).await?;
        let mut passes = 0;
        loop {
            let changed = self.store().erase_in_database(&erasure).await?;
            record.counts.database_rows += changed;
            passes += 1;
            match changed {
                0 => break,
                _ if passes == ERASURE_PASSES_MAX => {
                    let reason = format!("the database still told of the person after {passes} passes");
                    return Err(EngineError::Failed { part: PART, reason });
                }
                _ => {}
            }
        }
        self.store().write_erasure(&record).await?;
        let engine = self.clone();
        let erased = beside_requests(move || engine.erase_from_state(&erasure)).await;
        let (log_records, lake_files) = erased.map_err(failed(PART))??;
        record.counts.log_records += log_records;
        record.counts.lake_files += lake_files;
        record.done_at = Some(self.clock().now());
        self.store().write_erasure(&record).await?;
        tracing::info!(erasure = %record.id, ?record.counts, "a person was erased");
        Ok(())
    }

    /// Reads the person's visits and orders from the log.
    fn learn(&self, mut erasure: Erasure) -> Result<Erasure, EngineError> {
        let log = self.log();
        let ends = Offsets::ends(log).map_err(failed("log"))?;
        for record in Replay::new(log, &Offsets::start(log.partition_count()), &ends).map_err(failed("log"))? {
            erasure.learn(&record.map_err(failed("log"))?.event).map_err(failed(PART))?;
        }
        Ok(erasure)
    }

    /// Takes the person out of log, lake and memory while the stream worker rests; gives how many records and files changed.
    fn erase_from_state(&self, erasure: &Erasure) -> Result<(u64, u64), EngineError> {
        let _alone = self.worker_turn().lock();
        self.stop()?;
        let erased = self.erase_at_rest(erasure);
        self.start_again()?;
        erased
    }

    fn erase_at_rest(&self, erasure: &Erasure) -> Result<(u64, u64), EngineError> {
        let change =
            |event: &Event, record: &mut [u8]| erasure.rewrite(event, record).map_err(|error| error.to_string());
        let records = self.log().rewrite(&change).map_err(failed("log"))?;
        let mut lake =
            LakeWriter::open(self.lake().clone(), self.shared().stopwatch.clone()).map_err(failed("lake"))?;
        let files = lake.erase(erasure).map_err(failed("lake"))?;
        drop(lake);
        self.build_state_anew()?;
        Ok((records, files as u64))
    }

    /// Builds features and links from the log, as far as they had come, and puts them in the place of those there are:
    /// requests read the ones or the others.
    fn build_state_anew(&self) -> Result<(), EngineError> {
        let Some(online) = &self.shared().online else { return Ok(()) };
        let (log, stopwatch) = (self.log(), &self.shared().stopwatch);
        let count = log.partition_count();
        let (features_to, links_to) = (online.offsets(count), self.shared().links.offsets());
        let ends = Offsets::ends(log).map_err(failed("log"))?;
        let to = join(&join(&features_to, &links_to, u64::max), &ends, u64::min);
        let fresh = OnlineStore::new(self.features().clone(), *self.online_settings());
        let mut links = LinkIndex::new(self.link_settings());
        let mut watermark = Watermark::new(count, IDLE_PARTITION_MICROS, stopwatch.now());
        let before = |offsets: &Offsets, record: &Record| {
            offsets.0.get(record.partition as usize).is_some_and(|next| record.offset < *next)
        };
        let records = Replay::new(log, &Offsets::start(count), &to).map_err(failed("log"))?;
        for (number, record) in (1_u64..).zip(records) {
            let record = record.map_err(failed("log"))?;
            if before(&features_to, &record) {
                fresh.apply(&record.event, record.known_time, (record.partition, record.offset));
                watermark.observe(record.partition, record.event.event_time, stopwatch.now()).map_err(failed("log"))?;
            }
            if before(&links_to, &record) {
                links.apply(&record.event, record.known_time);
            }
            if number % FREED_AFTER_RECORDS == 0
                && let Some(watermark) = watermark.at(stopwatch.now())
            {
                fresh.expire(watermark);
            }
        }
        online.take_over(fresh);
        online.save(&self.folders().snapshot).map_err(failed("feature snapshot"))?;
        self.shared().links.take_over(links, links_to);
        self.shared().links.save()
    }

    /// The next part of what is held of a person, and where to go on: rows of the database, events of the log, features. A
    /// part may be empty and not be the last.
    ///
    /// # Errors
    /// A place that is none; a part of the platform fails.
    pub async fn export_person(
        self: &Arc<Self>,
        tenant: TenantId,
        person: BuyerId,
        from: Option<ExportPlace>,
        limit: u32,
    ) -> Result<(ExportPart, Option<ExportPlace>), EngineError> {
        let place = match from {
            None => None,
            Some(ExportPlace::Database(place)) => Some(place),
            Some(ExportPlace::Log(partition, offset)) => {
                let engine = self.clone();
                let exported = move || engine.exported_events((tenant, person), partition, offset, limit as usize);
                let (events, next) = tokio::task::spawn_blocking(exported).await.map_err(failed("log"))??;
                return Ok((ExportPart::Events(events), Some(next)));
            }
            Some(ExportPlace::Features) => {
                let readings = self.entity_features(tenant, &person.to_string())?;
                return Ok((ExportPart::Features(readings), None));
            }
        };
        let rows = self.store().person_rows(tenant, person, place.as_ref(), limit).await;
        let rows = rows.map_err(|error| match error {
            StorageError::Rule { .. } => foreign_cursor(),
            other => other.into(),
        })?;
        let next = rows.next.clone().map_or(ExportPlace::Log(0, 0), ExportPlace::Database);
        Ok((ExportPart::Rows(rows), Some(next)))
    }

    fn exported_events(
        &self,
        (tenant, person): (TenantId, BuyerId),
        partition: u32,
        offset: u64,
        limit: usize,
    ) -> Result<(Vec<Event>, ExportPlace), EngineError> {
        let log = self.log();
        if partition >= log.partition_count() || offset > log.end(partition).map_err(failed("log"))? {
            return Err(foreign_cursor());
        }
        let (mut events, mut next, mut looked_at) = (Vec::new(), offset, 0);
        while looked_at < EXPORT_RECORDS_LOOKED_AT_MAX && events.len() < limit {
            let mut records = Vec::new();
            log.read(partition, next, RECORDS_AT_ONCE, &mut records).map_err(failed("log"))?;
            if records.is_empty() {
                let last = partition + 1 == log.partition_count();
                let place = if last { ExportPlace::Features } else { ExportPlace::Log(partition + 1, 0) };
                return Ok((events, place));
            }
            for record in records {
                if events.len() == limit {
                    break;
                }
                (next, looked_at) = (record.offset + 1, looked_at + 1);
                if record.event.tenant == tenant && Erasure::persons(&record.event).any(|named| named == person) {
                    events.push(record.event);
                }
            }
        }
        Ok((events, ExportPlace::Log(partition, next)))
    }
}

fn foreign_cursor() -> EngineError {
    EngineError::invalid("/cursor", "is not a cursor of this export; give back the `next` of before")
}
