//! Our two operators as bytes, so that a scheduler and executors can pass them on; their inputs travel beside them.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::{Deserialize, Serialize};

use super::distributed::{external, only_child};
use super::observe::{ObserveExec, Role};
use super::recipe::{BackfillRequest, Recipe};
use super::sweep::SweepExec;
use crate::OfflineError;

/// An operator as it travels: the definitions as text with the hash of their meaning, so that whoever reads it reads the
/// same views or refuses.
#[derive(Serialize, Deserialize)]
struct Message {
    request: BackfillRequest,
    operator: Operator,
}

#[derive(Serialize, Deserialize)]
enum Operator {
    Observe(Role),
    Sweep,
}

/// Writes and reads [`ObserveExec`] and [`SweepExec`] and nothing else.
#[derive(Debug)]
pub(crate) struct BackfillCodec;

impl PhysicalExtensionCodec for BackfillCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let message: Message = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
        let recipe = Arc::new(Recipe::new(message.request).map_err(external)?);
        Ok(match message.operator {
            Operator::Observe(role) => {
                Arc::new(ObserveExec::new(recipe, role, only_child("ObserveExec", inputs.to_vec())?))
            }
            Operator::Sweep => Arc::new(SweepExec::new(recipe, only_child("SweepExec", inputs.to_vec())?)?),
        })
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let (recipe, operator) = if let Some(observe) = node.downcast_ref::<ObserveExec>() {
            (&observe.recipe, Operator::Observe(observe.role))
        } else if let Some(sweep) = node.downcast_ref::<SweepExec>() {
            (&sweep.recipe, Operator::Sweep)
        } else {
            let reason = format!("`{}` is no operator of a backfill", node.name());
            return Err(external(OfflineError::Table { table: "a plan".to_owned(), reason }));
        };
        let message = Message { request: recipe.request.clone(), operator };
        serde_json::to_writer(bytes, &message).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &serde_json::Error) -> datafusion::error::DataFusionError {
    let reason = format!("an operator of a backfill cannot be passed on: {error}");
    external(OfflineError::Table { table: "a plan".to_owned(), reason })
}
