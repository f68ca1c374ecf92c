//! Tables for people.

use indicatif::HumanBytes;
use tintype_model::{Encoding, Format, ImageInfo};

use super::outcome::Written;

/// One row for each variant, one column for each format: size in bytes, share of the source, and how it was encoded
/// where that was chosen or measured.
pub(crate) fn renditions(image: &ImageInfo, source_bytes: u64, renditions: &[Written]) -> String {
    let formats: Vec<Format> = Format::ALL
        .into_iter()
        .filter(|format| renditions.iter().any(|rendition| rendition.format == *format))
        .collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for rendition in renditions {
        if rows.last().is_none_or(|row| row[0] != rendition.variant) {
            let size = format!("{}×{}", rendition.width, rendition.height);
            let mut row = vec![rendition.variant.clone(), size];
            row.resize(2 + formats.len(), String::new());
            rows.push(row);
        }
        let column = formats.iter().position(|format| *format == rendition.format);
        if let (Some(row), Some(column)) = (rows.last_mut(), column) {
            row[2 + column] = format!(
                "{} {} {}{}",
                rendition.format.name(),
                HumanBytes(rendition.bytes),
                share(rendition.bytes, source_bytes),
                encoded(&rendition.encoding)
            );
        }
    }
    let mut text = format!(
        "{} {}×{}, {}\n",
        image.format,
        image.dimensions.width,
        image.dimensions.height,
        HumanBytes(source_bytes)
    );
    text.push_str(&align(&rows));
    text
}

/// ` q72 score 70.4`, ` lossless 24 frames`, ` tiles refused`, or nothing.
fn encoded(encoding: &Encoding) -> String {
    let mut text = String::new();
    if encoding.is_lossless {
        text.push_str(" lossless");
    }
    if let Some(quality) = encoding.quality {
        text.push_str(&format!(" q{quality}"));
    }
    if let Some(score) = encoding.score {
        text.push_str(&format!(" score {score:.1}"));
    }
    if let Some(frames) = encoding.frames {
        text.push_str(&format!(" {frames} frames"));
    }
    if let Some(tiles) = encoding.tiles {
        text.push_str(&format!(" tiles {}", tiles.name()));
    }
    text
}

/// Rows with their columns under each other, indented.
pub(crate) fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("  {cell:<width$}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A share in percent, with the decimals that small shares need.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let percent = part as f64 / whole as f64 * 100.0;
    if percent < 9.95 {
        format!("({percent:.1} %)")
    } else {
        format!("({percent:.0} %)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tintype_model::Dimensions;

    #[test]
    fn variants_are_rows_and_formats_are_columns() {
        let image = ImageInfo {
            format: "jpeg".to_owned(),
            dimensions: Dimensions {
                width: 4000,
                height: 3000,
            },
            orientation: 1,
            has_alpha: false,
            frames: 1,
            bit_depth: 8,
            color_space: "srgb".to_owned(),
            ..ImageInfo::default()
        };
        let written = |variant: &str, format, width, bytes| Written {
            variant: variant.to_owned(),
            format,
            width,
            height: width / 4 * 3,
            bytes,
            path: "x".into(),
            cpu_ms: None,
            encoding: Encoding::default(),
        };
        let chosen = Encoding {
            quality: Some(72),
            score: Some(70.42),
            tiles: Some(tintype_model::Tiles::Refused),
            ..Encoding::default()
        };
        let lossless = Encoding {
            is_lossless: true,
            frames: Some(24),
            ..Encoding::default()
        };
        let text = renditions(
            &image,
            1 << 20,
            &[
                Written {
                    encoding: chosen,
                    ..written("original", Format::Avif, 4000, 1 << 19)
                },
                Written {
                    encoding: lossless,
                    ..written("original", Format::Jpeg, 4000, 1 << 20)
                },
                written("small", Format::Jpeg, 40, 2000),
            ],
        );
        let expected = "jpeg 4000×3000, 1.00 MiB\n\
            \x20 original  4000×3000  avif 512.00 KiB (50 %) q72 score 70.4 tiles refused  jpeg 1.00 MiB (100 %) lossless 24 frames\n\
            \x20 small     40×30                                                           jpeg 1.95 KiB (0.2 %)\n";
        assert_eq!(text, expected);
    }
}
