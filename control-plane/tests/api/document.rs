//! The published OpenAPI document.

use control_plane::routes::openapi;
use serde_json::Value;

/// Every operation as (path, method, operation).
pub fn operations() -> Vec<(String, String, &'static Value)> {
    let paths = openapi()["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'static Value)| {
        let path = path.clone();
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (path.clone(), method.clone(), operation))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                found.push(reference.to_owned());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let mut found = Vec::new();
    references(openapi(), &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(openapi().pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_operation_says_what_it_does_takes_and_answers() {
    assert_eq!(openapi()["openapi"], "3.1.0");
    let mut ids = std::collections::BTreeSet::new();
    for (path, method, operation) in operations() {
        let name = format!("{method} {path}");
        assert!(
            operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
            "{name} has no summary"
        );
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{name} has the id of another"
        );
        assert!(!operation["tags"].as_array().unwrap().is_empty(), "{name} has no tag");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        if path != "/api/v1/openapi.json" {
            let problem =
                &responses["4XX"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/ProblemDocument", "{name}");
        }
        for parameter in
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        {
            let known = operation["parameters"].as_array().unwrap();
            assert!(
                known.iter().any(|p| p["name"] == parameter && p["in"] == "path"),
                "{name} does not describe {parameter}"
            );
        }
    }
}

#[test]
fn bodies_admit_no_unknown_members() {
    for (path, method, operation) in operations() {
        for (media_type, content) in
            operation["requestBody"]["content"].as_object().into_iter().flatten()
        {
            let Some(reference) = content["schema"]["$ref"].as_str() else { continue };
            let schema = openapi().pointer(reference.strip_prefix('#').unwrap()).unwrap();
            assert_eq!(
                schema["additionalProperties"], false,
                "{method} {path} {media_type} {reference}"
            );
        }
    }
}

/// `SORTITION_RENEW_OPENAPI=1` writes the file anew instead.
#[test]
fn the_committed_document_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(openapi()).unwrap());
    if std::env::var("SORTITION_RENEW_OPENAPI").is_ok_and(|value| value == "1") {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(
        committed == text,
        "docs/openapi.json is outdated: renew it with SORTITION_RENEW_OPENAPI=1"
    );
}
