//! Which version of which model serves: loading beside what serves, the swap, the way back; where models come from is the source's.

use std::sync::Arc;

use dhow_events::{Clock, TenantId};
use futures::channel::oneshot;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use tokio::sync::Semaphore;

use crate::describe::{IndexEntry, ModelConfig, ModelMetadata};
use crate::error::{ErrorKind, InferenceError};
use crate::figures::ModelStatistics;
use crate::model::Model;
use crate::request::{InferAnswer, InferRequest};
use crate::served::{ModelBounds, Scheduler, Served};
use crate::trial::{OUTCOMES_MAX, Outcome, Trial, TrialReport, TrialSettings};

/// The most names under which a tenant may have models loaded at once.
pub const LOADED_MODELS_MAX: usize = 64;

/// A model that could be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The name by which it is asked for.
    pub name: String,
    /// The version.
    pub version: String,
}

/// Where models come from. Its calls may block.
pub trait ModelSource: Send + Sync + 'static {
    /// Every model of the tenant under every name by which it can be asked for.
    ///
    /// # Errors
    /// The source fails.
    fn list(&self, tenant: TenantId) -> Result<Vec<Registered>, InferenceError>;

    /// The version that stands behind a name now, or the one that is asked for, where it belongs to the name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or the source fails.
    fn find(&self, tenant: TenantId, name: &str, version: Option<&str>) -> Result<String, InferenceError>;

    /// Opens a version that [`find`](Self::find) gave.
    ///
    /// # Errors
    /// It cannot be served, or the source fails.
    fn open(&self, tenant: TenantId, version: &str) -> Result<Arc<dyn Model>, InferenceError>;

    /// Does work that loads a model, on a thread where it keeps no request waiting.
    fn run_load(&self, work: Box<dyn FnOnce() + Send>);
}

/// How models are served.
pub struct InferenceSettings {
    /// The bounds of each model.
    pub bounds: ModelBounds,
    /// Loads at once; one more waits.
    pub loads_max: usize,
    /// Where models run.
    pub scheduler: Arc<dyn Scheduler>,
    /// The clock that deadlines and figures are read by.
    pub clock: Arc<dyn Clock>,
}

/// What answers a name: a version, the one before it, which is kept for the way back, and one on trial.
#[derive(Clone)]
struct Slot {
    current: Arc<Served>,
    before: Option<Arc<Served>>,
    trial: Option<Arc<Trial>>,
}

impl Slot {
    /// Every loaded version, once.
    fn loaded(&self) -> impl Iterator<Item = &Arc<Served>> {
        // On trial may be what served before.
        let of_trial = self.trial.iter().map(|trial| &trial.candidate);
        let of_trial = of_trial.filter(|tried| !self.before.iter().any(|before| Arc::ptr_eq(before, tried)));
        std::iter::once(&self.current).chain(&self.before).chain(of_trial)
    }

    /// Puts a version in force, keeps the one before, ends a trial; gives back what is kept no more.
    fn change_to(&mut self, served: Arc<Served>) -> (Option<Arc<Served>>, Option<Arc<Trial>>) {
        let trial = self.trial.take();
        if let Some(trial) = &trial {
            trial.stop("another version was put in force");
        }
        (self.before.replace(std::mem::replace(&mut self.current, served)), trial)
    }
}

/// What answers a request, fixed when it comes: a change of the model meanwhile does not touch it.
pub struct Entry(Answering);

enum Answering {
    One(Arc<Served>),
    Trial(Arc<Trial>),
}

impl Entry {
    /// Answers a request.
    ///
    /// # Errors
    /// As [`Served::infer`].
    pub async fn infer(&self, request: InferRequest) -> Result<InferAnswer, InferenceError> {
        match &self.0 {
            Answering::One(served) => served.infer(request).await,
            Answering::Trial(trial) => trial.infer(request).await,
        }
    }
}

type Slots = FxHashMap<TenantId, FxHashMap<String, Slot>>;

/// The loaded models of all tenants.
pub struct Inference {
    source: Arc<dyn ModelSource>,
    settings: InferenceSettings,
    slots: Arc<RwLock<Slots>>,
    loads: Semaphore,
}

impl Inference {
    /// Nothing is loaded.
    pub fn new(source: Arc<dyn ModelSource>, settings: InferenceSettings) -> Self {
        let loads = Semaphore::new(settings.loads_max.max(1));
        Self { source, settings, slots: Arc::default(), loads }
    }

