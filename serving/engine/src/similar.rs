//! How alike texts are in meaning, by the tenant's embedding model; it searches no catalogue.

use dhow_events::TenantId;
use dhow_registry::similarity;

use crate::error::failed;
use crate::{Engine, EngineError};

/// Texts that one request may compare.
pub const SIMILAR_TEXTS_MAX: usize = 64;
/// The longest text, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// A text and how like the query it is.
#[derive(Debug, Clone, PartialEq)]
pub struct SimilarText {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The cosine of the two embeddings, −1 to 1.
    pub similarity: f64,
}

impl Engine {
    /// The texts, most like the query first, and the model that said so.
    ///
    /// # Errors
    /// No embedding model, no text or too many, or an overlong one.
    pub async fn similar_texts(
        &self,
        tenant: TenantId,
        query: &str,
        texts: &[String],
    ) -> Result<(Vec<SimilarText>, String), EngineError> {
        if texts.is_empty() || texts.len() > SIMILAR_TEXTS_MAX {
            return Err(EngineError::invalid(
                "/texts",
                format!("has {} texts; it must have 1 to {SIMILAR_TEXTS_MAX}", texts.len()),
            ));
        }
        if let Some(long) = texts.iter().position(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(EngineError::invalid(
                format!("/texts/{long}"),
                format!("is longer than {TEXT_BYTES_MAX} bytes"),
            ));
        }
        let models = self.shared().champions.of(tenant);
        let champion = models.embedder.clone().ok_or(EngineError::NoModel { task: "embedding" })?;
        let all: Vec<String> = std::iter::once(query.to_owned()).chain(texts.iter().cloned()).collect();
        let model = champion.model.clone();
        let vectors =
            tokio::task::spawn_blocking(move || model.embed(&all)).await.map_err(failed("embedding model"))?;
        let vectors = vectors.map_err(failed("embedding model"))?;
        let mut scored = Vec::with_capacity(texts.len());
        for (index, vector) in vectors.iter().skip(1).enumerate() {
            let alike = similarity(&vectors[0], vector).ok_or_else(|| EngineError::Failed {
                part: "embedding model",
                reason: "it gave a vector without a direction".to_owned(),
            })?;
            scored.push(SimilarText { index, similarity: f64::from(alike) });
        }
        scored.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.index.cmp(&b.index)));
        Ok((scored, champion.label.to_string()))
    }
}
