//! JPEGs that are cut off or damaged (docs/formats.md, "Whole and damaged"): shown as far as they are right, or
//! refused; no part is shown in a wrong place.

use mozjpeg::{ColorSpace, Compress, Decompress};
use tintype_model::{Format, ImageInfo, Limits};
use tintype_transcode::{Error, render};

use crate::fixtures::{Random, full_size, photo};
use crate::judge::{Decoded, decoded};

const SIDE: u32 = 176;
const EOI: [u8; 2] = [0xFF, 0xD9];

#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    channels: usize,
    sampling: (u8, u8),
    progressive: bool,
    optimal: bool,
}

const KINDS: [Kind; 9] = [
    kind("4:4:4", 3, (1, 1), false, false),
    kind("4:2:0", 3, (2, 2), false, false),
    kind("4:2:2, optimal tables", 3, (2, 1), false, true),
    kind("4:4:0", 3, (1, 2), false, false),
    kind("grey", 1, (1, 1), false, false),
    kind("CMYK", 4, (1, 1), false, false),
    kind("progressive 4:4:4", 3, (1, 1), true, true),
    kind("progressive 4:2:0", 3, (2, 2), true, true),
    kind("progressive grey", 1, (1, 1), true, true),
];

const fn kind(
    name: &'static str,
    channels: usize,
    sampling: (u8, u8),
    progressive: bool,
    optimal: bool,
) -> Kind {
    Kind {
        name,
        channels,
        sampling,
        progressive,
        optimal,
    }
}

impl Kind {
    fn encode(self, width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
        let color = match self.channels {
            1 => ColorSpace::JCS_GRAYSCALE,
            3 => ColorSpace::JCS_RGB,
            _ => ColorSpace::JCS_CMYK,
        };
        let mut jpeg = Compress::new(color);
        jpeg.set_size(width as usize, height as usize);
        jpeg.set_fastest_defaults();
        jpeg.set_quality(88.0);
        jpeg.set_optimize_coding(self.optimal);
        if self.channels == 3 {
            jpeg.set_chroma_sampling_pixel_sizes(self.sampling, self.sampling);
        }
        if self.progressive {
            jpeg.set_progressive_mode();
        }
        let mut jpeg = jpeg.start_compress(Vec::new()).unwrap();
        jpeg.write_scanlines(pixels).unwrap();
        jpeg.finish().unwrap()
    }

    fn picture(self) -> Vec<u8> {
        let rgb = photo(SIDE, SIDE);
        let pixels = rgb.chunks_exact(3);
        let pixels = pixels.flat_map(|rgb| match self.channels {
            1 => vec![rgb[1]],
            3 => rgb.to_vec(),
            _ => vec![rgb[0], rgb[1], rgb[2], 250],
        });
        self.encode(SIDE, SIDE, &pixels.collect::<Vec<_>>())
    }

    /// Rows of a unit.
    fn unit(self) -> u32 {
        8 * u32::from(self.sampling.1)
    }
}

fn outcome(source: &[u8]) -> Result<(ImageInfo, Decoded), String> {
    match render(source, &full_size(&[Format::Png]), &Limits::default(), 1) {
        Ok(rendered) => {
            let picture = decoded(&rendered.files[0]);
            Ok((rendered.image, picture))
        }
        Err(Error::Rejected(rejection)) => {
            assert_eq!(rejection.code.name(), "corrupt_image", "{}", rejection.detail);
            Err(rejection.detail)
        }
        Err(error) => panic!("{error}"),
    }
}

fn whole(source: &[u8], name: &str) -> Decoded {
    let (image, picture) = outcome(source).unwrap_or_else(|refused| panic!("{name}: {refused}"));
    assert!(!image.is_truncated, "{name}");
    picture
}

/// By libjpeg, which fills in what is missing and warns. Its wrapper needs an end marker, and unwinds where the file ends
/// in a segment.
fn libjpeg(source: &[u8]) -> Option<Vec<u8>> {
    let ended = [source, &EOI].concat();
    let decode = || {
        let mut decoder = Decompress::new_mem(&ended).ok()?;
        decoder.do_block_smoothing(false);
        let mut started = decoder.rgb().ok()?;
        Some(started.read_scanlines::<[u8; 3]>().ok()?.concat())
    };
    std::panic::catch_unwind(decode).ok()?
}

/// The begin and the end of the entropy-coded data of each scan.
fn scans(source: &[u8]) -> Vec<(usize, usize)> {
    let is_marker = |at: usize| source[at] == 0xFF && !matches!(source[at + 1], 0 | 0xFF | 0xD0..=0xD7);
    let mut found = Vec::new();
    let mut at = 2;
    while source[at + 1] != 0xD9 {
        let length = usize::from(u16::from_be_bytes([source[at + 2], source[at + 3]]));
        let is_scan = source[at + 1] == 0xDA;
        at += 2 + length;
        if is_scan {
            let start = at;
            at = (at..source.len() - 1).find(|&at| is_marker(at)).unwrap();
            found.push((start, at));
        }
    }
    found
}

