//! Entity tags (RFC 9110 section 8.8.3). They are read here and not by the crate `headers`, which splits lists at
//! commas inside of quotes and drops a condition that it cannot read.

/// An entity tag, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityTag<'a> {
    /// A tag that changes with every byte.
    Strong(&'a [u8]),
    /// A tag that may stay the same for equivalent representations.
    Weak(&'a [u8]),
}

/// The spellings of an entity tag that a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagSyntax {
    /// The spelling of the RFC.
    Quoted,
    /// Also the one without quotes, as clients of S3 send it.
    QuotedOrBare,
}

impl<'a> EntityTag<'a> {
    /// Reads a text that is one entity tag, with space around it.
    #[must_use]
    pub fn parse(text: &'a [u8], syntax: TagSyntax) -> Option<Self> {
        match Self::split_first(text.trim_ascii(), syntax) {
            Some((tag, b"")) => Some(tag),
            Some(_) | None => None,
        }
    }

    /// The tag without its mark of weakness: weak comparison compares these.
    #[must_use]
    pub const fn opaque(self) -> &'a [u8] {
        match self {
            Self::Strong(opaque) | Self::Weak(opaque) => opaque,
        }
    }

    /// Splits an entity tag from the start of `text`, and returns both.
    fn split_first(text: &'a [u8], syntax: TagSyntax) -> Option<(Self, &'a [u8])> {
        let (is_weak, quoted) = match text.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Some(inside) = quoted.strip_prefix(b"\"") else {
            return match syntax {
                TagSyntax::Quoted => None,
                TagSyntax::QuotedOrBare => Self::split_bare(text),
            };
        };
        let end = inside.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = (&inside[..end], &inside[end + 1..]);
        if opaque.iter().any(|byte| matches!(byte, 0..=0x20 | 0x7F)) {
            return None;
        }
        let tag = if is_weak {
            Self::Weak(opaque)
        } else {
            Self::Strong(opaque)
        };
        Some((tag, rest))
    }

    fn split_bare(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let is_end = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
        let end = text.iter().position(is_end).unwrap_or(text.len());
        let (opaque, rest) = text.split_at(end);
        let is_tag = !opaque.is_empty() && !opaque.iter().any(|byte| matches!(byte, b'"' | 0..=0x20 | 0x7F));
        is_tag.then_some((Self::Strong(opaque), rest))
    }
}

/// Tells whether one line of `If-Match` or `If-None-Match` is `*`, or a list with a tag that matches. Anything
/// behind a part that is no entity tag is not read.
pub(crate) fn line_matches(line: &[u8], syntax: TagSyntax, matches: impl Fn(EntityTag<'_>) -> bool) -> bool {
    let mut rest = line.trim_ascii();
    if rest == b"*" {
        return true;
    }
    loop {
        rest = trim_start(rest, b" \t,");
        let Some((tag, after)) = EntityTag::split_first(rest, syntax) else {
            return false;
        };
        if matches(tag) {
            return true;
        }
        rest = trim_start(after, b" \t");
        if !rest.is_empty() && !rest.starts_with(b",") {
            return false;
        }
    }
}

fn trim_start<'a>(text: &'a [u8], trimmed: &[u8]) -> &'a [u8] {
    let start = text.iter().position(|byte| !trimmed.contains(byte));
    &text[start.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tag_is_read_alone() {
        let read = |text: &'static str| EntityTag::parse(text.as_bytes(), TagSyntax::Quoted);
        assert_eq!(read("\"abc\""), Some(EntityTag::Strong(b"abc")));
        assert_eq!(read(" W/\"abc\"\t"), Some(EntityTag::Weak(b"abc")));
        assert_eq!(read("\"\""), Some(EntityTag::Strong(b"")));
        for text in [
            "",
            "abc",
            "*",
            "\"abc",
            "abc\"",
            "\"abc\"x",
            "\"a\", \"b\"",
            "\"a b\"",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn bare_tags_are_read_where_they_are_taken() {
        let read = |text: &'static str| EntityTag::parse(text.as_bytes(), TagSyntax::QuotedOrBare);
        for text in ["abc", "\"abc\"", " abc "] {
            assert_eq!(read(text), Some(EntityTag::Strong(b"abc")), "{text}");
        }
        assert_eq!(read("W/\"abc\""), Some(EntityTag::Weak(b"abc")));
        for text in ["", "a,b", "a b", "a\"b\"", "\"abc"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
