use base64::Engine as _;
use sha2::{Digest, Sha256};
use tintype_model::testing::conformance;

use crate::site::{Answer, Site, VERSION};

const HOSTILE: &str = "<script>alert(1)</script>\"' onerror=x &amp;\n.jpg";

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).unwrap().1.split_once(end).unwrap().0
}

/// No tag or attribute of a page came from a key.
fn is_harmless(answer: &Answer) {
    let text = answer.text();
    assert!(!text.contains("<script"), "{text}");
    assert!(!text.contains("alert(1)</script>"), "{text}");
    for tag in text.split('<').skip(1) {
        // Outside of quotes; a value cannot end its quotes early, or the pieces would change places.
        let names: String = tag.split('>').next().unwrap().split('"').step_by(2).collect();
        assert!(!names.contains("onerror") && !names.contains("alert"), "{tag}");
    }
}

#[tokio::test]
async fn pages_show_every_picture_and_why_some_are_not_shown() {
    let site = Site::with_pictures().await;
    let page = site.admin("GET", "/admin").await;
    let text = page.text();
    for part in [
        "<span>1 ready, 1 pending, 1 rejected, 1 failed</span>",
        "queue: 3 ready, 2 leased, 1 dead",
        "<a href=\"/admin/image?key=ready.jpg\"><bdi>ready.jpg</bdi></a>",
        "<img src=\"/v/ready.jpg/0123456789abcdef0123456789abcdef/thumbnail\"",
        "corrupt_image: the scan &#60;ends&#62; early",
        "disk full",
        "4000 × 3000",
        "2023-11-14T22:13:20.123Z",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("deleted.jpg"));
    assert!(!text.contains("Next page"));
    is_harmless(&page);
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let site = Site::new();
    for number in 0..60 {
        site.record(
            &format!("a & b/{number:02}.jpg"),
            1,
            tintype_model::Status::Pending,
        )
        .await;
    }
    let page = site.admin("GET", "/admin?prefix=a%20%26&status=pending").await;
    assert_eq!(page.text().matches("<tr><td").count(), 50);
    assert!(page.text().contains("value=\"a &#38;\""));
    assert!(page.text().contains("<option selected>pending</option>"));
    let next = between(page.text(), "<nav><a href=\"", "\"").replace("&amp;", "&");
    assert_eq!(
        next,
        "/admin?prefix=a%20%26&status=pending&after=a%20%26%20b/49.jpg"
    );
    let page = site.admin("GET", &next).await;
    assert_eq!(page.text().matches("<tr><td").count(), 10);
    // The query that an empty form sends.
    assert_eq!(site.admin("GET", "/admin?prefix=&status=").await.status, 200);
    assert!(
        site.admin("GET", "/admin?status=ready")
            .await
            .text()
            .contains("There is nothing here.")
    );
    site.admin("GET", "/admin?status=x").await.page(400);
    site.admin("GET", "/admin?x=1").await.page(400);
}

#[tokio::test]
async fn a_page_shows_every_rendition_and_the_markup() {
    let site = Site::with_pictures().await;
    let page = site.admin("GET", "/admin/image?key=ready.jpg").await;
    let text = page.text();
    assert_eq!(text.matches("<figure>").count(), 9);
    let url = "/v/ready.jpg/0123456789abcdef0123456789abcdef/medium.webp";
    assert!(text.contains(&format!(
        "<a href=\"{url}\"><img src=\"{url}\" width=\"800\" height=\"600\""
    )));
    let bytes = site.get(url, &[]).await.body.len();
    let share = format!(
        "medium webp</a>: 800 × 600, {bytes} bytes, {}.{} % of the source",
        bytes * 1000 / 8 / 10,
        bytes * 1000 / 8 % 10
    );
    assert!(text.contains(&share), "{share} is missing in\n{text}");
    assert!(
        text.contains(
            "&#60;source type=&#34;image/avif&#34; srcset=&#34;http://localhost:8080/img/ready.jpg/"
        )
    );
    assert!(
        text.contains("<dd>jpeg, 4000 × 3000, 8-bit srgb</dd>"),
        "a still says nothing of motion: {text}"
    );
    site.record("moving.gif", 1, conformance::ready(VERSION, "k"))
        .await;
    let moving = site.admin("GET", "/admin/image?key=moving.gif").await;
    let moving = moving.text();
    for told in [
        "8-bit icc, 3 frames, 220 ms, gain map, truncated</dd>",
        "% of the source, 3 frames, png is smaller and no worse</figcaption>",
    ] {
        assert!(moving.contains(told), "{told} is missing in\n{moving}");
    }
    for (key, part) in [
        ("rejected.jpg", "corrupt_image"),
        ("failed.jpg", "tried 5 times"),
        ("unseen.jpg", "pending"),
    ] {
        let page = site.admin("GET", &format!("/admin/image?key={key}")).await;
        assert!(page.text().contains(part), "{key}");
        assert!(!page.text().contains("<figure>"));
    }
    site.admin("GET", "/admin/image?key=never.jpg").await.page(404);
    site.admin("GET", "/admin/image").await.page(400);
}

#[tokio::test]
async fn hostile_keys_are_text() {
    let site = Site::new();
    site.publish(HOSTILE, 1).await;
    let query = tintype_model::encode_path(HOSTILE);
    let list = site.admin("GET", "/admin").await;
    is_harmless(&list);
    assert!(list.text().contains(
        "<bdi>&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39; onerror=x &#38;amp;\\n.jpg</bdi>"
    ));
    is_harmless(&site.admin("GET", &format!("/admin?prefix={query}")).await);
    is_harmless(&site.admin("GET", &format!("/admin/image?key={query}")).await);
    let unseen = "<script>unseen</script>";
    site.upload(unseen).await;
    is_harmless(
        &site
            .admin(
                "GET",
                &format!("/admin/image?key={}", tintype_model::encode_path(unseen)),
            )
            .await,
    );
}

#[tokio::test]
async fn the_policy_allows_exactly_the_style_sheet_of_the_page() {
    let site = Site::with_pictures().await;
    for path in ["/admin", "/admin/login", "/admin/image?key=ready.jpg"] {
        let page = site.admin("GET", path).await;
        let style = between(page.text(), "<style>", "</style>");
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains(&format!("style-src 'sha256-{hash}';")),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"));
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(
            !page.text().contains("://") || path.contains("image?"),
            "{path} names another server"
        );
    }
}

#[tokio::test]
async fn whatever_goes_wrong_on_a_page_is_told_in_html() {
    let site = Site::with_pictures().await;
    site.admin("GET", "/admin/nothing").await.page(404);
    site.admin("GET", "/admin/image?key=%ff").await.page(400);
    for (method, path, allowed) in [
        ("POST", "/admin", "GET,HEAD"),
        ("DELETE", "/admin/login", "GET,HEAD,POST"),
        ("GET", "/admin/logout", "POST"),
    ] {
        let answer = site.admin(method, path).await;
        answer.page(405);
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    let head = site.admin("HEAD", "/admin/nothing").await;
    assert_eq!(head.status, 404);
    assert_eq!(head.header("content-type"), Some("text/html; charset=utf-8"));
    let hostile = format!("/admin?status={}", tintype_model::encode_path(HOSTILE));
    is_harmless(&site.admin("GET", &hostile).await);
    site.health
        .panics
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let broken = site.admin("GET", "/admin").await;
    broken.page(500);
    assert!(!broken.text().contains("secret"));
}