fn rows_that_differ(one: &Decoded, other: &Decoded) -> Vec<u32> {
    let length = one.width as usize * 4;
    let rows = one.rgba.chunks_exact(length).zip(other.rgba.chunks_exact(length));
    let differs = |(number, (one, other)): (usize, (&[u8], &[u8]))| (one != other).then_some(number);
    let rows = rows.enumerate().filter_map(differs);
    rows.map(|row| u32::try_from(row).unwrap()).collect()
}

/// Asserts that every unit is that of the picture, or grey, and tells in which rows of units some are not right.
fn grey_rows(kind: Kind, picture: &Decoded, shown: &Decoded, name: &str) -> Vec<u32> {
    let (width, height) = (8 * u32::from(kind.sampling.0), kind.unit());
    let mut rows = Vec::new();
    for (row, left) in
        (0..SIDE / height).flat_map(|row| (0..SIDE / width).map(move |column| (row, column * width)))
    {
        // The edges of what is grey are mixed with what is around it.
        let inside = (height / 4..height * 3 / 4)
            .flat_map(|y| (width / 4..width * 3 / 4).map(move |x| (left + x, row * height + y)));
        let mut inside = inside.map(|(x, y)| (picture.pixel(x, y), shown.pixel(x, y)));
        let is_same = inside.clone().all(|(one, other)| one == other);
        let is_grey = inside.all(|(_, shown)| shown[..3].iter().all(|value| value.abs_diff(128) <= 1));
        assert!(
            is_same || is_grey,
            "{name}: row {row} at {left} is neither right nor grey"
        );
        if !is_same {
            rows.push(row);
        }
    }
    rows.dedup();
    rows
}

/// Each row of units a JPEG of its own, joined by restart markers.
fn with_restarts(kind: Kind) -> Vec<u8> {
    let rgb = photo(SIDE, SIDE);
    let stride = SIDE as usize * 3;
    let strips: Vec<Vec<u8>> = rgb
        .chunks(stride * kind.unit() as usize)
        .map(|rows| kind.encode(SIDE, u32::try_from(rows.len() / stride).unwrap(), rows))
        .collect();
    let (start, _) = scans(&strips[0])[0];
    let mut file = strips[0][..start].to_vec();
    let frame = file.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    file[frame + 5..frame + 7].copy_from_slice(&u16::try_from(SIDE).unwrap().to_be_bytes());
    let units = u8::try_from(SIDE / (8 * u32::from(kind.sampling.0))).unwrap();
    file.splice(frame..frame, [0xFF, 0xDD, 0, 4, 0, units]);
    for (number, strip) in strips.iter().enumerate() {
        let (start, end) = scans(strip)[0];
        if number > 0 {
            file.extend([0xFF, 0xD0 | u8::try_from((number - 1) % 8).unwrap()]);
        }
        file.extend(&strip[start..end]);
    }
    file.extend(EOI);
    file
}

fn restarts(source: &[u8]) -> Vec<usize> {
    let at = (0..source.len() - 1).filter(|&at| source[at] == 0xFF && matches!(source[at + 1], 0xD0..=0xD7));
    let (start, _) = scans(source)[0];
    at.filter(|&at| at > start).collect()
}

#[test]
fn a_jpeg_that_ends_early_is_shown_as_far_as_it_goes_and_libjpeg_shows_the_same() {
    for kind in KINDS {
        let source = kind.picture();
        let picture = whole(&source, kind.name);
        let scans = scans(&source);
        let (start, _) = scans[0];
        let (mut shown_some, mut compared) = (0, 0);
        for part in 1..40 {
            let length = 3 + (source.len() - 5) * part / 40;
            let name = format!("{} cut at {length} of {}", kind.name, source.len());
            let cut = &source[..length];
            let (image, shown) = match outcome(cut) {
                Ok(found) => found,
                Err(refused) => {
                    // Nothing of the picture is there.
                    assert!(length < start + 400, "{name}: {refused}");
                    continue;
                }
            };
            shown_some += 1;
            assert!(image.is_truncated, "{name}");
            assert_eq!((shown.width, shown.height), (SIDE, SIDE), "{name}");
            if kind.channels == 4 {
                continue;
            }
            let Some(theirs) = libjpeg(cut) else { continue };
            let theirs = Decoded::new(SIDE, SIDE, 3, &theirs);
            compared += 1;
            let far = |(ours, theirs): (&u8, &u8)| ours.abs_diff(*theirs) > 24;
            let far = shown
                .rgba
                .iter()
                .zip(&theirs.rgba)
                .filter(|&pair| far(pair))
                .count();
            // The unit in which the data ends is grey here, and half a unit there.
            let few = 4 * (16 * 16 * 2 + 16 * 16);
            assert!(far <= few, "{name}: {far} values are far from libjpeg's");
            if !kind.progressive {
                let rows = rows_that_differ(&picture, &shown);
                let first = rows.first().copied().unwrap_or(SIDE);
                let share = (length - start) * SIDE as usize / (source.len() - start);
                assert!(first as usize + 40 > share, "{name}: {first} rows are right");
                let pixels = (first + 2 * kind.unit()..SIDE).map(|y| shown.pixel(3, y));
                let mut grey = pixels.flat_map(|[red, green, blue, _]| [red, green, blue]);
                assert!(grey.all(|value| value.abs_diff(128) <= 1), "{name}");
            }
        }
        assert!(shown_some > 30, "{}: {shown_some}", kind.name);
        assert!(kind.channels == 4 || compared > 25, "{}: {compared}", kind.name);
    }
}

