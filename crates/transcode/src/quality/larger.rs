//! A newer format is never larger than an older one of the same variant unless it scores better.
//!
//! Browsers take the newest format that they know, so a newer file that is larger for nothing costs everybody. The
//! rule, for each file and the smaller files of older formats (PNG is the oldest):
//!
//! * One that scores more than [`MARGIN`] better than all of them stays, and its record says so. Lossless files score
//!   100, so lossless ones are larger than lossy ones with reason, and lossy ones are never larger than lossless ones
//!   with reason.
//! * Else it is encoded again: with more effort, then, if its quality is a fixed number, at lower qualities down to
//!   [`LEAST_QUALITY`] of what was asked; in all at most [`MAX_ATTEMPTS`] times, until it is no larger than the
//!   smallest of those that it does not beat.
//! * One that the recipe wants lossless stays as well.
//! * If that does not help it stays as it was, and its record says why.
//!
//! Scores are computed only where a newer file is larger.

use std::sync::Arc;

use bytes::Bytes;
use tintype_model::{Encoding, Format, Quality, RenderedFile};

use super::{LazyYardstick, Wanted, Yardstick, told};
use crate::encode::{self, Effort, Encoded, Settings};
use crate::error::EncodeError;
use crate::picture::Picture;

/// Encodes that are spent on one file.
const MAX_ATTEMPTS: usize = 4;
/// Scores that differ by less are the same.
const MARGIN: f64 = 0.5;
/// In hundredths of the quality that was asked for.
const LEAST_QUALITY: u32 = 70;

/// Applies the rule to the files of one variant. `picture` gives their pixels; it is asked only where needed.
pub(crate) fn settle(
    files: &mut [RenderedFile],
    wanted: impl Fn(Format) -> Wanted,
    picture: impl FnOnce() -> Result<Arc<Picture>, crate::Error>,
) -> Result<(), crate::Error> {
    let mut oldest_first: Vec<usize> = (0..files.len()).collect();
    oldest_first.sort_by_key(|&index| std::cmp::Reverse(files[index].format));
    let mut picture = Some(picture);
    let mut held: Option<(Arc<Picture>, LazyYardstick)> = None;
    for (age, &newer) in oldest_first.iter().enumerate() {
        let older = &oldest_first[..age];
        if !older
            .iter()
            .any(|&older| files[older].bytes.len() < files[newer].bytes.len())
        {
            continue;
        }
        let wanted_here = wanted(files[newer].format);
        if wanted_here.quality == Quality::Lossless {
            files[newer].encoding.larger_because = Some("the recipe wants it lossless".to_owned());
            continue;
        }
        let (picture, yardstick) = match (&held, picture.take()) {
            (Some(held), _) => held.clone(),
            (None, Some(picture)) => (picture()?, LazyYardstick::default()),
            (None, None) => return Ok(()),
        };
        held = Some((Arc::clone(&picture), yardstick.clone()));
        let yardstick = yardstick.get(&picture, wanted_here.background);
        let failed = |source: EncodeError| crate::Error::Encode {
            variant: files[newer].variant.clone(),
            format: files[newer].format,
            source,
        };
        let older: Vec<&RenderedFile> = older.iter().map(|&index| &files[index]).collect();
        let (bytes, encoding) =
            settle_one(&files[newer], &older, &wanted_here, &picture, yardstick).map_err(failed)?;
        (files[newer].bytes, files[newer].encoding) = (bytes, encoding);
    }
    Ok(())
}

