//! What the OpenAPI document promises its callers, one line a promise, and which changes of it break a caller who relied on the
//! lines before; what the operations do is tested elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Bounds that a caller keeps to: `true` where a smaller number is narrower.
const BOUNDS: [(&str, bool); 10] = [
    ("maximum", true),
    ("exclusiveMaximum", true),
    ("maxLength", true),
    ("maxItems", true),
    ("maxProperties", true),
    ("minimum", false),
    ("exclusiveMinimum", false),
    ("minLength", false),
    ("minItems", false),
    ("minProperties", false),
];
/// What is asked of the caller: breaks who did not know of it.
const ASKED: [&str; 5] = ["demanded", "may be", "unique", "pattern", "only what is known"];

/// On whose side a schema is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// The caller writes it.
    Asks,
    /// The caller reads it.
    Answers,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Asks => "asks",
            Self::Answers => "answers",
        }
    }
}

/// Collects the lines of a document. A schema with a name is written once for each side that uses it.
#[derive(Default)]
struct Reader {
    promises: BTreeSet<String>,
    waiting: BTreeSet<(Side, String)>,
}

/// Every promise of the document, each as `place: what`.
pub fn promises(document: &Value) -> BTreeSet<String> {
    let mut reader = Reader::default();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            reader.operation(&format!("{} {path}", method.to_uppercase()), operation);
        }
    }
    let mut read = BTreeSet::new();
    while let Some((side, reference)) = reader.waiting.pop_first() {
        if read.insert((side, reference.clone())) {
            let schema = document.pointer(reference.trim_start_matches('#')).expect("a reference leads somewhere");
            let name = reference.rsplit('/').next().unwrap_or_default();
            reader.schema(side, &format!("{} {name}", side.word()), schema);
        }
    }
    reader.promises
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn requires(schema: &Value, name: &str) -> bool {
    items(schema, "required").any(|required| required == name)
}

impl Reader {
    fn say(&mut self, place: &str, what: &str) {
        self.promises.insert(format!("{place}: {what}"));
    }

    fn operation(&mut self, place: &str, operation: &Value) {
        self.say(place, &format!("needs {}", operation["x-permission"].as_str().unwrap_or("nothing")));
        for parameter in items(operation, "parameters") {
            let [of, name] = ["in", "name"].map(|key| parameter[key].as_str().unwrap_or_default());
            let place = format!("{place}.{of}-{name}");
            if parameter["required"] == true {
                self.say(&place, "demanded");
            }
            self.schema(Side::Asks, &place, &parameter["schema"]);
        }
        let body = &operation["requestBody"];
        for (media_type, content) in body["content"].as_object().into_iter().flatten() {
            self.say(&format!("{place}.body"), &format!("takes {media_type}"));
            self.schema(Side::Asks, &format!("{place}.body {media_type}"), &content["schema"]);
        }
        if body["required"] == true {
            self.say(&format!("{place}.body"), "demanded");
        }
        for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
            let place = format!("{place}.{status}");
            self.say(&place, "answered");
            for (media_type, content) in answer["content"].as_object().into_iter().flatten() {
                self.say(&place, &format!("gives {media_type}"));
                self.schema(Side::Answers, &format!("{place} {media_type}"), &content["schema"]);
            }
        }
    }

    fn schema(&mut self, side: Side, place: &str, schema: &Value) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = self.named(side, reference);
            self.kind(side, place, &name);
        }
        self.types(side, place, schema);
        for (keyword, _) in BOUNDS {
            if let (Side::Asks, Some(bound)) = (side, schema[keyword].as_f64()) {
                self.say(place, &format!("{keyword} {bound}"));
            }
        }
        if let (Side::Asks, Some(pattern)) = (side, schema["pattern"].as_str()) {
            self.say(place, &format!("pattern {pattern:?}"));
        }
        if side == Side::Asks && schema["uniqueItems"] == true {
            self.say(place, "unique");
        }
        for part in items(schema, "allOf") {
            match part["$ref"].as_str() {
                Some(reference) => {
                    let name = self.named(side, reference);
                    self.say(place, &format!("has all of {name}"));
                }
                None => self.schema(side, place, part),
            }
        }
        for choice in items(schema, "oneOf").chain(items(schema, "anyOf")) {
            self.choice(side, place, choice);
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}.{name}");
            if side == Side::Answers {
                self.say(&place, "told");
            }
            match (side, requires(schema, name)) {
                (Side::Asks, true) => self.say(&place, "demanded"),
                (Side::Answers, true) => self.say(&place, "always"),
                (_, false) => {}
            }
            self.schema(side, &place, field);
        }
        for (key, ending) in [("items", "[]"), ("additionalProperties", "{}")] {
            if schema[key].is_object() {
                self.schema(side, &format!("{place}.{ending}"), &schema[key]);
            }
        }
        if side == Side::Asks && schema["additionalProperties"] == false {
            self.say(place, "demanded to have no other fields");
        }
    }

    fn types(&mut self, side: Side, place: &str, schema: &Value) {
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let format = schema["format"].as_str().map(|format| format!(" {format}")).unwrap_or_default();
        for name in types {
            let format = if name == "null" { "" } else { &format };
            self.kind(side, place, &format!("{name}{format}"));
        }
        if ["type", "$ref", "allOf", "oneOf", "anyOf", "enum", "const"].iter().all(|key| schema.get(key).is_none()) {
            self.kind(side, place, "anything");
        }
        for value in items(schema, "enum").chain(schema.get("const")) {
            self.say(place, &format!("knows {value}"));
            if side == Side::Asks {
                self.say(place, "only what is known");
            }
        }
    }

    /// What may be sent breaks its callers where it goes, what may be answered where it comes.
    fn kind(&mut self, side: Side, place: &str, kind: &str) {
        let verb = match side {
            Side::Asks => "is",
            Side::Answers => "may be",
        };
        self.say(place, &format!("{verb} {kind}"));
    }

    /// The name of the schema that is referred to, which is read too.
    fn named(&mut self, side: Side, reference: &str) -> String {
        self.waiting.insert((side, reference.to_owned()));
        reference.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// One of several shapes, named by what tells it from the others, so that their order says nothing.
    fn choice(&mut self, side: Side, place: &str, choice: &Value) {
        if choice["type"] == "null" || choice["$ref"].is_string() || !choice["properties"].is_object() {
            return self.schema(side, place, choice);
        }
        let fields = choice["properties"].as_object().into_iter().flatten();
        let tag = fields.clone().find_map(|(name, field)| match field["enum"].as_array().map(Vec::as_slice) {
            Some([only]) => Some(format!("{name}={}", only.as_str().unwrap_or_default())),
            _ => None,
        });
        let name = tag.unwrap_or_else(|| fields.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("+"));
        self.schema(side, &format!("{place}.<{name}>"), choice);
    }
}