    /// The version that answers a name, or the one that is asked for where it is still loaded.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: it is not loaded.
    pub fn served(&self, tenant: TenantId, name: &str, version: Option<&str>) -> Result<Arc<Served>, InferenceError> {
        let slots = self.slots.read();
        let slot = slots.get(&tenant).and_then(|slots| slots.get(name));
        let slot = slot.ok_or_else(|| {
            InferenceError::not_found(format!(
                "model `{name}` is not loaded; `GET /v2/repository/index` lists what can be"
            ))
        })?;
        let Some(version) = version else { return Ok(slot.current.clone()) };
        slot.loaded()
            .find(|served| served.version() == version)
            .cloned()
            .ok_or_else(|| InferenceError::not_found(format!("version `{version}` of model `{name}` is not loaded")))
    }

    /// What answers a request of a name: the version in force, with the one on trial where there is one, or the version that is
    /// asked for.
    ///
    /// # Errors
    /// As [`served`](Self::served).
    pub fn entry(&self, tenant: TenantId, name: &str, version: Option<&str>) -> Result<Entry, InferenceError> {
        let served = self.served(tenant, name, version)?;
        let trial = self.trial_of(tenant, name).filter(|trial| version.is_none() && trial.is_running());
        Ok(Entry(trial.map_or(Answering::One(served), Answering::Trial)))
    }

    /// Answers a request with what answers the name when it comes.
    ///
    /// # Errors
    /// As [`entry`](Self::entry) and [`Entry::infer`].
    pub async fn infer(
        &self,
        tenant: TenantId,
        name: &str,
        version: Option<&str>,
        request: InferRequest,
    ) -> Result<InferAnswer, InferenceError> {
        self.entry(tenant, name, version)?.infer(request).await
    }

    /// Loads what stands behind a name now, or the version that is asked for, beside what serves, checks it and puts it in
    /// force at once. What served before stays loaded: to load it again is the way back, and takes no time; so does loading the
    /// version on trial. A trial ends with a change. The version in force is not loaded anew, for a version never changes.
    ///
    /// # Errors
    /// There is no such model, it cannot be served, or it takes other inputs or gives other outputs than the one in force:
    /// callers of a name can rely on them. What serves then goes on.
    pub async fn load(&self, tenant: TenantId, name: &str, version: Option<&str>) -> Result<(), InferenceError> {
        let (slots, name, version) = (self.slots.clone(), name.to_owned(), version.map(str::to_owned));
        self.at_a_load(move |loader| {
            let version = loader.source.find(tenant, &name, version.as_deref())?;
            if swap_to_loaded(&mut slots.write(), tenant, &name, &version) {
                return Ok(());
            }
            room_for(&slots.read(), tenant, &name)?;
            let served = loader.open(tenant, &name, &version)?;
            put_in_force(&slots, tenant, served)
        })
        .await
    }

    /// Loads a version beside the one in force and tries it on a share of the name's requests, instead of what was tried
    /// before. The version may be one of another name, such as `fraud.challenger` beside `fraud.champion`. A trial lives as
    /// long as the process.
    ///
    /// # Errors
    /// Settings that cannot be, nothing in force, the same version, or as [`load`](Self::load).
    pub async fn begin_trial(
        &self,
        tenant: TenantId,
        name: &str,
        (of_name, version): (&str, Option<&str>),
        settings: TrialSettings,
    ) -> Result<TrialReport, InferenceError> {
        settings.check()?;
        self.served(tenant, name, None)?;
        let (slots, name) = (self.slots.clone(), name.to_owned());
        let (of_name, version) = (of_name.to_owned(), version.map(str::to_owned));
        self.at_a_load(move |loader| {
            let version = loader.source.find(tenant, &of_name, version.as_deref())?;
            let known = slots.read().get(&tenant).and_then(|slots| {
                let served = slots.get(&name)?.loaded().find(|served| served.version() == version)?;
                Some(served.clone())
            });
            let candidate = known.map_or_else(|| loader.open(tenant, &name, &version), Ok)?;
            try_beside(&slots, tenant, candidate, settings, loader.clock)
        })
        .await
    }

    /// What the trial of a name found; a stopped one is told until the next begins or the model changes.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: nothing is tried.
    pub fn trial(&self, tenant: TenantId, name: &str) -> Result<TrialReport, InferenceError> {
        self.served(tenant, name, None)?;
        self.trial_of(tenant, name).map(|trial| trial.report()).ok_or_else(|| no_trial(name))
    }

    /// Stops a trial, and tells what it found. The version in force answers every request from here on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: nothing is tried.
    pub fn end_trial(&self, tenant: TenantId, name: &str) -> Result<TrialReport, InferenceError> {
        self.served(tenant, name, None)?;
        let trial = self.trial_of(tenant, name).ok_or_else(|| no_trial(name))?;
        trial.stop("it was ended by hand");
        Ok(trial.report())
    }

