use std::any::Any;

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

/// The message of a panic that was caught.
#[must_use]
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_with_and_without_arguments_have_a_text() {
        let caught = |work: fn()| std::panic::catch_unwind(work).unwrap_err();
        assert_eq!(panic_text(caught(|| panic!("plain")).as_ref()), "plain");
        let two = || panic!("{}", "one and two");
        assert_eq!(panic_text(caught(two).as_ref()), "one and two");
        assert_eq!(
            panic_text(caught(|| std::panic::panic_any(1)).as_ref()),
            "no message"
        );
    }
}
