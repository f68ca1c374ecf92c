//! Single byte ranges (RFC 9110 section 14).

use std::ops::Range;

use http::HeaderMap;
use http::header::RANGE;

use crate::header::Single;

/// The part of a representation that a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// The whole representation: there is no range, or one that is ignored (section 14.2), with another unit, several
    /// ranges or a fault in its grammar.
    Whole,
    /// These bytes, of which there is at least one.
    Part(Range<u64>),
    /// No byte of the representation: a 416.
    Unsatisfiable,
}

/// Reads the `Range` header for a representation of `size_bytes`.
#[must_use]
pub fn requested_range(headers: &HeaderMap, size_bytes: u64) -> ByteRange {
    Single::of(headers, &RANGE)
        .text()
        .map_or(ByteRange::Whole, |text| parse(text, size_bytes))
}

/// The `Content-Range` of a part of a representation of `size_bytes`. The part has at least one byte.
#[must_use]
pub fn content_range(part: &Range<u64>, size_bytes: u64) -> String {
    format!("bytes {}-{}/{size_bytes}", part.start, part.end.saturating_sub(1))
}

/// The `Content-Range` of a 416 for a representation of `size_bytes`.
#[must_use]
pub fn unsatisfied_range(size_bytes: u64) -> String {
    format!("bytes */{size_bytes}")
}

fn parse(header: &str, size_bytes: u64) -> ByteRange {
    let Some((unit, set)) = header.split_once('=') else {
        return ByteRange::Whole;
    };
    let Some((first, last)) = set.split_once('-') else {
        return ByteRange::Whole;
    };
    if !unit.eq_ignore_ascii_case("bytes") || !is_digits(first) || !is_digits(last) {
        return ByteRange::Whole;
    }
    match (first.is_empty(), last.is_empty()) {
        (true, true) => ByteRange::Whole,
        (true, false) => {
            let length = number(last).min(size_bytes);
            // The last bytes of an empty representation are none, which a 206 cannot express (section 14.1.2).
            if size_bytes == 0 && number(last) > 0 {
                return ByteRange::Whole;
            }
            part(size_bytes - length, size_bytes)
        }
        (false, true) => part(number(first), size_bytes),
        (false, false) => {
            let (first, last) = (number(first), number(last));
            if last < first {
                return ByteRange::Whole;
            }
            part(first, last.saturating_add(1).min(size_bytes))
        }
    }
}

fn part(start: u64, end: u64) -> ByteRange {
    if start < end {
        ByteRange::Part(start..end)
    } else {
        ByteRange::Unsatisfiable
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a number. Any count of digits is legal; numbers above `u64` are beyond every representation.
fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_ranges_are_read() {
        assert_eq!(parse("bytes=0-0", 10), ByteRange::Part(0..1));
        assert_eq!(parse("bytes=2-", 10), ByteRange::Part(2..10));
        assert_eq!(parse("bytes=-3", 10), ByteRange::Part(7..10));
        assert_eq!(parse("bytes=-99", 10), ByteRange::Part(0..10));
        assert_eq!(
            parse("bytes=5-99999999999999999999999", 10),
            ByteRange::Part(5..10)
        );
        assert_eq!(parse("BYTES=9-9", 10), ByteRange::Part(9..10));
    }

    #[test]
    fn ranges_without_a_byte_are_unsatisfiable() {
        for header in [
            "bytes=10-",
            "bytes=10-20",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(parse(header, 10), ByteRange::Unsatisfiable, "{header}");
        }
        assert_eq!(parse("bytes=0-", 0), ByteRange::Unsatisfiable);
        assert_eq!(parse("bytes=-0", 0), ByteRange::Unsatisfiable);
    }

    #[test]
    fn the_last_bytes_of_nothing_are_nothing() {
        assert_eq!(parse("bytes=-1", 0), ByteRange::Whole);
    }

    #[test]
    fn of_several_headers_none_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(requested_range(&headers, 10), ByteRange::Whole);
        headers.append(RANGE, http::HeaderValue::from_static("bytes=0-1"));
        assert_eq!(requested_range(&headers, 10), ByteRange::Part(0..2));
        headers.append(RANGE, http::HeaderValue::from_static("bytes=0-1"));
        assert_eq!(requested_range(&headers, 10), ByteRange::Whole);
    }

    #[test]
    fn content_ranges_name_the_last_byte() {
        assert_eq!(content_range(&(2..6), 10), "bytes 2-5/10");
        assert_eq!(unsatisfied_range(10), "bytes */10");
    }

    #[test]
    fn what_is_not_a_single_byte_range_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=0x1-2",
            "bytes=+1-2",
            "bytes= 0-1",
            "bytes=0--1",
            "bytes =0-1",
            "bytes=1",
        ] {
            assert_eq!(parse(header, 10), ByteRange::Whole, "{header}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_what_slicing_gives(size in 0_u64..40, first in prop::option::of(0_u64..50), last in prop::option::of(0_u64..50)) {
            let bytes: Vec<u64> = (0..size).collect();
            let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
            let expected: Option<Vec<u64>> = match (first, last) {
                (None, None) => None,
                (None, Some(1..)) if size == 0 => None,
                (Some(first), Some(last)) if last < first => None,
                (Some(first), last) => {
                    Some(bytes.iter().copied().filter(|at| *at >= first && last.is_none_or(|last| *at <= last)).collect())
                }
                (None, Some(length)) => Some(bytes.iter().copied().filter(|at| at + length >= size).collect()),
            };
            let got = match parse(&format!("bytes={}-{}", text(first), text(last)), size) {
                ByteRange::Whole => None,
                ByteRange::Unsatisfiable => Some(Vec::new()),
                ByteRange::Part(range) => {
                    prop_assert!(!range.is_empty());
                    Some(bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec())
                }
            };
            prop_assert_eq!(got, expected);
        }
    }
}
