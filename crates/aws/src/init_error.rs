//! The report to Lambda that a function cannot start.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

/// The longest wait for Lambda to accept or answer the report: the process ends in any case, and its log says the same.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Logs why the function cannot start and reports it to the Runtime API (`POST /runtime/init/error`), so that it is the
/// answer to the invocation, in place of "exited with status 1".
///
/// It is written by hand: the request is sent once in the life of a process, and the runtime crate has no call for it.
pub fn report(runtime_api: Option<&str>, error: &anyhow::Error) {
    let message = format!("{error:#}");
    tracing::error!(error = message, "the function cannot start");
    if let Some(runtime_api) = runtime_api
        && let Err(error) = post(runtime_api, &message)
    {
        tracing::warn!(%error, "Lambda could not be told");
    }
}

fn post(runtime_api: &str, message: &str) -> io::Result<()> {
    let body = json!({ "errorType": "Tintype.Init", "errorMessage": message, "stackTrace": [] }).to_string();
    let mut connection = TcpStream::connect(runtime_api)?;
    connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    write!(
        connection,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\n\
         Host: {runtime_api}\r\n\
         Content-Type: application/json\r\n\
         Lambda-Runtime-Function-Error-Type: Tintype.Init\r\n\
         Content-Length: {}\r\n\
         Connection: close\r\n\r\n\
         {body}",
        body.len()
    )?;
    // Closing the connection before the answer has arrived could cancel the request.
    io::copy(&mut connection, &mut io::sink())?;
    Ok(())
}
