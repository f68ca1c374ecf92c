//! Checks of a worker's answer, before anything else uses it.

use tintype_model::{
    Dimensions, Encoding, Format, ImageInfo, Limits, MetadataPolicy, Recipe, Rejection, RejectionCode,
    Variant,
};

use crate::{facts, wire::FileHead};

/// The longest explanation of a worker that is kept, in characters.
const MAX_DETAIL: usize = 300;

/// One line without control characters, cut to a length that fits records and logs.
pub(crate) fn line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(MAX_DETAIL + 1)
        .collect();
    if let Some((cut, _)) = line.char_indices().nth(MAX_DETAIL) {
        line.truncate(cut);
        line.push('…');
    }
    line.trim().to_owned()
}

/// Checks a rejection: its code must be one that a decoder can give.
pub(crate) fn rejection(rejection: &Rejection) -> Result<Rejection, String> {
    match rejection.code {
        RejectionCode::Empty
        | RejectionCode::TooManyBytes
        | RejectionCode::TooManyPixels
        | RejectionCode::TooManyFrames
        | RejectionCode::UnsupportedFormat
        | RejectionCode::CorruptImage => Ok(Rejection::new(rejection.code, line(&rejection.detail))),
        RejectionCode::UnservableKey
        | RejectionCode::OwnRendition
        | RejectionCode::Archived
        | RejectionCode::DecoderKilled => {
            Err(format!("a decoder cannot reject with {}", rejection.code.name()))
        }
    }
}

/// Checks the facts about the source.
pub(crate) fn image(
    mut image: ImageInfo,
    limits: &Limits,
    metadata: MetadataPolicy,
) -> Result<ImageInfo, String> {
    let word = |text: &str| {
        (1..=16).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    };
    if !word(&image.format) || !word(&image.color_space) {
        return Err("format or color space is not a word".to_owned());
    }
    let Dimensions { width, height } = image.dimensions;
    if width == 0 || height == 0 || image.dimensions.pixels() > limits.max_pixels {
        return Err(format!(
            "a source of {width}x{height} pixels is outside the limits"
        ));
    }
    if !(1..=8).contains(&image.orientation) || !(1..=32).contains(&image.bit_depth) {
        return Err(format!(
            "orientation {} or bit depth {} does not exist",
            image.orientation, image.bit_depth
        ));
    }
    if !(1..=limits.max_frames).contains(&image.frames) {
        return Err(format!(
            "a source of {} frames is outside the limits",
            image.frames
        ));
    }
    image.icc_description = image.icc_description.map(|text| line(&text));
    image.capture = image
        .capture
        .and_then(|capture| facts::capture(capture, metadata));
    image.appearance = image.appearance.map(facts::appearance).transpose()?;
    Ok(image)
}

/// Removes values of an encoding that are out of their range.
pub(crate) fn encoding(encoding: Encoding) -> Encoding {
    Encoding {
        quality: encoding.quality.filter(|quality| (1..=100).contains(quality)),
        score: encoding.score.filter(|score| (-1000.0..=100.0).contains(score)),
        larger_because: encoding.larger_because.map(|text| line(&text)),
        ..encoding
    }
}

/// Checks the engine's name, which becomes part of versions.
pub(crate) fn engine(engine: &str) -> Result<(), String> {
    if (1..=128).contains(&engine.len()) && engine.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(())
    } else {
        Err("the engine has no printable name".to_owned())
    }
}

/// Checks that `files` is the recipe: each variant in each format, in order, in possible sizes. Runs before any of
/// their bytes are read.
pub(crate) fn files(
    files: &[FileHead],
    recipe: &Recipe,
    source: Dimensions,
    max_output_bytes: u64,
) -> Result<(), String> {
    let mut expected = recipe
        .variants
        .iter()
        .flat_map(|variant| variant.formats.iter().map(move |&format| (variant, format)));
    let mut total: u64 = 0;
    for file in files {
        let Some((variant, format)) = expected.next() else {
            return Err("there are more files than the recipe has renditions".to_owned());
        };
        if (file.variant.as_str(), file.format) != (variant.name.as_str(), format) {
            return Err(format!(
                "a file is not {:?} in {}, which the recipe has in its place",
                variant.name,
                format.name()
            ));
        }
        dimensions(file.dimensions, variant, format, source)?;
        if file.size_bytes == 0 {
            return Err(format!("{:?} in {} is empty", variant.name, format.name()));
        }
        total = total.saturating_add(file.size_bytes);
    }
    if let Some((variant, format)) = expected.next() {
        return Err(format!("{:?} in {} is missing", variant.name, format.name()));
    }
    if total > max_output_bytes {
        return Err(format!(
            "renditions have {total} bytes, the limit is {max_output_bytes}"
        ));
    }
    Ok(())
}

/// No rendition is larger than its box, or than the source where the box leaves a side free.
fn dimensions(
    Dimensions { width, height }: Dimensions,
    variant: &Variant,
    format: Format,
    source: Dimensions,
) -> Result<(), String> {
    let max_width = variant.width.unwrap_or(source.width).min(format.max_side());
    let max_height = variant.height.unwrap_or(source.height).min(format.max_side());
    if (1..=max_width).contains(&width) && (1..=max_height).contains(&height) {
        Ok(())
    } else {
        Err(format!(
            "{:?} in {} has {width}x{height} pixels, at most {max_width}x{max_height} are possible",
            variant.name,
            format.name()
        ))
    }
}

