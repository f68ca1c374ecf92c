//! SVG and SVGZ: what is refused before it is parsed, and how large the drawing becomes as pixels.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use std::borrow::Cow;
use std::io::Read as _;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use resvg::usvg::{self, fontdb};
use tintype_model::{Dimensions, Limits, RejectionCode};

use crate::Error;
use crate::header::format::SourceFormat;
use crate::header::{self, Header, ParsedHeader, check_size};
use crate::panics::{contain, panicked};
use crate::read::{gif, jpeg, png, webp};
use crate::syntax::markup::{self, Markup, MarkupItem, decode, local};

/// Largest text, unpacked. Maps and technical drawings reach some megabytes.
const MAX_TEXT_BYTES: usize = 8 << 20;
const MAX_ELEMENTS: u32 = 200_000;
/// Deepest nesting of elements; drawing programs reach some tens.
const MAX_DEPTH: u32 = 256;
/// Drawings inside of drawings, as `data:` URLs.
const MAX_NESTED_DRAWINGS: u32 = 2;
/// A drawing whose longer side is shorter than this many pixels is drawn this large: it has no pixels of its own, and
/// what is scaled up later would be blurred.
const LEAST_SIDE: f64 = 1024.0;
/// The pixels on the longer side of a drawing that says to be larger than the limit, or fewer where the limit asks for it.
/// They fill any screen.
const TOO_LARGE_SIDE: f64 = 4096.0;
/// The longest side of a drawing that is drawn: a longer one is a mistake or an attack.
const ABSURD_SIDE: f64 = 1e6;
/// No side becomes longer than this: PNG and JPEG XL alone can be longer.
const MOST_SIDE: f64 = 65_535.0;
/// Stack of the thread that parses and draws, both of which call themselves for each level of nesting.
const STACK_BYTES: usize = 64 << 20;

pub(super) fn parse(source: &[u8], limits: &Limits) -> Result<ParsedHeader, Error> {
    let size = on_large_stack(|| Ok(Drawing::load(source, limits)?.size))?;
    Ok(ParsedHeader {
        size,
        has_alpha: true,
        frames: 1,
        bit_depth: 8,
        ..ParsedHeader::default()
    })
}

/// A drawing that is read and has passed all limits but that of the work to draw it.
pub(crate) struct Drawing {
    pub(crate) tree: usvg::Tree,
    /// The pixels that it becomes.
    pub(crate) size: Dimensions,
}

impl Drawing {
    pub(crate) fn load(source: &[u8], limits: &Limits) -> Result<Self, Error> {
        let text = unpack(source)?;
        let text = checked(&text)?;
        let embedded = Embedded {
            limits,
            pixels: AtomicU64::new(0),
            depth: AtomicU32::new(0),
            refusal: Mutex::new(None),
        };
        let tree = usvg::Tree::from_str(&text, &options(&embedded)).map_err(|error| refused(&error))?;
        let refusal = embedded
            .refusal
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = refusal {
            return Err(error);
        }
        let size = raster_size(tree.size(), limits)?;
        Ok(Self { tree, size })
    }
}

/// Runs `work` on a thread of its own, or here if there is none to be had.
pub(crate) fn on_large_stack<T: Send>(work: impl Fn() -> Result<T, Error> + Sync) -> Result<T, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, || contain(&work)) {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(panicked())),
            Err(_) => work(),
        }
    })
}

/// The pixels that a drawing of `size` becomes: at least so many that it can be scaled later, at most so many as the
/// limit allows. A drawing has no pixels of its own, so that none is too large
/// but for one of an absurd size.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sides are cut to the range of the integer; limits are far below 2^52"
)]
fn raster_size(size: usvg::Size, limits: &Limits) -> Result<Dimensions, Error> {
    let (width, height) = (f64::from(size.width()), f64::from(size.height()));
    let pixels = |scale: f64, round: fn(f64) -> f64| {
        let side = |side: f64| round(side * scale).clamp(1.0, MOST_SIDE) as u32;
        check_size(side(width), side(height), limits)
    };
    let longest = width.max(height);
    if longest > ABSURD_SIDE {
        return Err(Error::rejected(
            RejectionCode::TooManyPixels,
            format!("the SVG's size is {width}x{height} pixels; sides of up to {ABSURD_SIDE} are drawn"),
        ));
    }
    let scale = (LEAST_SIDE / longest).max(1.0).min(MOST_SIDE / longest);
    if let Ok(size) = pixels(scale, f64::round).or_else(|_| pixels(scale.min(1.0), f64::round)) {
        return Ok(size);
    }
    let most = limits.max_pixels as f64;
    let fitting = (most / (width * height)).sqrt().min(most / longest);
    // A whole number stays one, whatever the division has lost of it.
    pixels(fitting.min(TOO_LARGE_SIDE / longest), |side| {
        (side + 1e-6).floor()
    })
}

