//! The report of `tintype transcode`: a page with each input beside its renditions, their bytes, scores and times.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use anyhow::Context;
use askama::Template;
use indicatif::HumanBytes;
use tintype_model::{Format, ImageInfo, Tiles, encode_component};

use super::outcome::{Outcome, Report, Written};

const STYLE: &str = include_str!("../../templates/report.css");
const SCRIPT: &str = include_str!("../../templates/report.js");

/// Collects the outcome of every input, and writes one HTML file that shows it. The file refers to the pictures by
/// paths relative to itself, loads nothing from elsewhere, and needs no server.
#[derive(Debug)]
pub(crate) struct Page {
    path: PathBuf,
    folder: PathBuf,
    sections: Vec<Section>,
    images: u64,
    source_bytes: u64,
    by_format: Vec<(Format, u64)>,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Document<'a> {
    images: u64,
    size: HumanBytes,
    totals: &'a str,
    sections: &'a [Section],
}

/// The part of the page about one input.
#[derive(Debug)]
enum Section {
    Problem { input: String, problem: String },
    Picture(Picture),
}

/// A picture beside the rendition that was chosen in the table of its renditions.
#[derive(Debug)]
struct Picture {
    input: String,
    facts: String,
    size: HumanBytes,
    width: u32,
    height: u32,
    /// The URL of the source.
    source: String,
    format: String,
    /// The URL of the rendition that is shown first.
    shown: String,
    name: String,
    rows: Vec<Row>,
}

/// A rendition in the table. Facts that it does not have are empty.
#[derive(Debug)]
struct Row {
    /// The URL of the rendition.
    src: String,
    name: String,
    /// `true` when the row above is of another variant.
    is_new: bool,
    variant: String,
    format: &'static str,
    pixels: String,
    size: HumanBytes,
    share: String,
    quality: String,
    score: String,
    time: String,
    larger_because: Option<String>,
    has_refused_tiles: bool,
}

impl Page {
    /// A page that will be at `path`.
    ///
    /// # Errors
    /// When the folder that it goes into is not there.
    pub(crate) fn new(path: &Path) -> anyhow::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let folder = fs::canonicalize(folder)
            .with_context(|| format!("the folder of the report, {}, is not there", folder.display()))?;
        Ok(Self {
            path: path.to_path_buf(),
            folder,
            sections: Vec::new(),
            images: 0,
            source_bytes: 0,
            by_format: Vec::new(),
        })
    }

    /// Adds the outcome of one input.
    pub(crate) fn add(&mut self, report: &Report) {
        let section = match (&report.outcome, report.bytes) {
            (Outcome::Processed { image, renditions }, Some(bytes)) => {
                self.count(bytes, renditions);
                Section::Picture(self.picture(&report.input, bytes, image, renditions))
            }
            _ => Section::Problem {
                input: report.input.clone(),
                problem: report.outcome.problem().unwrap_or_default(),
            },
        };
        self.sections.push(section);
    }

    fn picture(&self, input: &str, bytes: u64, image: &ImageInfo, renditions: &[Written]) -> Picture {
        let first = renditions.first();
        let shown = first.map(|rendition| self.link(&rendition.path));
        let mut rows = Vec::new();
        let mut previous = "";
        for rendition in renditions {
            let is_new = !previous.is_empty() && previous != rendition.variant;
            previous = &rendition.variant;
            rows.push(self.row(rendition, bytes, is_new));
        }
        Picture {
            input: input.to_owned(),
            facts: facts(image),
            size: HumanBytes(bytes),
            width: image.dimensions.width,
            height: image.dimensions.height,
            source: self.link(Path::new(input)),
            format: image.format.clone(),
            shown: shown.unwrap_or_default(),
            name: first.map(name_of).unwrap_or_default(),
            rows,
        }
    }

    fn row(&self, rendition: &Written, source_bytes: u64, is_new: bool) -> Row {
        let encoding = &rendition.encoding;
        let quality = match (encoding.is_lossless, encoding.quality) {
            (true, _) => "lossless".to_owned(),
            (false, Some(quality)) => quality.to_string(),
            (false, None) => String::new(),
        };
        let score = encoding.score.map(|score| format!("{score:.1}"));
        let time = rendition.cpu_ms.map(|ms| format!("{ms:.0} ms"));
        let frames = match encoding.frames {
            Some(frames) => format!(", {frames} frames"),
            None => String::new(),
        };
        let share = super::table::share(rendition.bytes, source_bytes);
        Row {
            src: self.link(&rendition.path),
            name: name_of(rendition),
            is_new,
            variant: rendition.variant.clone(),
            format: rendition.format.name(),
            pixels: format!("{}×{}{frames}", rendition.width, rendition.height),
            size: HumanBytes(rendition.bytes),
            share: share.trim_matches(['(', ')']).to_owned(),
            quality,
            score: score.unwrap_or_default(),
            time: time.unwrap_or_default(),
            larger_because: encoding.larger_because.as_ref().map(ToString::to_string),
            has_refused_tiles: encoding.tiles == Some(Tiles::Refused),
        }
    }

    /// Counts a source of so many bytes and the renditions of its largest variant.
    fn count(&mut self, source_bytes: u64, renditions: &[Written]) {
        self.images += 1;
        self.source_bytes += source_bytes;
        let largest = largest(renditions);
        for rendition in renditions.iter().filter(|rendition| rendition.variant == largest) {
            let known = self
                .by_format
                .iter_mut()
                .find(|(format, _)| *format == rendition.format);
            match known {
                Some((_, bytes)) => *bytes += rendition.bytes,
                None => self.by_format.push((rendition.format, rendition.bytes)),
            }
        }
    }

    /// The URL of a file, relative to the page. Both are resolved first, so that it holds across symbolic links too.
    fn link(&self, file: &Path) -> String {
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
        let (from, to): (Vec<_>, Vec<_>) = (self.folder.components().collect(), file.components().collect());
        let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
        let up = from[common..].iter().map(|_| "..".to_owned());
        let down = to[common..].iter().filter_map(|component| match component {
            Component::Normal(name) => Some(encode_component(name.as_bytes())),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        });
        // A leading "./" keeps a name with a colon from being read as a scheme.
        format!("./{}", up.chain(down).collect::<Vec<_>>().join("/"))
    }

    /// Writes the page: all of it, or nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(self) -> anyhow::Result<()> {
        let total = |(format, bytes): &(Format, u64)| {
            let share = super::table::share(*bytes, self.source_bytes);
            format!(" {}: {} {share}", format.name(), HumanBytes(*bytes))
        };
        let totals: Vec<String> = self.by_format.iter().map(total).collect();
        let document = Document {
            images: self.images,
            size: HumanBytes(self.source_bytes),
            totals: if totals.is_empty() {
                " no format"
            } else {
                &totals.join(";")
            },
            sections: &self.sections,
        };
        let page = document.render().expect("writing to a string cannot fail");
        super::output::write_file(&self.folder, &self.path, page.as_bytes())
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The variant with the most pixels.
fn largest(renditions: &[Written]) -> &str {
    let pixels = |rendition: &&Written| u64::from(rendition.width) * u64::from(rendition.height);
    // Reversed, so that the first of several is found: `max_by_key` gives the last.
    let found = renditions.iter().rev().max_by_key(pixels);
    found.map_or("", |rendition| rendition.variant.as_str())
}

