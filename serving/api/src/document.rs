//! The OpenAPI document: what the handlers declare, joined with the table of permissions; it serves nothing.

use serde_json::{Value, json};
use utoipa::PartialSchema;

use crate::access::{Need, need_of};
use crate::input::JSON_TYPE;
use crate::problem::{PROBLEM_TYPE, ProblemBody, ProblemField};
use crate::routes;
use crate::routes::inference::{ErrorBody, is_protocol_path};

/// What the documentation begins with: a walk through the commerce APIs by commands that can be copied.
const WALK: &str = include_str!("walk.md");

/// The OpenAPI 3.1 document, as JSON for people and programs.
pub fn openapi() -> String {
    format!("{:#}", document())
}

/// The document; every operation says its permission as `x-permission` and answers problems.
pub(crate) fn document() -> Value {
    let declared = routes::all().into_openapi();
    let mut document = serde_json::to_value(declared).expect("a document whose maps have text keys is always JSON");
    document["info"] = json!({
        "title": "Dhow",
        "version": env!("CARGO_PKG_VERSION"),
        "description": WALK,
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
    });
    document["components"]["securitySchemes"] = json!({ "api_key": { "type": "http", "scheme": "bearer" } });
    document["components"]["schemas"]["Problem"] = json!(ProblemBody::schema());
    document["components"]["schemas"]["InferenceError"] = json!(ErrorBody::schema());
    document["components"]["schemas"]["ProblemField"] = json!(ProblemField::schema());
    let problem = json!({
        "description": "A problem, by RFC 9457.",
        "content": { PROBLEM_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let failed_inference = json!({
        "description": "An error, as the Open Inference Protocol tells it.",
        "content": { JSON_TYPE: { "schema": { "$ref": "#/components/schemas/InferenceError" } } },
    });
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            let failed = if is_protocol_path(path) { &failed_inference } else { &problem };
            operation["responses"]["default"] = failed.clone();
            let Some(need) = need_of(&method.to_ascii_uppercase(), path) else { continue };
            operation["x-permission"] = json!(need.word());
            if let Need::Of(_) = need {
                operation["security"] = json!([{ "api_key": [] }]);
            }
        }
    }
    document
}