    /// Tells what became of requests that a trial saw; gives how many of them it knew by their ids.
    ///
    /// # Errors
    /// Too many, an outcome that is no number, or nothing is tried.
    pub fn tell_outcomes(&self, tenant: TenantId, name: &str, outcomes: &[Outcome]) -> Result<usize, InferenceError> {
        if outcomes.len() > OUTCOMES_MAX {
            let problem = format!("{} outcomes were told; at most {OUTCOMES_MAX} may be at once", outcomes.len());
            return Err(InferenceError::invalid(problem));
        }
        if let Some(wrong) = outcomes.iter().find(|outcome| !outcome.value.is_finite()) {
            return Err(InferenceError::invalid(format!("the outcome of `{}` is no finite number", wrong.id)));
        }
        self.served(tenant, name, None)?;
        Ok(self.trial_of(tenant, name).ok_or_else(|| no_trial(name))?.tell(outcomes))
    }

    fn trial_of(&self, tenant: TenantId, name: &str) -> Option<Arc<Trial>> {
        self.slots.read().get(&tenant)?.get(name)?.trial.clone()
    }

    /// Does work that loads a model, when its turn comes, and waits for its end; it ends also where nobody waits any more.
    async fn at_a_load<T: Send + 'static>(
        &self,
        work: impl FnOnce(Loader) -> Result<T, InferenceError> + Send + 'static,
    ) -> Result<T, InferenceError> {
        let _turn = self.loads.acquire().await.map_err(|_| InferenceError::failed("the server is ending"))?;
        let InferenceSettings { bounds, scheduler, clock, .. } = &self.settings;
        let (scheduler, clock) = (scheduler.clone(), clock.clone());
        let loader = Loader { source: self.source.clone(), bounds: *bounds, scheduler, clock };
        let (done, end) = oneshot::channel();
        // Whoever asked may have gone; what was loaded serves all the same.
        self.source.run_load(Box::new(move || drop(done.send(work(loader)))));
        end.await.unwrap_or_else(|_| Err(InferenceError::failed("loading ended in a fault; the server's log says why")))
    }

    /// Takes a model, and the version that was kept, out of force. Requests under way end on it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: it is not loaded.
    pub fn unload(&self, tenant: TenantId, name: &str) -> Result<(), InferenceError> {
        let removed = self.slots.write().get_mut(&tenant).and_then(|slots| slots.remove(name));
        // The model is freed here, outside of the lock.
        removed.map(drop).ok_or_else(|| InferenceError::not_found(format!("model `{name}` is not loaded")))
    }

    /// Every model of the tenant, with whether it is loaded. Blocks.
    ///
    /// # Errors
    /// The source fails.
    pub fn index(&self, tenant: TenantId, only_ready: bool) -> Result<Vec<IndexEntry>, InferenceError> {
        let known = self.source.list(tenant)?;
        let slots = self.slots.read();
        let loaded = |model: &Registered| {
            let slot = slots.get(&tenant).and_then(|slots| slots.get(&model.name));
            slot.is_some_and(|slot| slot.loaded().any(|served| served.version() == model.version))
        };
        let entries = known.into_iter().map(|model| IndexEntry::of(loaded(&model), model));
        Ok(entries.filter(|entry| !only_ready || entry.is_ready()).collect())
    }

    /// What a model takes and gives, and which of its versions are loaded.
    ///
    /// # Errors
    /// As [`served`](Self::served).
    pub fn metadata(
        &self,
        tenant: TenantId,
        name: &str,
        version: Option<&str>,
    ) -> Result<ModelMetadata, InferenceError> {
        let served = self.served(tenant, name, version)?;
        let versions = self.of_name(tenant, name).iter().map(|served| served.version().to_owned()).collect();
        Ok(ModelMetadata::of(&served, versions))
    }

    /// How a model is served.
    ///
    /// # Errors
    /// As [`served`](Self::served).
    pub fn config(&self, tenant: TenantId, name: &str, version: Option<&str>) -> Result<ModelConfig, InferenceError> {
        Ok(ModelConfig::of(&*self.served(tenant, name, version)?))
    }

    /// What loaded versions counted: of one model, or of all.
    ///
    /// # Errors
    /// As [`served`](Self::served).
    pub fn statistics(
        &self,
        tenant: TenantId,
        name: Option<&str>,
        version: Option<&str>,
    ) -> Result<Vec<ModelStatistics>, InferenceError> {
        let Some(name) = name else { return Ok(self.all(tenant).iter().map(|served| served.statistics()).collect()) };
        let found = self.served(tenant, name, version)?;
        let served = if version.is_some() { vec![found] } else { self.of_name(tenant, name) };
        Ok(served.iter().map(|served| served.statistics()).collect())
    }

    /// Every loaded version of the tenant, by name.
    pub fn all(&self, tenant: TenantId) -> Vec<Arc<Served>> {
        let slots = self.slots.read();
        let mut names: Vec<&String> = slots.get(&tenant).into_iter().flat_map(FxHashMap::keys).collect();
        names.sort_unstable();
        let slots = names.into_iter().filter_map(|name| slots.get(&tenant)?.get(name));
        slots.flat_map(Slot::loaded).cloned().collect()
    }

    fn of_name(&self, tenant: TenantId, name: &str) -> Vec<Arc<Served>> {
        self.all(tenant).into_iter().filter(|served| served.name() == name).collect()
    }
}

