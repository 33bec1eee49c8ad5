//! Which codes of a nomenclature texts fall under, by the champion; nothing is recorded.

use std::sync::Arc;

use dhow_codes::{CodeModel, Guess, Suggestion};
use dhow_events::{ModelId, TenantId};
use dhow_registry::{Registry, TextEmbedder, open_embedder};

use crate::champions::Champion;
use crate::error::failed;
use crate::{Engine, EngineError};

/// Texts that one request may ask about.
pub const CODE_TEXTS_MAX: usize = 64;
/// The most guesses of a level that one request may ask for.
pub const CODE_GUESSES_MAX: usize = 20;

/// A model of codes with the model that makes its vectors.
pub(crate) struct CodeSuggester {
    model: CodeModel,
    embedder: Arc<TextEmbedder>,
}

impl CodeSuggester {
    /// Reads the model and opens the embedding model that it was learned with, unless that is `known`.
    pub(crate) fn open(
        registry: &Registry,
        bytes: &[u8],
        known: Option<&Champion<TextEmbedder>>,
    ) -> Result<Self, EngineError> {
        let model = CodeModel::from_bytes(bytes).map_err(failed("codes model"))?;
        let id: ModelId = model.embedder().parse().map_err(failed("codes model"))?;
        let embedder = match known.filter(|known| known.id == id) {
            Some(known) => known.model.clone(),
            None => Arc::new(open_embedder(registry, id).map_err(failed("embedding model of the codes model"))?),
        };
        Ok(Self { model, embedder })
    }
}

/// A guess, with the example that it is most like.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeGuess {
    /// The first digits of the code, or all.
    pub code: String,
    /// The probability that it is right, 0 to 1.
    pub confidence: f64,
    /// The code of the example that is most like the text.
    pub like_code: String,
    /// The example's text.
    pub like_text: String,
}

/// What is suggested for a text.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeSuggestion {
    /// The guess with the most digits that is as sure as was asked for; nothing where none is.
    pub code: Option<CodeGuess>,
    /// The guesses of each level, the shortest codes first, the surest first within.
    pub levels: Vec<Vec<CodeGuess>>,
}

/// What is suggested for each text.
#[derive(Debug, Clone, PartialEq)]
pub struct CodesReading {
    /// The model and its id.
    pub model: String,
    /// In the order of the texts.
    pub suggestions: Vec<CodeSuggestion>,
}

impl Engine {
    /// Codes for texts: at most `guesses` a level, and the one with the most digits that is at least as sure as
    /// `confidence_min`.
    ///
    /// # Errors
    /// No model in force, no text or too many, numbers out of their ranges, a text that cannot be embedded.
    pub async fn suggest_codes(
        &self,
        tenant: TenantId,
        texts: Vec<String>,
        guesses: usize,
        confidence_min: f64,
    ) -> Result<CodesReading, EngineError> {
        if !(1..=CODE_TEXTS_MAX).contains(&texts.len()) {
            let message = format!("has {}; it must have 1 to {CODE_TEXTS_MAX}", texts.len());
            return Err(EngineError::invalid("/goods", message));
        }
        if !(1..=CODE_GUESSES_MAX).contains(&guesses) {
            let message = format!("is {guesses}; it must be 1 to {CODE_GUESSES_MAX}");
            return Err(EngineError::invalid("/guesses", message));
        }
        if !(0.0..=1.0).contains(&confidence_min) {
            return Err(EngineError::invalid("/confidence_min", format!("is {confidence_min}; it must be 0 to 1")));
        }
        let champion =
            self.shared().champions.of(tenant).codes.clone().ok_or(EngineError::NoModel { task: "codes" })?;
        let model = champion.label.to_string();
        let work = move || {
            let CodeSuggester { model, embedder } = &*champion.model;
            let vectors = embedder.embed(&texts).map_err(failed("embedding model"))?;
            let suggest = |(text, vector): (&String, &Vec<f32>)| {
                let suggested = model.suggest(text, vector, guesses, confidence_min).map_err(failed("codes model"))?;
                Ok(named(model, suggested))
            };
            texts.iter().zip(&vectors).map(suggest).collect::<Result<Vec<_>, EngineError>>()
        };
        let suggestions = tokio::task::spawn_blocking(work).await.map_err(failed("codes model"))??;
        Ok(CodesReading { model, suggestions })
    }
}

fn named(model: &CodeModel, suggested: Suggestion) -> CodeSuggestion {
    let guess = |Guess { code, confidence, nearest }: Guess| {
        let (like_code, like_text) = model.example(nearest).unwrap_or_default();
        CodeGuess { code, confidence, like_code: like_code.to_owned(), like_text: like_text.to_owned() }
    };
    let levels = suggested.levels.into_iter();
    CodeSuggestion {
        code: suggested.code.map(guess),
        levels: levels.map(|level| level.guesses.into_iter().map(guess).collect()).collect(),
    }
}
