//! The format that a browser gets: proactive negotiation on `Accept` (RFC 9110 section 12).
//!
//! `Accept` is read here and not by a library, because the choice has to be the same as that of CloudFront's Function to
//! the letter, odd headers included. The rules are few enough to be written again as that Function; `tests/vectors/accept.tsv` is the table
//! that both must agree with. They say which format a request prefers. What it gets is the preferred file, or the first of
//! the file's stand-ins ([`tintype_model::Rendition::stand_ins`]) that the request takes: nobody gets a larger file than
//! one in an older format that they take as well and that is no worse.
//!
//! 1. No header, a header longer than [`MAX_ACCEPT_BYTES`] or of more than [`MAX_ACCEPT_LINES`] lines, and a header with a
//!    quotation mark (which old Internet Explorers sent) say nothing: the answer is the universal format.
//! 2. Split at commas. A part is a media range and, after semicolons, parameters. Letter case and white space
//!    around the pieces do not matter. A part with a parameter other than `q`, with two of them, or with a weight
//!    that is not a qvalue (section 12.4.2) is ignored. Without `q` the weight is 1.
//! 3. The weight of a format is that of its own media type, else of `image/*`, else of `*/*`, else 0 (section
//!    12.5.1: the most specific range wins). Of a range named twice the first part counts that is not ignored.
//! 4. JPEG XL, AVIF and WebP can be chosen only when their own type is named: `image/*` from an old Safari and `*/*` from
//!    curl do not mean that they can be shown. Weight 0 excludes.
//! 5. The largest weight wins; equal weights go by the order of [`Format::ALL`].
//! 6. When nothing can be chosen, the answer is the universal format (JPEG, or PNG when there is no JPEG): a
//!    picture rather than a 406 (section 15.5.7 leaves that choice to the server).
//! 7. A request takes every format whose weight is above 0, and where the header says nothing the universal formats.

use tintype_model::Format;

/// Longer `Accept` headers are treated as absent. Browsers send less than 300 bytes, and the longest header known of any
/// client has 340 (`tests/vectors/accept.tsv`); CloudFront's Functions have no time for much longer ones.
pub const MAX_ACCEPT_BYTES: usize = 512;

/// `Accept` headers of more lines are treated as absent. Clients send one.
pub const MAX_ACCEPT_LINES: usize = 8;

/// Weights in thousandths, as a qvalue has at most three decimals.
type Weight = u16;

const FULL: Weight = 1000;

#[derive(Debug, Default)]
struct Ranges {
    formats: [Option<Weight>; Format::ALL.len()],
    any_image: Option<Weight>,
    anything: Option<Weight>,
}

impl Ranges {
    fn parse(accept: &str) -> Self {
        let mut ranges = Self::default();
        for part in accept.split(',') {
            let (range, parameters) = part.split_once(';').unwrap_or((part, ""));
            let range = trim(range);
            let slot = if range.eq_ignore_ascii_case("image/*") {
                &mut ranges.any_image
            } else if range == "*/*" {
                &mut ranges.anything
            } else {
                let named = |format: &Format| range.eq_ignore_ascii_case(format.media_type());
                match Format::ALL.iter().position(named) {
                    Some(index) => &mut ranges.formats[index],
                    None => continue,
                }
            };
            *slot = slot.or_else(|| weight(parameters));
        }
        ranges
    }

    fn weight(&self, format: Format) -> Weight {
        let index = Format::ALL.iter().position(|known| *known == format);
        let named = index.and_then(|index| self.formats[index]);
        let wild = if format.is_universal() {
            self.any_image.or(self.anything)
        } else {
            None
        };
        named.or(wild).unwrap_or(0)
    }
}

/// White space that HTTP allows around the pieces of a list (OWS, RFC 9110 section 5.6.3).
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The weight that the parameters of a range give it; `None` when the part has to be ignored.
fn weight(parameters: &str) -> Option<Weight> {
    let mut weight = None;
    for parameter in parameters
        .split(';')
        .map(trim)
        .filter(|parameter| !parameter.is_empty())
    {
        let (name, value) = parameter.split_once('=')?;
        if !name.eq_ignore_ascii_case("q") || weight.is_some() {
            return None;
        }
        weight = Some(qvalue(value)?);
    }
    Some(weight.unwrap_or(FULL))
}