/// What opens a model and makes it ready.
struct Loader {
    source: Arc<dyn ModelSource>,
    bounds: ModelBounds,
    scheduler: Arc<dyn Scheduler>,
    clock: Arc<dyn Clock>,
}

impl Loader {
    /// Opens a version, to be served under a name.
    fn open(&self, tenant: TenantId, name: &str, version: &str) -> Result<Arc<Served>, InferenceError> {
        let model = self.source.open(tenant, version)?;
        Ok(Served::new(name, version, model, self.bounds, self.scheduler.clone(), self.clock.clone()))
    }
}

fn no_trial(name: &str) -> InferenceError {
    InferenceError::not_found(format!("no version of model `{name}` is on trial"))
}

/// Puts a version on trial beside the one in force.
fn try_beside(
    slots: &RwLock<Slots>,
    tenant: TenantId,
    candidate: Arc<Served>,
    settings: TrialSettings,
    clock: Arc<dyn Clock>,
) -> Result<TrialReport, InferenceError> {
    let mut all = slots.write();
    let slot = all.get_mut(&tenant).and_then(|slots| slots.get_mut(candidate.name()));
    let slot = slot.ok_or_else(|| InferenceError::not_found("the model was unloaded meanwhile"))?;
    if slot.current.version() == candidate.version() {
        let problem = format!("version `{}` is the one in force; there is nothing to try", candidate.version());
        return Err(InferenceError::invalid(problem));
    }
    same_signature(&slot.current, &candidate)?;
    let trial = Trial::new(slot.current.clone(), candidate, settings, clock);
    let (report, before) = (trial.report(), slot.trial.replace(trial));
    drop(all);
    // What was tried before is stopped and freed here, outside of the lock.
    if let Some(before) = before {
        before.stop("another version is tried");
    }
    Ok(report)
}

fn same_signature(current: &Served, other: &Served) -> Result<(), InferenceError> {
    if current.model().signature() == other.model().signature() {
        return Ok(());
    }
    Err(InferenceError::invalid(format!(
        "version `{}` of model `{}` has other inputs or outputs than `{}`, which serves; unload the model first",
        other.version(),
        current.name(),
        current.version()
    )))
}

/// Puts a version in force that is loaded already; tells whether it was.
fn swap_to_loaded(slots: &mut Slots, tenant: TenantId, name: &str, version: &str) -> bool {
    let Some(slot) = slots.get_mut(&tenant).and_then(|slots| slots.get_mut(name)) else { return false };
    if slot.current.version() == version {
        return true;
    }
    let known = slot.loaded().find(|served| served.version() == version).cloned();
    let Some(known) = known else { return false };
    slot.change_to(known);
    true
}

fn room_for(slots: &Slots, tenant: TenantId, name: &str) -> Result<(), InferenceError> {
    let slots = slots.get(&tenant);
    if slots.is_some_and(|slots| slots.len() >= LOADED_MODELS_MAX && !slots.contains_key(name)) {
        let message = format!("{LOADED_MODELS_MAX} models are loaded already; unload one first");
        return Err(InferenceError::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

fn put_in_force(slots: &RwLock<Slots>, tenant: TenantId, served: Arc<Served>) -> Result<(), InferenceError> {
    let name = served.name().to_owned();
    let mut all = slots.write();
    room_for(&all, tenant, &name)?;
    let slots = all.entry(tenant).or_default();
    let Some(slot) = slots.get_mut(&name) else {
        slots.insert(name, Slot { current: served, before: None, trial: None });
        return Ok(());
    };
    same_signature(&slot.current, &served)?;
    let before = slot.change_to(served);
    drop(all);
    // The version before the one before is freed here, outside of the lock.
    drop(before);
    Ok(())
}
