/// An error with all its causes, on one line: for the place that handles it, in a log or in a record.
///
/// Messages of this project do not repeat their causes, so nothing is said twice.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
