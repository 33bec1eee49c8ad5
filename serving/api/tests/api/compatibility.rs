//! The API keeps what it promised: no change of the OpenAPI document breaks a caller unless `breaches.txt` declares it; how a
//! promise is read from the document is in `promises.rs`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::promises::{breaches, promises};

/// Set to write the promises of today's document, once every breach is declared; the declared breaches are then history.
const WRITE: &str = "DHOW_WRITE_PROMISES";

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/api").join(name)
}

fn lines(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file(name)).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn document() -> Value {
    serde_json::from_str(&dhow_api::openapi()).unwrap()
}

#[test]
fn no_change_of_the_api_breaks_its_callers_unless_it_is_declared() {
    let (before, now, declared) = (lines("promises.txt"), promises(&document()), lines("breaches.txt"));
    let found = breaches(&before, &now);
    let list = |lines: Vec<&String>| lines.into_iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let undeclared = list(found.difference(&declared).collect());
    assert!(
        undeclared.is_empty(),
        "these changes break callers; take them back, or declare them in breaches.txt and in the changelog:\n{undeclared}"
    );
    let stale = list(declared.difference(&found).collect());
    assert!(stale.is_empty(), "breaches.txt declares what breaks nothing:\n{stale}");
    println!("measured: {} promises, {} of them new", now.len(), now.difference(&before).count());
    if std::env::var_os(WRITE).is_some() {
        let text = |name: &str| std::fs::read_to_string(file(name)).unwrap();
        let head =
            |name: &str| text(name).lines().take_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let lines = now.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
        std::fs::write(file("promises.txt"), format!("{}\n{lines}\n", head("promises.txt"))).unwrap();
        std::fs::write(file("breaches.txt"), format!("{}\n", head("breaches.txt"))).unwrap();
    }
}

#[test]
fn an_operation_that_goes_breaks_its_callers_and_one_that_comes_breaks_nobody() {
    let whole = document();
    let all = promises(&whole);
    for (path, methods) in whole["paths"].as_object().unwrap().iter().step_by(5) {
        let mut less = whole.clone();
        less["paths"].as_object_mut().unwrap().remove(path);
        let less = promises(&less);
        assert_eq!(breaches(&less, &all), BTreeSet::new(), "{path} comes");
        let found = breaches(&all, &less);
        for method in methods.as_object().unwrap().keys() {
            let gone = format!("gone: {} {path}: needs ", method.to_uppercase());
            assert!(found.iter().any(|breach| breach.starts_with(&gone)), "{gone}: {found:?}");
        }
    }
}

/// One operation whose body and answer are the same schema.
fn small() -> Value {
    let cup = json!({ "schema": { "$ref": "#/components/schemas/Cup" } });
    json!({
        "paths": { "/v1/cups": { "post": {
            "x-permission": "cups:write",
            "parameters": [{
                "name": "limit", "in": "query", "required": false,
                "schema": { "type": "integer", "minimum": 1, "maximum": 100 },
            }],
            "requestBody": { "required": false, "content": { "application/json": cup } },
            "responses": { "201": { "content": { "application/json": cup } } },
        } } },
        "components": { "schemas": {
            "Cup": { "type": "object", "required": ["name"], "properties": {
                "name": { "type": "string" },
                "note": { "type": "string", "maxLength": 20 },
                "kind": { "$ref": "#/components/schemas/Kind" },
                "parts": { "type": "array", "items": { "$ref": "#/components/schemas/Cup" } },
            } },
            "Kind": { "type": "string", "enum": ["tea", "mocha"] },
        } },
    })
}

const OPERATION: &str = "/paths/~1v1~1cups/post";
const CUP: &str = "/components/schemas/Cup";

/// What breaks when the value at `place` becomes `value`.
fn broken_by(place: String, value: Value) -> Vec<String> {
    let (before, mut after) = (small(), small());
    let (around, name) = place.rsplit_once('/').unwrap();
    after.pointer_mut(around).unwrap()[name] = value;
    breaches(&promises(&before), &promises(&after)).into_iter().collect()
}

