//! Makes an ONNX graph ready to run: types, shapes, constants, order; it chooses no shapes.

use std::sync::Arc;

use tract_onnx::prelude::{
    InferenceModel, InferenceModelExt, IntoRunnable, IntoTValue, OutletId, SpecialOps, TVec, TractResult, TypedFact,
    TypedModel, TypedRunnableModel,
};
use tract_onnx::tract_hir::internal::{IntoArcTensor, TypedModelPatch};

/// The most plans that one model keeps where a plan is needed for each combination of input shapes.
pub const MAX_CACHED_PLANS: usize = 4;
/// The most bytes of one constant that is computed in advance.
const MAX_FOLDED_BYTES: usize = 1 << 30;
/// The longest detail of an error, in characters.
const MAX_DETAIL_CHARS: usize = 800;

/// Infers all types and shapes, simplifies, and orders the graph for running.
pub(crate) fn plan(graph: InferenceModel) -> TractResult<Arc<TypedRunnableModel>> {
    let mut graph = graph.into_typed()?.into_decluttered()?;
    fold_constants(&mut graph)?;
    graph.into_optimized()?.into_runnable()
}

/// Computes once what depends on no input, such as the dequantized weights of an int8 model.
///
/// tract does so too, but leaves out what grows beyond its own budget: a table of 8-bit word vectors would be widened anew
/// in every run.
fn fold_constants(graph: &mut TypedModel) -> TractResult<()> {
    for id in graph.eval_order()? {
        let constant = |fact: &&TypedFact| fact.konst.clone().map(IntoTValue::into_tvalue);
        let constants: Option<TVec<_>> = graph.node_input_facts(id)?.iter().map(constant).collect();
        let Some(constants) = constants.filter(|constants| !constants.is_empty()) else { continue };
        let node = graph.node(id);
        let bytes = |fact: &TypedFact| fact.mem_size().as_i64().map(|bytes| bytes as usize);
        let fits = node.outputs.iter().all(|output| bytes(&output.fact).is_some_and(|bytes| bytes <= MAX_FOLDED_BYTES));
        if !fits {
            continue;
        }
        // An operator that cannot be computed before the run stays where it is.
        let Ok(Some(values)) = node.op.eval_out_of_plan(constants) else { continue };
        let mut patch = TypedModelPatch::default();
        for (slot, value) in values.into_iter().enumerate() {
            let constant = patch.add_const(format!("{}.folded.{slot}", node.name), value.into_arc_tensor())?;
            patch.shunt_outside(graph, OutletId::new(id, slot), constant)?;
        }
        patch.apply(graph)?;
    }
    Ok(())
}

/// The plans last used, each for one combination of input shapes.
#[derive(Debug, Default)]
pub(crate) struct PlanCache {
    newest_last: Vec<(Vec<Vec<usize>>, Arc<TypedRunnableModel>)>,
}

impl PlanCache {
    /// The plan for these shapes, which then counts as the newest.
    pub(crate) fn get(&mut self, shapes: &[Vec<usize>]) -> Option<Arc<TypedRunnableModel>> {
        let position = self.newest_last.iter().position(|(known, _)| known == shapes)?;
        let entry = self.newest_last.remove(position);
        let plan = Arc::clone(&entry.1);
        self.newest_last.push(entry);
        Some(plan)
    }

    /// Keeps a plan; drops the one that was not used for longest where there are too many.
    pub(crate) fn insert(&mut self, shapes: Vec<Vec<usize>>, plan: Arc<TypedRunnableModel>) {
        if self.get(&shapes).is_some() {
            return;
        }
        if self.newest_last.len() == MAX_CACHED_PLANS {
            self.newest_last.remove(0);
        }
        self.newest_last.push((shapes, plan));
    }
}

/// Runs foreign code on foreign data: a malformed graph that makes the runtime panic becomes an error as well.
pub(crate) fn contained<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}").chars().take(MAX_DETAIL_CHARS).collect()),
        Err(_) => Err("the runtime met an internal fault in this graph".to_owned()),
    }
}
