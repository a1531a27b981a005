use std::{collections::BTreeSet, path::Path};

use serde::Serialize;

use super::*;
use crate::http::routes;

#[test]
fn the_document_is_the_one_that_was_looked_at() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    // Deep as it is, it would be half as large again with the usual indentation.
    let mut text = Vec::new();
    let narrow = serde_json::ser::PrettyFormatter::with_indent(b" ");
    document()
        .serialize(&mut serde_json::Serializer::with_formatter(
            &mut text, narrow,
        ))
        .unwrap();
    let text = String::from_utf8(text).unwrap() + "\n";
    if std::env::var_os("ATELIER_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "the API changed: if it shall, run this test with ATELIER_BLESS=1 and look at what git shows of {}",
        path.display()
    );
}

/// The methods of each path are compared with a running coordinator's in the system tests.
#[test]
fn every_path_of_the_router_is_described_and_no_other() {
    let served: BTreeSet<String> = routes()
        .into_iter()
        .map(|(path, _)| path.to_owned())
        .collect();
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(served, paths.keys().cloned().collect());
}

#[test]
fn operations_have_different_names() {
    let mut types = Types::new();
    let all = operations::all(&mut types);
    let names: BTreeSet<String> = all
        .iter()
        .map(|operation| operation.description["operationId"].to_string())
        .collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let found = document.pointer(reference.trim_start_matches('#'));
        assert!(found.is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|field| collect(field, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