/// The promises at each place.
fn by_place(promises: &BTreeSet<String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (place, what) in promises.iter().filter_map(|line| line.split_once(": ")) {
        places.entry(place).or_default().insert(what);
    }
    places
}

fn bound(what: &str) -> Option<(&str, bool, f64)> {
    let (keyword, number) = what.split_once(' ')?;
    let (_, smaller_is_narrower) = BOUNDS.into_iter().find(|(name, _)| *name == keyword)?;
    Some((keyword, smaller_is_narrower, number.parse().ok()?))
}

fn is_asked(what: &str) -> bool {
    ASKED.iter().any(|word| what.starts_with(word))
}

/// What of `after` breaks a caller who relied on `before`: a promise that is gone, or something new that is asked of who did
/// well without it. What is only added breaks nobody, nor does a value more among those that an answer knows. A schema by another
/// name counts as another one: clients that are generated from the document call it so.
pub fn breaches(before: &BTreeSet<String>, after: &BTreeSet<String>) -> BTreeSet<String> {
    let (old, new) = (by_place(before), by_place(after));
    let mut breaches = BTreeSet::new();
    for (place, promised) in &old {
        let kept = new.get(place);
        let relied_on = promised.iter().filter(|what| !is_asked(what) && bound(what).is_none());
        let gone = relied_on.filter(|what| !kept.is_some_and(|kept| kept.contains(*what)));
        breaches.extend(gone.map(|what| format!("gone: {place}: {what}")));
    }
    for (place, asked) in &new {
        let known = old.get(place);
        // A field that is new may be null; it must not be demanded of who sent the object around it.
        let is_around_known = place.rsplit_once('.').is_some_and(|(around, _)| old.contains_key(around));
        for what in asked {
            let is_new = match bound(what) {
                Some(narrower) => known.is_some_and(|known| is_narrower(narrower, known)),
                None if !is_asked(what) || known.is_some_and(|known| known.contains(what)) => false,
                None => known.is_some() || (*what == "demanded" && is_around_known),
            };
            if is_new {
                breaches.insert(format!("asked: {place}: {what}"));
            }
        }
    }
    breaches
}

/// Whether a bound lets less through than the bound of the same kind before, or than none.
fn is_narrower((keyword, smaller_is_narrower, now): (&str, bool, f64), before: &BTreeSet<&str>) -> bool {
    let of_kind = before.iter().filter_map(|what| bound(what)).find(|(name, ..)| *name == keyword);
    of_kind.is_none_or(|(_, _, was)| if smaller_is_narrower { now < was } else { now > was })
}
