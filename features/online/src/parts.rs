//! The state of a share as parts under names, for storage that keeps values by name; what keeps them is elsewhere.
//!
//! A series is one part, named by view, entity and tenant, so that whoever knows these can read it without the rest; the
//! ids of recent events are appended to one part for each generation; all else is the progress.

use std::sync::Arc;

use dhow_definitions::FeatureSet;
use dhow_events::{TenantId, Timestamp};

use crate::encoding;
use crate::layout::Layout;
use crate::reads::check_view;
use crate::recent::SeenId;
use crate::series::{Series, cut, read_nothing};
use crate::state::{Progress, SeriesKey, State};
use crate::{Cut, ReadError, Share};

/// The format of parts. State in another format is no state: name where parts lie after it.
pub const PARTS_VERSION: u32 = 1;

/// The most series that are written or removed in one save only because memory was freed; the others follow with the
/// next saves.
pub const FREED_SERIES_MAX: usize = 65_536;

/// Bytes of an id: the tenant's number and the event's id.
const ID_BYTES: usize = 20;

/// Parts that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// A part is not what it should be.
    #[error("the {part} is not what was saved: {reason}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The parts are of another share.
    #[error("the state is of share {found}, not of {wanted}: it was kept by a fleet of another size")]
    OtherShare {
        /// The share of the parts.
        found: Share,
        /// The share asked for.
        wanted: Share,
    },
    /// The store is not of a share.
    #[error("the store was not made to be saved in parts; make it with `OnlineStore::with_share`")]
    Whole,
}

impl PartsError {
    fn malformed(part: &'static str) -> impl FnOnce(postcard::Error) -> Self {
        move |error| Self::Malformed { part, reason: error.to_string() }
    }
}

/// What differs from the state saved before. All of it is to be saved, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// How far the log is applied, for readers.
    pub cut: Cut,
    /// All that is neither a series nor an id, to be saved over what was there.
    pub progress: Vec<u8>,
    /// Names and values of series to be saved over what was there.
    pub written: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names of series to be removed.
    pub removed: Vec<Vec<u8>>,
    /// The generation of ids that is being noted. It and the one before are needed, earlier ones are not.
    pub generation: i64,
    /// Ids to be appended to those of a generation.
    pub ids: Vec<(i64, Vec<u8>)>,
}

impl Changes {
    /// Bytes of everything in it.
    pub fn bytes(&self) -> usize {
        let written: usize = self.written.iter().map(|(name, value)| name.len() + value.len()).sum();
        let removed: usize = self.removed.iter().map(Vec::len).sum();
        let ids: usize = self.ids.iter().map(|(_, ids)| ids.len()).sum();
        self.progress.len() + written + removed + ids
    }
}

/// The name of the series of view number `view` for entity `id` of `tenant`: at most 41 bytes.
pub fn series_name(tenant: TenantId, view: u16, id: u128) -> Vec<u8> {
    [&view.to_be_bytes()[..], &id.to_be_bytes()[..], tenant.as_str().as_bytes()].concat()
}

fn parse_series_name(name: &[u8]) -> Option<(TenantId, u16, u128)> {
    let (view, rest) = name.split_first_chunk()?;
    let (id, tenant) = rest.split_first_chunk()?;
    let tenant = TenantId::new(std::str::from_utf8(tenant).ok()?).ok()?;
    Some((tenant, u16::from_be_bytes(*view), u128::from_be_bytes(*id)))
}

/// The series that a save takes up: all that changed, and some of those that were only freed.
pub(crate) fn unsaved_keys(state: &State) -> Result<Vec<SeriesKey>, PartsError> {
    let unsaved = state.unsaved.as_ref().ok_or(PartsError::Whole)?;
    let only_freed = unsaved.freed.difference(&unsaved.changed).take(FREED_SERIES_MAX);
    Ok(unsaved.changed.iter().chain(only_freed).copied().collect())
}

