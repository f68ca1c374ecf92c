//! The encoder's quality that reaches a score, in few encodes.

use tintype_model::Format;

use crate::encode;
use crate::error::EncodeError;

/// Encodes that a search may take.
pub(crate) const MAX_ENCODES: usize = 4;
/// A score this far below the target still counts as reached.
pub(crate) const BELOW: f64 = 0.5;
/// A score up to this far above it is near enough to stop at.
pub(crate) const ABOVE: f64 = 1.5;
/// The aim of the next attempt, relative to the target: the middle of the accepted scores.
const AIM: f64 = 0.5;

/// The result of a search.
pub(crate) struct SearchResult<T> {
    pub(crate) quality: u8,
    pub(crate) score: f64,
    pub(crate) made: T,
}

/// Tells whether `score` counts as `target`.
pub(crate) fn reaches(score: f64, target: f64) -> bool {
    score >= target - BELOW
}

/// Looks for the lowest quality whose score reaches `target`, with at most [`MAX_ENCODES`] calls of `attempt`, which
/// encodes at a quality and gives the score.
///
/// Stops at the first score from [`BELOW`] the target to [`ABOVE`] it. Where there is none, the lowest quality tried
/// that reaches the target wins; where none does, the one with the best score.
pub(crate) fn search<T>(
    format: Format,
    target: f64,
    mut attempt: impl FnMut(u8) -> Result<(f64, T), EncodeError>,
) -> Result<SearchResult<T>, EncodeError> {
    let curve = curve(format);
    let (mut short, mut enough): (Option<SearchResult<T>>, Option<SearchResult<T>>) = (None, None);
    let mut quality = encode::canonical(format, quality_at(curve, target + AIM));
    for _ in 0..MAX_ENCODES {
        let (score, made) = attempt(quality)?;
        let found = SearchResult { quality, score, made };
        let best = if reaches(score, target) {
            &mut enough
        } else {
            &mut short
        };
        *best = Some(found);
        if score >= target - BELOW && score <= target + ABOVE {
            break;
        }
        let next = match (&short, &enough) {
            (Some(short), Some(enough)) => between(short, enough, target + AIM),
            _ => {
                // The distance of a score from 100 is taken to be a fixed multiple of the usual distance.
                let usual = 100.0 - score_at(curve, quality);
                let hardness = (100.0 - score).max(0.1) / usual.max(0.1);
                f64::from(quality_at(curve, 100.0 - (100.0 - target - AIM) / hardness))
            }
        };
        let Some(next) = untried(format, next, quality, short.as_ref(), enough.as_ref()) else {
            break;
        };
        quality = next;
    }
    enough
        .or(short)
        .ok_or(EncodeError::Pixels("no quality was tried".to_owned()))
}

/// Linear interpolation between two qualities that bracket the aim.
fn between<T>(short: &SearchResult<T>, enough: &SearchResult<T>, aim: f64) -> f64 {
    let (low, high) = (f64::from(short.quality), f64::from(enough.quality));
    let share = (aim - short.score) / (enough.score - short.score).max(0.01);
    low + (high - low) * share.clamp(0.0, 1.0)
}

/// The quality nearest to `wanted` that makes another file than those tried and that is above those which fell short
/// and below those which reached the target.
fn untried<T>(
    format: Format,
    wanted: f64,
    last: u8,
    short: Option<&SearchResult<T>>,
    enough: Option<&SearchResult<T>>,
) -> Option<u8> {
    let above = short.map_or(0, |found| found.quality);
    let below = enough.map_or(101, |found| found.quality);
    let candidates = (1..=100).filter(|&quality| {
        encode::canonical(format, quality) == quality && quality > above && quality < below && quality != last
    });
    candidates.min_by_key(|&quality| quality.abs_diff(round(wanted)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 1 and 100"
)]
fn round(quality: f64) -> u8 {
    quality.round().clamp(1.0, 100.0) as u8
}

/// Mean score of photographs at a quality, by rising quality: what a search starts from.
type Curve = [(f64, f64)];

/// Means over photographs of the corpus at 300 and 800 pixels (`examples/quality.rs` prints them).
fn curve(format: Format) -> &'static Curve {
    match format {
        // Means over five of them.
        Format::Jxl => &[
            (1.0, -15.0),
            (10.0, 6.5),
            (20.0, 29.0),
            (30.0, 39.5),
            (40.0, 42.5),
            (50.0, 46.0),
            (60.0, 51.5),
            (70.0, 58.0),
            (80.0, 69.0),
            (90.0, 83.0),
            (95.0, 88.5),
            (100.0, 94.5),
        ],
        // Means over four of them, as for JPEG.
        Format::Avif => &[
            (1.0, -51.0),
            (10.0, -26.0),
            (20.0, 5.0),
            (30.0, 27.0),
            (40.0, 44.5),
            (50.0, 57.5),
            (60.0, 67.5),
            (70.0, 71.5),
            (80.0, 75.5),
            (90.0, 81.0),
            (95.0, 84.0),
            (100.0, 89.0),
        ],
        Format::Webp => &[
            (1.0, -1.0),
            (10.0, 26.0),
            (20.0, 40.0),
            (30.0, 48.0),
            (40.0, 56.0),
            (50.0, 61.0),
            (60.0, 65.5),
            (75.0, 71.0),
            (80.0, 75.5),
            (90.0, 84.0),
            (95.0, 87.0),
            (100.0, 88.5),
        ],
        Format::Jpeg | Format::Png => &[
            (1.0, -59.5),
            (10.0, -10.0),
            (20.0, 31.0),
            (30.0, 47.0),
            (40.0, 56.5),
            (50.0, 62.5),
            (60.0, 66.5),
            (70.0, 71.5),
            (80.0, 77.5),
            (90.0, 83.0),
            (95.0, 86.5),
            (100.0, 89.5),
        ],
    }
}