fn too_long(what: &str) -> Error {
    Error::rejected(
        RejectionCode::TooManyBytes,
        format!("{what} is longer than {} MiB", MAX_TEXT_BYTES >> 20),
    )
}

fn unpack(source: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    if !source.starts_with(b"\x1F\x8B") {
        return if source.len() > MAX_TEXT_BYTES {
            Err(too_long("the SVG"))
        } else {
            Ok(Cow::Borrowed(source))
        };
    }
    let most = u64::try_from(MAX_TEXT_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    // Memory that grows would be three times as much for a moment.
    let mut text = Vec::with_capacity(MAX_TEXT_BYTES.saturating_add(64));
    flate2::read::GzDecoder::new(source)
        .take(most)
        .read_to_end(&mut text)
        .map_err(|error| Error::corrupt(format!("the SVGZ cannot be unpacked: {error}")))?;
    if text.len() > MAX_TEXT_BYTES {
        return Err(too_long("what the SVGZ unpacks to"));
    }
    Ok(Cow::Owned(text))
}

/// The text, if it is safe to parse: no entities, not too many elements, not too deep, and whole.
fn checked(source: &[u8]) -> Result<Cow<'_, str>, Error> {
    let text = decode(source).ok_or_else(|| Error::corrupt("the SVG is neither UTF-8 nor UTF-16"))?;
    let (mut elements, mut depth) = (0u32, 0u32);
    for item in Markup::new(&text) {
        match item {
            MarkupItem::Doctype(declaration) if declaration.contains('[') => {
                return Err(Error::unsupported(
                    "the SVG declares entities or other markup of its own, which is not read",
                ));
            }
            MarkupItem::Start(name, is_empty) => {
                elements = elements.saturating_add(1);
                if elements == 1 && local(name) != "svg" {
                    return Err(Error::corrupt("the SVG does not begin with svg"));
                }
                if !is_empty {
                    depth = depth.saturating_add(1);
                }
            }
            MarkupItem::End => depth = depth.saturating_sub(1),
            MarkupItem::Doctype(_) | MarkupItem::Other => {}
        }
        if elements > MAX_ELEMENTS {
            return Err(Error::unsupported(format!(
                "the SVG has more than {MAX_ELEMENTS} elements"
            )));
        }
        if depth > MAX_DEPTH {
            return Err(Error::unsupported(format!(
                "the SVG is nested deeper than {MAX_DEPTH} elements"
            )));
        }
    }
    if depth > 0 || elements == 0 {
        return Err(Error::corrupt("the SVG is cut off"));
    }
    Ok(text)
}

type Image = fn(Arc<Vec<u8>>) -> usvg::ImageKind;

/// The formats that pictures inside of a drawing may have, beside that of drawings.
static EMBEDDED: [(&SourceFormat, Image); 4] = [
    (&jpeg::FORMAT, usvg::ImageKind::JPEG),
    (&png::FORMAT, usvg::ImageKind::PNG),
    (&gif::FORMAT, usvg::ImageKind::GIF),
    (&webp::FORMAT, usvg::ImageKind::WEBP),
];

/// Pictures inside of a drawing.
struct Embedded<'a> {
    limits: &'a Limits,
    /// Pixels of all of them.
    pixels: AtomicU64,
    depth: AtomicU32,
    /// Why the drawing as a whole is refused.
    refusal: Mutex<Option<Error>>,
}

