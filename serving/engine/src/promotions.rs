//! Promotions by other processes, such as `dhow models promote` and `dhow train`, taken into force by a running server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dhow_events::TenantId;
use dhow_inference::ErrorKind;
use dhow_registry::Promotion;
use tokio::sync::watch;

use crate::error::failed;
use crate::inference::role_name;
use crate::priority::beside_requests;
use crate::tasks::stopped;
use crate::{Engine, EngineError};

/// How often the ledger is looked at: one question for a file's length.
const PROMOTIONS_PAUSE: Duration = Duration::from_secs(1);

/// How far the ledger of promotions was read.
#[derive(Default)]
pub(crate) struct SeenPromotions {
    count: AtomicUsize,
}

impl SeenPromotions {
    /// All up to here are in force.
    pub(crate) fn new(count: usize) -> Self {
        Self { count: AtomicUsize::new(count) }
    }
}

impl Engine {
    /// Takes promotions into force a second after they were written down. A model that cannot be loaded leaves the one before
    /// in force until the next promotion, and the log says why.
    pub(crate) async fn follow_promotions(&self, mut stop: watch::Receiver<bool>) {
        let mut length = None;
        while !*stop.borrow() {
            match self.registry().ledger_bytes() {
                Ok(now) if length == Some(now) => {}
                Ok(now) => match self.take_promotions().await {
                    Ok(()) => length = Some(now),
                    Err(error) => tracing::error!(%error, "promotions could not be read; trying again"),
                },
                Err(error) => tracing::error!(%error, "the ledger of promotions cannot be looked at; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(PROMOTIONS_PAUSE) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }

    async fn take_promotions(&self) -> Result<(), EngineError> {
        let registry = self.registry().clone();
        let read = beside_requests(move || registry.ledger()).await.map_err(failed("model registry"))?;
        let ledger = read.map_err(failed("model registry"))?;
        let all = ledger.promotions();
        let seen = self.seen_promotions().count.swap(all.len(), Ordering::AcqRel);
        let fresh = all.get(seen..).unwrap_or_default();
        let mut tenants: Vec<TenantId> = fresh.iter().map(|promotion| promotion.tenant).collect();
        tenants.sort_unstable();
        tenants.dedup();
        for tenant in tenants.into_iter().filter(|tenant| self.tenants().contains(tenant)) {
            self.reload_beside(tenant).await;
        }
        for promotion in fresh {
            self.reload_role(promotion).await;
        }
        Ok(())
    }

    async fn reload_beside(&self, tenant: TenantId) {
        let (registry, shared) = (self.registry().clone(), self.shared().clone());
        let reload = move || shared.champions.reload(&registry, tenant, &shared.deliveries);
        match beside_requests(reload).await {
            Ok(Ok(())) => tracing::info!(%tenant, "promoted models are in force"),
            Ok(Err(error)) => {
                tracing::error!(%tenant, %error, "a promoted model cannot be loaded; those before stay in force")
            }
            Err(error) => {
                tracing::error!(%tenant, %error, "loading promoted models broke down; those before stay in force")
            }
        }
    }

    /// Where a role is served by tensors, its new holder serves.
    async fn reload_role(&self, promotion: &Promotion) {
        let name = role_name(promotion.task, promotion.alias);
        if self.inference().served(promotion.tenant, &name, None).is_err() {
            return;
        }
        match self.inference().load(promotion.tenant, &name, None).await {
            Ok(()) => {}
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => tracing::error!(name, %error, "the role's new holder is not served; the one before stays"),
        }
    }
}
