use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use tintype_model::testing::conformance::nasty_keys;
use tintype_model::{Order, Work, error_chain};

use super::*;

/// As the S3 user guide prints it, with the fields that this release does not read.
const FIXTURES: [(&str, &str); 4] = [
    ("2.0", include_str!("fixtures/2.0-put.json")),
    ("2.1", include_str!("fixtures/2.1-put.json")),
    ("2.3", include_str!("fixtures/2.3-expired.json")),
    ("2.6", include_str!("fixtures/2.6-put.json")),
];

/// The characters that S3 percent-encodes in the keys of its events.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

fn form_encode(key: &str) -> String {
    utf8_percent_encode(key, FORM).to_string().replace(' ', "+")
}

fn record(name: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.1",
        "eventName": name,
        "s3": {
            "bucket": { "name": "raw" },
            "object": { "key": key, "eTag": "abc", "size": 3, "sequencer": "0055AED6DCD90281E5" }
        }
    })
}

fn read(records: &[Value]) -> Vec<Result<Notice, RecordError>> {
    match Body::parse(&json!({ "Records": records }).to_string()).unwrap() {
        Body::Records(records) => records,
        other => panic!("{other:?}"),
    }
}

fn parse(records: &[Value]) -> Result<Vec<Notice>, RecordError> {
    read(records).into_iter().collect()
}

fn change(name: &str) -> Change {
    parse(&[record(name, "a.jpg")]).unwrap().remove(0).change
}

/// The reason why the body, or the first such record, cannot be understood.
fn reason(body: &str) -> String {
    match Body::parse(body) {
        Err(error) => error_chain(&error),
        Ok(Body::Records(records)) => {
            let broken = records.into_iter().find_map(Result::err);
            error_chain(&broken.expect("one of the records is broken"))
        }
        Ok(other) => panic!("{other:?}"),
    }
}

#[test]
fn every_minor_version_is_read() {
    for (version, text) in FIXTURES {
        let Body::Records(records) = Body::parse(text).unwrap() else {
            panic!("{version}");
        };
        let [Ok(notice)] = &records[..] else {
            panic!("{version}: {records:?}")
        };
        assert_eq!(notice.bucket, "raw-bucket", "{version}");
        assert_eq!(notice.key.as_str(), "holiday/red flower+1.jpg", "{version}");
        let sequencer = Sequencer::new("0055AED6DCD90281E5").unwrap();
        assert_eq!(notice.sequencer, Some(sequencer), "{version}");
        let expected = match version {
            "2.3" => Change::Expired,
            _ => Change::Created {
                etag: Some("d41d8cd98f00b204e9800998ecf8427e-2".to_owned()),
            },
        };
        assert_eq!(notice.change, expected, "{version}");
    }
    let mut future = record("ObjectCreated:Put", "a.jpg");
    future["eventVersion"] = json!("2.9");
    future["moonPhase"] = json!({ "waxing": true });
    future["s3"]["object"]["holograms"] = json!([1, 2]);
    assert_eq!(parse(&[future]).unwrap().len(), 1);
}

#[test]
fn another_major_version_is_refused_by_its_number() {
    for version in ["3.0", "1.0", "20.1", "", "x"] {
        let mut record = record("ObjectCreated:Put", "a.jpg");
        record["eventVersion"] = json!(version);
        // Whatever else it looks like.
        record["s3"] = json!(null);
        match parse(&[record]) {
            Err(RecordError::EventVersion(found)) => assert_eq!(found, version),
            other => panic!("{version}: {other:?}"),
        }
    }
}

#[test]
fn every_kind_of_event_is_known() {
    let created = Change::Created {
        etag: Some("abc".to_owned()),
    };
    for kind in ["Put", "Post", "Copy", "CompleteMultipartUpload", "NotYetInvented"] {
        assert_eq!(change(&format!("ObjectCreated:{kind}")), created, "{kind}");
    }
    for (name, expected) in [
        ("ObjectRemoved:Delete", Change::Deleted),
        ("ObjectRemoved:DeleteMarkerCreated", Change::Hidden),
        ("LifecycleExpiration:Delete", Change::Expired),
        ("LifecycleExpiration:DeleteMarkerCreated", Change::Hidden),
        ("s3:ObjectRemoved:Delete", Change::Deleted),
    ] {
        assert_eq!(change(name), expected, "{name}");
    }
    for name in [
        "ObjectTagging:Put",
        "ObjectRestore:Completed",
        "ReducedRedundancyLostObject",
        "",
    ] {
        let unknown = Change::Unknown {
            name: name.to_owned(),
        };
        assert_eq!(change(name), unknown, "{name}");
    }
}

#[test]
fn the_test_event_and_our_own_jobs_are_told_apart_from_everything_else() {
    let test = include_str!("fixtures/test-event.json");
    assert!(matches!(Body::parse(test), Ok(Body::Test)));
    let job = Job {
        key: ObjectKey::new("a b").unwrap(),
        order: Order::of_event(Sequencer::new("01").unwrap()).next_revision(),
        work: Work::Render {
            etag: "abc".to_owned(),
        },
    };
    let message = json!({ "tintype": 1, "job": job, "later": true });
    let parsed = match Body::parse(&message.to_string()) {
        Ok(Body::Job(job)) => job,
        other => panic!("{other:?}"),
    };
    assert_eq!(parsed, job);
}

