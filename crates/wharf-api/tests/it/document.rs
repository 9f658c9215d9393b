//! The committed description is the one that the router makes, and it is honest about its own promises.

use std::path::Path;

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&wharf_api::document().unwrap()).unwrap()
}

fn committed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_default()
}

#[test]
fn the_committed_description_is_current() {
    let made = wharf_api::document().unwrap();
    assert!(committed("openapi.json") == made, "openapi.json is stale: make openapi");
}

#[test]
fn the_committed_page_of_codes_is_current() {
    let made = wharf_api::error::reference().unwrap();
    assert!(
        committed("docs/errors.md") == made,
        "docs/errors.md is stale: make errors"
    );
}

#[test]
fn the_page_of_codes_names_every_code_once() {
    let page = wharf_api::error::reference().unwrap();
    let problems = page.split("## Messages").next().unwrap();
    for entry in wharf_api::ApiError::catalogue() {
        let row = format!("| `{}` | {} |", entry.code, entry.status.as_u16());
        assert_eq!(problems.matches(&row).count(), 1, "{row}");
    }
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
    let open = ["/healthz", "/readyz", "/api/openapi.json", "/api/vault/links/{token}"];
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
        "SendOtp",
        "VerifyOtp",
        "ReceiveOtp",
        "SaveOtpTemplate",
        "CreateSession",
        "UpdateSession",
        "ConnectSession",
        "CreateApiKey",
        "RotateApiKey",
        "UpdateApiKey",
        "CreatePlan",
        "UpdatePlan",
        "Pacing",
    ] {
        assert_eq!(
            document["components"]["schemas"][name]["additionalProperties"], false,
            "{name}"
        );
    }
}
