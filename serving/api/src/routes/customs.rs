//! What goods cost at a border and which papers they need; declarations have a file of their own.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use dhow_commerce::FieldProblem;
use dhow_customs::{
    Assessment, AssessmentError, Country, Finding, Goods, HsCode, HsTable, LineQuote, Part, PartKind, QuoteError,
    RuleKind,
};
use dhow_events::{Clock, Currency, Money};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::JsonBody;
use crate::problem::Problem;
use crate::schemas;

/// The most kinds of papers of a request.
const DOCUMENTS_MAX: usize = 100;

/// Goods that are to cross a border.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomsRequest {
    /// Where they come to: two letters of ISO 3166-1.
    #[schema(value_type = String, example = "US")]
    destination: Country,
    /// The day on which they are entered, such as 2025-04-05; today, UTC, where it is absent.
    #[schema(value_type = Option<String>)]
    on: Option<String>,
    /// The lines, 1 to 500.
    goods: Vec<CustomsGoods>,
    /// The kinds of papers that are there, at most 100.
    #[serde(default)]
    documents: Vec<String>,
}

/// A line of goods.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomsGoods {
    /// The code of the destination's tariff, 6 to 10 digits.
    #[schema(value_type = String, example = "6109.10.00")]
    hs: HsCode,
    /// Where they were made: two letters of ISO 3166-1.
    #[schema(value_type = String, example = "VN")]
    origin: Country,
    /// The customs value of the line, in the currency of the destination's table.
    #[schema(value_type = schemas::Money)]
    value: Money,
    /// Net weight of the line in grams.
    #[serde(default)]
    weight_grams: i64,
    /// Pieces, or pairs, or whatever the tariff counts.
    #[serde(default)]
    items: i64,
}

/// A part of what a line costs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomsPart {
    /// `duty`, `extra` or `tax`.
    #[schema(value_type = String)]
    kind: PartKind,
    /// The provision of the table.
    id: String,
    /// Why, in words.
    reason: String,
    /// What the rate was taken of.
    #[schema(value_type = schemas::Money)]
    base: Money,
    /// How much; 0 where it was lifted.
    #[schema(value_type = schemas::Money)]
    amount: Money,
    /// The provision because of which it costs nothing.
    lifted_by: Option<String>,
}

/// What a line costs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomsLine {
    /// The code.
    #[schema(value_type = String)]
    hs: HsCode,
    /// Its words in the table of codes, where there is one.
    description: Option<String>,
    /// The parts; they add up to duty and tax.
    parts: Vec<CustomsPart>,
    /// Duties, extra ones included.
    #[schema(value_type = schemas::Money)]
    duty: Money,
    #[schema(value_type = schemas::Money)]
    tax: Money,
}

/// What a rule says of a line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomsFinding {
    /// Which line, from 0.
    line: usize,
    /// The rule.
    id: String,
    /// `prohibited`, `restricted`, `licence` or `document`.
    #[schema(value_type = String)]
    kind: RuleKind,
    /// The kind of paper that it asks for; empty where it asks for none.
    document: String,
    /// Why.
    reason: String,
    /// Whether the papers meet it; never what is prohibited, or what a person must look at.
    met: bool,
}

/// What goods cost at a border, and what they need.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomsAnswer {
    /// The version of the tariff table.
    tariff: String,
    /// The day that it was asked for.
    on: String,
    lines: Vec<CustomsLine>,
    /// The customs value of all lines.
    #[schema(value_type = schemas::Money)]
    value: Money,
    #[schema(value_type = schemas::Money)]
    duty: Money,
    #[schema(value_type = schemas::Money)]
    tax: Money,
    /// Duty and tax.
    #[schema(value_type = schemas::Money)]
    total: Money,
    /// Every rule that applies.
    findings: Vec<CustomsFinding>,
    /// Whether every rule that applies is met.
    may_cross: bool,
}