#[test]
fn a_change_that_only_adds_breaks_nobody() {
    let adds = [
        (format!("{OPERATION}/summary"), json!("Makes a cup.")),
        (format!("{OPERATION}/responses/200"), json!({})),
        (
            format!("{OPERATION}/parameters"),
            json!([
                { "name": "limit", "in": "query", "required": false, "schema": { "type": "integer", "maximum": 200 } },
                { "name": "colour", "in": "query", "required": false, "schema": { "type": "string" } },
            ]),
        ),
        (format!("{CUP}/properties/size"), json!({ "type": ["integer", "null"], "minimum": 0 })),
        (
            format!("{CUP}/properties/box"),
            json!({
                "type": "object", "required": ["width"], "properties": { "width": { "type": "integer" } },
            }),
        ),
        (format!("{CUP}/properties/note"), json!({ "type": "string", "maxLength": 21 })),
        ("/components/schemas/Kind/enum".to_owned(), json!(["latte", "tea", "mocha"])),
    ];
    for (place, value) in adds {
        assert_eq!(broken_by(place.clone(), value), Vec::<String>::new(), "{place}");
    }
}

#[test]
fn a_change_that_takes_something_away_or_asks_for_more_breaks_callers() {
    let parameter = |required: bool, maximum: u32| {
        json!([{
            "name": "limit", "in": "query", "required": required,
            "schema": { "type": "integer", "minimum": 1, "maximum": maximum },
        }])
    };
    let limit = "POST /v1/cups.query-limit";
    let breaks: [(String, Value, &[&str]); 12] = [
        (format!("{OPERATION}/x-permission"), json!("cups:make"), &["gone: POST /v1/cups: needs cups:write"]),
        (format!("{OPERATION}/parameters"), parameter(true, 100), &[&format!("asked: {limit}: demanded")]),
        (format!("{OPERATION}/parameters"), parameter(false, 99), &[&format!("asked: {limit}: maximum 99")]),
        (format!("{OPERATION}/requestBody/required"), json!(true), &["asked: POST /v1/cups.body: demanded"]),
        (format!("{CUP}/required"), json!([]), &["gone: answers Cup.name: always"]),
        (format!("{CUP}/required"), json!(["name", "note"]), &["asked: asks Cup.note: demanded"]),
        (
            format!("{CUP}/properties/name"),
            json!({ "type": "integer" }),
            &["asked: answers Cup.name: may be integer", "gone: asks Cup.name: is string"],
        ),
        (
            format!("{CUP}/properties/name"),
            json!({ "type": ["string", "null"] }),
            &["asked: answers Cup.name: may be null"],
        ),
        (
            format!("{CUP}/properties/note"),
            json!({ "type": "string", "maxLength": 20, "pattern": "^a" }),
            &["asked: asks Cup.note: pattern \"^a\""],
        ),
        (
            format!("{CUP}/properties/note"),
            json!({ "type": "string", "enum": ["hot", "cold"], "maxLength": 20 }),
            &["asked: asks Cup.note: only what is known"],
        ),
        (
            format!("{CUP}/properties/parts/items"),
            json!({ "type": "string" }),
            &["asked: answers Cup.parts.[]: may be string", "gone: asks Cup.parts.[]: is Cup"],
        ),
        (
            "/components/schemas/Kind/enum".to_owned(),
            json!(["tea"]),
            &["gone: answers Kind: knows \"mocha\"", "gone: asks Kind: knows \"mocha\""],
        ),
    ];
    for (place, value, expected) in breaks {
        assert_eq!(broken_by(place.clone(), value), expected, "{place}");
    }
}

#[test]
fn a_new_field_that_is_demanded_breaks_who_sent_the_object_without_it() {
    let mut after = small();
    after["components"]["schemas"]["Cup"]["required"] = json!(["name", "size"]);
    after["components"]["schemas"]["Cup"]["properties"]["size"] = json!({ "type": "integer" });
    let found: Vec<String> = breaches(&promises(&small()), &promises(&after)).into_iter().collect();
    assert_eq!(found, ["asked: asks Cup.size: demanded"]);
}

#[test]
fn a_field_that_is_told_no_more_breaks_who_read_it() {
    let mut after = small();
    after["components"]["schemas"]["Cup"]["properties"].as_object_mut().unwrap().remove("note");
    let found: Vec<String> = breaches(&promises(&small()), &promises(&after)).into_iter().collect();
    assert_eq!(found, ["gone: answers Cup.note: told", "gone: asks Cup.note: is string"]);
}
