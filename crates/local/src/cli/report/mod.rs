//! A page to look at: each input beside its renditions, with what they cost and how close they come.

use std::{
    fmt::Write as _,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use anyhow::Context;
use indicatif::HumanBytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tintype_edge::Escaped;
use tintype_model::{Format, ImageInfo};

use super::outcome::{Outcome, Report, Written};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The characters that are escaped in a path segment of a URL: all but the unreserved ones (RFC 3986 section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Collects what came of every input, and writes one HTML file that shows it. The file refers to the pictures by paths
/// relative to itself, loads nothing from elsewhere, and needs no server.
#[derive(Debug)]
pub(crate) struct Page {
    path: PathBuf,
    folder: PathBuf,
    body: String,
    images: u64,
    source_bytes: u64,
    by_format: Vec<(Format, u64)>,
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
            body: String::new(),
            images: 0,
            source_bytes: 0,
            by_format: Vec::new(),
        })
    }

    /// Adds what came of one input.
    pub(crate) fn add(&mut self, report: &Report) {
        match (&report.outcome, report.bytes) {
            (Outcome::Processed { image, renditions }, Some(bytes)) => {
                self.images += 1;
                self.source_bytes += bytes;
                self.image(&report.input, bytes, image, renditions);
            }
            _ => {
                let problem = report.outcome.problem().unwrap_or_default();
                let section = format_args!(
                    "<section>\n<h2>{}</h2>\n<p class=\"problem\">{}</p>\n</section>\n",
                    Escaped(&report.input),
                    Escaped(&problem)
                );
                push(&mut self.body, section);
            }
        }
    }

    fn image(&mut self, input: &str, bytes: u64, image: &ImageInfo, renditions: &[Written]) {
        let source = self.link(Path::new(input));
        let mut rows = String::new();
        let mut previous = "";
        let largest = largest(renditions);
        for rendition in renditions {
            if rendition.variant == largest {
                self.count(rendition);
            }
            let is_new = !previous.is_empty() && previous != rendition.variant;
            previous = &rendition.variant;
            self.row(&mut rows, rendition, bytes, is_new);
        }
        let first = renditions.first();
        let shown = first
            .map(|rendition| self.link(&rendition.path))
            .unwrap_or_default();
        let name = first.map(name_of).unwrap_or_default();
        let (width, height) = (image.dimensions.width, image.dimensions.height);
        let section = format_args!(
            "<section data-image>\n<h2>{input}</h2>\n<p>{facts}, {size}</p>\n<div class=\"columns\">\n<div>\n\
             <div class=\"viewer\" style=\"aspect-ratio: {width} / {height}\">\n\
             <div><img src=\"{source}\" alt=\"the source, if this browser shows {format}\" loading=\"lazy\"></div>\n\
             <div class=\"over\"><img src=\"{shown}\" alt=\"the chosen rendition\" loading=\"lazy\"></div>\n\
             <div class=\"edge\"></div><span class=\"left\">source</span><span class=\"right\">{name}</span>\n</div>\n\
             <div class=\"controls\"><label class=\"slide\"><input type=\"range\" min=\"0\" max=\"100\" step=\"0.1\" \
             value=\"50\" aria-label=\"where the source ends and the rendition begins\"></label>\n\
             <label><input type=\"checkbox\" class=\"mode\"> side by side</label></div>\n</div>\n\
             <table>\n<thead><tr><th>variant</th><th>format</th><th>pixels</th><th>bytes</th><th>of source</th>\
             <th title=\"on the format's own scale, when it was chosen for this picture\">quality</th>\
             <th title=\"SSIMULACRA2 against the pixels that were encoded\">score</th>\
             <th title=\"CPU time of the encoder\">time</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n\
             </section>\n",
            input = Escaped(input),
            facts = Escaped(&facts(image)),
            size = HumanBytes(bytes),
            source = Escaped(&source),
            format = Escaped(&image.format),
            shown = Escaped(&shown),
            name = Escaped(&name),
        );
        push(&mut self.body, section);
    }

    fn row(&self, rows: &mut String, rendition: &Written, source_bytes: u64, is_new: bool) {
        let encoding = &rendition.encoding;
        let quality = match (encoding.is_lossless, encoding.quality) {
            (true, _) => "lossless".to_owned(),
            (false, Some(quality)) => quality.to_string(),
            (false, None) => String::new(),
        };
        let score = encoding
            .score
            .map(|score| format!("{score:.1}"))
            .unwrap_or_default();
        let time = rendition
            .cpu_ms
            .map(|ms| format!("{ms:.0} ms"))
            .unwrap_or_default();
        let frames = match encoding.frames {
            Some(frames) => format!(", {frames} frames"),
            None => String::new(),
        };
        let share = super::table::share(rendition.bytes, source_bytes);
        let row = format_args!(
            "<tr data-src=\"{src}\" data-name=\"{name}\"{class}><td>{variant}</td><td><button type=\"button\">{format}\
             </button></td><td>{width}×{height}{frames}</td><td><a href=\"{src}\">{bytes}</a></td><td>{share}</td>\
             <td>{quality}</td><td>{score}</td><td>{time}</td></tr>\n",
            src = Escaped(&self.link(&rendition.path)),
            name = Escaped(&name_of(rendition)),
            class = if is_new { " class=\"newvariant\"" } else { "" },
            variant = Escaped(&rendition.variant),
            format = rendition.format.name(),
            width = rendition.width,
            height = rendition.height,
            bytes = HumanBytes(rendition.bytes),
            share = share.trim_matches(['(', ')']),
        );
        push(rows, row);
        if let Some(reason) = &encoding.larger_because {
            let note = format_args!(
                "<tr><td></td><td class=\"note\" colspan=\"7\">larger than an older format: {}</td></tr>\n",
                Escaped(reason)
            );
            push(rows, note);
        }
        if encoding.tiles == Some(tintype_model::Tiles::Refused) {
            let note = "<tr><td></td><td class=\"note\" colspan=\"7\">its tiles did not fit together: encoded at once, in \
                        more memory</td></tr>\n";
            rows.push_str(note);
        }
    }

    fn count(&mut self, rendition: &Written) {
        let known = self
            .by_format
            .iter_mut()
            .find(|(format, _)| *format == rendition.format);
        match known {
            Some((_, bytes)) => *bytes += rendition.bytes,
            None => self.by_format.push((rendition.format, rendition.bytes)),
        }
    }

    /// The URL of a file, relative to the page. Both are resolved first, so that it leads there over symbolic links too.
    fn link(&self, file: &Path) -> String {
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
        let (from, to): (Vec<_>, Vec<_>) = (self.folder.components().collect(), file.components().collect());
        let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
        let up = from[common..].iter().map(|_| "..".to_owned());
        let down = to[common..].iter().filter_map(|component| match component {
            Component::Normal(name) => Some(percent_encode(name.as_bytes(), SEGMENT).to_string()),
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
        let mut totals = String::new();
        for (format, bytes) in &self.by_format {
            let share = super::table::share(*bytes, self.source_bytes);
            push(
                &mut totals,
                format_args!("; {}: {} {share}", format.name(), HumanBytes(*bytes)),
            );
        }
        let page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Tintype report</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Tintype report</h1>\n\
             <p>{} pictures, {}; their largest variant in{}</p>\n\
             <p>Choose a rendition in a table; move over its picture, or the slider, to compare it with the source.</p>\n\
             </header>\n<main>\n{}</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            self.images,
            HumanBytes(self.source_bytes),
            totals.strip_prefix(';').unwrap_or(" no format"),
            self.body
        );
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
        push(&mut facts, format_args!(", {profile}"));
    }
    facts
}

fn push(to: &mut String, text: std::fmt::Arguments<'_>) {
    to.write_fmt(text).expect("a String takes everything");
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
        assert!(html.contains("the &lt;disk&gt; is full"), "{html}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Page::new(Path::new("no-such-folder/out.html")).unwrap_err();
        assert!(error.to_string().contains("no-such-folder"), "{error}");
    }
}
