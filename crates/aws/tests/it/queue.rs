use tintype_aws::Clients;
use tintype_aws::store::{SqsDeadLetters, SqsQueue};
use tintype_model::testing::conformance;
use tintype_model::{Job, JobQueue};

use crate::emulator::{clients, with_queue};

/// Takes jobs off a queue.
async fn receive(clients: &Clients, url: &str) -> Vec<Job> {
    let answer = clients
        .sqs
        .receive_message()
        .queue_url(url)
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
            .queue_url(url)
            .set_receipt_handle(message.receipt_handle)
            .send()
            .await
            .unwrap();
    }
    jobs
}

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn the_queue_conforms() {
    let clients = clients().await;
    with_queue(&clients, async |url| {
        let queue = SqsQueue::new(clients.sqs.clone(), url.clone());
        conformance::job_queue(&queue, async || receive(&clients, &url).await).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs an AWS emulator: make test starts one"]
async fn dead_letters_conform() {
    let clients = clients().await;
    with_queue(&clients, async |dead_url| {
        with_queue(&clients, async |url| {
            // A message that was moved is one like any other.
            let buried = SqsQueue::new(clients.sqs.clone(), dead_url.clone());
            let dead = SqsDeadLetters::new(clients.sqs.clone(), dead_url.clone(), url.clone());
            let bury = async |job: &Job| buried.enqueue(job).await.unwrap();
            conformance::dead_letters(&dead, bury, async || receive(&clients, &url).await).await;
        })
        .await;
    })
    .await;
}