/// The parts of these series, and all that is no series.
pub(crate) fn changes(state: &State, keys: &[SeriesKey]) -> Result<Changes, PartsError> {
    let mut tenants: Vec<TenantId> = vec![TenantId::default(); state.progress.tenants.len()];
    state.progress.tenants.iter().for_each(|(tenant, number)| tenants[*number as usize] = *tenant);
    let (mut written, mut removed) = (Vec::new(), Vec::new());
    for key in keys {
        let name = series_name(tenants[key.tenant() as usize], key.view() as u16, key.id());
        match state.series(key) {
            None => removed.push(name),
            Some(series) => {
                let value = encoding::encode(series, Vec::new()).map_err(PartsError::malformed("series"))?;
                written.push((name, value));
            }
        }
    }
    let ids = state.progress.recent.unsaved().into_iter().map(|(generation, ids)| (generation, encode_ids(&ids)));
    let progress = postcard::to_extend(&(state.share, &state.progress), Vec::new());
    Ok(Changes {
        cut: state.cut(),
        progress: progress.map_err(PartsError::malformed("progress"))?,
        written,
        removed,
        generation: state.progress.recent.generation(),
        ids: ids.collect(),
    })
}

/// Notes that these series, and all that is no series, were saved.
pub(crate) fn note_saved(state: &mut State, keys: &[SeriesKey]) {
    if let Some(unsaved) = &mut state.unsaved {
        unsaved.changed.clear();
        for key in keys {
            unsaved.freed.remove(key);
        }
        if unsaved.freed.is_empty() {
            unsaved.freed.shrink_to_fit();
        }
    }
    state.progress.recent.note_saved();
}

fn encode_ids(ids: &[SeenId]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ids.len() * ID_BYTES);
    for (tenant, high, low) in ids {
        bytes.extend_from_slice(&tenant.to_le_bytes());
        bytes.extend_from_slice(&high.to_le_bytes());
        bytes.extend_from_slice(&low.to_le_bytes());
    }
    bytes
}

fn decode_ids(bytes: &[u8]) -> Option<Vec<SeenId>> {
    let (ids, []) = bytes.as_chunks::<ID_BYTES>() else { return None };
    let id = |id: &[u8; ID_BYTES]| {
        let (tenant, rest) = id.split_first_chunk()?;
        let (high, rest) = rest.split_first_chunk()?;
        Some((u32::from_le_bytes(*tenant), u64::from_le_bytes(*high), u64::from_le_bytes(*rest.first_chunk()?)))
    };
    ids.iter().map(id).collect()
}

/// Puts saved parts together again; [`crate::OnlineStore::from_parts`] makes a store of them.
#[derive(Debug)]
pub struct Parts {
    pub(crate) state: State,
    generation: i64,
    ids: [Vec<SeenId>; 2],
}

impl Parts {
    /// Begins with [`Changes::progress`] and [`Changes::generation`] of the latest save.
    ///
    /// # Errors
    /// They are damaged, or of another share.
    pub fn new(features: Arc<FeatureSet>, share: Share, progress: &[u8], generation: i64) -> Result<Self, PartsError> {
        let (found, progress) =
            postcard::from_bytes::<(Share, Progress)>(progress).map_err(PartsError::malformed("progress"))?;
        if found != share {
            return Err(PartsError::OtherShare { found, wanted: share });
        }
        let mut state = State::of_share(features, share);
        state.progress = progress;
        Ok(Self { state, generation, ids: Default::default() })
    }

    /// Adds a series, in any order; a second one of a name takes the place of the first.
    ///
    /// # Errors
    /// It is damaged, or of a tenant that the progress does not know.
    pub fn series(&mut self, name: &[u8], value: &[u8]) -> Result<(), PartsError> {
        let malformed = |reason: String| PartsError::Malformed { part: "series", reason };
        let key = parse_series_name(name)
            .and_then(|(tenant, view, id)| Some(SeriesKey::new(id, *self.state.progress.tenants.get(&tenant)?, view)));
        let known = key.and_then(|key| Some((key, self.state.layouts.get(key.view())?)));
        let (key, layout) = known.ok_or_else(|| malformed(format!("its name is {}", name.escape_ascii())))?;
        let mut series = decode_whole(layout, value)?;
        series.build_index(layout);
        self.state.shards[key.shard()].insert(key, series);
        Ok(())
    }

