use tintype_edge::Accept;
use tintype_model::Format;

use crate::site::Site;

fn negotiate(accept: Option<&str>, available: &[Format]) -> Format {
    Accept::parse(accept).preferred(available)
}

fn format(name: &str) -> Format {
    Format::ALL
        .into_iter()
        .find(|format| format.name() == name)
        .unwrap()
}

#[test]
fn every_line_of_the_table_gets_its_format() {
    let table = include_str!("../vectors/accept.tsv");
    let mut comment = "";
    let (mut clients, mut rules) = (0, 0);
    for line in table.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            comment = text;
            continue;
        }
        let [accept, available, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line:?} has not three columns");
        };
        let available: Vec<Format> = available.split(',').map(format).collect();
        let accept = accept.replace("\\t", "\t");
        assert_eq!(
            negotiate(Some(&accept), &available),
            format(expected),
            "{comment}: {accept}"
        );
        if comment.starts_with("rule: ") {
            rules += 1
        } else {
            clients += 1
        }
    }
    assert!(clients >= 200 && rules >= 30, "{clients} clients, {rules} rules");
}

#[test]
fn the_order_of_the_available_formats_does_not_matter() {
    let accept = Some("image/webp,image/avif,*/*");
    assert_eq!(
        negotiate(accept, &[Format::Jpeg, Format::Webp, Format::Avif]),
        Format::Avif
    );
    assert_eq!(negotiate(None, &[Format::Png, Format::Jpeg]), Format::Jpeg);
}

#[tokio::test]
async fn headers_of_more_lines_than_anybody_sends_say_nothing() {
    let site = Site::with_pictures().await;
    for (lines, kind) in [(1, "image/avif"), (8, "image/avif"), (9, "image/jpeg")] {
        let headers = vec![("accept", "image/avif"); lines];
        let answer = site.get("/img/ready.jpg/medium", &headers).await;
        assert_eq!(answer.header("content-type"), Some(kind), "{lines} lines");
    }
}
