//! Holds the OpenAPI document against the table of endpoints: each says what the other says, both ways.
//!
//! Not here: whether the answers are as the document says. A fuzzer sees to that, from outside (tests/api/schemathesis.rs).

use crate::serve::access::{ENDPOINTS, Need};
use crate::state::Role;
use serde_json::Value;
use std::collections::BTreeMap;

fn document() -> Value {
    serde_json::from_str(super::openapi()).unwrap()
}

/// The operations of the document by method and path.
fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters");
        methods.map(|(method, operation)| ((method.to_uppercase(), path.clone()), operation.clone()))
    });
    each.collect()
}

/// Whether the document is to say this endpoint: pages and what they are made of are for people.
fn is_said(path: &str) -> bool {
    let own = ["/healthz", "/readyz", "/ping", "/metrics"];
    path.starts_with("/api/v1/") || path.starts_with("/health/") || own.contains(&path)
}

#[test]
fn the_document_has_each_endpoint_and_no_other() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let said: Vec<_> = operations(&document).into_keys().collect();
    let mut there: Vec<_> = ENDPOINTS
        .iter()
        .filter(|endpoint| is_said(endpoint.path))
        .map(|endpoint| (endpoint.method.to_owned(), endpoint.path.to_owned()))
        .collect();
    there.sort();
    assert_eq!(said, there);
    assert!(said.len() > 30, "{}", said.len());
}

#[test]
fn each_operation_says_what_it_needs_and_how_it_refuses() {
    let document = document();
    let operations = operations(&document);
    for endpoint in ENDPOINTS.iter().filter(|endpoint| is_said(endpoint.path)) {
        let operation = &operations[&(endpoint.method.to_owned(), endpoint.path.to_owned())];
        let security = operation["security"].as_array().unwrap();
        let says = |status: &str| operation["responses"].get(status).is_some();
        let needed = match endpoint.need {
            Need::Open => None,
            Need::Role(role) => Some(role.word()),
        };
        assert_eq!(operation.get("x-evensum-role").and_then(Value::as_str), needed, "{endpoint:?}");
        assert_eq!(security.is_empty(), needed.is_none(), "{endpoint:?}");
        assert!(needed.is_none() || security.len() == 2 && says("401"), "{endpoint:?}");
        assert!(endpoint.need != Need::Role(Role::Admin) || says("403"), "{endpoint:?}");
        let changes = endpoint.method != "GET";
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let header = parameters.filter(|one| one["$ref"] == "#/components/parameters/Request").count();
        assert_eq!(header, usize::from(changes), "{endpoint:?}");
        let everywhere = ["403", "500", "503"];
        assert!(everywhere.iter().all(|status| says(status)), "{endpoint:?}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_part_of_a_path_is_a_parameter() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    for ((method, path), operation) in operations(&document) {
        let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        for part in parts {
            let said = operation["parameters"].as_array().into_iter().flatten();
            let mut names = said.map(|one| match one["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap()["name"].clone(),
                None => one["name"].clone(),
            });
            assert!(names.any(|name| name == part), "{method} {path}");
        }
    }
}
