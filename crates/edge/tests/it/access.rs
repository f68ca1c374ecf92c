//! The rules for access: credentials, hosts, origins.

use axum::body::Body;
use http::StatusCode;

use crate::site::{Answer, Site, TOKEN, request, token_access};

const PRIVATE: [&str; 6] = [
    "/api/v1/stats",
    "/api/v1/images",
    "/api/v1/openapi.json",
    "/api/v1/nothing",
    "/api",
    "/metrics",
];
const PUBLIC: [&str; 3] = ["/img/ready.jpg/medium", "/healthz", "/readyz"];

/// The `name=value` of the session cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn log_in(site: &Site) -> String {
    let answer = site
        .get(&format!("/admin/login?token={}", TOKEN.replace(' ', "%20")), &[])
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    cookie(&answer)
}

#[tokio::test]
async fn only_deliveries_and_health_are_public() {
    let site = Site::with_pictures().await;
    for path in PUBLIC {
        assert_eq!(site.get(path, &[]).await.status, 200, "{path}");
    }
    for path in PRIVATE {
        let answer = site.get(path, &[]).await;
        answer.problem(401, "unauthorized");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"tintype\"")
        );
        for method in ["POST", "DELETE", "OPTIONS", "HEAD"] {
            assert_eq!(site.ask(method, path, &[]).await.status, 401, "{method} {path}");
        }
    }
    for path in [
        "/admin",
        "/admin/",
        "/admin/image?key=ready.jpg",
        "/admin/nothing",
    ] {
        let answer = site.get(path, &[]).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer
                .text()
                .contains("<form method=\"post\" action=\"/admin/login\">"),
            "{path}"
        );
        assert!(answer.header("www-authenticate").is_some());
    }
    site.get("/nothing", &[]).await.problem(404, "not_found");
    let root = site.get("/", &[]).await;
    assert_eq!(root.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(root.header("location"), Some("/admin"));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(root.header(name), Some(value));
    }
    assert!(root.header("content-security-policy").is_some());
    site.ask("POST", "/", &[])
        .await
        .problem(405, "method_not_allowed");
}

#[tokio::test]
async fn the_token_is_compared_whole() {
    let site = Site::with_pictures().await;
    for (authorization, status) in [
        (format!("Bearer {TOKEN}"), 200),
        (format!("bearer {TOKEN}"), 200),
        (format!("Bearer  {TOKEN} "), 200),
        (format!("Basic {TOKEN}"), 401),
        (TOKEN.to_owned(), 401),
        (format!("Bearer {}", &TOKEN[1..]), 401),
        (format!("Bearer {TOKEN}x"), 401),
        ("Bearer ".to_owned(), 401),
        ("Bearer".to_owned(), 401),
        (String::new(), 401),
    ] {
        let answer = site
            .get("/api/v1/stats", &[("authorization", &authorization)])
            .await;
        assert_eq!(answer.status, status, "{authorization:?}");
    }
    let open = Site::with(|edge| edge.access = token_access("", None, &[]));
    for authorization in ["Bearer ", "Bearer", "Bearer x"] {
        assert_eq!(
            open.get("/api/v1/stats", &[("authorization", authorization)])
                .await
                .status,
            401
        );
    }
    assert_eq!(open.get("/admin/login?token=", &[]).await.status, 401);
}

#[tokio::test]
async fn a_login_opens_a_session() {
    let site = Site::with_pictures().await;
    let answer = site
        .get("/admin/login?token=correct+horse+battery+staple", &[])
        .await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), Some("/admin"));
    let set = answer.header("set-cookie").unwrap();
    assert!(
        set.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200"),
        "{set}"
    );
    assert!(!set.contains("horse"));
    let session = cookie(&answer);
    let cookies = format!("other=1; {session}; last=2");
    for path in ["/admin", "/api/v1/stats", "/metrics"] {
        assert_eq!(
            site.get(path, &[("cookie", &cookies)]).await.status,
            200,
            "{path}"
        );
    }
    let forged = session.replace("tintype_session=", "tintype_session=1");
    for cookies in [forged.as_str(), "tintype_session=", "tintype_session", "x"] {
        assert_eq!(
            site.get("/api/v1/stats", &[("cookie", cookies)]).await.status,
            401,
            "{cookies}"
        );
    }
    let other = Site::with(|edge| edge.access = token_access("another", None, &[]));
    assert_eq!(
        other.get("/api/v1/stats", &[("cookie", &session)]).await.status,
        401
    );
}

