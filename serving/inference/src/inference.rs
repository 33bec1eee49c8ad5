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

/// What answers a name: a version, and the one before it, which is kept for the way back.
#[derive(Clone)]
struct Slot {
    current: Arc<Served>,
    before: Option<Arc<Served>>,
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
        let loaded = std::iter::once(&slot.current).chain(&slot.before);
        loaded
            .into_iter()
            .find(|served| served.version() == version)
            .cloned()
            .ok_or_else(|| InferenceError::not_found(format!("version `{version}` of model `{name}` is not loaded")))
    }

    /// Answers a request with the version that answers the name when it comes; a change meanwhile does not touch it.
    ///
    /// # Errors
    /// As [`served`](Self::served) and [`Served::infer`].
    pub async fn infer(
        &self,
        tenant: TenantId,
        name: &str,
        version: Option<&str>,
        request: InferRequest,
    ) -> Result<InferAnswer, InferenceError> {
        let served = self.served(tenant, name, version)?;
        served.infer(request).await
    }

    /// Loads what stands behind a name now, or the version that is asked for, beside what serves, checks it and puts it in
    /// force at once. What served before stays loaded: to load it again is the way back, and takes no time. The version in
    /// force is not loaded anew, for a version never changes.
    ///
    /// # Errors
    /// There is no such model, it cannot be served, or it takes other inputs or gives other outputs than the one in force:
    /// callers of a name can rely on them. What serves then goes on.
    pub async fn load(&self, tenant: TenantId, name: &str, version: Option<&str>) -> Result<(), InferenceError> {
        let _turn = self.loads.acquire().await.map_err(|_| InferenceError::failed("the server is ending"))?;
        let (source, slots) = (self.source.clone(), self.slots.clone());
        let (bounds, scheduler, clock) =
            (self.settings.bounds, self.settings.scheduler.clone(), self.settings.clock.clone());
        let (name, version) = (name.to_owned(), version.map(str::to_owned));
        let (done, end) = oneshot::channel();
        let work = move || {
            let loaded = source.find(tenant, &name, version.as_deref()).and_then(|version| {
                if swap_to_loaded(&mut slots.write(), tenant, &name, &version) {
                    return Ok(());
                }
                room_for(&slots.read(), tenant, &name)?;
                let model = source.open(tenant, &version)?;
                let served = Served::new(&name, &version, model, bounds, scheduler, clock);
                put_in_force(&slots, tenant, served)
            });
            // Whoever asked may have gone; what was loaded serves all the same.
            let _gone = done.send(loaded);
        };
        self.source.run_load(Box::new(work));
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
            let all = slot.iter().flat_map(|slot| std::iter::once(&slot.current).chain(&slot.before));
            all.into_iter().any(|served| served.version() == model.version)
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
        slots.flat_map(|slot| std::iter::once(&slot.current).chain(&slot.before)).cloned().collect()
    }

    fn of_name(&self, tenant: TenantId, name: &str) -> Vec<Arc<Served>> {
        self.all(tenant).into_iter().filter(|served| served.name() == name).collect()
    }
}

/// Puts a version in force that is loaded already; tells whether it was.
fn swap_to_loaded(slots: &mut Slots, tenant: TenantId, name: &str, version: &str) -> bool {
    let Some(slot) = slots.get_mut(&tenant).and_then(|slots| slots.get_mut(name)) else { return false };
    if slot.current.version() == version {
        return true;
    }
    match slot.before.take() {
        Some(before) if before.version() == version => {
            slot.before = Some(std::mem::replace(&mut slot.current, before));
            true
        }
        other => {
            slot.before = other;
            false
        }
    }
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
    let Some(old) = slots.get(&name).cloned() else {
        slots.insert(name, Slot { current: served, before: None });
        return Ok(());
    };
    if old.current.model().signature() != served.model().signature() {
        let (version, now) = (served.version(), old.current.version());
        return Err(InferenceError::invalid(format!(
            "version `{version}` of model `{name}` has other inputs or outputs than `{now}`, which serves; unload the model first"
        )));
    }
    slots.insert(name, Slot { current: served, before: Some(old.current) });
    drop(all);
    // The version before the one before is freed here, outside of the lock.
    drop(old.before);
    Ok(())
}
