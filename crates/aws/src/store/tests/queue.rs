use aws_sdk_sqs::Client;
use tintype_http::ascii_json;
use tintype_model::testing::conformance::{nasty_keys, order};
use tintype_model::{Job, JobQueue, ObjectKey, Work, error_chain};

use super::super::SqsQueue;
use super::super::queue::Message;
use super::scripted::{Script, lose_the_answer, respond};

fn job(key: &str) -> Job {
    Job {
        key: ObjectKey::new(key).unwrap(),
        order: order(1, 2),
        work: Work::Render {
            etag: "abc".to_owned(),
        },
    }
}

#[test]
fn bodies_hold_only_characters_that_sqs_takes() {
    for key in nasty_keys()
        .into_iter()
        .chain(["\u{fffe}\u{ffff}\u{0}".to_owned()])
    {
        let job = job(&key);
        let body = ascii_json(&Message {
            tintype: 1,
            job: &job,
        })
        .unwrap();
        assert!(body.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{body:?}");
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["tintype"], 1);
        assert_eq!(serde_json::from_value::<Job>(read["job"].clone()).unwrap(), job);
    }
}

#[tokio::test]
async fn a_refused_message_names_the_code_and_the_request() {
    let script = Script::new([respond(
        400,
        &[("x-amzn-requestid", "request-1")],
        r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}"#,
    )]);
    let queue = SqsQueue::new(Client::new(&script.config()), "http://sqs.test/queue".to_owned());
    let text = error_chain(&queue.enqueue(&job("a")).await.unwrap_err());
    for part in [
        "sqs:SendMessage",
        "400",
        "QueueDoesNotExist",
        "no such queue",
        "request-1",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(script.finish().len(), 1, "what cannot succeed is not tried again");
}

#[tokio::test]
async fn an_unanswered_message_names_the_cause() {
    let script = Script::new([lose_the_answer(), lose_the_answer(), lose_the_answer()]);
    let queue = SqsQueue::new(Client::new(&script.config()), "http://sqs.test/queue".to_owned());
    let text = error_chain(&queue.enqueue(&job("a")).await.unwrap_err());
    assert!(text.contains("sqs:SendMessage got no answer"), "{text}");
    assert!(text.contains("connection reset"), "{text}");
    assert_eq!(script.finish().len(), 3);
}

#[tokio::test]
async fn the_trace_travels_with_the_message() {
    for trace in [None, Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")] {
        let script = Script::new([respond(200, &[], r#"{"MessageId":"m"}"#)]);
        let queue = SqsQueue::new(Client::new(&script.config()), "http://sqs.test/queue".to_owned());
        let trace_of_call = trace.map(str::to_owned);
        queue.send(&job("a"), trace_of_call).await.unwrap();
        let attributes = &script.finish()[0].json()["MessageSystemAttributes"];
        assert_eq!(attributes["AWSTraceHeader"]["StringValue"].as_str(), trace);
    }
}

#[tokio::test]
async fn a_job_that_forgets_is_kept_back() {
    let script = Script::new([respond(200, &[], r#"{"MessageId":"m"}"#)]);
    let queue = SqsQueue::new(Client::new(&script.config()), "http://sqs.test/queue".to_owned());
    let forget = Job {
        work: Work::Forget,
        ..job("a")
    };
    queue.enqueue(&forget).await.unwrap();
    let sent = script.finish()[0].json();
    assert_eq!(sent["DelaySeconds"], 900, "the longest delay that SQS has");
    let parsed = crate::event::Body::parse(sent["MessageBody"].as_str().unwrap()).unwrap();
    let crate::event::Body::Job(read) = parsed else {
        panic!("{parsed:?}");
    };
    assert_eq!(read, forget);
}