/// `0`, `1`, or one of them with up to three decimals, at most 1 in all (RFC 9110 section 12.4.2).
fn qvalue(text: &str) -> Option<Weight> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1")
        || decimals.len() > 3
        || !decimals.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let decimals: Weight = format!("{decimals:0<3}").parse().ok()?;
    let weight = if whole == "1" { FULL + decimals } else { decimals };
    (weight <= FULL).then_some(weight)
}

/// The format that every browser shows: JPEG, or PNG when there is no JPEG. When there is neither it is the first that
/// is available, and JPEG when none is.
fn universal(available: &[Format]) -> Format {
    let universal = [Format::Jpeg, Format::Png];
    universal
        .into_iter()
        .find(|format| available.contains(format))
        .or_else(|| available.first().copied())
        .unwrap_or(Format::Jpeg)
}

/// The formats that the `Accept` header of a request takes and prefers, by the rules above.
#[derive(Debug)]
pub struct Accept {
    /// `None` when it says nothing.
    ranges: Option<Ranges>,
}

impl Accept {
    /// Reads the header. Several header lines are one list, joined by commas (RFC 9110 section 5.3).
    #[must_use]
    pub fn parse(header: Option<&str>) -> Self {
        let said = |accept: &&str| accept.len() <= MAX_ACCEPT_BYTES && !accept.contains('"');
        Self {
            ranges: header.filter(said).map(Ranges::parse),
        }
    }

    /// The format of `available` that the request prefers.
    ///
    /// The answer is always one of `available`; when that is empty, JPEG.
    #[must_use]
    pub fn preferred(&self, available: &[Format]) -> Format {
        let mut best = (universal(available), 0);
        for format in Format::ALL {
            let weight = self.ranges.as_ref().map_or(0, |ranges| ranges.weight(format));
            if available.contains(&format) && weight > best.1 {
                best = (format, weight);
            }
        }
        best.0
    }

