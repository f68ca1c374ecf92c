use tintype_aws::store::SqsQueue;
use tintype_model::Job;
use tintype_model::testing::conformance;

use crate::emulator::{clients, with_queue};

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn the_queue_conforms() {
    let clients = clients().await;
    with_queue(&clients, async |url| {
        let queue = SqsQueue::new(clients.sqs.clone(), url.clone());
        conformance::job_queue(&queue, async || {
            let answer = clients
                .sqs
                .receive_message()
                .queue_url(&url)
                .max_number_of_messages(10)
                .wait_time_seconds(5)
                .send()
                .await
                .unwrap();
            let mut jobs = Vec::new();
            for message in answer.messages.unwrap_or_default() {
                let body: serde_json::Value = serde_json::from_str(&message.body.unwrap()).unwrap();
                assert_eq!(body["tintype"], 1);
                jobs.push(serde_json::from_value::<Job>(body["job"].clone()).unwrap());
                clients
                    .sqs
                    .delete_message()
                    .queue_url(&url)
                    .set_receipt_handle(message.receipt_handle)
                    .send()
                    .await
                    .unwrap();
            }
            jobs
        })
        .await;
    })
    .await;
}
