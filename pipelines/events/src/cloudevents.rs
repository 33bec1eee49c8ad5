//! Events as CloudEvents 1.0 in JSON: what people write and other systems send; transport is not its business.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::event::EventProblem;
use crate::record::{FieldRule, Presence};
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
/// unknown, of another type (an integer may stand for a float, a text never for a number) or out of its range.
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
    nearest(name, FactKind::ALL.iter().map(|kind| kind.name())).unwrap_or("product_viewed")
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.min_by_key(|known| edit_distance(known, name))
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

fn fact_of(kind: FactKind, mut data: Json) -> Result<Fact, EventProblem> {
    let fields = data.as_object_mut().ok_or_else(|| EventProblem::new("/data", "must be an object"))?;
    admit_fields(kind.name(), kind.fields(), fields)?;
    let known = || kind.fields().iter().map(|rule| rule.name);
    // Serde names a wrong value in its message only, so the fields are left out one by one where the whole is refused.
    let tagged = json!({ kind.name(): data });
    Fact::deserialize(&tagged).map_err(|error| {
        let message = error.to_string();
        let culprit = known().find(|name| complains_of(&tagged, kind, name, &message));
        EventProblem::new(culprit.map_or("/data".to_owned(), |name| format!("/data/{name}")), message)
    })
}

/// Checks the names of a record's fields: required ones must be there, unknown ones are refused, removed ones are taken
/// out. `record` is the record's name, for messages.
///
/// # Errors
/// The first missing or unknown field, with its place.
pub fn admit_fields(record: &str, rules: &[FieldRule], fields: &mut Map<String, Json>) -> Result<(), EventProblem> {
    for rule in rules {
        match rule.presence {
            Presence::Required if !fields.contains_key(rule.name) => {
                let message = format!("is missing; every {record} has it");
                return Err(EventProblem::new(format!("/data/{}", rule.name), message));
            }
            Presence::Removed => drop(fields.remove(rule.name)),
            Presence::Required | Presence::Optional => {}
        }
    }
    match fields.keys().find(|name| !rules.iter().any(|rule| rule.name == **name)) {
        None => Ok(()),
        Some(name) => {
            let declared = rules.iter().filter(|rule| rule.presence != Presence::Removed).map(|rule| rule.name);
            let meant = nearest(name, declared).unwrap_or_default();
            let message = format!("is not a field of {record}; did you mean `{meant}`?");
            Err(EventProblem::new(format!("/data/{}", escaped(name)), message))
        }
    }
}

/// Whether the complaint is another one without the field: then it was about it.
fn complains_of(tagged: &Json, kind: FactKind, name: &str, message: &str) -> bool {
    let mut without = tagged.clone();
    let removed = without[kind.name()].as_object_mut().and_then(|fields| fields.remove(name));
    removed.is_some() && Fact::deserialize(&without).err().map(|e| e.to_string()).as_deref() != Some(message)
}

/// A name as a part of a JSON Pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
