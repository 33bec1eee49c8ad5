//! Codes suggested for goods by their words, over HTTP; which ones is the engine's.

use axum::Json;
use axum::extract::State;
use dhow_engine::{CodeGuess, CodeSuggestion};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::JsonBody;
use crate::problem::Problem;

/// How sure a suggestion must be where the request does not say.
const CONFIDENCE_MIN: f64 = 0.8;
/// How many guesses of a level are told where the request does not say.
const GUESSES: usize = 3;
/// The longest title and description of goods together, in bytes.
const WORDS_BYTES_MAX: usize = 8_192;

/// Goods whose code is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoodsWords {
    /// What they are.
    #[schema(example = "Wireless headphones")]
    title: String,
    /// More about them; with the title at most 8,192 bytes.
    #[serde(default)]
    description: String,
}

/// Goods whose codes are asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodesRequest {
    /// 1 to 64.
    goods: Vec<GoodsWords>,
    /// How sure a suggestion must be, 0 to 1; 0.8 where it is absent.
    confidence_min: Option<f64>,
    /// How many guesses of each level are told, 1 to 20; 3 where it is absent.
    guesses: Option<usize>,
}

/// A guess.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeGuessAnswer {
    /// The first digits of the code (2: chapter, 4: heading), or all 6.
    #[schema(example = "851830")]
    code: String,
    /// The probability that it is right, fitted on labelled texts that were left out; other wording may be guessed worse.
    confidence: f64,
    /// The code of the labelled text that is most like the goods' words.
    like_code: String,
    /// That text.
    like_text: String,
}

/// What is suggested for one of the goods.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeSuggestionAnswer {
    /// The guess with the most digits that is as sure as was asked for; null where none is: somebody has to look.
    code: Option<CodeGuessAnswer>,
    /// The surest chapters.
    chapters: Vec<CodeGuessAnswer>,
    /// The surest headings.
    headings: Vec<CodeGuessAnswer>,
    /// The surest subheadings.
    subheadings: Vec<CodeGuessAnswer>,
}

/// What is suggested.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodesAnswer {
    /// The model and its id.
    model: String,
    /// In the order of the goods.
    goods: Vec<CodeSuggestionAnswer>,
}

/// Suggest codes of the Harmonized System for goods by their words; where nothing is sure enough, none is suggested.
///
/// By the model that `dhow train codes` learned from labelled texts. A suggestion is no ruling: the code that is declared is the
/// declarant's.
#[utoipa::path(
    post, path = "/v1/customs/codes", tag = "customs", request_body = CodesRequest,
    responses((status = 200, body = CodesAnswer)),
)]
pub(crate) async fn post_customs_codes(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<CodesRequest>,
) -> Result<Json<CodesAnswer>, Problem> {
    let CodesRequest { goods, confidence_min, guesses } = body.value;
    let mut texts = Vec::with_capacity(goods.len());
    for (place, GoodsWords { title, description }) in goods.into_iter().enumerate() {
        let wrong =
            |what: String| Problem::invalid([dhow_commerce::FieldProblem::new(format!("/goods/{place}/title"), what)]);
        if title.trim().is_empty() {
            return Err(wrong("is empty; it must say what the goods are".to_owned()));
        }
        let bytes = title.len() + description.len();
        if bytes > WORDS_BYTES_MAX {
            return Err(wrong(format!("has {bytes} bytes with its description; at most {WORDS_BYTES_MAX} may be")));
        }
        texts.push(if description.is_empty() { title } else { format!("{title}. {description}") });
    }
    let (confidence_min, guesses) = (confidence_min.unwrap_or(CONFIDENCE_MIN), guesses.unwrap_or(GUESSES));
    let reading = app.engine.suggest_codes(caller.tenant, texts, guesses, confidence_min).await?;
    let goods = reading.suggestions.into_iter().map(answer).collect();
    Ok(Json(CodesAnswer { model: reading.model, goods }))
}

fn answer(suggestion: CodeSuggestion) -> CodeSuggestionAnswer {
    let guess = |CodeGuess { code, confidence, like_code, like_text }: CodeGuess| CodeGuessAnswer {
        code,
        confidence,
        like_code,
        like_text,
    };
    let mut levels = suggestion.levels.into_iter().map(|level| level.into_iter().map(guess).collect());
    let mut next = || levels.next().unwrap_or_default();
    let (chapters, headings, subheadings) = (next(), next(), next());
    CodeSuggestionAnswer { code: suggestion.code.map(guess), chapters, headings, subheadings }
}
