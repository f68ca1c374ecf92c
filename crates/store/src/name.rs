use super::{Error, Result};

/// Ending of files that no committed row names yet.
pub(crate) const STAGED: &str = ".new";

/// The kind of content of a file, by its name. Only a store names files, so no uploader can make one look like
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An uploaded object with its [facts](super::facts): `{stem}s`.
    Source,
    /// A rendition, which can be made again: `{stem}r`.
    Rendition,
    /// A part of an upload that is not complete: `{stem}p`.
    Part,
    /// Anything, written by a release whose files had no facts and no kind: `{stem}`.
    Legacy,
}

/// The random part of a file's name: 128 bits in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stem(String);

impl Stem {
    const LENGTH: usize = 32;

    /// A stem that no other file has.
    pub(crate) fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()))
    }

    fn parse(text: &str) -> Option<Self> {
        let is_stem = text.len() == Self::LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_stem.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of the folder of the fan-out that files of this stem lie in.
    pub(crate) fn folder(&self) -> &str {
        &self.0[..2]
    }

    /// The name of a whole file.
    pub(crate) fn of_kind(&self, kind: Kind) -> FileName {
        let letter = match kind {
            Kind::Source => "s",
            Kind::Rendition => "r",
            Kind::Part => "p",
            Kind::Legacy => "",
        };
        FileName {
            text: format!("{}{letter}", self.0),
            stem: self.clone(),
            kind,
        }
    }
}

/// Name of a file that rows name.
///
/// Checked when it comes from the database, so that no row can lead out of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileName {
    text: String,
    stem: Stem,
    kind: Kind,
}

impl FileName {
    /// A name from a row.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| Error::Corrupt(format!("{text:?} is no file name")))
    }

    fn read(text: &str) -> Option<Self> {
        let (stem, kind) = match text.strip_suffix(['s', 'r', 'p']) {
            None => (text, Kind::Legacy),
            Some(stem) if text.ends_with('s') => (stem, Kind::Source),
            Some(stem) if text.ends_with('r') => (stem, Kind::Rendition),
            Some(stem) => (stem, Kind::Part),
        };
        Some(Stem::parse(stem)?.of_kind(kind))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn stem(&self) -> &Stem {
        &self.stem
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Name of the folder of the fan-out that the file lies in.
    pub(crate) fn folder(&self) -> &str {
        self.stem.folder()
    }
}

/// The state of an entry in a folder of files, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryName {
    /// A file that is being written, or was never finished.
    Unfinished(Stem),
    /// A whole source that no committed row named when it was written.
    Staged(FileName),
    /// A whole file that a committed row names or has named; a rendition or part may never have been.
    Whole(FileName),
}

impl EntryName {
    /// The entry, if a store gave it its name.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let Some(staged) = text.strip_suffix(STAGED) else {
            return FileName::read(text).map(Self::Whole);
        };
        let name = FileName::read(staged)?;
        match name.kind() {
            Kind::Legacy => Some(Self::Unfinished(name.stem)),
            Kind::Source => Some(Self::Staged(name)),
            Kind::Rendition | Kind::Part => None,
        }
    }

    pub(crate) fn stem(&self) -> &Stem {
        match self {
            Self::Unfinished(stem) => stem,
            Self::Staged(name) | Self::Whole(name) => name.stem(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kind_and_nothing_else_is_a_name() {
        let stem = Stem::random();
        for kind in [Kind::Source, Kind::Rendition, Kind::Part, Kind::Legacy] {
            let name = stem.of_kind(kind);
            assert_eq!(FileName::parse(name.as_str()).unwrap(), name);
            assert_eq!(name.kind(), kind);
            assert_eq!(EntryName::read(name.as_str()), Some(EntryName::Whole(name)));
        }
        let hex = stem.as_str();
        assert_eq!(
            EntryName::read(&format!("{hex}.new")),
            Some(EntryName::Unfinished(stem.clone()))
        );
        assert_eq!(
            EntryName::read(&format!("{hex}s.new")),
            Some(EntryName::Staged(stem.of_kind(Kind::Source)))
        );
        for stranger in [
            "README".to_owned(),
            hex.to_uppercase() + "A",
            format!("{hex}r.new"),
            format!("{hex}ss"),
            format!("{hex}x"),
            format!("../{}", &hex[3..]),
            hex[1..].to_owned(),
            String::new(),
        ] {
            assert!(FileName::parse(&stranger).is_err(), "{stranger}");
            assert_eq!(EntryName::read(&stranger), None, "{stranger}");
        }
    }
}
