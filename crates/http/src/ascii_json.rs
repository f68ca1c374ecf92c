//! JSON in ASCII, which every reader decodes alike, whatever encoding it assumes.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// Writes a value as `serde_json` does, with every character outside printable ASCII escaped.
///
/// # Errors
/// When the value cannot be written as JSON, such as a map with keys that are no text.
pub fn ascii_json(value: &impl Serialize) -> serde_json::Result<String> {
    let mut json = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut json, Ascii))?;
    Ok(json.into_iter().map(char::from).collect())
}

/// Writes every character outside printable ASCII as `\uXXXX`.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        for character in text.chars() {
            if matches!(character, ' '..='~') {
                CompactFormatter.write_string_fragment(writer, character.encode_utf8(&mut [0; 4]))?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn characters_outside_printable_ascii_are_escaped() {
        let text = ascii_json(&["é \u{1F40C}", "a\"\\\n\u{7f}"]).unwrap();
        assert_eq!(text, r#"["\u00e9 \ud83d\udc0c","a\"\\\n\u007f"]"#);
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in any::<String>()) {
            let json = ascii_json(&text).unwrap();
            prop_assert!(json.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{json}");
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
