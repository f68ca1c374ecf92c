//! The file around an AV1 image sequence: boxes of ISO/IEC 14496-12 (ISOBMFF) as the AV1 Image File Format 1.1
//! ("AVIF") and ISO/IEC 23008-12 (HEIF) ask for them.
//!
//! The first frame is also the primary image item, for readers of stills.

use std::num::NonZeroU32;

use tintype_model::Dimensions;

use super::boxes::{Boxes, too_large};
use crate::av1::sequence::SequenceHeader;
use crate::error::EncodeError;

/// Milliseconds.
const TIMESCALE: u32 = 1000;
/// The language code `und` in three times five bits (ISOBMFF section 8.4.2.3).
const UNDETERMINED_LANGUAGE: u16 = 21_956;
const ALPHA: &[u8] = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0";
/// Level 5.1, the highest of the AVIF Baseline profile, which has AV1's Main profile (AVIF section 8.2).
const BASELINE_LEVEL: u8 = 13;
/// Level 6.0, the highest of the AVIF Advanced profile, which has AV1's High profile too (AVIF section 8.3).
const ADVANCED_LEVEL: u8 = 16;

/// One frame of one track: a temporal unit.
pub(super) struct Sample {
    pub(super) data: Vec<u8>,
    /// True if decoding can begin here.
    pub(super) is_sync: bool,
}

/// The frames of the colours or of the alpha channel.
pub(super) struct Track<'a> {
    pub(super) samples: &'a [Sample],
    pub(super) header: SequenceHeader,
}

/// The content of the file. All tracks have as many samples as there are durations.
pub(super) struct Sequence<'a> {
    pub(super) size: Dimensions,
    /// The number of times that the frames are shown in all; `None` for without end.
    pub(super) plays: Option<NonZeroU32>,
    pub(super) durations_ms: &'a [u32],
    pub(super) color: Track<'a>,
    pub(super) alpha: Option<Track<'a>>,
}