#[tokio::test]
async fn the_login_form_works_and_says_when_it_does_not() {
    let site = Site::with_pictures().await;
    let send = |body: &'static str, kind: &'static str| {
        let headers = [("content-type", kind), ("origin", "http://localhost:8080")];
        site.send(request("POST", "/admin/login", &headers, Body::from(body)))
    };
    let form = "application/x-www-form-urlencoded";
    let answer = send("token=correct+horse+battery+staple", form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header("set-cookie").is_some());
    let answer = send("token=wrong", form).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text().contains("That is not the admin token."));
    assert_eq!(answer.header("set-cookie"), None);
    for (body, kind, status) in [
        ("", form, 400),
        ("a=b", form, 400),
        ("token=a&token=b", form, 400),
        ("token=%ff", form, 400),
        ("token=correct+horse+battery+staple", "", 415),
        ("token=correct+horse+battery+staple", "text/plain", 415),
        ("{}", "application/json", 415),
    ] {
        let answer = send(body, kind).await;
        answer.page(status);
        assert_eq!(answer.header("set-cookie"), None, "{body}");
    }
    let long = Box::leak("x".repeat(20_000).into_boxed_str());
    send(long, form).await.page(413);
    assert_eq!(site.get("/admin/login", &[]).await.status, 200);
}

#[tokio::test]
async fn a_logout_ends_the_session_in_the_browser_and_here() {
    let site = Site::new();
    let session = log_in(&site).await;
    let other = log_in(&site).await;
    let status = async |session: &str| site.get("/api/v1/stats", &[("cookie", session)]).await.status;
    assert_eq!(status(&session).await, 200);
    let headers = [("cookie", session.as_str()), ("sec-fetch-site", "same-origin")];
    let answer = site.ask("POST", "/admin/logout", &headers).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(
        answer
            .header("set-cookie")
            .unwrap()
            .starts_with("tintype_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0")
    );
    // Whoever kept the cookie.
    assert_eq!(status(&session).await, 401);
    assert_eq!(
        status(&other).await,
        200,
        "the session of another browser goes on"
    );
    assert_eq!(site.ask("POST", "/admin/logout", &headers).await.status, 401);
}

#[tokio::test]
async fn a_browser_that_logs_in_again_leaves_no_session_behind() {
    let site = Site::new();
    let first = log_in(&site).await;
    let path = format!("/admin/login?token={}", TOKEN.replace(' ', "%20"));
    let second = cookie(&site.get(&path, &[("cookie", &first)]).await);
    assert_ne!(first, second);
    assert_eq!(site.get("/metrics", &[("cookie", &first)]).await.status, 401);
    assert_eq!(site.get("/metrics", &[("cookie", &second)]).await.status, 200);
}