fn settle_one(
    newer: &RenderedFile,
    older: &[&RenderedFile],
    wanted: &Wanted,
    picture: &Arc<Picture>,
    yardstick: &Yardstick,
) -> Result<(Bytes, Encoding), EncodeError> {
    let score = score_of(newer, wanted, picture, yardstick)?;
    let mut rivals: Vec<(&RenderedFile, f64)> = Vec::new();
    for &file in older.iter().filter(|file| file.bytes.len() < newer.bytes.len()) {
        let wanted = Wanted {
            format: file.format,
            ..*wanted
        };
        rivals.push((file, score_of(file, &wanted, picture, yardstick)?));
    }
    let because = |reason: String| Encoding {
        larger_because: Some(reason),
        ..newer.encoding.clone()
    };
    let unbeaten = rivals.iter().filter(|(_, other)| score <= other + MARGIN);
    let Some(&(rival, rival_score)) = unbeaten.min_by_key(|(file, _)| file.bytes.len()) else {
        let best = rivals.iter().map(|(_, other)| *other).reduce(f64::max);
        let reason = better(score, best.unwrap_or_default());
        return Ok((newer.bytes.clone(), because(reason)));
    };
    let goal = rival.bytes.len();
    let mut attempts = 0;
    for settings in attempts_for(newer, wanted, goal, yardstick.pixels()) {
        attempts += 1;
        let made = encode::encode_and_show(Arc::clone(picture), wanted.format, &settings, wanted.background)?;
        if made.bytes.len() > goal {
            continue;
        }
        let score = yardstick.score_whole(wanted.format, &made)?;
        let misses = match wanted.quality {
            Quality::Auto { target } => !super::search::reaches(score, target.into()),
            Quality::Fixed(_) | Quality::Lossless => false,
        };
        // What it was better than before, it may not be now.
        let smaller = rivals
            .iter()
            .filter(|(file, _)| file.bytes.len() < made.bytes.len());
        let best = smaller.map(|(_, other)| *other).reduce(f64::max);
        if misses || best.is_some_and(|best| score <= best + MARGIN) {
            continue;
        }
        let encoding = Encoding {
            quality: Some(settings.quality),
            score: newer.encoding.score.map(|_| told(score)),
            larger_because: best.map(|best| better(score, best)),
            ..newer.encoding.clone()
        };
        return Ok((made.bytes.into(), encoding));
    }
    let reason = format!(
        "{attempts} more attempts did not get below the {goal} bytes of {}, which scores {rival_score:.1} against \
         {score:.1}",
        rival.format.name()
    );
    Ok((newer.bytes.clone(), because(reason)))
}

fn better(score: f64, other: f64) -> String {
    format!("it scores {score:.1} against {other:.1}")
}

/// The score that the record tells, or else that of the file.
fn score_of(
    file: &RenderedFile,
    wanted: &Wanted,
    picture: &Arc<Picture>,
    yardstick: &Yardstick,
) -> Result<f64, EncodeError> {
    if let Some(score) = file.encoding.score {
        return Ok(score.into());
    }
    if file.encoding.is_lossless || file.format == Format::Png {
        return Ok(100.0);
    }
    if file.format == Format::Avif {
        // There is no decoder for it here; the same settings give the same reconstruction.
        let settings = wanted.settings(quality_of(file, wanted), yardstick.pixels());
        let again = encode::encode_and_show(Arc::clone(picture), file.format, &settings, wanted.background)?;
        return yardstick
            .score_whole(file.format, &again)
            .map(|score| told(score).into());
    }
    let encoded = Encoded {
        bytes: file.bytes.to_vec(),
        shown: None,
    };
    // Rounded as in records, so that asking for scores changes no byte.
    yardstick
        .score_whole(file.format, &encoded)
        .map(|score| told(score).into())
}

fn quality_of(file: &RenderedFile, wanted: &Wanted) -> u8 {
    match (file.encoding.quality, wanted.quality) {
        (Some(quality), _) | (None, Quality::Fixed(quality)) => quality,
        (None, Quality::Auto { target }) => target,
        (None, Quality::Lossless) => 100,
    }
}

/// What is tried, in turn.
fn attempts_for(newer: &RenderedFile, wanted: &Wanted, goal: usize, pixels: u64) -> Vec<Settings> {
    if newer.encoding.is_lossless {
        return Vec::new();
    }
    let quality = quality_of(newer, wanted);
    let mut settings = wanted.settings(quality, pixels);
    settings.effort = Effort::High;
    let mut attempts = vec![settings];
    if let Quality::Fixed(_) = wanted.quality {
        let least = u8::try_from(u32::from(quality) * LEAST_QUALITY / 100)
            .unwrap_or(1)
            .max(1);
        let excess = newer.bytes.len() as f64 / goal.max(1) as f64;
        // Bytes follow quality roughly as exp(quality / 30): one guess, one well below it, and the lowest allowed.
        let guess = excess.ln() * 30.0 + 1.0;
        for lower in [guess, guess * 2.0, f64::from(quality)] {
            let next = super::search::lowered(quality, lower).max(least);
            if attempts.last().is_none_or(|last| next < last.quality) {
                attempts.push(Settings {
                    quality: next,
                    ..settings
                });
            }
        }
    }
    attempts.truncate(MAX_ATTEMPTS);
    attempts
}
