//! The answer to connections that are refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const ANSWER: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    Connection: close\r\n\
    Retry-After: 1\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Content-Length: 57\r\n\
    \r\n\
    this address has too many requests in hand; try it later\n";

/// Refused connections that are answered at once; further ones are closed without an answer.
const ANSWERED_AT_ONCE: usize = 64;

/// The time that a refused client has to send its request. A connection that is closed before its client has sent
/// everything is reset, and the answer can be lost with it.
const LINGER: Duration = Duration::from_secs(1);

/// Answers refused connections, a bounded number of them at once.
#[derive(Clone, Debug)]
pub(super) struct Refusals(Arc<Semaphore>);

impl Refusals {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ANSWERED_AT_ONCE)))
    }

    /// Answers 503 and closes, or only closes while too many are being answered.
    pub(super) fn answer(&self, stream: TcpStream) {
        if let Ok(permit) = self.0.clone().try_acquire_owned() {
            tokio::spawn(async move {
                let _ = tokio::time::timeout(LINGER, send_answer(stream)).await;
                drop(permit);
            });
        }
    }
}

async fn send_answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(ANSWER.as_bytes()).await?;
    stream.shutdown().await?;
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_the_answer_is_what_it_says() {
        let (head, body) = ANSWER.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
    }
}
