//! The committed description is the one that the router makes, and it is honest about its own promises.

use std::path::Path;

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&wharf_api::document().unwrap()).unwrap()
}

/// `UPDATE_OPENAPI=1` rewrites the file, as `cargo run -p wharf-api --example openapi > openapi.json` does.
#[test]
fn the_committed_description_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    let made = wharf_api::document().unwrap();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "openapi.json is stale; run this test with UPDATE_OPENAPI=1"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[test]
fn every_operation_names_its_problems_and_its_scope() {
    let document = document();
    let open = ["/healthz", "/readyz", "/api/openapi.json"];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let responses = &operation["responses"];
            assert!(
                responses["500"].is_object() && responses["503"].is_object(),
                "{method} {path}"
            );
            let secured = operation["security"].is_array();
            assert_eq!(secured, !open.contains(&path.as_str()), "{method} {path}");
            assert_eq!(secured, responses["401"].is_object(), "{method} {path}");
            if path.contains('{') {
                assert!(responses["404"].is_object(), "{method} {path}");
            }
            if method == "post" {
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(
                    parameters
                        .iter()
                        .any(|parameter| parameter["name"] == "Idempotency-Key"),
                    "{path}"
                );
            }
        }
    }
}

#[test]
fn requests_take_no_unknown_fields() {
    let document = document();
    for name in [
        "SendMessage",
        "SendText",
        "CreateSession",
        "UpdateSession",
        "ConnectSession",
        "CreateApiKey",
        "Pacing",
    ] {
        assert_eq!(
            document["components"]["schemas"][name]["additionalProperties"], false,
            "{name}"
        );
    }
}
