//! Checks of a worker's statements about the taking and the appearance of a picture.

use tintype_model::{Appearance, Capture, Location, MetadataPolicy};

/// The longest text about a camera that is kept, in characters.
const MAX_TEXT: usize = 100;
/// ThumbHash writes at most 25 bytes, 36 digits in base64.
const MAX_THUMBHASH: usize = 36;
/// The length of a BlurHash with 4 by 3 components, in characters.
const BLURHASH: usize = 28;
const MAX_COLORS: usize = 6;

/// Removes facts about the taking of a picture that are out of bounds; `None` when nothing is left.
pub(crate) fn capture(capture: Capture, metadata: MetadataPolicy) -> Option<Capture> {
    let kept = Capture {
        taken_at: capture.taken_at.filter(|moment| is_moment(moment)),
        make: capture.make.and_then(|name| text(&name)),
        model: capture.model.and_then(|name| text(&name)),
        lens: capture.lens.and_then(|name| text(&name)),
        location: capture.location.filter(|place| metadata.gps && is_place(*place)),
    };
    (kept != Capture::default()).then_some(kept)
}

fn text(text: &str) -> Option<String> {
    let printable = text.chars().filter(|character| !character.is_control());
    let text: String = printable.take(MAX_TEXT).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Tells whether `text` is a date and time, with or without an offset.
fn is_moment(text: &str) -> bool {
    let like = |pattern: &str| {
        let same = |(byte, wanted): (u8, u8)| match wanted {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            wanted => byte == wanted,
        };
        text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(same)
    };
    like("0000-00-00T00:00:00") || like("0000-00-00T00:00:00+00:00")
}

fn is_place(place: Location) -> bool {
    (-90.0..=90.0).contains(&place.latitude) && (-180.0..=180.0).contains(&place.longitude)
}

/// Checks the appearance of a picture, which pages contain without any change.
pub(crate) fn appearance(appearance: Appearance) -> Result<Appearance, String> {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let base83 = |byte: u8| byte.is_ascii_alphanumeric() || b"#$%*+,-.:;=?@[]^_{|}~".contains(&byte);
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if appearance.thumbhash.len() > MAX_THUMBHASH || !appearance.thumbhash.bytes().all(base64) {
        return Err("the thumbhash is longer than 36 characters or is not base64".to_owned());
    }
    if appearance.blurhash.len() != BLURHASH || !appearance.blurhash.bytes().all(base83) {
        return Err("the blurhash does not have 28 characters of base 83".to_owned());
    }
    if appearance.perceptual_hash.len() != 16 || !appearance.perceptual_hash.bytes().all(hexadecimal) {
        return Err("the perceptual hash does not have 16 hexadecimal digits".to_owned());
    }
    if appearance.palette.len() > MAX_COLORS {
        return Err(format!(
            "a palette of {} colors is too large",
            appearance.palette.len()
        ));
    }
    Ok(appearance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Capture {
        Capture {
            taken_at: Some("2026-11-25T18:27:58+01:00".to_owned()),
            make: Some("Tintype".to_owned()),
            model: None,
            lens: Some(" \u{1b}[2J Petzval ".to_owned()),
            location: Some(Location {
                latitude: 51.5,
                longitude: 0.0,
            }),
        }
    }

    #[test]
    fn a_place_passes_only_where_the_policy_says_so() {
        let kept = |gps| capture(told(), MetadataPolicy { gps }).unwrap().location;
        assert_eq!(kept(false), None);
        assert_eq!(kept(true), told().location);
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.5), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            let mut forged = told();
            forged.location = Some(Location { latitude, longitude });
            assert_eq!(
                capture(forged, MetadataPolicy { gps: true }).unwrap().location,
                None
            );
        }
    }

    #[test]
    fn texts_about_a_camera_are_short_and_printable() {
        let policy = MetadataPolicy::default();
        assert_eq!(
            capture(told(), policy).unwrap().lens.as_deref(),
            Some("[2J Petzval")
        );
        let mut forged = told();
        forged.make = Some("x".repeat(10_000));
        forged.model = Some("\0\n ".to_owned());
        forged.taken_at = Some("<script>alert(1)</s>".to_owned());
        let kept = capture(forged, policy).unwrap();
        assert_eq!(kept.make.map(|make| make.len()), Some(100));
        assert_eq!((kept.model, kept.taken_at), (None, None));
        let nothing = Capture {
            make: Some(" ".to_owned()),
            ..Capture::default()
        };
        assert_eq!(capture(nothing, policy), None);
    }

    #[test]
    fn hashes_that_go_into_pages_are_made_of_their_digits() {
        let valid = Appearance {
            thumbhash: "1QcSHQRnh493V4dIh4eXh1h4kJUI".to_owned(),
            blurhash: "LNAdAqj[00aymkj[TKay9}ay-Sj[".to_owned(),
            perceptual_hash: "c3a51e70f08b2d96".to_owned(),
            ..Appearance::default()
        };
        assert_eq!(appearance(valid.clone()), Ok(valid.clone()));
        let forgeries: [fn(&mut Appearance); 7] = [
            |told| told.thumbhash = "\"><script>".to_owned(),
            |told| told.thumbhash = "A".repeat(37),
            |told| told.blurhash.push('A'),
            |told| told.blurhash = "\"".repeat(28),
            |told| told.perceptual_hash = "C3A51E70F08B2D96".to_owned(),
            |told| told.perceptual_hash.clear(),
            |told| told.palette = vec![tintype_model::Rgb::default(); 7],
        ];
        for (index, forge) in forgeries.iter().enumerate() {
            let mut forged = valid.clone();
            forge(&mut forged);
            assert!(appearance(forged).is_err(), "forgery {index}");
        }
    }
}