#[test]
fn a_jpeg_that_lacks_only_its_end_marker_is_whole() {
    for kind in KINDS {
        let source = kind.picture();
        let picture = whole(&source, kind.name);
        for missing in 1..=2 {
            let cut = &source[..source.len() - missing];
            assert_eq!(
                whole(cut, kind.name),
                picture,
                "{} without {missing} bytes",
                kind.name
            );
        }
    }
}

#[test]
fn a_jpeg_whose_storage_ends_in_zeros_is_shown_up_to_them() {
    for kind in KINDS {
        let source = kind.picture();
        let middle = source.len() / 2;
        let (_, cut) = outcome(&source[..middle]).unwrap();
        let mut unwritten = source.clone();
        unwritten[middle..].fill(0);
        for zeros in [unwritten.clone(), [&unwritten[..], &EOI].concat()] {
            let (image, shown) = outcome(&zeros).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
            assert!(image.is_truncated, "{}", kind.name);
            let rows = rows_that_differ(&cut, &shown);
            assert!(
                rows.len() <= 2 * kind.unit() as usize + 2,
                "{}: {rows:?}",
                kind.name
            );
        }
    }
}

#[test]
fn damage_within_a_scan_without_restarts_is_refused() {
    for kind in KINDS {
        let source = kind.picture();
        let &(start, end) = scans(&source)
            .iter()
            .max_by_key(|(start, end)| end - start)
            .unwrap();
        let middle = (start + end) / 2;
        let quarter = (end - start) / 4;
        let zeros = {
            let mut damaged = source.clone();
            damaged[middle..middle + quarter].fill(0);
            damaged
        };
        let cases = [
            (
                "the first half of the data",
                [&source[..middle], &source[end..]].concat(),
            ),
            (
                "a part missing",
                [&source[..middle], &source[middle + quarter..]].concat(),
            ),
            (
                "a part twice",
                [&source[..middle], &source[middle - quarter..]].concat(),
            ),
            ("zeros", zeros),
            (
                "a stray restart",
                [&source[..middle], &[0xFF, 0xD0], &source[middle..]].concat(),
            ),
            (
                "an end marker",
                [&source[..middle], &EOI, &source[middle..]].concat(),
            ),
        ];
        for (name, damaged) in cases {
            let shown = outcome(&damaged).map(|(image, _)| image);
            assert!(shown.is_err(), "{}, {name}: {shown:?}", kind.name);
        }
    }
}

#[test]
fn zeros_that_are_no_hole_are_data() {
    // With optimal tables a plain picture consists of the shortest codes: zeros.
    let plain = kind("plain", 1, (1, 1), false, true);
    let source = plain.encode(800, 600, &vec![90; 800 * 600]);
    assert!(
        source.windows(64).any(|bytes| bytes == [0; 64]),
        "{}",
        source.len()
    );
    let picture = whole(&source, "plain");
    assert_eq!(picture.pixel(799, 599), [90, 90, 90, 255]);
}

