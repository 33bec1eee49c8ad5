//! Tables to trained models: split by time, judged beside baselines and the incumbent, registered and promoted; it serves nothing.
//!
//! Each task has one file with the same outline: read its table up to `until` → split by time → choose settings on the
//! validation part → judge once on the test part, beside trivial baselines and the champion in force → train again with
//! the chosen settings on everything → register with a card → promote unless the champion did better on the same part.

mod codes;
mod customers;
mod delivery;
mod demand;
mod effects;
mod error;
mod evaluate;
mod fraud;
mod fraud_kinds;
mod fraud_vector;
mod promotion;
mod recommend;
mod report;

pub use codes::{LabelledTexts, train_codes};
pub use customers::train_customers;
pub use delivery::train_delivery;
pub use demand::train_demand;
pub use error::TrainingError;
pub use evaluate::evaluate;
pub use fraud::{
    FRAUD_MATURITY_DAYS, FraudBundle, FraudMethod, FraudRows, OpenFraud, Reference, fraud_rows, train_fraud,
};
pub use fraud_kinds::{KindBands, KindBundle, OpenKind, OpenKinds};
pub use fraud_vector::{FraudVector, link_rows};
pub use recommend::train_recommend;
pub use report::{Evaluation, Figure, TaskReport};

use std::sync::Arc;

use dhow_definitions::FeatureSet;
use dhow_events::{TenantId, Timestamp};
use dhow_links::LinkSettings;
use dhow_offline::{Lake, LakeStorage, QueryBounds, SqlSession};
use dhow_online::OnlineSettings;
use dhow_registry::Registry;
use dhow_streams::Log;

/// What a training reads and where its model goes.
pub struct TrainingInput<'a> {
    /// Whose data and whose model.
    pub tenant: TenantId,
    /// Where the lake is.
    pub lake: &'a Arc<dyn LakeStorage>,
    /// The log, for point-in-time rows.
    pub log: &'a dyn Log,
    /// The feature definitions.
    pub features: Arc<FeatureSet>,
    /// Bounds of the replay's feature state.
    pub online: OnlineSettings,
    /// Bounds of the replay's links.
    pub links: LinkSettings,
    /// Where models are registered.
    pub registry: &'a Registry,
    /// Nothing that happened, or became known, from here on is learned from; also the time on the cards.
    pub until: Timestamp,
    /// What the fraud model is.
    pub fraud_method: FraudMethod,
    /// Seed of whatever a trainer draws.
    pub seed: u64,
    /// The version of this program, for the cards.
    pub code_version: &'a str,
}

impl TrainingInput<'_> {
    fn sql(&self) -> Result<SqlSession, TrainingError> {
        let lake = Lake::open(self.lake.clone())?;
        let bounds = QueryBounds { rows_max: 100_000_000, memory_bytes_max: 4 << 30, ..QueryBounds::default() };
        Ok(SqlSession::open(&lake, &self.tenant, bounds)?)
    }
}
