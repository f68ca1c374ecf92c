//! Uploads by HTML form under a signed policy.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::client::{
    ACCESS_KEY, Answer, ORIGIN, REGION, SECRET_KEY, Server, amz_date, exchange, hmac, signing_key,
};

/// The fields of a form whose policy has these conditions and holds for ten minutes.
fn signed(conditions: &Value) -> Vec<(String, String)> {
    signed_until(conditions, SignedDuration::from_mins(10), REGION)
}

fn signed_until(conditions: &Value, validity: SignedDuration, region: &str) -> Vec<(String, String)> {
    let now = Timestamp::now();
    let date = amz_date(now);
    let mut fields = vec![
        ("x-amz-algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
        (
            "x-amz-credential".to_owned(),
            format!("{ACCESS_KEY}/{}/{region}/s3/aws4_request", &date[..8]),
        ),
        ("x-amz-date".to_owned(), date.clone()),
    ];
    let mut all = conditions.as_array().unwrap().clone();
    all.extend(fields.iter().map(|(name, value)| json!({ name.as_str(): value })));
    let policy = json!({ "expiration": (now + validity).to_string(), "conditions": all }).to_string();
    let policy = STANDARD.encode(policy);
    let signature = hex::encode(hmac(&signing_key(SECRET_KEY, &date[..8], region), &policy));
    fields.push(("policy".into(), policy));
    fields.push(("x-amz-signature".into(), signature));
    fields
}

fn body(fields: &[(String, String)], more: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain(more.iter().copied());
    for (name, value) in fields {
        body.extend_from_slice(
            format!("--boundary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
                .as_bytes(),
        );
    }
    body.extend_from_slice(
        b"--boundary\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\pictures\\photo.jpg\"\r\n\
          Content-Type: image/jpeg\r\n\r\n",
    );
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--boundary--\r\n");
    body
}

async fn post(server: &Server, fields: &[(String, String)], more: &[(&str, &str)], file: &[u8]) -> Answer {
    send(server, "/raw", &body(fields, more, file)).await
}

async fn send(server: &Server, path: &str, body: &[u8]) -> Answer {
    let headers = [
        ("host", server.address.to_string()),
        (
            "content-type",
            "multipart/form-data; boundary=boundary".to_owned(),
        ),
        ("origin", ORIGIN.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    exchange(server.address, "POST", path, &headers, body).await
}

#[tokio::test]
async fn forms_upload_what_their_policy_allows() {
    let server = Server::start().await;
    let fields = signed(&json!([
        {"bucket": "raw"}, ["starts-with", "$key", "user/"], {"Content-Type": "image/jpeg"},
        {"x-amz-meta-a": "b"}, ["content-length-range", 1, 100_000]
    ]));
    let more = [
        ("key", "user/${filename}"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-a", "b"),
    ];
    let picture: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let answer = post(&server, &fields, &more, &picture).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, ORIGIN),
        "{}",
        answer.text()
    );
    assert_eq!(
        answer.header("location"),
        format!("http://{}/raw/user/photo.jpg", server.address)
    );
    let stored = server.get("user/photo.jpg").await.ok();
    assert!(stored.body == picture);
    assert_eq!(
        (stored.header("content-type"), stored.header("x-amz-meta-a")),
        ("image/jpeg", "b")
    );
    assert_eq!(stored.header("etag"), answer.header("etag"));

    let too_large: Vec<u8> = (0..=255).cycle().take(100_001).collect();
    assert_eq!(
        post(&server, &fields, &more, &too_large).await.error(),
        (400, "EntityTooLarge".into())
    );
    assert_eq!(
        post(&server, &fields, &more, b"").await.error(),
        (400, "EntityTooSmall".into())
    );
    let denied = (403, "AccessDenied".to_owned());
    let elsewhere = [
        ("key", "other/x"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-a", "b"),
    ];
    assert_eq!(post(&server, &fields, &elsewhere, b"x").await.error(), denied);
    let other_type = [
        ("key", "user/x"),
        ("Content-Type", "text/html"),
        ("x-amz-meta-a", "b"),
    ];
    assert_eq!(post(&server, &fields, &other_type, b"x").await.error(), denied);
    let extra = [more[0], more[1], more[2], ("x-amz-meta-z", "z")];
    assert_eq!(post(&server, &fields, &extra, b"x").await.error(), denied);
    let twice = [more[0], more[1], more[2], ("KEY", "user/y")];
    assert_eq!(
        post(&server, &fields, &twice, b"x").await.error(),
        (400, "InvalidArgument".into())
    );
    let listing = server.call("GET", "/raw").send(b"").await.ok();
    assert_eq!(listing.all("Key"), ["user/photo.jpg"]);
}

#[tokio::test]
async fn forms_for_any_region_are_taken() {
    let server = Server::start().await;
    let conditions = json!([{"key": "k"}]);
    let validity = SignedDuration::from_mins(10);
    for region in ["us-east-1", "eu-central-1", "local"] {
        let fields = signed_until(&conditions, validity, region);
        post(&server, &fields, &[("key", "k")], b"x").await.ok();
    }
    for region in ["", "us_east_1"] {
        let fields = signed_until(&conditions, validity, region);
        let answer = post(&server, &fields, &[("key", "k")], b"x").await;
        assert_eq!(answer.error(), (403, "AccessDenied".into()), "{region:?}");
    }
}

#[tokio::test]
async fn what_says_nothing_is_taken_in_forms_and_what_is_not_offered_is_not() {
    let server = Server::start().await;
    let fields = signed(&json!([
        {"key": "k"},
        ["starts-with", "$x-amz-server-side-encryption", ""],
        ["starts-with", "$x-amz-storage-class", ""]
    ]));
    let send = async |encryption: &'static str, class: &'static str| {
        let more = [
            ("key", "k"),
            ("x-amz-server-side-encryption", encryption),
            ("x-amz-storage-class", class),
        ];
        post(&server, &fields, &more, b"x").await.error()
    };
    assert_eq!(send("aws:kms", "STANDARD").await, (501, "NotImplemented".into()));
    assert_eq!(
        send("AES256", "GLACIER").await,
        (400, "InvalidStorageClass".into())
    );
    assert!(!server.has("k").await);
    assert_eq!(send("AES256", "REDUCED_REDUNDANCY").await.0, 204);
    assert_eq!(send("AES256", "STANDARD").await.0, 204);
}

#[tokio::test]
async fn fields_that_are_not_offered_are_refused() {
    let server = Server::start().await;
    server.put("k", b"kept").await.ok();
    for (name, value, expected) in [
        ("tagging", "<Tagging/>", (501, "NotImplemented")),
        ("made-up", "x", (501, "NotImplemented")),
        ("x-amz-tagging", "a=b", (501, "NotImplemented")),
        ("x-amz-made-up", "x", (501, "NotImplemented")),
        ("x-amz-copy-source", "/raw/other", (501, "NotImplemented")),
        ("x-amz-checksum-sha512", "AAAA", (501, "NotImplemented")),
        ("x-amz-checksum-algorithm", "XXHASH64", (501, "NotImplemented")),
        ("x-amz-checksum-algorithm", "CRC99", (400, "InvalidRequest")),
        ("x-amz-checksum-type", "COMPOSITE", (400, "InvalidRequest")),
        ("x-amz-website-redirect-location", "/x", (501, "NotImplemented")),
        (
            "x-amz-expected-bucket-owner",
            "123456789012",
            (403, "AccessDenied"),
        ),
        ("if-none-match", "*", (501, "NotImplemented")),
        ("bucket", "other", (400, "InvalidArgument")),
    ] {
        let fields = signed(&json!([{"key": "k"}, {name: value}]));
        let answer = post(&server, &fields, &[("key", "k"), (name, value)], b"new").await;
        assert_eq!(answer.error(), (expected.0, expected.1.to_owned()), "{name}");
    }
    assert_eq!(server.get("k").await.ok().body, b"kept");
    let fields = signed(&json!([{"key": "k"}, {"bucket": "raw"}]));
    let usual = [("key", "k"), ("bucket", "raw"), ("x-ignore-me", "x")];
    post(&server, &fields, &usual, b"new").await.ok();
    assert_eq!(server.get("k").await.ok().body, b"new");
}

#[tokio::test]
async fn what_stands_behind_the_file_has_no_meaning() {
    let server = Server::start().await;
    let fields = signed(&json!([{"key": "k"}]));
    let form = String::from_utf8(body(&fields, &[("key", "k")], b"x")).unwrap();
    let with = |name: &str, end: &str| {
        let part =
            format!("--boundary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nvalue\r\n{end}");
        form.replace("--boundary--\r\n", &part).into_bytes()
    };
    let end = "--boundary--\r\n";
    for name in [
        "file",
        "key",
        "tagging",
        "x-amz-tagging",
        "x-amz-meta-a",
        "acl",
        "Content-Type",
    ] {
        let answer = send(&server, "/raw", &with(name, end)).await;
        assert_eq!(answer.error(), (400, "InvalidArgument".into()), "{name}");
    }
    let cut = send(&server, "/raw", &with("submit", "")).await;
    assert_eq!(cut.error(), (400, "IncompleteBody".into()));
    assert!(!server.has("k").await);
    send(&server, "/raw", &with("submit", end)).await.ok();
    assert!(server.has("k").await);
}

#[tokio::test]
async fn answers_name_the_object_where_clients_reach_it() {
    let server = Server::start_at(Some("https://images.example.com")).await;
    let fields = signed(&json!([{"key": "a b"}]));
    let answer = post(&server, &fields, &[("key", "a b")], b"x").await.ok();
    assert_eq!(answer.header("location"), "https://images.example.com/raw/a%20b");
}

#[tokio::test]
async fn unsigned_and_late_forms_are_denied() {
    let server = Server::start().await;
    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(post(&server, &[], &[("key", "k")], b"x").await.error(), denied);
    let conditions = || json!([{"key": "k"}]);
    let fields = signed(&conditions());
    let mut forged = fields.clone();
    forged.last_mut().unwrap().1 = "0".repeat(64);
    assert_eq!(
        post(&server, &forged, &[("key", "k")], b"x").await.error(),
        (403, "SignatureDoesNotMatch".into())
    );
    let late = signed_until(&conditions(), SignedDuration::from_secs(-1), REGION);
    assert_eq!(post(&server, &late, &[("key", "k")], b"x").await.error(), denied);
    assert!(!server.has("k").await);
    let long = signed_until(&conditions(), SignedDuration::from_hours(24 * 30), REGION);
    post(&server, &long, &[("key", "k")], b"x").await.ok();
    post(&server, &fields, &[("key", "k")], b"x").await.ok();
}

#[tokio::test]
async fn a_form_s_signature_is_good_for_nothing_else() {
    let server = Server::start().await;
    server.put("victim", b"x").await.ok();
    let fields = signed(&json!([["starts-with", "$key", ""]]));
    let form = body(&fields, &[("key", "k")], b"x");
    for path in ["/raw/victim", "/raw/victim?uploads=", "/other", "/"] {
        let answer = send(&server, path, &form).await;
        assert_eq!(answer.error(), (405, "MethodNotAllowed".into()), "{path}");
    }
    // It is a form even where the query says otherwise, and forms have none.
    for query in ["delete=", "tagging", "x-id=PostObject"] {
        let answer = send(&server, &format!("/raw?{query}"), &form).await;
        assert_eq!(answer.error(), (501, "NotImplemented".into()), "{query}");
    }
    assert!(server.has("victim").await && !server.has("k").await);
    assert!(server.uploads().await.all("UploadId").is_empty());
}

#[tokio::test]
async fn forms_choose_their_answer() {
    let server = Server::start().await;
    let conditions = json!([
        ["starts-with", "$key", ""],
        ["starts-with", "$success_action_status", ""],
        ["starts-with", "$success_action_redirect", ""]
    ]);
    let fields = signed(&conditions);
    let status = |value: &'static str| [("key", "a&b"), ("success_action_status", value)];
    assert_eq!(post(&server, &fields, &status("200"), b"x").await.status, 200);
    assert_eq!(post(&server, &fields, &status("418"), b"x").await.status, 204);
    let answer = post(&server, &fields, &status("201"), b"x").await;
    assert_eq!((answer.status, answer.all("Key")), (201, vec!["a&amp;b".into()]));
    assert_eq!(
        answer.all("ETag"),
        ["&quot;9dd4e461268c8034f5c8564e155c67a6&quot;"]
    );
    let redirect = [
        ("key", "a&b"),
        ("success_action_redirect", "https://app.example/done?x=1#end"),
    ];
    let answer = post(&server, &fields, &redirect, b"x").await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        "https://app.example/done?x=1&bucket=raw&key=a%26b&etag=%229dd4e461268c8034f5c8564e155c67a6%22#end"
    );
}

#[tokio::test]
async fn checksums_of_forms_are_verified() {
    let server = Server::start().await;
    let fields = signed(&json!([{"key": "k"}, ["starts-with", "$x-amz-checksum-sha1", ""]]));
    let sum = |value: &'static str| [("key", "k"), ("x-amz-checksum-sha1", value)];
    let wrong = post(&server, &fields, &sum("qZk+NkcGgWq6PiVxeFDCbJzQ2J0="), b"abd").await;
    assert_eq!(wrong.error(), (400, "BadDigest".into()));
    assert!(!server.has("k").await);
    post(&server, &fields, &sum("qZk+NkcGgWq6PiVxeFDCbJzQ2J0="), b"abc")
        .await
        .ok();
}

#[tokio::test]
async fn broken_forms_store_nothing() {
    let server = Server::start().await;
    let fields = signed(&json!([{"key": "k"}]));
    let whole = body(&fields, &[("key", "k")], b"picture");
    for cut in [10, 200, whole.len() - 20, whole.len() - 5] {
        let answer = send(&server, "/raw", &whole[..cut]).await;
        assert_eq!(answer.error(), (400, "IncompleteBody".into()), "{cut}");
    }
    let text = String::from_utf8(whole).unwrap();
    let no_file = text.replace("name=\"file\"", "name=\"other\"");
    assert_eq!(
        send(&server, "/raw", no_file.as_bytes()).await.error(),
        (400, "InvalidArgument".into())
    );
    let no_name = text.replace("; name=\"key\"", "");
    assert_eq!(
        send(&server, "/raw", no_name.as_bytes()).await.error(),
        (400, "MalformedPOSTRequest".into())
    );
    assert!(!server.has("k").await);
}
