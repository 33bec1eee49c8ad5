//! The models in force, by tenant: loaded from the registry, swapped as a whole, read without waiting.

use std::sync::Arc;

use dhow_customers::CustomersModel;
use dhow_delivery::DeliveryModel;
use dhow_events::{ModelId, TenantId, Timestamp};
use dhow_forecast::{AHEAD_DAYS_MAX, DemandModel, KEPT_DAYS, LiveDemand, RecentSales, Sale, SaleError};
use dhow_offline::{Lake, OfflineError, QueryBounds, SqlSession, tables};
use dhow_recommend::{Interaction, LiveRecommender, LiveState, RecommendModel};
use dhow_registry::{Alias, Registry, RegistryError, Task, TextEmbedder, open_embedder};
use dhow_training::{FraudBundle, OpenFraud};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use crate::EngineError;
use crate::codes::CodeSuggester;
use crate::deliveries::LiveDeliveries;
use crate::error::failed;

/// Days of products in regions that are read back at a start.
const SALE_ROWS_MAX: usize = 20_000_000;

/// A model and the name that answers carry.
pub struct Champion<T> {
    /// Its id in the registry.
    pub id: ModelId,
    /// `<name>@<id>`.
    pub label: Arc<str>,
    /// The model.
    pub model: Arc<T>,
}

impl<T> Clone for Champion<T> {
    fn clone(&self) -> Self {
        Self { id: self.id, label: self.label.clone(), model: self.model.clone() }
    }
}

/// A fraud model that scores every checkout and decides none.
#[derive(Clone)]
pub(crate) struct ShadowModel {
    pub alias: Alias,
    pub model: Champion<OpenFraud>,
}

#[derive(Clone, Default)]
pub(crate) struct TenantModels {
    pub recommend: Option<Champion<LiveRecommender>>,
    pub live: Option<Arc<LiveState>>,
    pub catalogue_model: Option<Arc<RecommendModel>>,
    pub fraud: Option<Champion<OpenFraud>>,
    /// The version of the fraud champion's costs and thresholds.
    pub thresholds: Option<Arc<str>>,
    pub shadows: Vec<ShadowModel>,
    /// Why a model that should look on does not.
    pub shadow_failures: Vec<String>,
    pub forecast: Option<Champion<DemandModel>>,
    /// The same model with what sold since.
    pub live_demand: Option<Arc<LiveDemand>>,
    pub delivery: Option<Champion<DeliveryModel>>,
    pub embedder: Option<Champion<TextEmbedder>>,
    pub customers: Option<Champion<CustomersModel>>,
    pub codes: Option<Champion<CodeSuggester>>,
}

/// Every tenant's champions, and what they follow.
#[derive(Default)]
pub struct Champions {
    models: RwLock<FxHashMap<TenantId, Arc<TenantModels>>>,
    /// Held while models are read anew, so that who read the ledger last is also the last to put models in force.
    reading: Mutex<()>,
    /// What sold lately; it goes on from one forecast model to the next.
    sales: RwLock<FxHashMap<TenantId, Arc<RecentSales>>>,
}

impl Champions {
    /// The tenant's models; none where nothing was promoted.
    pub(crate) fn of(&self, tenant: TenantId) -> Arc<TenantModels> {
        self.models.read().get(&tenant).cloned().unwrap_or_default()
    }

