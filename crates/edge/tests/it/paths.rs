use std::collections::BTreeSet;

use tintype_model::{Format, decode_component};

use crate::site::{Site, VERSION, body_of};

/// Key, variant and format of `/{key}/{variant}.{ext}`.
fn object(uri: &str) -> (String, String, Format) {
    let (key, file) = uri[1..].rsplit_once('/').unwrap();
    let (variant, extension) = file.split_once('.').unwrap();
    let key = decode_component(key).unwrap();
    (
        key,
        variant.to_owned(),
        Format::from_extension(extension).unwrap(),
    )
}

#[tokio::test]
async fn every_path_of_the_table_leads_where_it_says() {
    let site = Site::new();
    let table = include_str!("../vectors/paths.tsv");
    let mut published = BTreeSet::new();
    let (mut delivered, mut refused) = (0, 0);
    for line in table.lines().filter(|line| !line.starts_with("# ")) {
        let [path, outcome, version] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line:?} has not three columns");
        };
        if !outcome.starts_with('/') {
            // Under the other prefixes are the API and pages; only on CloudFront is there nothing.
            if path.starts_with("/img/") || path.starts_with("/v/") {
                let answer = site.get(path, &[("accept", "image/webp")]).await;
                assert_eq!(answer.status.as_str(), outcome, "{path}");
                refused += 1;
            }
            continue;
        }
        let (key, variant, format) = object(outcome);
        if published.insert(key.clone()) {
            site.publish(&key, 1).await;
        }
        let answer = site.get(path, &[("accept", "image/webp")]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.body, body_of(&key, VERSION, &variant, format), "{path}");
        let cached = answer.header("cache-control").unwrap();
        assert_eq!(
            cached.contains("immutable"),
            version == VERSION,
            "{path}: {cached}"
        );
        delivered += 1;
    }
    assert!(
        delivered >= 90 && refused >= 90,
        "{delivered} delivered, {refused} refused"
    );
}
