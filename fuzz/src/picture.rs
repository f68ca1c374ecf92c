//! Files of one format, from their header to the last frame.

use tintype_model::Limits;
use tintype_transcode::{Error, probe, stages};

/// Small enough that a file which passes takes milliseconds.
const LIMITS: Limits = Limits {
    max_bytes: 1 << 20,
    max_pixels: 1 << 18,
    max_frames: 20,
    max_animation_pixels: 1 << 20,
};

/// Reads `data` as the format `name` reads it.
pub fn read(name: &str, data: &[u8]) {
    let mended;
    let data = match name {
        "png" => {
            mended = with_checksums(data);
            &mended
        }
        _ => data,
    };
    if stages::is_recognized(name, data) {
        match probe(data, &LIMITS) {
            Ok(image) => {
                assert!((1..=LIMITS.max_pixels).contains(&image.dimensions.pixels()));
                assert!((1..=LIMITS.max_frames).contains(&image.frames));
                assert!((1..=8).contains(&image.orientation));
            }
            Err(error) => rejected(error),
        }
    }
    if let Err(error) = stages::read_as(name, data, &LIMITS) {
        rejected(error);
    }
}

fn rejected(error: Error) {
    match error {
        Error::Rejected(rejection) => assert!(!rejection.detail.is_empty()),
        error @ Error::Encode { .. } => panic!("nothing was encoded: {error}"),
    }
}

/// A PNG with the checksum that each of its chunks has to have: with any other, nothing of a chunk is looked at.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut file = data.to_vec();
    let mut at = 8;
    while let Some(head) = file.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| (at + 8).checked_add(length));
        let Some((end, body)) = end.and_then(|end| Some((end, file.get(at + 4..end)?))) else {
            break;
        };
        let checksum = crc32fast::hash(body).to_be_bytes();
        match file.get_mut(end..end + 4) {
            Some(place) => place.copy_from_slice(&checksum),
            None => break,
        }
        at = end + 4;
    }
    file
}
