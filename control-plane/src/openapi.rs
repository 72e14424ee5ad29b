//! The OpenAPI document: what utoipa collects from the handlers, and what can only be said about all of it.

use crate::definition::schema::literals;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

const MERGE_PATCH: &str = "application/merge-patch+json";
const COMPONENTS: &str = "#/components/schemas/";

/// The document as served.
pub(crate) fn finish(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"] = json!({
        "title": "Sortition control plane",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Experiments and feature flags: definitions, their life, their results.",
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
    });
    document["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer", "description": "An API token, `st_…`." },
        "sdk_key": { "type": "http", "scheme": "bearer", "description": "An SDK key, `sk_…`." }
    });
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        join_flattened(schemas);
        for (name, schema) in literals() {
            schemas.insert(name.to_owned(), schema);
        }
        // serde refuses two forms at once; utoipa does not say so of externally tagged enums.
        for form in schemas["ServeDefinition"]["oneOf"].as_array_mut().into_iter().flatten() {
            form["additionalProperties"] = json!(false);
        }
    }
    let patched = patched_schemas(&document);
    for name in patched {
        let patch = patch_of(&document["components"]["schemas"][&name]);
        document["components"]["schemas"][format!("{name}Patch")] = patch;
    }
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            finish_operation(path, method, operation);
        }
    }
    document
}

/// A flattened definition is an `allOf` with a schema that admits no other member: written as one object.
fn join_flattened(schemas: &mut Map<String, Value>) {
    let originals = schemas.clone();
    for schema in schemas.values_mut() {
        let Some(parts) = schema.get("allOf").and_then(Value::as_array).cloned() else { continue };
        let mut joined = json!({ "type": "object", "properties": {}, "required": [] });
        for part in &parts {
            let part = part
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| originals.get(reference.trim_start_matches(COMPONENTS)))
                .unwrap_or(part);
            for (name, property) in
                part.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                joined["properties"][name] = property.clone();
            }
            if let (Some(all), Some(more)) =
                (joined["required"].as_array_mut(), part.get("required").and_then(Value::as_array))
            {
                all.extend(more.iter().cloned());
            }
        }
        if let Some(description) = schema.get("description") {
            joined["description"] = description.clone();
        }
        *schema = joined;
    }
}

/// Names of the schemas that some PATCH takes.
fn patched_schemas(document: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for item in document["paths"].as_object().into_iter().flat_map(Map::values) {
        let schema = &item["patch"]["requestBody"]["content"][MERGE_PATCH]["schema"]["$ref"];
        if let Some(reference) = schema.as_str() {
            names.push(reference.trim_start_matches(COMPONENTS).to_owned());
        }
    }
    names
}

/// The schema of a merge patch: every member may be left out, or be null to take it away.
fn patch_of(schema: &Value) -> Value {
    let mut patch = schema.clone();
    if let Some(object) = patch.as_object_mut() {
        object.remove("required");
        object.insert(
            "description".to_owned(),
            json!("A JSON Merge Patch: members that are left out stay, null takes one away."),
        );
    }
    for property in patch["properties"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        let nullable = match property.get_mut("type") {
            Some(Value::String(word)) => {
                let word = word.clone();
                property["type"] = json!([word, "null"]);
                true
            }
            Some(Value::Array(words)) => {
                if !words.contains(&json!("null")) {
                    words.push(json!("null"));
                }
                true
            }
            _ => admits_null(property),
        };
        if nullable {
            if let Some(words) = property.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
        } else {
            *property = json!({ "oneOf": [{ "type": "null" }, property.take()] });
        }
    }
    patch
}

fn admits_null(schema: &Value) -> bool {
    let forms = schema["oneOf"].as_array();
    forms.is_some_and(|forms| forms.iter().any(|form| form["type"] == "null"))
}

fn finish_operation(path: &str, method: &str, operation: &mut Value) {
    let security = match path {
        "/api/v1/openapi.json" | "/api/v1/session" => json!([]),
        "/api/v1/events/batch" => json!([{ "sdk_key": [] }]),
        _ => json!([{ "token": [] }]),
    };
    operation["security"] = security.clone();
    let reference = operation["requestBody"]["content"][MERGE_PATCH]["schema"]["$ref"].as_str();
    if let Some(reference) = reference {
        operation["requestBody"]["content"][MERGE_PATCH]["schema"] =
            json!({ "$ref": format!("{reference}Patch") });
    }
    if operation.get("requestBody").is_some_and(Value::is_null)
        && let Some(operation) = operation.as_object_mut()
    {
        operation.remove("requestBody");
    }
    for response in operation["responses"].as_object_mut().into_iter().flatten() {
        let (status, response) = response;
        if status.starts_with('4')
            && let Some(schema) = response["content"]["application/json"].as_object().cloned()
        {
            response["content"] = json!({ "application/problem+json": schema });
            if response["description"] == "" {
                response["description"] = json!("What is wrong with the request.");
            }
        }
    }
    if security == json!([{ "token": [] }]) {
        let mut headers = vec![
            header("X-Project", "Project, unless the token sees one alone; `default` when absent."),
            header("X-Environment", "Environment by name or id; `production` when absent."),
        ];
        if method == "post" {
            headers.push(header(
                "Idempotency-Key",
                "The same request with the same key is done once, for 24 hours.",
            ));
        }
        if method != "get" {
            let responses = operation["responses"].as_object_mut();
            if let Some(responses) = responses.filter(|known| !known.contains_key("200")) {
                responses.insert("200".to_owned(), json!({
                    "description": "What the write would do (`dry_run`).",
                    "content": { "application/json": { "schema": {
                        "type": "object", "required": ["dry_run", "changes", "warnings", "environments"]
                    } } }
                }));
            }
            headers.push(json!({
                "name": "dry_run", "in": "query", "required": false, "schema": { "type": "boolean" },
                "description": "Say what the write would do, and do nothing: answered 200 with a `Preview`."
            }));
            headers.push(json!({
                "name": "propose", "in": "query", "required": false, "schema": { "type": "boolean" },
                "description": "Keep the write as a change request instead of doing it: answered 202 with a `ChangeRequest`."
            }));
            headers.push(json!({
                "name": "emergency", "in": "query", "required": false, "schema": { "type": "boolean" },
                "description": "Do it without the approvals that it takes; for admins, with a comment. It is logged."
            }));
            headers.push(json!({
                "name": "comment", "in": "query", "required": false,
                "schema": { "type": "string", "maxLength": 1000 },
                "description": "Why, for history and audit."
            }));
        }
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.extend(headers),
            None => operation["parameters"] = json!(headers),
        }
    }
    let named: Vec<String> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}').map(str::to_owned))
        .collect();
    for name in named {
        let known = operation["parameters"].as_array().is_some_and(|parameters| {
            parameters.iter().any(|known| known["name"] == name.as_str() && known["in"] == "path")
        });
        if !known {
            let parameter = json!({
                "name": name, "in": "path", "required": true, "schema": { "type": "string" }
            });
            match operation["parameters"].as_array_mut() {
                Some(parameters) => parameters.insert(0, parameter),
                None => operation["parameters"] = json!([parameter]),
            }
        }
    }
}

fn header(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "header", "required": false, "description": description,
        "schema": { "type": "string" }
    })
}
