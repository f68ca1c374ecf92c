//! Behind a gateway: only what it vouches for, and nothing that a client could say.

use axum::body::Body;
use http::Request;
use tintype_edge::{Access, Authorized};

use crate::site::{Answer, Site, TOKEN, request};

const PUBLIC_URL: &str = "https://img.example";

fn site() -> Site {
    Site::with(|edge| {
        edge.access = Access::Gateway {
            public_url: format!("{PUBLIC_URL}/"),
        };
        edge.pictures = None;
    })
}

fn vouched_for(mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(Authorized);
    request
}

async fn through(site: &Site, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    site.send(vouched_for(request(method, path, headers, Body::empty())))
        .await
}

#[tokio::test]
async fn a_request_without_the_gateway_s_word_is_refused_whatever_it_says() {
    let site = site();
    site.publish("ready.jpg", 1).await;
    let bearer = format!("Bearer {TOKEN}");
    let claims: [&[(&str, &str)]; 7] = [
        &[],
        &[("authorization", &bearer)],
        &[("authorization", "Bearer ")],
        &[("cookie", "tintype_session=1.2.3")],
        &[("authorized", "true"), ("x-authorized", "true")],
        &[
            (
                "x-amzn-request-context",
                r#"{"authorizer":{"iam":{"userArn":"arn:aws:iam::1:user/a"}}}"#,
            ),
            ("x-amzn-apigateway-api-id", "a1b2c3"),
        ],
        &[("x-forwarded-for", "127.0.0.1"), ("host", "localhost")],
    ];
    for headers in claims {
        for (method, path) in [
            ("GET", "/api/v1/images"),
            ("GET", "/api/v1/openapi.json"),
            ("POST", "/api/v1/image/reprocess?key=ready.jpg"),
            ("DELETE", "/api/v1/image?key=ready.jpg"),
            ("OPTIONS", "/api/v1/images"),
            ("GET", "/healthz"),
            ("GET", "/img/ready.jpg/medium"),
            ("GET", "/admin"),
            ("GET", "/admin/login"),
            ("POST", "/admin/login"),
            ("GET", "/metrics"),
            ("GET", "/nothing"),
        ] {
            let answer = site.ask(method, path, headers).await;
            answer.problem(403, "forbidden");
            assert_eq!(answer.header("set-cookie"), None, "{method} {path}");
        }
    }
    assert_eq!(site.queue.jobs(), []);
}

#[tokio::test]
async fn the_api_is_served_and_nothing_that_is_for_browsers() {
    let site = site();
    site.publish("ready.jpg", 1).await;
    for path in ["/api/v1/stats", "/api/v1/images", "/healthz", "/readyz"] {
        assert_eq!(through(&site, "GET", path, &[]).await.status, 200, "{path}");
    }
    let bearer = format!("Bearer {TOKEN}");
    for (method, path) in [
        ("GET", "/img/ready.jpg/medium"),
        ("GET", "/v/ready.jpg/0/medium"),
        ("GET", "/admin"),
        ("GET", "/admin/"),
        ("GET", "/admin/login"),
        ("GET", "/admin/login?token=correct+horse+battery+staple"),
        ("POST", "/admin/logout"),
        ("GET", "/metrics"),
        ("GET", "/nothing"),
        ("GET", "/"),
    ] {
        for headers in [&[][..], &[("authorization", bearer.as_str())]] {
            through(&site, method, path, headers)
                .await
                .problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn hosts_and_origins_are_the_gateway_s_business() {
    let site = site();
    site.publish("ready.jpg", 1).await;
    for headers in [
        &[("host", "a1b2c3.execute-api.eu-west-1.amazonaws.com")][..],
        &[
            ("origin", "https://app.example"),
            ("sec-fetch-site", "cross-site"),
        ],
        &[("host", "not a host")],
    ] {
        let path = "/api/v1/image/reprocess?key=ready.jpg";
        let answer = through(&site, "POST", path, headers).await;
        assert_eq!(answer.status, 202, "{headers:?}");
        for name in answer.headers.keys() {
            assert!(!name.as_str().starts_with("access-control-"), "{name}");
        }
    }
}

#[tokio::test]
async fn urls_name_the_place_that_delivers() {
    let site = site();
    site.publish("ready.jpg", 1).await;
    let headers = [("host", "a1b2c3.execute-api.eu-west-1.amazonaws.com")];
    let answer = through(&site, "GET", "/api/v1/image?key=ready.jpg", &headers).await;
    assert_eq!(
        answer.json()["current"]["negotiated"]["medium"],
        "https://img.example/img/ready.jpg/medium"
    );
    assert!(!answer.text().contains("execute-api"));
}

#[tokio::test]
async fn stats_leave_out_the_cache_that_is_not_there() {
    let stats = through(&site(), "GET", "/api/v1/stats", &[]).await.json();
    assert_eq!(stats.get("cache"), None);
    assert_eq!(stats["queue"]["ready"], 3);
}

#[tokio::test]
async fn both_shapes_have_the_same_document() {
    let behind = through(&site(), "GET", "/api/v1/openapi.json", &[]).await;
    let direct = Site::new().admin("GET", "/api/v1/openapi.json").await;
    assert_eq!(behind.status, 200);
    assert_eq!(behind.json(), direct.json());
}

#[tokio::test]
async fn panics_are_problem_documents() {
    let site = site();
    site.health
        .panics
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let answer = through(&site, "GET", "/api/v1/stats", &[]).await;
    answer.problem(500, "internal");
    assert!(!answer.text().contains("secret"));
}

#[tokio::test]
async fn without_pictures_a_server_that_is_asked_directly_has_no_deliveries() {
    let site = Site::with(|edge| edge.pictures = None);
    site.publish("ready.jpg", 1).await;
    site.get("/img/ready.jpg/medium", &[])
        .await
        .problem(404, "not_found");
    let metrics = site.admin("GET", "/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(!metrics.text().contains("tintype_cache") && metrics.text().contains("tintype_workers"));
}