#[test]
fn an_interval_that_is_damaged_is_grey_and_the_others_are_right() {
    for kind in [KINDS[0], KINDS[1], KINDS[3]] {
        let source = with_restarts(kind);
        let picture = whole(&source, kind.name);
        let marks = restarts(&source);
        let mut cases: Vec<(String, Vec<u8>)> = Vec::new();
        for (number, &at) in marks.iter().enumerate() {
            let next = marks.get(number + 1).copied().unwrap_or(source.len() - 2);
            let middle = (at + next) / 2;
            cases.push((
                format!("without restart {number}"),
                [&source[..at], &source[at + 2..]].concat(),
            ));
            cases.push((
                format!("restart {number} twice"),
                [&source[..at + 2], &source[at..]].concat(),
            ));
            cases.push((
                format!("without interval {number}"),
                [&source[..at], &source[next..]].concat(),
            ));
            cases.push((
                format!("interval {number} twice"),
                [&source[..next], &source[at..]].concat(),
            ));
            cases.push((
                format!("half of interval {number}"),
                [&source[..middle], &source[next..]].concat(),
            ));
            let mut zeros = source.clone();
            zeros[middle - 20..middle + 20].fill(0);
            cases.push((format!("zeros in interval {number}"), zeros));
            let ends = [&source[..middle], &EOI].concat();
            cases.push((format!("an end within interval {number}"), ends));
            cases.push((format!("cut within interval {number}"), source[..middle].to_vec()));
        }
        let mut shown_some = 0;
        for (name, damaged) in &cases {
            let name = format!("{}, {name}", kind.name);
            let Ok((image, shown)) = outcome(damaged) else {
                continue;
            };
            shown_some += 1;
            let rows = grey_rows(kind, &picture, &shown, &name);
            assert!(image.is_truncated || rows.is_empty(), "{name}: {rows:?}");
            let is_local = !name.contains("an end") && !name.contains("cut");
            assert!(!is_local || rows.len() <= 3, "{name}: {rows:?}");
        }
        assert!(
            shown_some * 10 > cases.len() * 8,
            "{}: {shown_some} of {}",
            kind.name,
            cases.len()
        );
    }
}

#[test]
fn a_progressive_jpeg_without_its_last_scans_is_a_coarse_picture() {
    for kind in KINDS.into_iter().filter(|kind| kind.progressive) {
        let source = kind.picture();
        let picture = whole(&source, kind.name);
        let scans = scans(&source);
        for (number, &(_, end)) in scans.iter().enumerate().rev().skip(1) {
            let cut = [&source[..end], &EOI].concat();
            let (image, shown) = outcome(&cut).unwrap();
            assert!(image.is_truncated, "{} up to scan {number}", kind.name);
            let psnr = crate::judge::psnr(&picture.rgb(), &shown.rgb());
            assert!(psnr > 14.0, "{} up to scan {number}: {psnr} dB", kind.name);
        }
        // Any other scan missing: nothing that is shown is moved.
        for number in 0..scans.len() - 1 {
            let from = if number == 0 {
                None
            } else {
                Some(scans[number - 1].1)
            };
            let Some(from) = from else { continue };
            let without = [&source[..from], &source[scans[number].1..]].concat();
            if let Ok((image, shown)) = outcome(&without) {
                assert!(image.is_truncated, "{} without scan {number}", kind.name);
                let psnr = crate::judge::psnr(&picture.rgb(), &shown.rgb());
                assert!(psnr > 14.0, "{} without scan {number}: {psnr} dB", kind.name);
            }
        }
    }
}

#[test]
fn noise_in_the_data_is_refused_or_stays_within_its_interval() {
    let kind = KINDS[1];
    let source = with_restarts(kind);
    let picture = whole(&source, kind.name);
    let (start, end) = scans(&source)[0];
    let mut shown_some = 0;
    for seed in 1..60 {
        let mut random = Random(seed);
        let mut damaged = source.clone();
        let at = start + random.below(end - start - 40);
        for byte in &mut damaged[at..at + 40] {
            *byte = u8::try_from(random.below(256)).unwrap();
        }
        let Ok((_, shown)) = outcome(&damaged) else {
            continue;
        };
        shown_some += 1;
        // The interval and the next; behind a marker that ends the picture all is grey.
        let rows = rows_that_differ(&picture, &shown);
        let near = rows.first().unwrap_or(&0) + 4 * kind.unit();
        let far = rows.into_iter().filter(|&row| row > near);
        let mut values = far.flat_map(|row| (0..SIDE).map(move |x| (x, row)));
        let is_grey = values.all(|(x, y)| {
            shown.pixel(x, y)[..3]
                .iter()
                .all(|value| value.abs_diff(128) <= 1)
        });
        assert!(is_grey, "seed {seed}");
    }
    assert!(shown_some > 20, "{shown_some}");
}

#[test]
fn filling_behind_the_data_is_no_damage() {
    let source = KINDS[1].picture();
    let picture = whole(&source, "4:2:0");
    let (_, end) = scans(&source)[0];
    for filling in [&[0; 1][..], &[0; 40], &[0xFF; 7], &[0x12], &[0x12, 0x34]] {
        let padded = [&source[..end], filling, &source[end..]].concat();
        assert_eq!(whole(&padded, "padded"), picture, "{filling:?}");
    }
    let trailing = [&source[..end], &[0xFF, 0xD0], &source[end..]].concat();
    assert_eq!(whole(&trailing, "a restart marker at the end"), picture);
}