fn score_at(curve: &Curve, quality: u8) -> f64 {
    interpolate(curve.iter().copied(), f64::from(quality))
}

fn quality_at(curve: &Curve, score: f64) -> u8 {
    round(interpolate(
        curve.iter().map(|&(quality, score)| (score, quality)),
        score,
    ))
}

/// The value at `x` of the line through points of rising `x`, held at both ends.
fn interpolate(points: impl Iterator<Item = (f64, f64)>, x: f64) -> f64 {
    let mut before: Option<(f64, f64)> = None;
    for (right, above) in points {
        match before {
            None if x <= right => return above,
            Some((left, below)) if x <= right => {
                return below + (above - below) * (x - left) / (right - left);
            }
            _ => before = Some((right, above)),
        }
    }
    before.map_or(0.0, |(_, last)| last)
}

/// The quality to try when a whole picture, encoded at `quality`, scores less than its sample did.
pub(crate) fn higher(format: Format, quality: u8, score: f64, target: f64) -> Option<u8> {
    let curve = curve(format);
    let here = score_at(curve, quality);
    let wanted = quality_at(curve, here + (target + AIM - score));
    let candidates = (quality + 1..=100).filter(|&higher| encode::canonical(format, higher) == higher);
    candidates.min_by_key(|&higher| higher.abs_diff(wanted))
}

/// The quality at which a file loses as much of a lossy source of the same size as that source, of the given format and
/// quality, has lost before. On two photographs at 800 pixels WebP of sources of qualities 15 to 75 then has 70 to 94 %
/// of their bytes and scores 7 to 11 points less than they do; at 4 points more it is 73 to 105 %, for 1 to 5 of these
/// points.
pub(crate) fn useful(format: Format, (of, source): (Format, u8)) -> u8 {
    if format == of || format == Format::Png {
        return source;
    }
    quality_at(curve(format), score_at(curve(of), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches with an encoder that exists for the test only; the qualities that were tried.
    fn tried(format: Format, target: f64, scores: impl Fn(f64) -> f64) -> (Vec<u8>, SearchResult<()>) {
        let mut tried = Vec::new();
        let found = search(format, target, |quality| {
            tried.push(quality);
            Ok((scores(f64::from(quality)), ()))
        })
        .unwrap();
        (tried, found)
    }

    #[test]
    fn usual_pictures_take_one_encode_and_unusual_ones_a_few() {
        for format in [Format::Jxl, Format::Avif, Format::Webp, Format::Jpeg] {
            for target in [40.0, 60.0, 75.0] {
                let usual = |quality: f64| score_at(curve(format), round(quality));
                assert_eq!(tried(format, target, usual).0.len(), 1, "{format:?} {target}");
                for hardness in [0.5, 0.7, 1.4] {
                    let scores = |quality: f64| 100.0 - hardness * (100.0 - usual(quality));
                    let (tried, found) = tried(format, target, scores);
                    assert!(
                        tried.len() <= MAX_ENCODES,
                        "{format:?} {target} {hardness}: {tried:?}"
                    );
                    // At low qualities of JPEG each step is three points.
                    let is_out_of_reach = scores(100.0) < target || scores(1.0) > target;
                    assert!(
                        is_out_of_reach || (reaches(found.score, target) && found.score < target + 3.5),
                        "{format:?} {target} {hardness}: {} after {tried:?}",
                        found.score
                    );
                }
            }
        }
    }

    #[test]
    fn no_file_is_made_twice_and_the_ends_are_the_end() {
        for (scores, last) in [(-50.0, 100), (100.0, 1)] {
            for format in [Format::Jxl, Format::Avif, Format::Webp, Format::Jpeg] {
                let (tried, found) = tried(format, 70.0, |_| scores);
                assert_eq!(
                    found.quality,
                    encode::canonical(format, last),
                    "{format:?}: {tried:?}"
                );
                let mut once = tried.clone();
                once.sort_unstable();
                once.dedup();
                assert_eq!(once.len(), tried.len(), "{format:?}: {tried:?}");
            }
        }
    }

    #[test]
    fn the_lowest_quality_that_is_enough_wins_over_a_cliff() {
        let (tried, found) = tried(
            Format::Jpeg,
            70.0,
            |quality| if quality < 61.0 { 20.0 } else { 90.0 },
        );
        assert!(tried.len() <= MAX_ENCODES);
        assert!(
            found.score > 70.0 && found.quality >= 61,
            "{} of {tried:?}",
            found.quality
        );
    }
}