    /// Reads the tenant's champions anew; live state goes on beside a new recommender.
    ///
    /// # Errors
    /// A corrupt artifact, or one that this program cannot read. The models in force then stay.
    pub(crate) fn reload(
        &self,
        registry: &Registry,
        tenant: TenantId,
        deliveries: &LiveDeliveries,
    ) -> Result<(), EngineError> {
        let _reading = self.reading.lock();
        let old = self.of(tenant);
        let mut models = TenantModels::default();
        if let Some(Loaded { id, label, bytes, .. }) = champion(registry, tenant, Task::Recommend)? {
            let model = Arc::new(RecommendModel::from_bytes(&bytes).map_err(failed("recommend model"))?);
            let live = match (&old.live, &old.recommend) {
                (Some(live), Some(before)) if before.id == id => live.clone(),
                (Some(live), _) => {
                    live.rebase(&model);
                    live.clone()
                }
                (None, _) => Arc::new(LiveState::new(&model)),
            };
            let recommender = Arc::new(LiveRecommender::new(model.clone(), live.clone()));
            models.recommend = Some(Champion { id, label, model: recommender });
            (models.live, models.catalogue_model) = (Some(live), Some(model));
        }
        if let Some(Loaded { id, label, bytes, .. }) = champion(registry, tenant, Task::Fraud)? {
            let model = Arc::new(FraudBundle::open(&bytes).map_err(failed("fraud model"))?);
            let content = serde_json::to_vec(&model.thresholds).map_err(failed("fraud thresholds"))?;
            models.thresholds = Some(blake3::hash(&content).to_hex().as_str().into());
            models.fraud = Some(Champion { id, label, model });
            models.look_on(registry, tenant);
        }
        if let Some(Loaded { id, label, bytes, .. }) = champion(registry, tenant, Task::Forecast)? {
            let model = Arc::new(DemandModel::from_bytes(&bytes).map_err(failed("forecast model"))?);
            models.live_demand = match (&old.live_demand, &old.forecast) {
                (Some(live), Some(before)) if before.id == id => Some(live.clone()),
                _ => Some(Arc::new(LiveDemand::new(model.clone(), self.sales(tenant)))),
            };
            models.forecast = Some(Champion { id, label, model });
        }
        let mut joins = None;
        models.delivery = match (&old.delivery, champion(registry, tenant, Task::Delivery)?) {
            (Some(before), Some(loaded)) if before.id == loaded.id => Some(before.clone()),
            (_, Some(Loaded { id, label, bytes, learned_until })) => {
                let model = Arc::new(DeliveryModel::from_bytes(&bytes).map_err(failed("delivery model"))?);
                joins = Some((id, learned_until, model.clone()));
                Some(Champion { id, label, model })
            }
            (_, None) => None,
        };
        models.embedder = match (&old.embedder, champion(registry, tenant, Task::Embedding)?) {
            (Some(before), Some(loaded)) if before.id == loaded.id => Some(before.clone()),
            (_, Some(Loaded { id, label, .. })) => {
                let model = Arc::new(open_embedder(registry, id).map_err(failed("embedding model"))?);
                Some(Champion { id, label, model })
            }
            (_, None) => None,
        };
        models.customers = match (&old.customers, champion(registry, tenant, Task::Customers)?) {
            (Some(before), Some(loaded)) if before.id == loaded.id => Some(before.clone()),
            (_, Some(Loaded { id, label, bytes, .. })) => {
                let model = Arc::new(CustomersModel::from_bytes(&bytes).map_err(failed("customers model"))?);
                Some(Champion { id, label, model })
            }
            (_, None) => None,
        };
        models.codes = match (&old.codes, champion(registry, tenant, Task::Codes)?) {
            (Some(before), Some(loaded)) if before.id == loaded.id => Some(before.clone()),
            (_, Some(Loaded { id, label, bytes, .. })) => {
                let model = Arc::new(CodeSuggester::open(registry, &bytes, models.embedder.as_ref())?);
                Some(Champion { id, label, model })
            }
            (_, None) => None,
        };
        // Nothing can fail behind this: the model that follows deliveries is the one in force.
        if let Some((id, learned_until, model)) = joins {
            deliveries.adopt(tenant, id, learned_until, &model)?;
        }
        self.models.write().insert(tenant, Arc::new(models));
        Ok(())
    }

    /// Tells the tenant's recommender of a click.
    pub(crate) fn observe(&self, tenant: TenantId, interaction: &Interaction) {
        if let Some(live) = self.models.read().get(&tenant).and_then(|models| models.live.as_ref()) {
            live.observe(interaction);
        }
    }

    /// Tells the tenant's forecasts of a sale.
    ///
    /// # Errors
    /// A sale that cannot be.
    pub(crate) fn observe_sale(&self, tenant: TenantId, sale: &Sale) -> Result<(), SaleError> {
        self.sales(tenant).take(sale)
    }

    fn sales(&self, tenant: TenantId) -> Arc<RecentSales> {
        if let Some(sales) = self.sales.read().get(&tenant) {
            return sales.clone();
        }
        self.sales.write().entry(tenant).or_default().clone()
    }

    /// Restores what a tenant sold lately from the lake, as it was at its last checkpoint; once, before anything is observed.
    ///
    /// # Errors
    /// A failing query.
    pub(crate) async fn restore_sales(&self, lake: &Lake, tenant: TenantId) -> Result<(), OfflineError> {
        let session =
            SqlSession::open(lake, &tenant, QueryBounds { rows_max: SALE_ROWS_MAX, ..QueryBounds::default() })?;
        let (rows, first) = tables::recent_sales(&session, KEPT_DAYS, AHEAD_DAYS_MAX).await?;
        let sales = self.sales(tenant);
        for row in rows {
            let sale = Sale {
                product: row.product,
                seller: row.seller,
                category: row.category,
                region: row.region,
                day: row.day,
                known_day: row.day,
                quantity: row.quantity,
            };
            if let Err(error) = sales.take(&sale) {
                tracing::warn!(product = %row.product, %error, "sales of a day are passed over by live demand");
            }
        }
        if let Some(first) = first {
            sales.begin(first);
        }
        Ok(())
    }