impl Sequence<'_> {
    /// The file.
    ///
    /// # Errors
    /// When a number does not fit its field: sides above 65,535, files of 4 GiB.
    pub(super) fn write(&self) -> Result<Vec<u8>, EncodeError> {
        // Offsets have a fixed length, so that a first draft tells where the samples will be.
        let draft = self.head(Offsets::default())?;
        let after = |start: u32, track: Option<&Track<'_>>| {
            let bytes: usize = track.map_or(0, |track| {
                track.samples.iter().map(|sample| sample.data.len()).sum()
            });
            u32::try_from(bytes)
                .ok()
                .and_then(|bytes| start.checked_add(bytes))
        };
        let alpha = u32::try_from(draft.len() + 8).map_err(|_| too_large())?;
        let color = after(alpha, self.alpha.as_ref()).ok_or_else(too_large)?;
        let end = after(color, Some(&self.color)).ok_or_else(too_large)?;
        let mut file = self.head(Offsets { color, alpha })?;
        file.extend((end - alpha + 8).to_be_bytes());
        file.extend(b"mdat");
        // Alpha first: without it the colours cannot be shown.
        for track in self.alpha.iter().chain([&self.color]) {
            for sample in track.samples {
                file.extend_from_slice(&sample.data);
            }
        }
        Ok(file)
    }

    fn tracks(&self, offsets: Offsets) -> impl Iterator<Item = (Place, &Track<'_>)> {
        let color = Place {
            id: 1,
            offset: offsets.color,
        };
        let alpha = Place {
            id: 2,
            offset: offsets.alpha,
        };
        [(color, Some(&self.color)), (alpha, self.alpha.as_ref())]
            .into_iter()
            .filter_map(|(place, track)| Some((place, track?)))
    }

    fn head(&self, offsets: Offsets) -> Result<Vec<u8>, EncodeError> {
        let mut boxes = Boxes(Vec::new());
        boxes.push(b"ftyp", |b| {
            b.bytes(b"avis");
            b.u32(0);
            for brand in [b"avif", b"avis", b"msf1", b"iso8", b"mif1", b"miaf"] {
                b.bytes(brand);
            }
            let fits = |profile, level| {
                let mut headers = self.tracks(offsets).map(|(_, track)| track.header);
                headers.all(|header| header.profile <= profile && header.points.level <= level)
            };
            if fits(0, BASELINE_LEVEL) {
                b.bytes(b"MA1B");
            } else if fits(1, ADVANCED_LEVEL) {
                b.bytes(b"MA1A");
            }
            Ok(())
        })?;
        boxes.full(b"meta", 0, 0, |b| self.items(b, offsets))?;
        boxes.push(b"moov", |b| {
            b.full(b"mvhd", 1, 0, |b| {
                b.times();
                b.u32(TIMESCALE);
                b.u64(self.whole_duration());
                b.u32(0x0001_0000); // rate 1.0
                b.u16(0x0100); // volume 1.0
                b.zeros(10);
                b.matrix();
                b.zeros(24);
                b.u32(3); // next track
                Ok(())
            })?;
            for (place, track) in self.tracks(offsets) {
                b.push(b"trak", |b| self.track(b, place, track))?;
            }
            Ok(())
        })?;
        Ok(boxes.0)
    }

    fn duration(&self) -> u64 {
        self.durations_ms
            .iter()
            .map(|&duration| u64::from(duration))
            .sum()
    }

    /// The duration of all showings, in milliseconds; all ones stand for one that is not known (ISOBMFF section
    /// 8.2.2.3).
    fn whole_duration(&self) -> u64 {
        let times = |plays: NonZeroU32| self.duration().saturating_mul(plays.get().into());
        self.plays.map_or(u64::MAX, times)
    }

    /// The content of the file-level `meta` box (HEIF section 10.2.1).
    fn items(&self, b: &mut Boxes, offsets: Offsets) -> Result<(), EncodeError> {
        b.handler(b"pict")?;
        b.full(b"pitm", 0, 0, |b| {
            b.u16(1);
            Ok(())
        })?;
        let count = if self.alpha.is_some() { 2 } else { 1 };
        b.full(b"iloc", 0, 0, |b| {
            b.bytes(&[0x44, 0]); // offsets and lengths of four bytes, no base
            b.u16(count);
            for (place, track) in self.tracks(offsets) {
                b.u16(place.id);
                b.u16(0); // this file
                b.u16(1);
                b.u32(place.offset);
                b.len32(track.samples.first().map_or(0, |sample| sample.data.len()))?;
            }
            Ok(())
        })?;
        b.full(b"iinf", 0, 0, |b| {
            b.u16(count);
            for (place, _) in self.tracks(offsets) {
                b.full(b"infe", 2, 0, |b| {
                    b.u16(place.id);
                    b.u16(0); // not protected
                    b.bytes(b"av01\0");
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        if self.alpha.is_some() {
            b.full(b"iref", 0, 0, |b| {
                b.push(b"auxl", |b| {
                    for number in [2, 1, 1] {
                        b.u16(number); // from item 2 to one item, which is item 1
                    }
                    Ok(())
                })
            })?;
        }
        b.push(b"iprp", |b| {
            b.push(b"ipco", |b| self.properties(b))?;
            b.full(b"ipma", 0, 0, |b| {
                const ESSENTIAL: u8 = 0x80;
                b.u32(count.into());
                b.u16(1);
                b.bytes(&[4, 1, 2, ESSENTIAL | 3, 4]);
                if self.alpha.is_some() {
                    b.u16(2);
                    b.bytes(&[4, 1, 5, ESSENTIAL | 6, 7]);
                }
                Ok(())
            })
        })
    }

    /// Seven properties: 1 to 4 of the colours, 1 and 5 to 7 of the alpha channel.
    fn properties(&self, b: &mut Boxes) -> Result<(), EncodeError> {
        b.full(b"ispe", 0, 0, |b| {
            b.u32(self.size.width);
            b.u32(self.size.height);
            Ok(())
        })?;
        let depths = |b: &mut Boxes, channels: &[u8]| {
            b.full(b"pixi", 0, 0, |b| {
                b.bytes(channels);
                Ok(())
            })
        };
        depths(b, &[3, 8, 8, 8])?;
        b.configuration(&self.color.header)?;
        b.colors()?;
        if let Some(alpha) = &self.alpha {
            depths(b, &[1, 8])?;
            b.configuration(&alpha.header)?;
            b.full(b"auxC", 0, 0, |b| {
                b.bytes(ALPHA);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The content of a `trak` box (ISOBMFF section 8.3, AVIF section 3).
    fn track(&self, b: &mut Boxes, place: Place, track: &Track<'_>) -> Result<(), EncodeError> {
        let is_alpha = place.id == 2;
        b.full(b"tkhd", 1, 1, |b| {
            b.times();
            b.u32(place.id.into());
            b.zeros(4);
            b.u64(self.whole_duration());
            b.zeros(16);
            b.matrix();
            for side in self.sides()? {
                b.u16(side); // in 16.16 fixed point
                b.u16(0);
            }
            Ok(())
        })?;
        if is_alpha {
            b.push(b"tref", |b| {
                b.push(b"auxl", |b| {
                    b.u32(1);
                    Ok(())
                })
            })?;
        }
        b.push(b"edts", |b| {
            // With the flag the edit is repeated until the track's duration is over (ISOBMFF section 8.6.6).
            let repeats = u32::from(self.plays != Some(NonZeroU32::MIN));
            b.full(b"elst", 1, repeats, |b| {
                b.u32(1);
                b.u64(self.duration());
                b.u64(0);
                b.u32(0x0001_0000); // rate 1
                Ok(())
            })
        })?;
        b.push(b"mdia", |b| {
            b.full(b"mdhd", 1, 0, |b| {
                b.times();
                b.u32(TIMESCALE);
                b.u64(self.duration());
                b.u16(UNDETERMINED_LANGUAGE);
                b.u16(0);
                Ok(())
            })?;
            b.handler(if is_alpha { b"auxv" } else { b"pict" })?;
            b.push(b"minf", |b| {
                b.full(b"vmhd", 0, 1, |b| {
                    b.zeros(8);
                    Ok(())
                })?;
                b.push(b"dinf", |b| {
                    b.full(b"dref", 0, 0, |b| {
                        b.u32(1);
                        b.full(b"url ", 0, 1, |_| Ok(())) // the samples are in this file
                    })
                })?;
                b.push(b"stbl", |b| self.sample_table(b, place, track))
            })
        })
    }

    fn sample_table(&self, b: &mut Boxes, place: Place, track: &Track<'_>) -> Result<(), EncodeError> {
        b.full(b"stsd", 0, 0, |b| {
            b.u32(1);
            b.push(b"av01", |b| self.sample_entry(b, place, track))
        })?;
        b.full(b"stts", 0, 0, |b| {
            let runs = self.durations_ms.chunk_by(|one, next| one == next);
            b.len32(runs.clone().count())?;
            for run in runs {
                b.len32(run.len())?;
                b.u32(run.first().copied().unwrap_or_default());
            }
            Ok(())
        })?;
        b.full(b"stsc", 0, 0, |b| {
            b.u32(1);
            b.u32(1);
            b.len32(track.samples.len())?; // all samples are one chunk
            b.u32(1);
            Ok(())
        })?;
        b.full(b"stsz", 0, 0, |b| {
            b.u32(0);
            b.len32(track.samples.len())?;
            for sample in track.samples {
                b.len32(sample.data.len())?;
            }
            Ok(())
        })?;
        b.full(b"stco", 0, 0, |b| {
            b.u32(1);
            b.u32(place.offset);
            Ok(())
        })?;
        b.full(b"stss", 0, 0, |b| {
            let syncs = track
                .samples
                .iter()
                .enumerate()
                .filter(|(_, sample)| sample.is_sync);
            b.len32(syncs.clone().count())?;
            for (index, _) in syncs {
                b.len32(index + 1)?;
            }
            Ok(())
        })
    }

    /// A visual sample entry (ISOBMFF section 12.1.3) with what AV1, MIAF and HEIF add to it.
    fn sample_entry(&self, b: &mut Boxes, place: Place, track: &Track<'_>) -> Result<(), EncodeError> {
        b.zeros(6);
        b.u16(1); // the only data reference
        b.zeros(16);
        for side in self.sides()? {
            b.u16(side);
        }
        b.u32(0x0048_0000); // 72 dpi
        b.u32(0x0048_0000);
        b.zeros(4);
        b.u16(1); // one frame in each sample
        b.zeros(32); // no name of a compressor
        b.u16(0x0018);
        b.u16(0xFFFF);
        b.configuration(&track.header)?;
        if place.id == 1 {
            b.colors()?;
        }
        // Inter prediction from up to 15 frames of any kind (HEIF section 7.2.3.2).
        b.full(b"ccst", 0, 0, |b| {
            b.u32(0b01_1111 << 26);
            Ok(())
        })?;
        if place.id == 2 {
            b.full(b"auxi", 0, 0, |b| {
                b.bytes(ALPHA);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn sides(&self) -> Result<[u16; 2], EncodeError> {
        let side = |side| u16::try_from(side).map_err(|_| too_large());
        Ok([side(self.size.width)?, side(self.size.height)?])
    }
}

/// The place of the samples of each track in the file.
#[derive(Clone, Copy, Default)]
struct Offsets {
    color: u32,
    alpha: u32,
}

/// A track's number, which is that of its first frame's item too, and where its samples begin.
#[derive(Clone, Copy)]
struct Place {
    id: u16,
    offset: u32,
}
