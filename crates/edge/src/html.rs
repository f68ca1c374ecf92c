//! Text in HTML: keys are anybody's choice.

use std::fmt;

/// Text that is safe between tags and in quoted attributes.
#[derive(Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (before, special) = rest.split_at(at);
            f.write_str(before)?;
            f.write_str(match special.as_bytes()[0] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &special[1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_with_a_meaning_are_escaped() {
        assert_eq!(
            Escaped("é<script a=\"b\" c='d'>&amp;").to_string(),
            "é&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;amp;"
        );
        assert_eq!(Escaped("").to_string(), "");
    }
}
