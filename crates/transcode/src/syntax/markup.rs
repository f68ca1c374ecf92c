//! The part of XML that is needed to tell SVG from other text, and to refuse text that is dangerous to parse.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::borrow::Cow;

/// The number of bytes within which the first element of a file must begin, behind comments and declarations.
const MAX_PROLOGUE: usize = 64 << 10;

/// Tells whether the first element of a text is `svg`, whatever comes before it; compressed text is unpacked first.
pub(crate) fn is_svg(source: &[u8]) -> bool {
    let unpacked;
    let head = if source.starts_with(b"\x1F\x8B") {
        unpacked = unpack_head(source);
        &unpacked[..]
    } else {
        source.get(..source.len().min(MAX_PROLOGUE)).unwrap_or(source)
    };
    let Some(text) = decode(head) else { return false };
    first_element(&text).is_some_and(|name| local(name) == "svg")
}

fn unpack_head(source: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut head = Vec::new();
    // A text whose compressed rest is broken is still examined: the parser reports the rest.
    let _cut = flate2::read::GzDecoder::new(source)
        .take(u64::try_from(MAX_PROLOGUE).unwrap_or(u64::MAX))
        .read_to_end(&mut head);
    head
}

/// Text in UTF-8, or in UTF-16 with a byte order mark; of what is cut off in the middle of a character, the part before
/// it. `None` for anything else.
pub(crate) fn decode(source: &[u8]) -> Option<Cow<'_, str>> {
    if let Some(rest) = source.strip_prefix(b"\xEF\xBB\xBF") {
        return decode_utf8(rest).map(Cow::Borrowed);
    }
    let from_pair: fn([u8; 2]) -> u16 = match source {
        [0xFF, 0xFE, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] => u16::from_be_bytes,
        _ => return decode_utf8(source).map(Cow::Borrowed),
    };
    let (pairs, _) = source.get(2..)?.as_chunks::<2>();
    let text = char::decode_utf16(pairs.iter().copied().map(from_pair));
    text.map(Result::ok).collect::<Option<String>>().map(Cow::Owned)
}

fn decode_utf8(source: &[u8]) -> Option<&str> {
    match std::str::from_utf8(source) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(source.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}

/// One item of markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkupItem<'a> {
    /// The name of an element that begins, and whether it ends at once.
    Start(&'a str, bool),
    End,
    /// A document type declaration, with all that is in it.
    Doctype(&'a str),
    /// A comment, an instruction or unparsed text.
    Other,
}

/// Walks over the markup of `text` and leaves out what is between it; ends where no more can be read.
#[derive(Clone, Debug)]
pub(crate) struct Markup<'a> {
    rest: &'a str,
}

impl<'a> Markup<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    fn until(&mut self, end: &str) -> Option<&'a str> {
        let (item, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(item)
    }
}

impl<'a> Iterator for Markup<'a> {
    type Item = MarkupItem<'a>;

    fn next(&mut self) -> Option<MarkupItem<'a>> {
        let (_, rest) = self.rest.split_once('<')?;
        self.rest = rest;
        if rest.starts_with("!--") {
            self.until("-->")?;
            return Some(MarkupItem::Other);
        }
        if rest.starts_with("![CDATA[") {
            self.until("]]>")?;
            return Some(MarkupItem::Other);
        }
        if rest.starts_with('?') {
            self.until("?>")?;
            return Some(MarkupItem::Other);
        }
        if rest.starts_with('!') {
            let length = doctype_length(rest)?;
            let (declaration, rest) = rest.split_at_checked(length)?;
            self.rest = rest;
            return Some(MarkupItem::Doctype(declaration));
        }
        let length = outside_quotes(rest, '>')?;
        let (tag, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        if tag.starts_with('/') {
            return Some(MarkupItem::End);
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let name = tag.split_ascii_whitespace().next().unwrap_or_default();
        Some(MarkupItem::Start(name, is_empty))
    }
}

/// The place of the first `end` that is not between quotes.
fn outside_quotes(text: &str, end: char) -> Option<usize> {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if character == end => return Some(at),
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None => {}
        }
    }
    None
}

/// The end of a declaration whose internal subset has markup in it.
fn doctype_length(text: &str) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0u32);
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '<') => depth = depth.checked_add(1)?,
            (None, '>') if depth == 0 => return Some(at),
            (None, '>') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    None
}

fn first_element(text: &str) -> Option<&str> {
    // Text that begins with something else is no XML.
    if !text.trim_start_matches('\u{FEFF}').trim_start().starts_with('<') {
        return None;
    }
    Markup::new(text).find_map(|item| match item {
        MarkupItem::Start(name, ..) => Some(Some(name)),
        MarkupItem::End => Some(None),
        MarkupItem::Doctype(_) | MarkupItem::Other => None,
    })?
}

/// A name without its prefix.
pub(crate) fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_element_decides_whatever_comes_before_it() {
        let comment = format!("<!-- {} <html> -->", "x".repeat(3000));
        for text in [
            "<svg/>",
            "\u{FEFF}  <?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'>",
            "<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" \"http://www.w3.org/x>y.dtd\"><svg>",
            "<!DOCTYPE svg [<!ENTITY a '<b>'>]><svg:svg>",
            &format!("{comment}<svg width='1'>"),
        ] {
            assert!(is_svg(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "svg",
            "text <svg/>",
            "<html><svg/></html>",
            "<Error><svg/></Error>",
            "<!-- <svg/> -->",
            "<!DOCTYPE html><html><body><svg>",
            "<svgx/>",
            "</svg>",
            "<svg",
        ] {
            assert!(!is_svg(text.as_bytes()), "{text}");
        }
        let utf16: Vec<u8> = "\u{FEFF}<svg/>"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert!(is_svg(&utf16));
        assert!(!is_svg(b"<svg>\xFF\xD8\xFF"));
    }

    #[test]
    fn pieces_are_what_xml_means() {
        let text = "<?x?><!DOCTYPE a [<!ENTITY b '>'>]><a b='>' c=\"/\">t<!-- <d> --><e/><![CDATA[<f>]]></a>";
        let items: Vec<MarkupItem<'_>> = Markup::new(text).collect();
        assert_eq!(
            items,
            [
                MarkupItem::Other,
                MarkupItem::Doctype("!DOCTYPE a [<!ENTITY b '>'>]"),
                MarkupItem::Start("a", false),
                MarkupItem::Other,
                MarkupItem::Start("e", true),
                MarkupItem::Other,
                MarkupItem::End,
            ]
        );
    }
}