/// The headers are those that browsers send with the forms of a page whose policy is `no-referrer`.
#[tokio::test]
async fn the_forms_of_the_pages_work_where_the_browser_hides_their_origin() {
    let site = Site::new();
    let from = |site: &'static str| [("origin", "null"), ("sec-fetch-site", site)];
    let log_in = async |headers: [(&'static str, &'static str); 2]| {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        let body = Body::from("token=correct+horse+battery+staple");
        site.send(request("POST", "/admin/login", &headers, body)).await
    };
    for foreign in [from("cross-site"), from("same-site")] {
        let answer = log_in(foreign).await;
        answer.page(403);
        assert_eq!(answer.header("set-cookie"), None);
    }
    let answer = log_in(from("same-origin")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let session = cookie(&answer);
    let log_out = async |site_of: &'static str| {
        let mut headers = from(site_of).to_vec();
        headers.push(("cookie", &session));
        site.ask("POST", "/admin/logout", &headers).await.status
    };
    assert_eq!(log_out("cross-site").await, StatusCode::FORBIDDEN);
    assert_eq!(log_out("same-origin").await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn cookies_are_secure_behind_https() {
    let site = Site::with(|edge| edge.access = token_access(TOKEN, Some("https://img.example"), &[]));
    let answer = site
        .get("/admin/login?token=correct+horse+battery+staple", &[])
        .await;
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn names_of_other_servers_are_refused() {
    let site = Site::with(|edge| {
        let public_url = Some("https://img.example:8443/pictures");
        edge.access = token_access(TOKEN, public_url, &["lan.example"]);
    });
    site.publish("ready.jpg", 1).await;
    let bearer = format!("Bearer {TOKEN}");
    for (host, allowed) in [
        ("localhost", true),
        ("127.0.0.1:8080", true),
        ("[::1]:8080", true),
        ("img.example", true),
        ("IMG.EXAMPLE:8443", true),
        ("lan.example:99", true),
        ("evil.example", false),
        ("localhost.evil.example", false),
        ("169.254.169.254", false),
    ] {
        for path in ["/api/v1/stats", "/admin", "/admin/login", "/metrics", "/nothing"] {
            let answer = site
                .get(path, &[("host", host), ("authorization", &bearer)])
                .await;
            assert_eq!(answer.status != 421, allowed, "{host} {path}");
            if !allowed && path.starts_with("/admin") {
                answer.page(421);
            } else if !allowed {
                answer.problem(421, "misdirected_host");
            }
        }
        for path in PUBLIC {
            assert_eq!(
                site.get(path, &[("host", host)]).await.status,
                200,
                "{host} {path}"
            );
        }
    }
    // The target of the request counts, not the header (RFC 9112 section 3.2.2).
    let absolute = site
        .get("http://evil.example/api/v1/stats", &[("authorization", &bearer)])
        .await;
    absolute.problem(421, "misdirected_host");
}

#[tokio::test]
async fn a_request_names_its_host_once_and_well_wherever_it_goes() {
    let site = Site::with_pictures().await;
    let bearer = format!("Bearer {TOKEN}");
    let paths = [
        "/api/v1/stats",
        "/metrics",
        "/nothing",
        "/",
        "/admin",
        "/admin/login",
    ];
    for path in paths.iter().chain(&PUBLIC) {
        let check = |answer: Answer| {
            if path.starts_with("/admin") {
                answer.page(400);
            } else {
                answer.problem(400, "bad_host");
            }
        };
        let mut nameless = request("GET", path, &[("authorization", &bearer)], Body::empty());
        nameless.headers_mut().remove("host");
        check(site.send(nameless).await);
        let twice = [
            ("authorization", &*bearer),
            ("host", "localhost"),
            ("host", "localhost"),
        ];
        check(site.get(path, &twice).await);
        for host in [
            "",
            "local host",
            "localhost/",
            "a@localhost",
            "localhost:x",
            "http://localhost",
        ] {
            check(
                site.get(path, &[("authorization", &bearer), ("host", host)])
                    .await,
            );
        }
    }
}

/// Headers of a write; whether the token may make it, whether a session may.
type Write = (&'static [(&'static str, &'static str)], bool, bool);

#[tokio::test]
async fn writes_of_other_origins_are_refused_whatever_they_carry() {
    let site = Site::with_pictures().await;
    let bearer = format!("Bearer {TOKEN}");
    let session = log_in(&site).await;
    const OWN: (&str, &str) = ("origin", "http://localhost:8080");
    let cases: [Write; 10] = [
        (&[], true, false),
        (&[OWN], true, true),
        (&[("sec-fetch-site", "same-origin")], true, true),
        (&[("sec-fetch-site", "none")], true, false),
        (
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            true,
            true,
        ),
        (&[OWN, ("sec-fetch-site", "cross-site")], false, false),
        (
            &[
                ("origin", "http://localhost:3000"),
                ("sec-fetch-site", "same-site"),
            ],
            false,
            false,
        ),
        (&[("origin", "https://evil.example")], false, false),
        (&[("origin", "null")], false, false),
        (&[OWN, ("origin", "https://evil.example")], false, false),
    ];
    for (headers, token, cookie) in cases {
        let credentials = [
            ("authorization", bearer.as_str(), token),
            ("cookie", session.as_str(), cookie),
        ];
        for (name, value, may) in credentials {
            let mut headers = headers.to_vec();
            headers.push((name, value));
            let write = site
                .ask("POST", "/api/v1/image/reprocess?key=ready.jpg", &headers)
                .await;
            if may {
                assert_eq!(write.status, StatusCode::ACCEPTED, "{headers:?}");
            } else {
                write.problem(403, "cross_origin");
            }
            let read = site.get("/api/v1/image?key=ready.jpg", &headers).await;
            assert_eq!(read.status, StatusCode::OK, "{headers:?}");
        }
    }
    let login = [
        ("origin", "https://evil.example"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    site.ask("POST", "/admin/login", &login).await.page(403);
}
