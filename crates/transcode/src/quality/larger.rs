//! The reasons why a newer format is larger than an older one of the same variant.
//!
//! Nothing is encoded again for that. Delivery gives each browser the smallest of the files that it takes and that are no
//! worse, and another attempt costs more than it brings: at lower qualities the newer file is the worse one, and more
//! effort makes photographs larger as often as smaller (`docs/performance.md`).

use tintype_model::{Encoding, Format, Quality, RenderedFile};

/// Notes the reason in the records of the files of one variant. `quality` gives what the recipe asks for.
pub(crate) fn explain(files: &mut [RenderedFile], quality: impl Fn(Format) -> Quality) {
    let reasons: Vec<Option<String>> = files
        .iter()
        .map(|newer| {
            let older = files.iter().filter(|older| older.format > newer.format);
            let smaller = older.filter(|older| older.bytes.len() < newer.bytes.len());
            let smallest = smaller.min_by_key(|older| older.bytes.len())?;
            Some(reason(newer, smallest, quality(newer.format)))
        })
        .collect();
    for (file, reason) in files.iter_mut().zip(reasons) {
        file.encoding.larger_because = reason;
    }
}

fn reason(newer: &RenderedFile, older: &RenderedFile, asked: Quality) -> String {
    let (name, bytes) = (older.format.name(), older.bytes.len());
    if asked == Quality::Lossless && newer.format != Format::Png {
        return "the recipe wants it lossless".to_owned();
    }
    if is_exact(older) && !is_exact(newer) {
        return format!("{name} shows every pixel as it is in {bytes} bytes");
    }
    match (newer.encoding.score, older.encoding.score) {
        (Some(score), Some(other)) if score > other + Encoding::SCORE_MARGIN => {
            format!("it scores {score:.1} against {other:.1}")
        }
        (Some(score), Some(other)) => {
            format!("{name} needs {bytes} bytes for this picture; it scores {score:.1} against {other:.1}")
        }
        _ => format!("{name} needs {bytes} bytes for this picture, at the quality asked for"),
    }
}

fn is_exact(file: &RenderedFile) -> bool {
    file.encoding.is_lossless || file.format == Format::Png
}
