//! Nobody is sent a larger file than one that they take as well and that is no worse.

use http::StatusCode;
use tintype_model::{Format, MetadataStore, ObjectKey, Status};

use crate::site::{Site, VERSION, body_of};

const CHROME: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";
const SAFARI_15: &str = "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5";

/// Publishes `drawn.png`, whose record names these stand-ins in every variant.
async fn outdone(site: &Site, stand_ins: &[(Format, &[Format])]) {
    site.publish("drawn.png", 1).await;
    let key = ObjectKey::new("drawn.png").unwrap();
    let mut record = site.metadata.get(&key).await.unwrap().unwrap();
    let Status::Ready { renditions, .. } = &mut record.status else {
        panic!("it is ready")
    };
    for (format, better) in stand_ins {
        let of_format = renditions
            .iter_mut()
            .filter(|rendition| rendition.format == *format);
        of_format.for_each(|rendition| rendition.stand_ins = better.to_vec());
    }
    let status = record.status;
    site.record("drawn.png", 2, status).await;
}

#[tokio::test]
async fn a_smaller_file_that_is_no_worse_goes_to_everybody_who_takes_it() {
    let site = Site::new();
    outdone(
        &site,
        &[
            (Format::Avif, &[Format::Jpeg, Format::Webp]),
            (Format::Webp, &[Format::Jpeg]),
        ],
    )
    .await;
    for (accept, format) in [
        (CHROME, Format::Jpeg),
        (SAFARI_15, Format::Jpeg),
        ("*/*", Format::Jpeg),
        ("image/avif,image/webp", Format::Webp),
        ("image/webp", Format::Webp),
        ("image/avif", Format::Avif),
        ("image/avif,image/webp;q=0,image/jpeg;q=0", Format::Avif),
        ("image/avif,image/webp;q=0.001", Format::Webp),
    ] {
        for path in [
            "/img/drawn.png/medium".to_owned(),
            format!("/v/drawn.png/{VERSION}/medium"),
        ] {
            let answer = site.get(&path, &[("accept", accept)]).await;
            assert_eq!(
                answer.body,
                body_of("drawn.png", VERSION, "medium", format),
                "{accept}"
            );
            assert_eq!(
                answer.header("content-type"),
                Some(format.media_type()),
                "{accept}"
            );
            assert_eq!(answer.header("vary"), Some("Accept"));
            // The rest of the answer belongs to the file that is sent.
            let named = site
                .get(&format!("/img/drawn.png/medium.{}", format.extension()), &[])
                .await;
            assert_eq!(answer.header("etag"), named.header("etag"));
            let head = site.ask("HEAD", &path, &[("accept", accept)]).await;
            assert_eq!(head.header("content-length"), named.header("content-length"));
            let again = [
                ("accept", accept),
                ("if-none-match", named.header("etag").unwrap()),
            ];
            assert_eq!(site.get(&path, &again).await.status, StatusCode::NOT_MODIFIED);
            let part = site
                .get(&path, &[("accept", accept), ("range", "bytes=1-2")])
                .await;
            assert_eq!(part.body, named.body.slice(1..3));
        }
    }
}

#[tokio::test]
async fn a_format_asked_for_by_name_is_sent_however_large_it_is() {
    let site = Site::new();
    outdone(&site, &[(Format::Avif, &[Format::Webp])]).await;
    for path in [
        "/img/drawn.png/medium.avif".to_owned(),
        format!("/v/drawn.png/{VERSION}/medium.avif"),
    ] {
        let answer = site.get(&path, &[("accept", CHROME)]).await;
        assert_eq!(answer.body, body_of("drawn.png", VERSION, "medium", Format::Avif));
    }
}

#[tokio::test]
async fn a_stand_in_that_is_not_in_the_set_is_passed_over() {
    let site = Site::new();
    outdone(
        &site,
        &[
            (Format::Avif, &[Format::Png, Format::Webp]),
            (Format::Jpeg, &[Format::Png]),
        ],
    )
    .await;
    for (accept, format) in [(CHROME, Format::Webp), ("*/*", Format::Jpeg)] {
        let answer = site.get("/img/drawn.png/medium", &[("accept", accept)]).await;
        assert_eq!(answer.body, body_of("drawn.png", VERSION, "medium", format));
    }
}

#[tokio::test]
async fn the_api_tells_stand_ins_and_its_markup_keeps_to_them() {
    let site = Site::new();
    outdone(&site, &[(Format::Avif, &[Format::Webp])]).await;
    let detail = site.admin("GET", "/api/v1/image?key=drawn.png").await.json();
    let renditions = &detail["image"]["published"]["renditions"];
    assert_eq!(renditions[0]["format"], "avif");
    assert_eq!(renditions[0]["stand_ins"], serde_json::json!(["webp"]));
    assert_eq!(renditions[1]["stand_ins"], serde_json::Value::Null);
    for part in ["current", "versioned"] {
        let delivery = &detail[part];
        let picture = delivery["picture"].as_str().unwrap();
        assert!(
            !picture.contains("avif") && picture.contains("medium.webp 800w"),
            "{picture}"
        );
        assert_eq!(delivery["srcset"]["avif"], serde_json::Value::Null);
        let named = delivery["urls"]["medium"]["avif"].as_str().unwrap();
        assert!(named.ends_with("/medium.avif"), "{named}");
    }
    let page = site.admin("GET", "/admin/image?key=drawn.png").await;
    assert!(
        page.text().contains("webp is smaller and no worse"),
        "{}",
        page.text()
    );
}
