use serde_json::{Value, json};

use super::{World, assert_problem, event, iam_event, jwt_event};
use crate::api::{Error, EventError};
use crate::environment::Authorizer;

async fn status(authorizer: Authorizer, event: Value) -> u16 {
    World::new(authorizer).send(event).await.status_code
}

#[tokio::test]
async fn whom_the_authorizer_let_in_is_let_in() {
    assert_eq!(status(Authorizer::Iam, iam_event()).await, 200);
    assert_eq!(status(Authorizer::Jwt, jwt_event()).await, 200);
    // A role's session, and an issuer whose tokens name only a client.
    let mut role = iam_event();
    role["requestContext"]["authorizer"]["iam"]["userArn"] =
        "arn:aws:sts::123456789012:assumed-role/editor/alice".into();
    assert_eq!(status(Authorizer::Iam, role).await, 200);
    let mut machine = jwt_event();
    machine["requestContext"]["authorizer"]["jwt"]["claims"] = json!({ "client_id": "importer" });
    assert_eq!(status(Authorizer::Jwt, machine).await, 200);
}

#[tokio::test]
async fn nobody_else_is() {
    for authorizer in [Authorizer::Iam, Authorizer::Jwt] {
        let authorizers = [
            Value::Null,
            json!({}),
            json!({ "iam": null, "jwt": null }),
            json!({ "iam": {} }),
            json!({ "iam": { "userArn": null, "accessKey": "AKIAIOSFODNN7EXAMPLE" } }),
            json!({ "iam": { "userArn": "" } }),
            json!({ "jwt": {} }),
            json!({ "jwt": { "claims": null, "scopes": ["images"] } }),
            json!({ "jwt": { "claims": {} } }),
            json!({ "jwt": { "claims": { "sub": "" } } }),
            json!({ "jwt": { "claims": { "aud": "tintype" } } }),
            json!({ "lambda": { "user": "alice" } }),
        ];
        let world = World::new(authorizer);
        for granted in authorizers {
            let mut event = iam_event();
            event["requestContext"]["authorizer"] = granted.clone();
            // What a client can say about itself does not help.
            event["headers"]["x-amzn-oidc-identity"] = "alice".into();
            event["headers"]["authorizer"] = granted.to_string().into();
            event["authorizer"] = iam_event()["requestContext"]["authorizer"].clone();
            event["cookies"] = json!(["tintype_session=1.2.3"]);
            let answer = world.send(event).await;
            assert_problem(&answer, 403, "forbidden");
        }
        let mut none = iam_event();
        none["requestContext"]
            .as_object_mut()
            .unwrap()
            .remove("authorizer");
        assert_problem(&world.send(none).await, 403, "forbidden");
    }
    // The other kind of authorizer than the one that the API is configured with.
    assert_eq!(status(Authorizer::Jwt, iam_event()).await, 403);
    assert_eq!(status(Authorizer::Iam, jwt_event()).await, 403);
}

#[tokio::test]
async fn only_the_api_is_behind_the_gateway() {
    let world = World::new(Authorizer::Iam);
    for path in [
        "/admin",
        "/admin/login",
        "/metrics",
        "/img/a.jpg/medium",
        "/v/a/0/medium",
        "/",
    ] {
        assert_problem(&world.send(event("GET", path, "")).await, 404, "not_found");
    }
    assert_eq!(world.send(event("GET", "/healthz", "")).await.status_code, 200);
}

/// The gateway decoded the path and authorised it as it is. No way of writing leads to another one here.
#[tokio::test]
async fn the_path_is_the_one_that_was_authorised() {
    let world = World::new(Authorizer::Iam);
    world.rejected("k").await;
    for path in [
        "/public/../api/v1/images",
        "/api/v1/./images",
        "/api/v1/../v1/images",
        "//api/v1/images",
        "/api/v1/images?limit=1",
        "/api/v1/images#",
        "/api/v1/image?key=k",
        "/api/v1/%69mages",
        "/api\\v1\\images",
        "/api/v1/images\u{0}",
        "/api/v1/images ",
        "/\u{e9}",
    ] {
        let answer = world.send(event("GET", path, "key=k")).await;
        assert_problem(&answer, 404, "not_found");
    }
}

#[tokio::test]
async fn what_is_no_request_is_an_error_that_says_so() {
    let world = World::new(Authorizer::Iam);
    let rest_api = json!({
        "version": "1.0", "resource": "/", "path": "/api/v1/images", "httpMethod": "GET",
        "requestContext": { "identity": {} },
    });
    let sqs = json!({ "Records": [{ "messageId": "m", "body": "{}" }] });
    for (payload, says) in [
        (rest_api, "its version is Some(\"1.0\")"),
        (sqs, "its version is None"),
        (json!({}), "its version is None"),
        (json!("text"), "its version is None"),
        (Value::Null, "its version is None"),
        (json!({ "version": "2.0" }), "missing field `rawPath`"),
        (
            json!({ "version": "2.0", "rawPath": "/" }),
            "missing field `requestContext`",
        ),
    ] {
        let error = world.api.answer(payload).await.unwrap_err();
        let diagnostic = lambda_runtime::Diagnostic::from(error);
        assert_eq!(diagnostic.error_type, "NotAnHttpApiRequest");
        assert!(
            diagnostic.error_message.contains(says),
            "{}",
            diagnostic.error_message
        );
    }
    let mut broken = event("POST", "/api/v1/uploads", "");
    broken["body"] = "not Base64!".into();
    broken["isBase64Encoded"] = true.into();
    let error = world.api.answer(broken).await.unwrap_err();
    assert!(matches!(error, Error::Event(EventError::Body(_))), "{error}");
    let relative = world.api.answer(event("GET", "api", "")).await.unwrap_err();
    assert!(
        matches!(relative, Error::Event(EventError::Path(_))),
        "{relative}"
    );
    let spaced = world.api.answer(event("G E T", "/", "")).await.unwrap_err();
    assert!(matches!(spaced, Error::Event(EventError::Form(_))), "{spaced}");
}