    /// Tells whether the format may be sent in answer to the request.
    #[must_use]
    pub fn takes(&self, format: Format) -> bool {
        match &self.ranges {
            Some(ranges) => ranges.weight(format) > 0,
            None => format.is_universal(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn negotiate(accept: Option<&str>, available: &[Format]) -> Format {
        Accept::parse(accept).preferred(available)
    }

    #[test]
    fn qvalues_are_read_as_the_grammar_says() {
        let good = [
            ("0", 0),
            ("0.", 0),
            ("0.5", 500),
            ("0.05", 50),
            ("0.123", 123),
            ("1", 1000),
            ("1.", 1000),
            ("1.000", 1000),
        ];
        for (text, weight) in good {
            assert_eq!(qvalue(text), Some(weight), "{text}");
        }
        for text in [
            "", ".5", "1.001", "2", "0.1234", "-1", "+1", "0,5", "1e0", "0.5 ", "00", "0.+5",
        ] {
            assert_eq!(qvalue(text), None, "{text}");
        }
    }

    #[test]
    fn headers_beyond_the_bound_say_nothing() {
        let long = format!("image/avif{}", ",image/png".repeat(51));
        assert_eq!(negotiate(Some(&long), &Format::ALL), Format::Jpeg);
        assert_eq!(
            negotiate(Some(&long[..MAX_ACCEPT_BYTES]), &Format::ALL),
            Format::Avif
        );
        assert_eq!(
            negotiate(Some("image/avif,text/plain;a=\"x\""), &Format::ALL),
            Format::Jpeg
        );
    }

    #[test]
    fn what_has_weight_is_taken() {
        let takes = |accept: Option<&str>| {
            let accept = Accept::parse(accept);
            Format::ALL.map(|format| accept.takes(format))
        };
        // JPEG XL, AVIF, WebP, JPEG, PNG.
        let firefox = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5";
        assert_eq!(takes(Some(firefox)), [false, true, true, true, true]);
        assert_eq!(takes(Some("image/avif")), [false, true, false, false, false]);
        assert_eq!(
            takes(Some("image/avif;q=0.1,image/jpeg;q=0,*/*")),
            [false, true, false, false, true]
        );
        assert_eq!(takes(Some("text/html")), [false; 5]);
        for silent in [None, Some("image/avif,\"")] {
            assert_eq!(takes(silent), [false, false, false, true, true], "{silent:?}");
        }
    }

    #[test]
    fn the_answer_is_always_available() {
        assert_eq!(negotiate(Some("image/avif"), &[Format::Png]), Format::Png);
        assert_eq!(negotiate(None, &[Format::Webp]), Format::Webp);
        assert_eq!(negotiate(None, &[]), Format::Jpeg);
    }

    /// A parsed part: type, subtype, weight.
    type Part = (String, String, f64);

    /// Follows the text of RFC 9110 sections 5.6 and 12.4.2 piece by piece, without regard to speed.
    fn slow_parse(accept: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        for part in accept.split(',') {
            let mut pieces: Vec<String> = part
                .split(';')
                .map(|piece| piece.trim_matches([' ', '\t']).to_lowercase())
                .collect();
            let range = pieces.remove(0);
            pieces.retain(|piece| !piece.is_empty());
            let Some((kind, subtype)) = range.split_once('/') else {
                continue;
            };
            let weight = match pieces.as_slice() {
                [] => 1.0,
                [parameter] => {
                    let Some(value) = parameter.strip_prefix("q=") else {
                        continue;
                    };
                    let characters: Vec<char> = value.chars().collect();
                    let legal = match characters.as_slice() {
                        ['0' | '1'] | ['0' | '1', '.'] => true,
                        ['0', '.', rest @ ..] => rest.len() <= 3 && rest.iter().all(char::is_ascii_digit),
                        ['1', '.', rest @ ..] => rest.len() <= 3 && rest.iter().all(|digit| *digit == '0'),
                        _ => false,
                    };
                    if !legal {
                        continue;
                    }
                    value.trim_end_matches('.').parse().unwrap()
                }
                _ => continue,
            };
            parts.push((kind.to_owned(), subtype.to_owned(), weight));
        }
        parts
    }

    fn slow_negotiate(accept: &str, available: &[Format]) -> Format {
        let default = if available.contains(&Format::Jpeg) {
            Format::Jpeg
        } else {
            Format::Png
        };
        let parts = slow_parse(accept);
        let mut ranked: Vec<(Format, f64)> = Vec::new();
        for format in available {
            let (kind, subtype) = format.media_type().split_once('/').unwrap();
            let of = |kind: &str, subtype: &str| {
                let first = parts.iter().find(|part| part.0 == kind && part.1 == subtype);
                first.map(|part| part.2)
            };
            let weight = match (of(kind, subtype), of(kind, "*"), of("*", "*")) {
                (Some(weight), _, _) => weight,
                (None, ..) if matches!(format, Format::Jxl | Format::Avif | Format::Webp) => 0.0,
                (None, Some(weight), _) | (None, None, Some(weight)) => weight,
                (None, None, None) => 0.0,
            };
            if weight > 0.0 {
                ranked.push((*format, weight));
            }
        }
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.first().map_or(default, |best| best.0)
    }

    fn part() -> impl Strategy<Value = String> {
        let range = prop::sample::select(vec![
            "image/jxl",
            "image/avif",
            "image/webp",
            "image/jpeg",
            "image/png",
            "image/*",
            "*/*",
            "IMAGE/AVIF",
            "Image/*",
            "text/html",
            "*/avif",
            "image",
            "image/avif x",
            "",
        ]);
        let weight = prop::sample::select(vec![
            "",
            ";q=0",
            ";q=1",
            ";q=0.5",
            "; q=0.8",
            ";q=0.80",
            " ; Q=0.9",
            ";q=0.001",
            ";q=1.001",
            ";q=2",
            ";q=",
            ";v=1",
            ";q=0.5;q=1",
            ";",
            ";;q=0.3",
            ";q=0.1234",
            ";q =0.4",
        ]);
        let space = prop::sample::select(vec!["", " ", "\t"]);
        (space.clone(), range, weight, space)
            .prop_map(|(before, range, weight, after)| format!("{before}{range}{weight}{after}"))
    }

    proptest! {
        #[test]
        fn agrees_with_the_slow_reference(
            parts in prop::collection::vec(part(), 0..8),
            available in prop::sample::subsequence(Format::ALL.to_vec(), 1..=5),
        ) {
            prop_assume!(available.iter().any(|format| format.is_universal()));
            let accept = parts.join(",");
            prop_assert_eq!(negotiate(Some(&accept), &available), slow_negotiate(&accept, &available), "{}", accept);
        }

        #[test]
        fn any_text_gets_an_available_format(accept in "\\PC{0,200}") {
            let available = [Format::Avif, Format::Jpeg];
            prop_assert!(available.contains(&negotiate(Some(&accept), &available)));
        }
    }
}
