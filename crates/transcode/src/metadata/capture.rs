//! The time, the camera and the lens of a picture, from its EXIF block or from a TIFF, which has the same structure.
//!
//! Read by [`Tiff`], which enters at most two directories and allocates nothing. General readers list every directory
//! that the block names before they answer, and a block of 64 KiB can name its own bytes thousands of times.

use tintype_model::{Capture, Location};

use super::exif;
use crate::syntax::tiff::{ASCII, Directory, Field, RATIONAL, Tiff, UTF8};

const MAKE: u16 = 0x010F;
const MODEL: u16 = 0x0110;
const EXIF: u16 = 0x8769;
const GPS: u16 = 0x8825;
const DATE_TIME_ORIGINAL: u16 = 0x9003;
const OFFSET_TIME_ORIGINAL: u16 = 0x9011;
const LENS_MODEL: u16 = 0xA434;
const LATITUDE_REF: u16 = 1;
const LATITUDE: u16 = 2;
const LONGITUDE_REF: u16 = 3;
const LONGITUDE: u16 = 4;

/// Longest text that is kept, in characters.
const MAX_CHARACTERS: usize = 100;
/// The year of the oldest photograph that exists.
const FIRST_YEAR: u32 = 1826;

/// Reads the time, the camera and the lens; `None` when the structure tells none of them. Never reads the place.
pub(crate) fn read(tiff: Tiff<'_>) -> Option<Capture> {
    let main = tiff.first()?;
    let details = main.directory(EXIF);
    let detail = |tag| details.and_then(|details| text(details, tag));
    let capture = Capture {
        taken_at: detail(DATE_TIME_ORIGINAL)
            .and_then(|time| taken_at(&time, detail(OFFSET_TIME_ORIGINAL).as_deref())),
        make: text(main, MAKE),
        model: text(main, MODEL),
        lens: detail(LENS_MODEL),
        location: None,
    };
    (capture != Capture::default()).then_some(capture)
}

/// The place, to about a decimetre.
pub(crate) fn location(tiff: Tiff<'_>) -> Option<Location> {
    let gps = tiff.first()?.directory(GPS)?;
    Some(Location {
        latitude: coordinate(gps, LATITUDE, LATITUDE_REF, ["N", "S"], 90.0)?,
        longitude: coordinate(gps, LONGITUDE, LONGITUDE_REF, ["E", "W"], 180.0)?,
    })
}

fn text(directory: Directory<'_>, tag: u16) -> Option<String> {
    let Field { kind, bytes, .. } = directory.field(tag)?;
    // A TIFF can call all of its pixels a text.
    if !matches!(kind, ASCII | UTF8) || bytes.len() > exif::MAX_BYTES {
        return None;
    }
    let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = match str::from_utf8(bytes) {
        Ok(text) => clean(text.chars()),
        // Older cameras write Latin-1 where ASCII is asked for.
        Err(_) => clean(bytes.iter().copied().map(char::from)),
    };
    Some(text).filter(|text| !text.is_empty())
}

fn clean(characters: impl Iterator<Item = char>) -> String {
    let text: String = characters
        .filter(|character| !character.is_control())
        .skip_while(|character| character.is_whitespace())
        .take(MAX_CHARACTERS)
        .collect();
    text.trim_end().to_owned()
}

/// `2026:11:25 18:27:58` and `+01:00` in the form of RFC 3339; `None` when there is no such moment.
fn taken_at(time: &str, offset: Option<&str>) -> Option<String> {
    let (date, clock) = time.split_once(' ')?;
    let [year, month, day] = numbers(date, [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, [2, 2, 2])?;
    let exists = year >= FIRST_YEAR
        && (1..=12).contains(&month)
        && (1..=days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let offset = offset.filter(|offset| is_offset(offset)).unwrap_or_default();
    exists.then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{offset}"))
}

/// Three numbers of so many digits with `:` between them.
fn numbers(text: &str, digits: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(':').zip(digits);
    let mut next = || {
        let (part, digits) = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse().ok()).flatten()
    };
    let numbers = [next()?, next()?, next()?];
    (text.len() == digits.iter().sum::<usize>().saturating_add(2)).then_some(numbers)
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_offset(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['+', '-']) else {
        return false;
    };
    let number = |part: &str, limit: u32| {
        part.len() == 2
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse::<u32>().is_ok_and(|number| number < limit)
    };
    rest.split_once(':')
        .is_some_and(|(hours, minutes)| number(hours, 15) && number(minutes, 60))
}

/// Degrees, minutes and seconds, with the sign that the other field tells.
fn coordinate(gps: Directory<'_>, tag: u16, sign: u16, names: [&str; 2], limit: f64) -> Option<f64> {
    let field = gps.field(tag).filter(|field| field.kind == RATIONAL)?;
    let part = |index: usize| {
        let numerator = field.long(index.checked_mul(2)?)?;
        let denominator = field.long(index.checked_mul(2)?.checked_add(1)?)?;
        (denominator != 0).then(|| f64::from(numerator) / f64::from(denominator))
    };
    let degrees = part(0)? + part(1)? / 60.0 + part(2)? / 3600.0;
    let name = text(gps, sign)?;
    let [positive, negative] = names;
    let degrees = if name == positive {
        degrees
    } else if name == negative {
        -degrees
    } else {
        return None;
    };
    // Further decimals only come from the division.
    let degrees = (degrees * 1e6).round() / 1e6;
    (-limit..=limit).contains(&degrees).then_some(degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_do_not_exist_are_dropped() {
        let at = |time| taken_at(time, None);
        assert_eq!(at("2026:11:25 18:27:58").as_deref(), Some("2026-11-25T18:27:58"));
        assert_eq!(at("2024:02:29 00:00:00").as_deref(), Some("2024-02-29T00:00:00"));
        for nonsense in [
            "0000:00:00 00:00:00",
            "    :  :     :  :  ",
            "0026:11:25 18:27:58",
            "2026:13:01 00:00:00",
            "2026:02:29 00:00:00",
            "1900:02:29 00:00:00",
            "2026:11:31 00:00:00",
            "2026:11:25 24:00:00",
            "2026:11:25 18:60:00",
            "2026:11:25 18:27:60",
            "2026:11:25",
            "2026:11:25 18:27",
            "2026:11:25 18:27:58:00",
            "2026-11-25 18:27:58",
            "+026:11:25 18:27:58",
            "2026:1:125 18:27:58",
            "",
        ] {
            assert_eq!(at(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn an_offset_follows_if_it_is_one() {
        let with = |offset| taken_at("2026:11:25 18:27:58", Some(offset)).unwrap();
        assert_eq!(with("+01:00"), "2026-11-25T18:27:58+01:00");
        assert_eq!(with("-09:30"), "2026-11-25T18:27:58-09:30");
        for nonsense in [
            "",
            "Z",
            "01:00",
            "+1:00",
            "+99:00",
            "+01:60",
            "+01:00:00",
            "   :  ",
        ] {
            assert_eq!(with(nonsense), "2026-11-25T18:27:58", "{nonsense:?}");
        }
    }

    #[test]
    fn texts_are_trimmed_and_bounded() {
        assert_eq!(clean(" \t DJI \u{7}FC300S   ".chars()), "DJI FC300S");
        assert_eq!(clean("é".repeat(300).chars()), "é".repeat(100));
        assert_eq!(clean("  \n ".chars()), "");
    }
}