/// Quote duty and tax of goods, with the reason for every part, and the papers that they need.
///
/// By the tariff tables and rules of the server's settings (`[customs]`). A code without a rate is refused: it is not free.
#[utoipa::path(
    post, path = "/v1/customs/quotes", tag = "customs", request_body = CustomsRequest,
    responses((status = 200, body = CustomsAnswer)),
)]
pub(crate) async fn post_customs_quotes(
    State(app): State<Shared>,
    _caller: Caller,
    body: JsonBody<CustomsRequest>,
) -> Result<Json<CustomsAnswer>, Problem> {
    let CustomsRequest { destination, on, goods, documents } = body.value;
    if documents.len() > DOCUMENTS_MAX {
        return Err(invalid("/documents", format!("has {} kinds; at most {DOCUMENTS_MAX} may be", documents.len())));
    }
    let on = match on {
        Some(text) => text.parse().map_err(|_| invalid("/on", format!("`{text}` is not a day such as 2025-04-05")))?,
        None => today(app.engine.clock().as_ref()).map_err(Problem::internal)?,
    };
    let borders = app.engine.borders();
    let currency = borders.table(destination, on).map_err(refused)?.head().currency;
    let goods = goods.into_iter().enumerate().map(|(line, goods)| in_units(line, goods, currency));
    let goods: Vec<Goods> = goods.collect::<Result<_, _>>()?;
    let documents: BTreeSet<&str> = documents.iter().map(String::as_str).collect();
    let assessment = borders.assess(&goods, destination, on, &documents).map_err(refused)?;
    Ok(Json(answer(on, &goods, assessment, &borders.codes)))
}

pub(super) fn today(clock: &dyn Clock) -> Result<Date, jiff::Error> {
    Ok(jiff::Timestamp::from_microsecond(clock.now().micros())?.to_zoned(TimeZone::UTC).date())
}

fn invalid(pointer: impl Into<String>, message: String) -> Problem {
    Problem::invalid([FieldProblem::new(pointer, message)])
}

pub(super) fn in_units(line: usize, goods: CustomsGoods, currency: Currency) -> Result<Goods, Problem> {
    let CustomsGoods { hs, origin, value, weight_grams, items } = goods;
    if value.currency != currency {
        let message = format!("is {}; the destination's table counts in {currency}", value.currency);
        return Err(invalid(format!("/goods/{line}/value/currency"), message));
    }
    Ok(Goods { hs, origin, value_minor: value.amount_minor, weight_grams, items })
}

pub(super) fn refused(error: AssessmentError) -> Problem {
    let pointer = match &error {
        AssessmentError::NoTable { .. } => "/destination".to_owned(),
        AssessmentError::NoCode { line, .. } | AssessmentError::Quote(QuoteError::NoRate { line, .. }) => {
            format!("/goods/{line}/hs")
        }
        AssessmentError::Quote(QuoteError::Amount { line, what: "value_minor", .. }) => {
            format!("/goods/{line}/value/amount")
        }
        AssessmentError::Quote(QuoteError::Amount { line, what, .. }) => format!("/goods/{line}/{what}"),
        AssessmentError::Quote(QuoteError::Day { .. }) => "/on".to_owned(),
        AssessmentError::Quote(QuoteError::Lines(_) | QuoteError::Sum(_)) => "/goods".to_owned(),
    };
    invalid(pointer, error.to_string())
}

fn answer(on: Date, goods: &[Goods], assessment: Assessment, codes: &HsTable) -> CustomsAnswer {
    let may_cross = assessment.may_cross();
    let Assessment { quote, findings } = assessment;
    let money = |minor| Money::new(minor, quote.currency);
    let part = |Part { kind, id, reason, base_minor, amount_minor, lifted_by }| CustomsPart {
        kind,
        id,
        reason,
        base: money(base_minor),
        amount: money(amount_minor),
        lifted_by,
    };
    let line = |(goods, LineQuote { parts, duty_minor, tax_minor }): (&Goods, LineQuote)| CustomsLine {
        hs: goods.hs.clone(),
        description: codes.description(&goods.hs).map(str::to_owned),
        parts: parts.into_iter().map(part).collect(),
        duty: money(duty_minor),
        tax: money(tax_minor),
    };
    let finding =
        |Finding { line, id, kind, document, reason, met }| CustomsFinding { line, id, kind, document, reason, met };
    CustomsAnswer {
        tariff: quote.version,
        on: on.to_string(),
        lines: goods.iter().zip(quote.lines).map(line).collect(),
        value: money(quote.value_minor),
        duty: money(quote.duty_minor),
        tax: money(quote.tax_minor),
        total: money(quote.total_minor),
        findings: findings.into_iter().map(finding).collect(),
        may_cross,
    }
}
