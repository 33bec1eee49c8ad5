//! Events as CloudEvents 1.0 in JSON: what people write and other systems send; transport is not its business.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::event::EventProblem;
use crate::{Event, EventId, Fact, FactKind, TenantId, Timestamp};

/// What stands before a fact's name in the CloudEvents `type`.
pub const TYPE_PREFIX: &str = "dhow.";

/// The longest accepted JSON text of one event.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;

/// The CloudEvents form of `event`.
pub fn to_json(event: &Event) -> Json {
    let data = serde_json::to_value(&event.fact)
        .ok()
        .and_then(|mut fact| fact.get_mut(event.fact.kind().name()).map(Json::take));
    json!({
        "specversion": "1.0",
        "id": event.id.to_string(),
        "source": format!("/{}", event.tenant),
        "type": format!("{TYPE_PREFIX}{}", event.fact.kind().name()),
        "time": event.event_time,
        "datacontenttype": "application/json",
        "data": data,
    })
}

#[derive(Deserialize)]
struct Envelope {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    time: Option<String>,
    data: Option<Json>,
}

/// Reads one CloudEvent of `tenant`; extension attributes are passed over, as the standard asks.
///
/// An id that is not one of ours becomes one by hashing it with its source, so that a retry is known as a duplicate.
///
/// # Errors
/// The first problem, with its place: a missing attribute, an unknown type, a field of the data that is missing,
/// unknown or out of its range.
pub fn from_json(json: &Json, tenant: TenantId) -> Result<Event, EventProblem> {
    let envelope =
        Envelope::deserialize(json).map_err(|e| EventProblem::new("", format!("is not a CloudEvent: {e}")))?;
    require(envelope.specversion.as_deref() == Some("1.0"), "/specversion", "must be \"1.0\"")?;
    let source = present(envelope.source, "/source", "must name the sender, for example \"/storefront\"")?;
    let id = present(envelope.id, "/id", "must be a text that is unique for its source")?;
    let time = present(envelope.time, "/time", "must say when it happened, for example \"2026-01-31T12:00:00Z\"")?;
    let event_time: Timestamp =
        time.parse().map_err(|e: crate::TimestampError| EventProblem::new("/time", e.to_string()))?;
    let kind = kind_of(&present(envelope.kind, "/type", "must name a fact, for example \"dhow.product_viewed\"")?)?;
    let data = envelope.data.ok_or_else(|| EventProblem::new("/data", "must hold the fact"))?;
    let fact = fact_of(kind, data)?;
    let id = id.parse().unwrap_or_else(|_| EventId::from_reference(&tenant, &format!("{source} {id}")));
    let event = Event { id, tenant, event_time, fact };
    event.check_values()?;
    Ok(event)
}

/// Reads one line of NDJSON.
///
/// # Errors
/// Too long, not JSON, or what [`from_json`] refuses.
pub fn from_line(line: &str, tenant: TenantId) -> Result<Event, EventProblem> {
    if line.len() > EVENT_BYTES_MAX {
        return Err(EventProblem::new("", format!("has {} bytes; at most {EVENT_BYTES_MAX} are allowed", line.len())));
    }
    let json = serde_json::from_str(line).map_err(|e| EventProblem::new("", format!("is not JSON: {e}")))?;
    from_json(&json, tenant)
}

fn require(holds: bool, pointer: &str, message: &str) -> Result<(), EventProblem> {
    if holds { Ok(()) } else { Err(EventProblem::new(pointer, message)) }
}

fn present(text: Option<String>, pointer: &str, message: &str) -> Result<String, EventProblem> {
    text.filter(|t| !t.is_empty()).ok_or_else(|| EventProblem::new(pointer, message))
}

fn kind_of(text: &str) -> Result<FactKind, EventProblem> {
    let name = text.strip_prefix(TYPE_PREFIX).unwrap_or(text);
    FactKind::from_name(name).ok_or_else(|| {
        let nearest = nearest_kind(name);
        EventProblem::new("/type", format!("`{text}` is not a known fact; did you mean `{TYPE_PREFIX}{nearest}`?"))
    })
}

/// The known name with the smallest edit distance, for the error message.
fn nearest_kind(name: &str) -> &'static str {
    let distance = |kind: &&FactKind| edit_distance(kind.name(), name);
    FactKind::ALL.iter().min_by_key(distance).map_or("product_viewed", |kind| kind.name())
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn fact_of(kind: FactKind, data: Json) -> Result<Fact, EventProblem> {
    let Json::Object(fields) = &data else {
        return Err(EventProblem::new("/data", "must be an object"));
    };
    // Serde names a wrong field in its message only, so the fields are tried one by one where the whole is refused.
    let names: Vec<String> = fields.keys().cloned().collect();
    let tagged = json!({ kind.name(): data });
    Fact::deserialize(&tagged).map_err(|error| {
        let message = error.to_string();
        let culprit = culprit(&tagged, kind, &names, &message);
        EventProblem::new(culprit.map_or("/data".to_owned(), |name| format!("/data/{name}")), message)
    })
}

/// The field whose removal changes the complaint: the one that it is about.
fn culprit(tagged: &Json, kind: FactKind, names: &[String], message: &str) -> Option<String> {
    let complains_of = |name: &String| {
        let mut without = tagged.clone();
        without[kind.name()].as_object_mut().map(|fields| fields.remove(name));
        Fact::deserialize(&without).err().map(|e| e.to_string()).as_deref() != Some(message)
    };
    names.iter().find(|name| complains_of(name)).cloned()
}