fn name_of(rendition: &Written) -> String {
    format!("{}, {}", rendition.variant, rendition.format.name())
}

fn facts(image: &ImageInfo) -> String {
    let mut facts = format!(
        "{} {}×{}{}",
        image.format,
        image.dimensions.width,
        image.dimensions.height,
        image.extras()
    );
    if let Some(profile) = &image.icc_description {
        facts.push_str(", ");
        facts.push_str(profile);
    }
    facts
}

#[cfg(test)]
mod tests {
    use tintype_model::{Dimensions, Encoding};

    use super::*;

    fn report(input: &str, path: &Path) -> Report {
        let written = |variant: &str, format, width: u32, bytes| Written {
            variant: variant.to_owned(),
            format,
            width,
            height: width,
            bytes,
            path: path.join(format!("{variant}.{}", Format::extension(format))),
            cpu_ms: Some(12.4),
            encoding: Encoding {
                score: Some(71.26),
                frames: Some(3),
                ..Encoding::default()
            },
        };
        let renditions = vec![
            written("original", Format::Avif, 400, 500),
            written("original", Format::Jpeg, 400, 1000),
            written("small", Format::Jpeg, 40, 100),
        ];
        let image = ImageInfo {
            format: "jpeg".to_owned(),
            dimensions: Dimensions {
                width: 400,
                height: 400,
            },
            frames: 3,
            duration_ms: Some(220),
            has_gain_map: true,
            ..ImageInfo::default()
        };
        Report {
            input: input.to_owned(),
            bytes: Some(2000),
            sha256: None,
            outcome: Outcome::Processed { image, renditions },
        }
    }

    #[test]
    fn pictures_are_found_from_where_the_page_is_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let (pages, web) = (folder.path().join("pages"), folder.path().join("web/a b#?.jpg"));
        fs::create_dir_all(&pages).unwrap();
        fs::create_dir_all(&web).unwrap();
        for name in ["original.avif", "original.jpg", "small.jpg"] {
            fs::write(web.join(name), "x").unwrap();
        }
        let source = folder.path().join("é\"<b>.jpg");
        fs::write(&source, "x").unwrap();
        let path = pages.join("out.html");
        let mut page = Page::new(&path).unwrap();
        page.add(&report(source.to_str().unwrap(), &web));
        page.write().unwrap();
        let html = fs::read_to_string(&path).unwrap();
        assert!(
            html.contains("src=\"./../web/a%20b%23%3F.jpg/original.avif\""),
            "{html}"
        );
        assert!(html.contains("src=\"./../%C3%A9%22%3Cb%3E.jpg\""), "{html}");
        assert!(!html.contains("<b>"), "{html}");
        assert!(html.contains("<td>71.3</td><td>12 ms</td>"), "{html}");
        assert!(
            html.contains("jpeg 400×400, 3 frames, 220 ms, gain map, "),
            "{html}"
        );
        assert!(html.contains("<td>40×40, 3 frames</td>"), "{html}");
        assert!(html.contains(
            "1 pictures, 1.95 KiB; their largest variant in avif: 500 B (25 %); jpeg: 1000 B (50 %)"
        ));
    }

    #[test]
    fn what_failed_is_on_the_page_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.html");
        let mut page = Page::new(&path).unwrap();
        let failed = Outcome::failed(&"the <disk> is full");
        page.add(&Report {
            outcome: failed,
            ..report("a.jpg", folder.path())
        });
        page.write().unwrap();
        let html = fs::read_to_string(&path).unwrap();
        assert!(html.contains("the &#60;disk&#62; is full"), "{html}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Page::new(Path::new("no-such-folder/out.html")).unwrap_err();
        assert!(error.to_string().contains("no-such-folder"), "{error}");
    }
}
