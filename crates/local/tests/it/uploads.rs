//! Uploads that the API signed, sent to the endpoint: as they were signed, and with each part of them changed.

use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use http::{Request, Response};
use tempfile::TempDir;
use tintype_edge::{PresignedUpload, UploadMethod, UploadSigner, UploadTerms};
use tintype_local::uploads::LocalUploads;
use tintype_model::{Focus, ObjectKey};
use tintype_s3::{S3Config, S3Endpoint};
use tintype_store::{ListSources, SourceMeta, Store};

const TYPE: &str = "image/jpeg";
const BASE_URL: &str = "http://127.0.0.1:8080";

/// The endpoint over an empty store, and the signer of uploads to it.
struct Client {
    endpoint: S3Endpoint,
    uploads: LocalUploads,
    store: Store,
    _folder: TempDir,
}

/// The status and the text of an answer.
type Answer = (u16, String);

impl Client {
    fn new() -> Self {
        let config = S3Config {
            access_key: "TESTKEY".into(),
            secret_key: "test/secret+key".into(),
            region: "local".into(),
            allowed_origins: Vec::new(),
            public_url: None,
        };
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).unwrap();
        Self {
            endpoint: S3Endpoint::new(store.clone(), config.clone()),
            uploads: LocalUploads::new(config),
            store,
            _folder: folder,
        }
    }

    fn terms<'a>(&self, key: &'a ObjectKey, method: UploadMethod) -> UploadTerms<'a> {
        UploadTerms {
            base_url: BASE_URL,
            key,
            method,
            content_type: Some(TYPE),
            focus: Some(Focus { x: 3000, y: 7000 }),
            max_bytes: 1000,
            expires: Duration::from_mins(10),
        }
    }

    async fn send_form(&self, form: &PresignedUpload, file: &[u8]) -> Answer {
        let mut body = Vec::new();
        for (name, value) in &form.fields {
            let part = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        body.extend_from_slice(
            b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n",
        );
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--b--\r\n");
        self.send("POST", &form.url, "multipart/form-data; boundary=b", body)
            .await
    }

    async fn send(&self, method: &str, url: &str, content_type: &str, body: Vec<u8>) -> Answer {
        let target = url.strip_prefix(BASE_URL).unwrap();
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("content-type", content_type)
            .header("content-length", body.len())
            .body(Body::from(body));
        let answer: Response<Body> = self.endpoint.handle(request.unwrap()).await;
        let status = answer.status().as_u16();
        let text = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(text.to_vec()).unwrap())
    }

    async fn stored(&self, key: &str) -> Option<SourceMeta> {
        self.store.head_source(key).await.ok()
    }
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).unwrap()
}

/// Each change of a form that was signed for one key, type and size.
#[tokio::test]
async fn a_form_uploads_what_it_was_signed_for_and_nothing_else() {
    let client = Client::new();
    let key = key("some/photo é $1+2%.jpg");
    let form = client
        .uploads
        .presign(&client.terms(&key, UploadMethod::Post))
        .await
        .unwrap();
    assert!(form.headers.is_empty());
    assert_eq!(form.expires_in, Duration::from_mins(10));

    for name in form.fields.keys() {
        let mut changed = form.clone();
        let value = changed.fields.get_mut(name).unwrap();
        let last = value.pop().unwrap();
        value.push(if last == '1' { '2' } else { '1' });
        let answer = client.send_form(&changed, b"x").await;
        // Another algorithm is not understood, everything else is not allowed.
        let refusal = if name == "x-amz-algorithm" { 400 } else { 403 };
        assert_eq!(answer.0, refusal, "{name} changed: {}", answer.1);
        let mut missing = form.clone();
        missing.fields.remove(name);
        let answer = client.send_form(&missing, b"x").await;
        assert_eq!(answer.0, 403, "{name} missing: {}", answer.1);
    }
    for (name, value) in [
        ("x-amz-meta-a", "b"),
        ("acl", "public-read"),
        ("success_action_redirect", "https://evil.example/"),
        ("x-amz-security-token", "token"),
    ] {
        let mut more = form.clone();
        more.fields.insert(name.to_owned(), value.to_owned());
        assert_eq!(client.send_form(&more, b"x").await.0, 403, "{name}");
    }
    let everything = ListSources {
        limit: 10,
        ..ListSources::default()
    };
    let listing = client.store.list_sources(everything).await.unwrap();
    assert!(listing.items.is_empty(), "a refused form stored something");
    let sizes: [(usize, u16); 4] = [(0, 400), (1001, 400), (1, 204), (1000, 204)];
    for (size, status) in sizes {
        let answer = client.send_form(&form, &vec![7; size]).await;
        assert_eq!(answer.0, status, "{size}: {}", answer.1);
        let is_stored = client.stored(key.as_str()).await.is_some();
        assert_eq!(is_stored, status == 204, "{size}");
    }
    let stored = client.stored(key.as_str()).await.unwrap();
    let content_type = stored.attributes.content_type.as_deref();
    assert_eq!((stored.size_bytes, content_type), (1000, Some(TYPE)));
    assert_eq!(stored.attributes.metadata["focus"], "0.3000,0.7000");
}

#[tokio::test]
async fn a_form_without_a_type_takes_none() {
    let client = Client::new();
    let key = key("k");
    let mut terms = client.terms(&key, UploadMethod::Post);
    terms.content_type = None;
    let mut form = client.uploads.presign(&terms).await.unwrap();
    assert_eq!(client.send_form(&form, b"x").await.0, 204);
    form.fields.insert("Content-Type".to_owned(), TYPE.to_owned());
    assert_eq!(client.send_form(&form, b"x").await.0, 403);
}

#[tokio::test]
async fn a_form_ends() {
    let client = Client::new();
    let key = key("k");
    let terms = client.terms(&key, UploadMethod::Post);
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let late = client.uploads.form(&terms, ago(601));
    let (status, text) = client.send_form(&late, b"x").await;
    assert!(
        status == 403 && text.contains("<Code>AccessDenied</Code>"),
        "{status} {text}"
    );
    assert!(client.stored("k").await.is_none());
    let timely = client.uploads.form(&terms, ago(200));
    assert_eq!(client.send_form(&timely, b"x").await.0, 204);
}

#[tokio::test]
async fn a_put_uploads_to_its_key_with_its_type() {
    let client = Client::new();
    let key = key("some/photo é $1+2%.jpg");
    let put = client
        .uploads
        .presign(&client.terms(&key, UploadMethod::Put))
        .await
        .unwrap();
    assert!(put.fields.is_empty());
    let send = async |url: &str, content_type: &str| {
        client.send("PUT", url, content_type, b"picture".to_vec()).await.0
    };
    assert_eq!(put.headers["content-type"], TYPE);
    assert_eq!(send(&put.url, "text/html").await, 403);
    assert_eq!(send(&put.url.replace("some/", "other/"), TYPE).await, 403);
    assert_eq!(send(&put.url, TYPE).await, 200);
    assert!(client.stored(key.as_str()).await.is_some());
}
