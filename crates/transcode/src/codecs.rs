//! The library that reads or writes each format.
#![expect(unsafe_code, reason = "two C libraries are asked for their versions")]

use std::ffi::CStr;
use std::fmt;

use tintype_model::Format;

use crate::header::format::SourceFormat;
use crate::read;

/// A format and the library that reads or writes it; displayed as `avif (libaom 3.11.0)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// The format's name in records and configuration.
    pub format: &'static str,
    /// The library's name.
    pub library: &'static str,
    /// The version that the library itself reports when it is asked. None for libraries without such a function: the
    /// crates in Rust, and mozjpeg, which reports the version of its crate instead of its own.
    pub version: Option<String>,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.format, self.library)?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        f.write_str(")")
    }
}

/// The decoders of this build, one for each format that it reads.
#[must_use]
pub fn decoders() -> Vec<Codec> {
    read::formats().map(decoder).collect()
}

/// The encoders of this build, in the order of [`Format::ALL`].
#[must_use]
pub fn encoders() -> Vec<Codec> {
    Format::ALL.into_iter().map(encoder).collect()
}

const fn decoder(format: &SourceFormat) -> Codec {
    Codec {
        format: format.name,
        library: format.library,
        version: None,
    }
}

fn encoder(format: Format) -> Codec {
    let (library, version) = match format {
        Format::Jxl => ("jixel", None),
        Format::Avif => ("libaom", libaom_version()),
        Format::Webp => ("libwebp", Some(libwebp_version())),
        Format::Jpeg => ("mozjpeg", None),
        Format::Png => ("oxipng", None),
    };
    Codec {
        format: format.name(),
        library,
        version,
    }
}

fn libaom_version() -> Option<String> {
    // SAFETY: takes nothing, and returns null or a string that ends in a zero byte and lives as long as the program.
    let version = unsafe {
        let text = libaom_sys::aom_codec_version_str();
        (!text.is_null()).then(|| CStr::from_ptr(text))
    };
    let version = version?.to_str().ok()?;
    Some(version.strip_prefix('v').unwrap_or(version).to_owned())
}

/// Major, minor and revision in a byte each, as `webp/encode.h` says.
fn libwebp_version() -> String {
    // SAFETY: takes nothing and returns a constant.
    let [_, major, minor, revision] = unsafe { libwebp_sys::WebPGetEncoderVersion() }.to_be_bytes();
    format!("{major}.{minor}.{revision}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use tintype_model::Limits;

    #[test]
    fn every_format_that_is_read_has_its_decoder() {
        let Err(Error::Rejected(rejection)) = read::header(b"no picture", &Limits::default()) else {
            panic!("that is no picture");
        };
        let (_, read) = rejection.detail.split_once("; ").unwrap();
        let read = read.strip_suffix(" are read").unwrap();
        assert_eq!(
            read.split(", ").flat_map(|names| names.split(" and ")).count(),
            decoders().len(),
            "{read}"
        );
    }

    #[test]
    fn c_libraries_report_their_versions() {
        let version = |format: Format| encoder(format).version.unwrap();
        for version in [version(Format::Avif), version(Format::Webp)] {
            let numbers: Vec<Option<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
            assert!(
                numbers.len() == 3 && numbers.iter().all(Option::is_some),
                "{version}"
            );
        }
        assert!(encoder(Format::Avif).to_string().starts_with("avif (libaom "));
        assert_eq!(encoder(Format::Jpeg).to_string(), "jpeg (mozjpeg)");
    }
}
