//! The document agrees with the router.

use std::collections::BTreeMap;

use serde_json::Value;
use tintype_model::testing::conformance;

use crate::site::{Answer, Site, TOKEN};

async fn document(site: &Site) -> Value {
    site.admin("GET", "/api/v1/openapi.json").await.json()
}

/// The reason why `value` does not match `schema`, if it does not. Properties that are not described count too.
fn mismatch(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.strip_prefix('#').unwrap());
        return match target {
            Some(target) => mismatch(document, target, value, at),
            None => Some(format!("{at}: {reference} is not in the document")),
        };
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema[choice].as_array() {
            let all = schemas.iter().map(|schema| mismatch(document, schema, value, at));
            return all.reduce(|best, other| best.and(other)).flatten();
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts
            .iter()
            .find_map(|schema| mismatch(document, schema, value, at));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return Some(format!("{at}: {value} is not one of {values:?}"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.contains(&kind) {
        return Some(format!("{at}: {kind} is not {kinds:?}"));
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| mismatch(document, &schema["items"], item, &format!("{at}[{index}]"))),
        Value::Object(object) => {
            let missing = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|name| !object.contains_key(name.as_str().unwrap()));
            if let Some(name) = missing {
                return Some(format!("{at}: {name} is missing"));
            }
            object.iter().find_map(|(name, value)| {
                let at = format!("{at}.{name}");
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Value::Null, Value::Null) => Some(format!("{at} is not described")),
                    (Value::Null, schema) | (schema, _) => mismatch(document, schema, value, &at),
                }
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Checks an answer against what the document says of its operation and status.
fn check(document: &Value, method: &str, path: &str, answer: &Answer) {
    let status = answer.status.as_str();
    let template = path.split('?').next().unwrap();
    let response = &document["paths"][template][method.to_lowercase()]["responses"][status];
    assert!(
        response.is_object(),
        "{method} {path}: status {status} is not described"
    );
    let kind = answer.header("content-type").unwrap();
    let schema = &response["content"][kind]["schema"];
    assert!(
        schema.is_object(),
        "{method} {path} {status}: {kind} is not described"
    );
    let mismatch = mismatch(document, schema, &answer.json(), "$");
    assert_eq!(mismatch, None, "{method} {path} {status}\n{}", answer.text());
}

#[tokio::test]
async fn the_router_takes_the_methods_of_the_document_and_no_others() {
    let site = Site::with_pictures().await;
    let document = document(&site).await;
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 8);
    for (path, operations) in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            let described = operations.get(method.to_lowercase()).is_some();
            let answer = site.admin(method, path).await;
            assert_eq!(answer.status != 405, described, "{method} {path}");
            if !described {
                answer.problem(405, "method_not_allowed");
                let allow = answer.header("allow").unwrap();
                let mut allowed: Vec<String> = allow
                    .split(',')
                    .map(|method| method.trim().to_lowercase())
                    .collect();
                allowed.retain(|method| method != "head");
                allowed.sort();
                let mut listed: Vec<String> = operations.as_object().unwrap().keys().cloned().collect();
                listed.sort();
                assert_eq!(allowed, listed, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn answers_are_as_the_document_describes_them() {
    let site = Site::with_pictures().await;
    site.record("everything.gif", 1, conformance::ready("v", "k"))
        .await;
    let document = document(&site).await;
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let requests = [
        ("GET", "/api/v1/images"),
        ("GET", "/api/v1/images?limit=1"),
        ("GET", "/api/v1/images?status=deleted"),
        ("GET", "/api/v1/images?limit=0"),
        ("GET", "/api/v1/images?sha256=0"),
        ("GET", "/api/v1/image?key=ready.jpg"),
        ("GET", "/api/v1/image?key=everything.gif"),
        ("GET", "/api/v1/image?key=rejected.jpg"),
        ("GET", "/api/v1/image?key=failed.jpg"),
        ("GET", "/api/v1/image?key=unseen.jpg"),
        ("GET", "/api/v1/image?key=never.jpg"),
        ("GET", "/api/v1/image"),
        ("GET", "/api/v1/stats"),
        ("GET", "/api/v1/openapi.json"),
        ("POST", "/api/v1/image/reprocess?key=ready.jpg"),
        ("POST", "/api/v1/image/reprocess?key=pending.jpg"),
        ("POST", "/api/v1/image/reprocess?key=never.jpg"),
        ("POST", "/api/v1/image/reprocess"),
        ("POST", "/api/v1/uploads"),
        ("DELETE", "/api/v1/image"),
        ("DELETE", "/api/v1/image?key=never.jpg"),
        ("DELETE", "/api/v1/image?key=ready.jpg"),
    ];
    let bearer = format!("Bearer {TOKEN}");
    for (method, path) in requests {
        for headers in [
            [("authorization", bearer.as_str())].as_slice(),
            &[],
            &[("host", "evil.example")],
            &[("authorization", &bearer), ("origin", "https://evil.example")],
        ] {
            let answer = site.ask(method, path, headers).await;
            check(&document, method, path, &answer);
            *seen
                .entry((
                    path.split('?').next().unwrap().to_owned(),
                    answer.status.to_string(),
                ))
                .or_default() += 1;
        }
    }
    for body in [
        r#"{"key":"a","content_type":"image/png"}"#,
        r#"{"key":"a//b"}"#,
        "{}",
        &"x".repeat(20_000),
    ] {
        check(
            &document,
            "POST",
            "/api/v1/uploads",
            &site.post("/api/v1/uploads", body).await,
        );
    }
    assert!(seen.len() > 20, "{seen:?}");
}

#[tokio::test]
async fn facts_that_not_every_picture_has_are_described_and_not_required() {
    let document = document(&Site::new()).await;
    for (schema, fact, kind, is_required) in [
        ("Picture", "duration_ms", "integer", false),
        ("Picture", "has_gain_map", "boolean", true),
        ("Picture", "is_truncated", "boolean", true),
        ("RenditionInfo", "frames", "integer", false),
    ] {
        let schema = &document["components"]["schemas"][schema];
        let described = schema["properties"][fact]["type"].to_string();
        assert!(described.contains(kind), "{fact}: {described}");
        let required = schema["required"].as_array().unwrap();
        assert_eq!(required.contains(&fact.into()), is_required, "{fact}");
    }
}

#[test]
fn the_check_finds_differences() {
    let document = serde_json::json!({ "components": { "schemas": { "A": {
        "type": "object",
        "required": ["a"],
        "properties": { "a": { "type": ["integer", "null"] }, "b": { "type": "array", "items": { "type": "string" } } },
    } } } });
    let schema = serde_json::json!({ "$ref": "#/components/schemas/A" });
    let differs = |value: Value| mismatch(&document, &schema, &value, "$").is_some();
    assert!(!differs(serde_json::json!({ "a": 1, "b": ["x"] })));
    assert!(!differs(serde_json::json!({ "a": null })));
    for value in [
        serde_json::json!([]),
        serde_json::json!({}),
        serde_json::json!({ "a": "1" }),
        serde_json::json!({ "a": 1, "b": [1] }),
        serde_json::json!({ "a": 1, "c": 1 }),
    ] {
        assert!(differs(value.clone()), "{value}");
    }
}