    /// Adds ids of a generation: of that of [`Changes::generation`] or of the one before it.
    ///
    /// # Errors
    /// They are damaged, or of another generation.
    pub fn ids(&mut self, generation: i64, bytes: &[u8]) -> Result<(), PartsError> {
        let malformed = |reason: String| PartsError::Malformed { part: "list of ids", reason };
        let age = usize::try_from(self.generation - generation).ok();
        let place = age.and_then(|age| self.ids.get_mut(age));
        let place = place.ok_or_else(|| malformed(format!("it is of generation {generation}")))?;
        place.extend(decode_ids(bytes).ok_or_else(|| malformed(format!("it has {} bytes", bytes.len())))?);
        Ok(())
    }

    /// The state, in which what expired since it was saved is freed again.
    pub(crate) fn finish(self) -> State {
        let Self { mut state, generation, ids: [current, previous] } = self;
        state.progress.recent.restore(vec![(generation - 1, previous), (generation, current)]);
        state.progress.recent.restore_generation(generation);
        state.progress.recent.note_saved();
        if let Some(reads_from) = state.progress.reads_from {
            (0..state.shards.len()).for_each(|shard| state.expire_shard(shard, reads_from));
        }
        state
    }
}

/// The series, without an index, that is all of `value`.
fn decode_whole(layout: &Layout, value: &[u8]) -> Result<Series, PartsError> {
    let malformed = |reason: String| PartsError::Malformed { part: "series", reason };
    match encoding::decode(layout, value).map_err(|error| malformed(error.to_string()))? {
        (series, []) => Ok(series),
        (_, rest) => Err(malformed(format!("{} bytes follow its end", rest.len()))),
    }
}

/// Reads features from single parts, one entity at a time, without the rest of the state.
#[derive(Debug)]
pub struct PartReader {
    features: Arc<FeatureSet>,
    layouts: Vec<Layout>,
}

impl PartReader {
    /// A reader of parts of these features.
    pub fn new(features: Arc<FeatureSet>) -> Self {
        let layouts = features.views().iter().map(Layout::new).collect();
        Self { features, layouts }
    }

    /// The features that are read.
    pub fn features(&self) -> &Arc<FeatureSet> {
        &self.features
    }

    /// The name of a series to be read, as [`series_name`] gives it.
    ///
    /// # Errors
    /// No such view, or a view of a table.
    pub fn name(&self, tenant: TenantId, view: usize, id: u128) -> Result<Vec<u8>, ReadError> {
        check_view(&self.features, view)?;
        Ok(series_name(tenant, view as u16, id))
    }

    /// Appends the features of view number `view` at `at` to `out`, from the value of the entity's series or from none,
    /// saved together with `cut`. Gives when the latest of the events that are kept happened.
    ///
    /// # Errors
    /// `at` lies before what is kept, or the value is damaged; `out` is then unchanged.
    pub fn read(
        &self,
        view: usize,
        value: Option<&[u8]>,
        saved: &Cut,
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<Option<Timestamp>, ReadError> {
        saved.check(at)?;
        check_view(&self.features, view)?;
        let layout = &self.layouts[view];
        let series = value.map(|value| decode_whole(layout, value)).transpose();
        let mut series = series.map_err(|error| ReadError::Unavailable(error.to_string()))?;
        if let (Some(series), Some(reads_from)) = (&mut series, saved.reads_from) {
            series.expire(layout, cut(layout, reads_from), reads_from.micros());
        }
        let first = out.len();
        out.resize(first + layout.feature_count, f64::NAN);
        let mut folds = Vec::new();
        match series {
            None => {
                read_nothing(layout, at, &mut folds, &mut out[first..]);
                Ok(None)
            }
            Some(series) => {
                series.read(layout, at, &mut folds, &mut out[first..]);
                Ok(series.latest_event_time(layout))
            }
        }
    }
}