impl Embedded<'_> {
    /// A picture in a `data:` URL, by its content. What cannot be read is left out, as in browsers; what passes a limit
    /// refuses the whole drawing.
    fn resolve(&self, data: Arc<Vec<u8>>, options: &usvg::Options<'_>) -> Option<usvg::ImageKind> {
        let embedded = EMBEDDED.iter().find(|(format, _)| (format.recognize)(&data));
        let Some(&(format, image)) = embedded else {
            return markup::is_svg(&data).then(|| self.nested(&data, options))?;
        };
        let header =
            header::check_bytes(&data, self.limits).and_then(|()| Header::read(format, &data, self.limits));
        let size = match header {
            Ok(header) => header.size,
            Err(error) => {
                self.refuse_if_limit(error);
                return None;
            }
        };
        let pixels = self
            .pixels
            .fetch_add(size.pixels(), Ordering::Relaxed)
            .saturating_add(size.pixels());
        if pixels > self.limits.max_pixels {
            self.refuse(Error::rejected(
                RejectionCode::TooManyPixels,
                format!(
                    "the pictures in the SVG have more than {} pixels",
                    self.limits.max_pixels
                ),
            ));
            return None;
        }
        Some(image(data))
    }

    fn nested(&self, data: &[u8], options: &usvg::Options<'_>) -> Option<usvg::ImageKind> {
        if self.depth.load(Ordering::Relaxed) >= MAX_NESTED_DRAWINGS {
            return None;
        }
        let text = match unpack(data).and_then(|text| Ok(checked(&text)?.into_owned())) {
            Ok(text) => text,
            Err(error) => {
                self.refuse_if_limit(error);
                return None;
            }
        };
        self.depth.fetch_add(1, Ordering::Relaxed);
        let tree = usvg::Tree::from_data_nested(text.as_bytes(), options);
        self.depth.fetch_sub(1, Ordering::Relaxed);
        tree.ok().map(usvg::ImageKind::SVG)
    }

    fn refuse_if_limit(&self, error: Error) {
        let is_limit = matches!(&error, Error::Rejected(rejection) if matches!(
            rejection.code,
            RejectionCode::TooManyPixels | RejectionCode::TooManyBytes | RejectionCode::TooManyFrames
        ));
        if is_limit {
            self.refuse(error);
        }
    }

    fn refuse(&self, error: Error) {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }
}

/// Nothing outside of the drawing is ever looked at: no file, no address, no font of the system.
fn options<'a>(embedded: &'a Embedded<'a>) -> usvg::Options<'a> {
    usvg::Options {
        resources_dir: None,
        font_family: SANS.to_owned(),
        image_href_resolver: usvg::ImageHrefResolver {
            resolve_data: Box::new(move |_, data, options| embedded.resolve(data, options)),
            resolve_string: Box::new(|_, _| None),
        },
        fontdb: fonts(),
        ..usvg::Options::default()
    }
}

const SANS: &str = "Noto Sans";
const MONO: &str = "DejaVu Sans Mono";

/// The fonts that text is drawn with, whatever it asks for: Noto Sans for Latin, Greek and Cyrillic, DejaVu Sans for
/// what that lacks, DejaVu Sans Mono for `monospace`.
fn fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    let fonts = FONTS.get_or_init(|| {
        let mut fonts = fontdb::Database::new();
        let files: [&'static [u8]; 6] = [
            notosans::REGULAR_TTF,
            notosans::BOLD_TTF,
            notosans::ITALIC_TTF,
            notosans::BOLD_ITALIC_TTF,
            dejavu::sans::regular(),
            dejavu::sans_mono::regular(),
        ];
        for file in files {
            fonts.load_font_source(fontdb::Source::Binary(Arc::new(file)));
        }
        fonts.set_serif_family(SANS);
        fonts.set_sans_serif_family(SANS);
        fonts.set_cursive_family(SANS);
        fonts.set_fantasy_family(SANS);
        fonts.set_monospace_family(MONO);
        Arc::new(fonts)
    });
    Arc::clone(fonts)
}

fn refused(error: &usvg::Error) -> Error {
    match error {
        usvg::Error::ElementsLimitReached => Error::unsupported("the SVG has too many elements"),
        usvg::Error::NotAnUtf8Str
        | usvg::Error::SvgzFeatureNotEnabled
        | usvg::Error::MalformedGZip
        | usvg::Error::InvalidSize => Error::corrupt(format!("the SVG cannot be read: {error}")),
        usvg::Error::ParsingFailed(error) => {
            Error::corrupt(format!("the SVG cannot be read: {}", malformed(error)))
        }
    }
}