#[test]
fn garbage_is_refused_with_a_reason() {
    let long_key = "k".repeat(1025);
    let with = |pointer: &str, value: Value| {
        let mut record = record("ObjectCreated:Put", "a.jpg");
        *record.pointer_mut(pointer).unwrap() = value;
        json!({ "Records": [record] }).to_string()
    };
    for (body, expected) in [
        (String::new(), "not JSON: EOF"),
        ("hello".to_owned(), "not JSON: expected value"),
        ("[]".to_owned(), "neither an S3 event nor a Tintype job"),
        ("7".to_owned(), "neither an S3 event nor a Tintype job"),
        ("{}".to_owned(), "neither an S3 event nor a Tintype job"),
        (r#"{"Event":"s3:Other"}"#.to_owned(), "neither an S3 event"),
        (r#"{"Event":7}"#.to_owned(), "neither an S3 event"),
        (r#"{"Records":[]}"#.to_owned(), "has no records"),
        (
            r#"{"Records":{}}"#.to_owned(),
            "records are no list: invalid type",
        ),
        (
            r#"{"Records":[{"eventSource":"aws:sns"}]}"#.to_owned(),
            "missing field `eventVersion`",
        ),
        (
            r#"{"tintype":2,"job":{}}"#.to_owned(),
            "version 2; this release reads version 1",
        ),
        (
            r#"{"tintype":"x"}"#.to_owned(),
            "no Tintype job of version 1: invalid type",
        ),
        (r#"{"tintype":1}"#.to_owned(), "missing field `job`"),
        (
            with("/s3/object/key", json!("%ff%fe.jpg")),
            "\"%ff%fe.jpg\" is not form-encoded UTF-8",
        ),
        (with("/s3/object/key", json!("")), "object key is empty"),
        (with("/s3/object/key", json!(long_key)), "1025 bytes"),
        (
            with("/s3/object/sequencer", json!("not hex")),
            "cannot be ordered: sequencer \"not hex\"",
        ),
        (with("/s3/bucket", json!({})), "missing field `name`"),
    ] {
        let reason = reason(&body);
        assert!(reason.contains(expected), "{body}: {reason}");
    }
}

#[test]
fn a_broken_record_says_nothing_of_its_neighbours() {
    let good = |key: &str| record("ObjectCreated:Put", key);
    let mut late = good("b.jpg");
    late["s3"]["object"]["sequencer"] = json!("not hex");
    let records = read(&[good("a.jpg"), json!({}), json!("text"), late, good("c.jpg")]);
    let keys: Vec<_> = records
        .iter()
        .map(|record| record.as_ref().map(|notice| notice.key.as_str()).ok())
        .collect();
    assert_eq!(keys, [Some("a.jpg"), None, None, None, Some("c.jpg")]);
}

#[test]
fn a_missing_sequencer_and_a_quoted_etag_are_allowed() {
    for missing in [None, Some(json!(null)), Some(json!(""))] {
        let mut record = record("ObjectCreated:Put", "a.jpg");
        let object = record.pointer_mut("/s3/object").unwrap().as_object_mut().unwrap();
        object.insert("eTag".to_owned(), json!("\"abc\""));
        match missing {
            None => drop(object.remove("sequencer")),
            Some(value) => drop(object.insert("sequencer".to_owned(), value)),
        }
        let notice = parse(&[record]).unwrap().remove(0);
        assert_eq!(notice.sequencer, None);
        let etag = Some("abc".to_owned());
        assert_eq!(notice.change, Change::Created { etag });
    }
}

#[test]
fn keys_are_decoded_exactly_once() {
    for (raw, key) in [
        ("red+flower.jpg", "red flower.jpg"),
        ("a%2Bb.jpg", "a+b.jpg"),
        ("a%2520b.jpg", "a%20b.jpg"),
        ("in/a+b%2B%C3%BC.jpg", "in/a b+ü.jpg"),
        ("%25", "%"),
        ("..%2f", "../"),
    ] {
        assert_eq!(decode_key(raw).as_deref(), Some(key), "{raw}");
    }
    for raw in ["%", "100%", "%2", "%zz", "%ff"] {
        assert_eq!(decode_key(raw), None, "{raw}");
    }
    for key in nasty_keys() {
        let notice = parse(&[record("ObjectCreated:Put", &form_encode(&key))]).unwrap();
        assert_eq!(notice[0].key.as_str(), key);
    }
}

proptest! {
    #[test]
    fn any_key_survives_its_encoding(key in "\\PC{1,100}|[ -~]{1,60}|(%[0-9A-F]{2}|\\+| ){1,20}") {
        prop_assert_eq!(decode_key(&form_encode(&key)), Some(key));
    }

    #[test]
    fn no_body_ends_in_a_panic(body in "\\PC*", raw in "[%+0-9a-fA-F./]*") {
        drop(Body::parse(&body));
        drop(parse(&[record("ObjectCreated:Put", &raw)]));
    }
}
