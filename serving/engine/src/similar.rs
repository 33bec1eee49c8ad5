//! How alike texts are in meaning, by the tenant's embedding model; it searches no catalogue.

use dhow_commerce::{DecisionKind, Reason};
use dhow_events::facts::TextsRanked;
use dhow_events::{DecisionId, TenantId};
use dhow_registry::similarity;

use crate::decisions::Question;
use crate::error::failed;
use crate::{Answer, Engine, EngineError};

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
    /// The texts, most like the query first.
    ///
    /// # Errors
    /// No embedding model, no text or too many, or an overlong one.
    pub async fn similar_texts(
        &self,
        tenant: TenantId,
        query: &str,
        texts: &[String],
    ) -> Result<Answer<Vec<SimilarText>>, EngineError> {
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
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
        let decision = DecisionId::at(now, self.random());
        let best = &scored[0];
        let text = format!("text {} is nearest in meaning, with a cosine of {:.3}", best.index, best.similarity);
        let reasons = vec![Reason { code: "nearest_meaning".to_owned(), text, contribution: best.similarity }];
        let model = champion.label.to_string();
        let fact = TextsRanked {
            decision,
            model: model.clone(),
            query: query.to_owned(),
            text_count: texts.len() as i64,
            best_text: texts[best.index].clone(),
            best_similarity: best.similarity,
        };
        let question = Question {
            tenant,
            kind: DecisionKind::TextSimilarity,
            subject: query.to_owned(),
            request: serde_json::json!({ "query": query, "texts": texts }),
            answer: serde_json::json!({ "order": scored.iter().map(|text| text.index).collect::<Vec<_>>() }),
            at: now,
        };
        let latency_us = self.stopwatch().now().micros_since(begin);
        let answer = Answer { value: scored, model, decision, reasons, degraded: false, latency_us };
        self.record_soon(answer.record(question), fact.into()).await?;
        Ok(answer)
    }
}