/// Checks that `bytes` begin like a file of `format`, so that nothing else is ever served under its media type.
pub(crate) fn signature(format: Format, bytes: &[u8]) -> Result<(), String> {
    let matches = match format {
        // A bare codestream, or the container.
        Format::Jxl => bytes.starts_with(&[0xFF, 0x0A]) || bytes.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n"),
        // A still picture, or a sequence (AV1 Image File Format 1.1, sections 5.2 and 5.3).
        Format::Avif => matches!(bytes.get(4..12), Some(b"ftypavif" | b"ftypavis")),
        Format::Webp => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
        Format::Jpeg => bytes.starts_with(&[0xFF, 0xD8, 0xFF]),
        Format::Png => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
    };
    if matches {
        Ok(())
    } else {
        Err(format!("a file does not begin like {}", format.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Dimensions = Dimensions {
        width: 1000,
        height: 500,
    };

    fn valid() -> Vec<FileHead> {
        let mut files = Vec::new();
        for variant in Recipe::default().variants {
            for format in variant.formats {
                files.push(FileHead {
                    variant: variant.name.clone(),
                    format,
                    dimensions: Dimensions {
                        width: variant.width.unwrap_or(SOURCE.width),
                        height: 20,
                    },
                    size_bytes: 100,
                    encoding: Encoding::default(),
                    cpu: None,
                });
            }
        }
        files
    }

    fn refusal(change: impl FnOnce(&mut Vec<FileHead>)) -> String {
        let mut heads = valid();
        change(&mut heads);
        files(&heads, &Recipe::default(), SOURCE, 1000).unwrap_err()
    }

    #[test]
    fn an_answer_is_the_recipe_and_nothing_else() {
        assert_eq!(files(&valid(), &Recipe::default(), SOURCE, 900), Ok(()));
        assert!(
            files(&valid(), &Recipe::default(), SOURCE, 899)
                .unwrap_err()
                .contains("900 bytes")
        );
        assert!(refusal(|files| drop(files.pop())).contains("missing"));
        assert!(refusal(Vec::clear).contains("missing"));
        assert!(refusal(|files| files.swap(0, 1)).contains("in its place"));
        assert!(refusal(|files| files[3].variant = "../medium".to_owned()).contains("in its place"));
        assert!(refusal(|files| files.extend(valid())).contains("more files"));
        assert!(refusal(|files| files[8].size_bytes = 0).contains("empty"));
        assert!(refusal(|files| files[8].size_bytes = u64::MAX).contains("limit"));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(refusal(|files| files[0].dimensions.width = 1001).contains("1000x500"));
        assert!(refusal(|files| files[3].dimensions.height = 601).contains("800x600"));
        assert!(refusal(|files| files[3].dimensions.height = 0).contains("800x600"));
    }

    #[test]
    fn facts_about_a_source_are_inside_the_limits() {
        let valid = ImageInfo {
            format: "jpeg".to_owned(),
            dimensions: SOURCE,
            orientation: 6,
            has_alpha: false,
            frames: 1,
            bit_depth: 8,
            color_space: "srgb".to_owned(),
            icc_description: Some("Display\nP3\u{0}".to_owned()),
            ..ImageInfo::default()
        };
        let limits = Limits::default();
        let policy = MetadataPolicy::default();
        let checked = image(valid.clone(), &limits, policy).unwrap();
        assert_eq!(checked.icc_description.as_deref(), Some("Display P3"));
        let forgeries: [fn(&mut ImageInfo); 6] = [
            |image| image.format = "<script>".to_owned(),
            |image| image.color_space = String::new(),
            |image| image.dimensions.width = 0,
            |image| image.dimensions.width = u32::MAX,
            |image| image.orientation = 9,
            |image| image.frames = 0,
        ];
        for (index, forge) in forgeries.iter().enumerate() {
            let mut forged = valid.clone();
            forge(&mut forged);
            assert!(image(forged, &limits, policy).is_err(), "forgery {index}");
        }
    }

    #[test]
    fn a_decoder_cannot_reject_with_a_code_of_the_jail() {
        let said = Rejection::new(RejectionCode::DecoderKilled, "x");
        assert!(rejection(&said).is_err());
        let long = Rejection::new(RejectionCode::CorruptImage, "é\u{1b}".repeat(1000));
        let kept = rejection(&long).unwrap().detail;
        assert_eq!(kept.chars().count(), MAX_DETAIL + 1);
        assert!(!kept.contains('\u{1b}'));
    }

    #[test]
    fn files_begin_like_their_format() {
        assert_eq!(signature(Format::Jpeg, &[0xFF, 0xD8, 0xFF, 0xE0]), Ok(()));
        assert_eq!(signature(Format::Jxl, &[0xFF, 0x0A, 0x11]), Ok(()));
        assert_eq!(signature(Format::Jxl, b"\0\0\0\x0cJXL \r\n\x87\n...."), Ok(()));
        assert_eq!(signature(Format::Avif, b"\0\0\0\x20ftypavif...."), Ok(()));
        assert_eq!(signature(Format::Avif, b"\0\0\0\x28ftypavis...."), Ok(()));
        assert_eq!(signature(Format::Webp, b"RIFF....WEBPVP8 "), Ok(()));
        assert_eq!(signature(Format::Png, b"\x89PNG\r\n\x1a\n...."), Ok(()));
        for format in Format::ALL {
            assert!(signature(format, b"<!DOCTYPE html>").is_err());
            assert!(signature(format, b"").is_err());
        }
    }
}
