//! Tests of the bytes that reach a client once a real server has written them: some headers are added or taken away on
//! the way.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::site::Site;

/// The bytes that answer a request, until the server closes.
async fn raw(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap().to_lowercase()
}

#[tokio::test]
async fn bodies_and_lengths_are_sound_on_the_wire() {
    let site = Site::with_pictures().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, site.router.clone()).into_future());
    let ask = |method: &str, path: &str, headers: &str| {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        async move { raw(address, &request).await }
    };
    let path = "/img/ready.jpg/medium.jpg";

    let get = ask("GET", path, "").await;
    assert!(get.starts_with("http/1.1 200 ok\r\n"), "{get}");
    assert!(get.contains("\r\ndate: "));
    let length = get
        .split("content-length: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(get.split_once("\r\n\r\n").unwrap().1.len().to_string(), length);

    let head = ask("HEAD", path, "").await;
    assert!(
        head.contains(&format!("\r\ncontent-length: {length}\r\n")) && head.ends_with("\r\n\r\n"),
        "{head}"
    );

    for unmodified in [
        ask("GET", path, "If-None-Match: *\r\n").await,
        ask("HEAD", path, "If-None-Match: *\r\n").await,
    ] {
        assert!(unmodified.starts_with("http/1.1 304 "), "{unmodified}");
        assert!(
            !unmodified.contains("content-length") && !unmodified.contains("transfer-encoding"),
            "{unmodified}"
        );
        assert!(unmodified.ends_with("\r\n\r\n"));
    }

    for (path, headers) in [(path, ""), ("/healthz", "")] {
        let options = ask("OPTIONS", path, headers).await;
        assert!(
            options.starts_with("http/1.1 204 ") && options.contains("\r\nallow: get"),
            "{options}"
        );
        assert!(
            !options.contains("content-length") && !options.contains("transfer-encoding"),
            "{options}"
        );
    }

    let missing = ask("HEAD", "/img/never.jpg/medium", "").await;
    assert!(
        missing.starts_with("http/1.1 404 ") && missing.ends_with("\r\n\r\n"),
        "{missing}"
    );
    let raw_utf8 = ask("GET", "/img/é/medium", "").await;
    assert!(raw_utf8.starts_with("http/1.1 40"), "{raw_utf8}");
    server.abort();
}