    /// The live state of every tenant's recommender.
    pub(crate) fn live(&self) -> Vec<Arc<LiveState>> {
        self.models.read().values().filter_map(|models| models.live.clone()).collect()
    }

    /// Frees live state of sessions and persons last seen before `time`.
    pub(crate) fn forget_before(&self, time: Timestamp) {
        let models: Vec<_> = self.models.read().values().cloned().collect();
        models.iter().filter_map(|models| models.live.as_ref()).for_each(|live| live.expire_before(time));
    }

    /// The label of every champion of the tenant, by task.
    pub fn labels(&self, tenant: TenantId) -> Vec<(&'static str, String)> {
        let models = self.of(tenant);
        let labels = [
            ("recommend", models.recommend.as_ref().map(|champion| champion.label.to_string())),
            ("fraud", models.fraud.as_ref().map(|champion| champion.label.to_string())),
            ("forecast", models.forecast.as_ref().map(|champion| champion.label.to_string())),
            ("delivery", models.delivery.as_ref().map(|champion| champion.label.to_string())),
            ("customers", models.customers.as_ref().map(|champion| champion.label.to_string())),
            ("codes", models.codes.as_ref().map(|champion| champion.label.to_string())),
            ("embedding", models.embedder.as_ref().map(|champion| champion.label.to_string())),
        ];
        labels.into_iter().filter_map(|(task, label)| label.map(|label| (task, label))).collect()
    }
}

impl TenantModels {
    /// Loads the fraud models that look on: another challenger or shadow than the champion, of the same features. One that
    /// cannot be loaded keeps nobody from being scored; why it cannot is kept.
    fn look_on(&mut self, registry: &Registry, tenant: TenantId) {
        let Some(champion) = self.fraud.clone() else { return };
        for alias in [Alias::Challenger, Alias::Shadow] {
            match shadow(registry, tenant, alias, &champion) {
                Ok(found) => self.shadows.extend(found.map(|model| ShadowModel { alias, model })),
                Err(error) => {
                    tracing::error!(%alias, %error, "a fraud model cannot look on");
                    self.shadow_failures.push(format!("{alias}: {error}"));
                }
            }
        }
    }
}

fn shadow(
    registry: &Registry,
    tenant: TenantId,
    alias: Alias,
    champion: &Champion<OpenFraud>,
) -> Result<Option<Champion<OpenFraud>>, EngineError> {
    let Some(Loaded { id, label, bytes, .. }) = holder(registry, tenant, Task::Fraud, alias)? else { return Ok(None) };
    if id == champion.id {
        return Ok(None);
    }
    let model = FraudBundle::open(&bytes).map_err(failed("fraud model"))?;
    model.model.check_features(champion.model.model.feature_names()).map_err(failed("fraud model"))?;
    Ok(Some(Champion { id, label, model: Arc::new(model) }))
}

/// A model as the registry keeps it.
struct Loaded {
    id: ModelId,
    label: Arc<str>,
    bytes: Vec<u8>,
    /// The end of what it learned from; when it was made where its card does not say.
    learned_until: Timestamp,
}

fn champion(registry: &Registry, tenant: TenantId, task: Task) -> Result<Option<Loaded>, EngineError> {
    holder(registry, tenant, task, Alias::Champion)
}

/// The model that has a role; nothing where none has it.
fn holder(registry: &Registry, tenant: TenantId, task: Task, alias: Alias) -> Result<Option<Loaded>, EngineError> {
    let id = match registry.resolve(&tenant, task, alias) {
        Ok(id) => id,
        Err(RegistryError::NoSuchAlias { .. }) => return Ok(None),
        Err(other) => return Err(failed("model registry")(other)),
    };
    let (card, bytes) = registry.load(id).map_err(failed("model registry"))?;
    let learned_until = card.draft.training_span.map_or(card.draft.created_at, |span| span.end);
    Ok(Some(Loaded { id, label: format!("{}@{id}", card.draft.name).into(), bytes, learned_until }))
}