/// The fault in the text of a drawing and where it is. The words of the drawing are not repeated: records and logs would
/// carry them.
fn malformed(error: &usvg::roxmltree::Error) -> String {
    use usvg::roxmltree::Error as Fault;
    let what = match error {
        Fault::DuplicatedNamespace(..) => "a namespace is declared twice",
        Fault::UnknownNamespace(..) => "a namespace prefix is not declared",
        Fault::UnexpectedCloseTag(..) => "the tag that ends an element is that of another one",
        Fault::UnknownEntityReference(..) => "an entity is not declared",
        Fault::DuplicatedAttribute(..) => "an attribute is there twice",
        Fault::EntityResolver(..) => "an entity cannot be read",
        other => return other.to_string(),
    };
    format!("{what} at {}", error.pos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of(attributes: &str, limits: &Limits) -> Result<(u32, u32), Error> {
        let text = format!("<svg xmlns='http://www.w3.org/2000/svg' {attributes}/>");
        let Dimensions { width, height } = Drawing::load(text.as_bytes(), limits)?.size;
        Ok((width, height))
    }

    #[test]
    fn small_drawings_are_drawn_large_and_large_ones_at_their_size() {
        let limits = Limits::default();
        for (attributes, size) in [
            ("width='100' height='50'", (1024, 512)),
            ("viewBox='0 0 10 4'", (1024, 410)),
            ("width='2000' height='1000.4'", (2000, 1000)),
            ("width='1in' height='96'", (1024, 1024)),
            ("width='1' height='5000'", (1, 5000)),
        ] {
            assert_eq!(size_of(attributes, &limits).unwrap(), size, "{attributes}");
        }
        let tight = Limits {
            max_pixels: 10_000,
            ..limits
        };
        assert_eq!(size_of("width='100' height='50'", &tight).unwrap(), (100, 50));
        for (attributes, width, height) in [
            ("width='101' height='100'", 100, 99),
            ("width='8000' height='8000'", 100, 100),
            ("width='1e6' height='1e6'", 100, 100),
            ("width='1e6' height='1'", 4096, 1),
            ("width='1' height='200000'", 1, 4096),
            ("viewBox='0 0 4000 1000'", 200, 50),
        ] {
            let found = size_of(attributes, &tight).unwrap();
            assert!(
                found.0.abs_diff(width) <= 1 && found.1.abs_diff(height) <= 1 && found.0 * found.1 <= 10_000,
                "{attributes}: {found:?}"
            );
        }
        for attributes in [
            "width='1e9' height='1e9'",
            "width='1e30' height='1e30'",
            "width='1e7' height='1e7'",
        ] {
            let message = size_of(attributes, &limits).unwrap_err().to_string();
            assert!(message.starts_with("too_many_pixels"), "{message}");
        }
        let (width, height) = size_of("width='8000' height='8000'", &limits).unwrap();
        assert_eq!((width, height), (4096, 4096));
        assert_eq!(
            size_of("width='70000' height='700'", &limits).unwrap(),
            (65_535, 655)
        );
    }

    #[test]
    fn text_is_refused_for_what_it_declares_and_for_how_deep_it_is() {
        let deep = "<g>".repeat(300);
        for (text, word) in [
            (
                "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>".to_owned(),
                "declares",
            ),
            (format!("<svg>{deep}"), "deeper"),
            ("<svg>".to_owned() + &"<g/>".repeat(200_001), "elements"),
            ("<svg><g></svg>".to_owned(), "cut off"),
        ] {
            let message = checked(text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let plain = "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://www.w3.org/x.dtd'><svg></svg>";
        assert!(checked(plain.as_bytes()).is_ok());
    }

    #[test]
    fn refusals_say_where_and_do_not_repeat_words_of_the_drawing() {
        for (text, words) in [
            ("<svg>&Petra;</svg>", "an entity is not declared"),
            ("<svg><Petra:a/></svg>", "a namespace prefix is not declared"),
            ("<svg><Petra></Petre></svg>", "that of another one"),
            ("<svg Petra='a' Petra='b'/>", "an attribute is there twice"),
            (
                "<svg xmlns:Petra='a' xmlns:Petra='b'/>",
                "a namespace is declared twice",
            ),
        ] {
            let error = usvg::Tree::from_str(text, &usvg::Options::default()).unwrap_err();
            let message = refused(&error).to_string();
            assert!(message.contains(&format!("{words} at 1:")), "{message}");
            assert!(!message.contains("Petr"), "{message}");
        }
    }

    #[test]
    fn all_fonts_are_found() {
        let fonts = fonts();
        assert_eq!(fonts.len(), 6);
        let named = |name| {
            let query = fontdb::Query {
                families: &[name],
                ..fontdb::Query::default()
            };
            fonts.query(&query).is_some()
        };
        assert!(named(fontdb::Family::Serif));
        assert!(named(fontdb::Family::Monospace));
        assert!(named(fontdb::Family::Name("DejaVu Sans")));
    }
}
