//! Uploads that the API signed, sent to the endpoint: as they were signed, and with each part of them changed.

use std::time::{Duration, SystemTime};

use tintype_edge::{PresignedUpload, UploadMethod, UploadSigner, UploadTerms};
use tintype_local::uploads::LocalUploads;
use tintype_model::{Focus, ObjectKey};

use crate::s3_client::{Answer, Server, exchange};

const TYPE: &str = "image/jpeg";

struct Client {
    server: Server,
    uploads: LocalUploads,
    base_url: String,
}

impl Client {
    async fn new() -> Self {
        let server = Server::start().await;
        let uploads = LocalUploads::new(server.config.clone());
        let base_url = server.url();
        Self {
            server,
            uploads,
            base_url,
        }
    }

    fn terms<'a>(&'a self, key: &'a ObjectKey, method: UploadMethod) -> UploadTerms<'a> {
        UploadTerms {
            base_url: &self.base_url,
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
        let headers = [
            ("host", self.server.address.to_string()),
            ("content-type", "multipart/form-data; boundary=b".to_owned()),
        ];
        self.send("POST", &form.url, &headers, &body).await
    }

    async fn send(&self, method: &str, url: &str, headers: &[(&str, String)], body: &[u8]) -> Answer {
        let target = url.strip_prefix(&self.base_url).unwrap();
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        exchange(self.server.address, method, target, &headers, body).await
    }
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).unwrap()
}

/// Each change of a form that was signed for one key, type and size.
#[tokio::test]
async fn a_form_uploads_what_it_was_signed_for_and_nothing_else() {
    let client = Client::new().await;
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
        assert_eq!(answer.status, refusal, "{name} changed: {}", answer.text());
        let mut missing = form.clone();
        missing.fields.remove(name);
        let answer = client.send_form(&missing, b"x").await;
        assert_eq!(answer.status, 403, "{name} missing: {}", answer.text());
    }
    for (name, value) in [
        ("x-amz-meta-a", "b"),
        ("acl", "public-read"),
        ("success_action_redirect", "https://evil.example/"),
        ("x-amz-security-token", "token"),
    ] {
        let mut more = form.clone();
        more.fields.insert(name.to_owned(), value.to_owned());
        assert_eq!(client.send_form(&more, b"x").await.status, 403, "{name}");
    }
    let listing = client.server.call("GET", "/raw").send(b"").await.ok();
    assert!(listing.all("Key").is_empty(), "a refused form stored something");
    let sizes: [(usize, u16); 4] = [(0, 400), (1001, 400), (1, 204), (1000, 204)];
    for (size, status) in sizes {
        let answer = client.send_form(&form, &vec![7; size]).await;
        assert_eq!(answer.status, status, "{size}: {}", answer.text());
        assert_eq!(client.server.has(key.as_str()).await, status == 204, "{size}");
    }
    let stored = client.server.get(key.as_str()).await.ok();
    assert_eq!((stored.body.len(), stored.header("content-type")), (1000, TYPE));
    assert_eq!(stored.header("x-amz-meta-focus"), "0.3000,0.7000");
}

#[tokio::test]
async fn a_form_without_a_type_takes_none() {
    let client = Client::new().await;
    let key = key("k");
    let mut terms = client.terms(&key, UploadMethod::Post);
    terms.content_type = None;
    let mut form = client.uploads.presign(&terms).await.unwrap();
    client.send_form(&form, b"x").await.ok();
    form.fields.insert("Content-Type".to_owned(), TYPE.to_owned());
    assert_eq!(client.send_form(&form, b"x").await.status, 403);
}

#[tokio::test]
async fn a_form_ends() {
    let client = Client::new().await;
    let key = key("k");
    let terms = client.terms(&key, UploadMethod::Post);
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let late = client.uploads.form(&terms, ago(601));
    assert_eq!(
        client.send_form(&late, b"x").await.error(),
        (403, "AccessDenied".into())
    );
    assert!(!client.server.has("k").await);
    client
        .send_form(&client.uploads.form(&terms, ago(200)), b"x")
        .await
        .ok();
}

#[tokio::test]
async fn a_put_uploads_to_its_key_with_its_type() {
    let client = Client::new().await;
    let key = key("some/photo é $1+2%.jpg");
    let put = client
        .uploads
        .presign(&client.terms(&key, UploadMethod::Put))
        .await
        .unwrap();
    assert!(put.fields.is_empty());
    let host = ("host", client.server.address.to_string());
    let send = async |url: &str, content_type: &str| {
        let headers = [host.clone(), ("content-type", content_type.to_owned())];
        client.send("PUT", url, &headers, b"picture").await.status
    };
    assert_eq!(put.headers["content-type"], TYPE);
    assert_eq!(send(&put.url, "text/html").await, 403);
    assert_eq!(send(&put.url.replace("some/", "other/"), TYPE).await, 403);
    assert_eq!(send(&put.url, TYPE).await, 200);
    assert!(client.server.has(key.as_str()).await);
}
