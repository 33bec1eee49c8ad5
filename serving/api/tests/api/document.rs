//! The OpenAPI document as the tests read it: which operations there are, and whether an answer has the shape that it declares.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::Answer;

pub struct Document(Value);

/// An operation of the document.
pub struct Operation {
    pub method: String,
    pub template: String,
    pub json: Value,
}

impl Operation {
    /// The path with well-formed ids of things that do not exist.
    pub fn path(&self) -> String {
        let uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
        let mut parts = self.template.split('/').skip(2);
        let prefix = match parts.next().unwrap_or("") {
            "trust" if parts.next() == Some("sellers") => "sel",
            "trust" => "buy",
            "pay-later" => "agr",
            "payments" => "pay",
            "transfers" => "trf",
            "sellers" | "suppliers" => "sel",
            "decisions" | "fraud" => "dec",
            "checkouts" => "chk",
            "orders" => "ord",
            "auctions" => "auc",
            "returns" => "ret",
            "disputes" => "dsp",
            "shipments" => "shp",
            "customs" => "dcl",
            "api-keys" => "key",
            "reorder-proposals" => "reo",
            "route-plans" => "pln",
            "webhook-endpoints" => "whe",
            "saved-searches" => "ssr",
            "price-alerts" => "pal",
            "features" | "persons" => "buy",
            "erasures" => "era",
            _ => "prd",
        };
        let id = format!("{prefix}_{uuid}");
        let path = self.template.replace("{id}", &id).replace("{product}", &id).replace("{entity_id}", &id);
        let path = path.replace("{model}", "absent").replace("{version}", "absent");
        let path = path.replace("{delivery}", &format!("whd_{uuid}"));
        path.replace("{name}", "absent")
            .replace("{kind}", "card")
            .replace("{effect}", "block")
            .replace("{rail}", "simulator")
            .replace("{carrier}", "simulated_post")
            .replace("{number}", "CSQU3054383")
    }

    pub fn permission(&self) -> &str {
        self.json["x-permission"].as_str().unwrap_or("undeclared")
    }
}

impl Document {
    pub fn new(document: &Value) -> Self {
        Self(document.clone())
    }

    pub fn json(&self) -> &Value {
        &self.0
    }

    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (template, methods) in self.0["paths"].as_object().unwrap() {
            for (method, json) in methods.as_object().unwrap() {
                let (method, template) = (method.to_uppercase(), template.clone());
                operations.push(Operation { method, template, json: json.clone() });
            }
        }
        operations
    }

    /// Every `$ref` of the document.
    pub fn references(&self) -> Vec<String> {
        fn collect(value: &Value, into: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    fields.values().for_each(|field| collect(field, into));
                }
                Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
                _ => {}
            }
        }
        let mut references = Vec::new();
        collect(&self.0, &mut references);
        references
    }

    pub fn resolve(&self, reference: &str) -> &Value {
        let target = self.0.pointer(reference.strip_prefix('#').unwrap());
        target.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    /// Panics where the answer is not of a shape that the document declares for it.
    pub fn check_answer(&self, method: &str, path: &str, answer: &Answer) {
        let path = path.split('?').next().unwrap();
        let fits = |template: &str| {
            let (a, b): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a == b || a.starts_with('{'))
        };
        let Some(operation) = self.operations().into_iter().find(|o| o.method == method && fits(&o.template)) else {
            return;
        };
        let responses = &operation.json["responses"];
        let status = answer.status.to_string();
        let declared = if answer.status < 400 { &responses[&status] } else { &responses["default"] };
        assert!(declared.is_object(), "{method} {path}: {status} is not declared: {answer:?}");
        let Some(content) = declared["content"].as_object() else {
            assert!(answer.text.is_empty(), "{method} {path}: a body that is not declared");
            return;
        };
        let media_type = answer.header("content-type").split(';').next().unwrap();
        let declared =
            content.get(media_type).unwrap_or_else(|| panic!("{method} {path}: {media_type} is not declared"));
        if media_type.ends_with("json") {
            let problem = self.mismatch(&declared["schema"], &answer.json(), "");
            assert!(problem.is_none(), "{method} {path}: {}: {}", problem.unwrap_or_default(), answer.text);
        }
    }

    /// What in `value` is not as `schema` says.
    fn mismatch(&self, schema: &Value, value: &Value, place: &str) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.mismatch(self.resolve(reference), value, place);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let problems: Option<Vec<String>> = choices.iter().map(|one| self.mismatch(one, value, place)).collect();
            return problems.map(|problems| problems.join(" and "));
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |name: &&str| match *name {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        };
        if !types.is_empty() && !types.iter().any(is) {
            return Some(format!("{place} is {value}, not {types:?}"));
        }
        if let Value::Array(items) = value {
            let wrong = |(index, item)| self.mismatch(&schema["items"], item, &format!("{place}/{index}"));
            return items.iter().enumerate().find_map(wrong);
        }
        value.as_object().and_then(|fields| self.mismatch_of_fields(schema, fields, place))
    }

    fn mismatch_of_fields(
        &self,
        schema: &Value,
        fields: &serde_json::Map<String, Value>,
        place: &str,
    ) -> Option<String> {
        let (mut declared, mut required) = (BTreeMap::new(), Vec::new());
        self.collect_fields(schema, &mut declared, &mut required);
        if let Some(name) = required.iter().find(|name| !fields.contains_key(*name)) {
            return Some(format!("{place}/{name} is missing"));
        }
        let of_any_name = schema.get("additionalProperties").filter(|schema| schema.is_object());
        fields.iter().find_map(|(name, value)| match declared.get(name).copied().or(of_any_name) {
            Some(schema) => self.mismatch(schema, value, &format!("{place}/{name}")),
            None if declared.is_empty() => None,
            None => Some(format!("{place}/{name} is not declared")),
        })
    }

    fn collect_fields<'a>(
        &'a self,
        schema: &'a Value,
        into: &mut BTreeMap<String, &'a Value>,
        required: &mut Vec<String>,
    ) {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.collect_fields(self.resolve(reference), into, required);
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.collect_fields(part, into, required);
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            into.insert(name.clone(), field);
        }
        required
            .extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
}
