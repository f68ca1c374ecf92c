//! The files that a command works on, and reading them.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tintype_model::{Limits, Rejection, RejectionCode};

/// One file to work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// Its name, or its path within the folder that was named, which is also the name of its output.
    pub(crate) name: PathBuf,
}

/// An input that was named, or found in a folder, and cannot be worked on.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// The reason.
    pub(crate) error: InputError,
}

/// The reason why a file cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// The system refused to read it.
    #[error("cannot read: {0}")]
    Read(#[from] io::Error),
    /// It is a folder, where only files are taken.
    #[error("is a folder")]
    Folder,
    /// It is a device or a pipe, which could block for ever.
    #[error("is neither a file nor a folder")]
    Special,
    /// It is `..` or `/`, which give no name to the output.
    #[error("has no file name")]
    Unnamed,
}

/// A file's bytes, or the rejection that its size alone decides.
pub(crate) enum Source {
    /// All of its bytes.
    Read(Bytes),
    /// It is left unread.
    TooLarge {
        /// Its size in bytes.
        size_bytes: u64,
        /// The rejection.
        rejection: Rejection,
    },
}

/// Finds every file in `named`: files as they are, folders with everything in them.
///
/// In folders, symbolic links and names that begin with a dot are left out, and so is `except` (the output folder,
/// which may lie inside an input). The order is that of the names.
pub(crate) fn collect(named: &[PathBuf], except: &Path) -> (Vec<Input>, Vec<Unusable>) {
    let except = except.canonicalize().ok();
    let mut inputs = Vec::new();
    let mut unusable = Vec::new();
    for path in named {
        let found = fs::metadata(path).map_err(InputError::from).and_then(|metadata| {
            if metadata.is_dir() {
                Ok(None)
            } else if metadata.is_file() {
                path.file_name()
                    .map(PathBuf::from)
                    .map(Some)
                    .ok_or(InputError::Unnamed)
            } else {
                Err(InputError::Special)
            }
        });
        match found {
            Ok(None) => walk(path, Path::new(""), except.as_deref(), &mut inputs, &mut unusable),
            Ok(Some(name)) => inputs.push(Input {
                path: path.clone(),
                name,
            }),
            Err(error) => unusable.push(Unusable {
                path: path.clone(),
                error,
            }),
        }
    }
    (inputs, unusable)
}

fn walk(
    folder: &Path,
    name: &Path,
    except: Option<&Path>,
    inputs: &mut Vec<Input>,
    unusable: &mut Vec<Unusable>,
) {
    if except.is_some() && folder.canonicalize().ok().as_deref() == except {
        return;
    }
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            let path = folder.to_path_buf();
            return unusable.push(Unusable {
                path,
                error: error.into(),
            });
        }
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if is_hidden(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let name = name.join(entry.file_name());
        // The type is that of the entry itself, not of the target of a link.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&path, &name, except, inputs, unusable),
            Ok(kind) if kind.is_file() => inputs.push(Input { path, name }),
            Ok(_) => {}
            Err(error) => unusable.push(Unusable {
                path,
                error: error.into(),
            }),
        }
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// Reads a file, unless it is too large to be a source.
pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Source, InputError> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(InputError::Folder);
    }
    if !metadata.is_file() {
        return Err(InputError::Special);
    }
    if metadata.len() > limits.max_bytes {
        let detail = format!(
            "source has {} bytes, the limit is {}",
            metadata.len(),
            limits.max_bytes
        );
        return Ok(Source::TooLarge {
            size_bytes: metadata.len(),
            rejection: Rejection::new(RejectionCode::TooManyBytes, detail),
        });
    }
    Ok(Source::Read(fs::read(path)?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(inputs: &[Input]) -> Vec<&str> {
        inputs.iter().map(|input| input.name.to_str().unwrap()).collect()
    }

    #[test]
    fn folders_are_walked_without_links_hidden_files_and_the_output() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in [
            "b.jpg",
            "a/c.png",
            "a/.hidden.png",
            ".git/x.png",
            "out/b.jpg/medium.webp",
            "é ü.jpg",
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        symlink(root.join("b.jpg"), root.join("link.jpg")).unwrap();
        symlink(root, root.join("a/loop")).unwrap();
        let (inputs, unusable) = collect(&[root.to_path_buf()], &root.join("out"));
        assert_eq!(names(&inputs), ["a/c.png", "b.jpg", "é ü.jpg"]);
        assert!(unusable.is_empty());
        let (inputs, _) = collect(
            &[root.join("link.jpg"), root.join("a/.hidden.png")],
            &root.join("out"),
        );
        assert_eq!(
            names(&inputs),
            ["link.jpg", ".hidden.png"],
            "what is named is taken"
        );
    }

    #[test]
    fn what_cannot_be_used_is_told_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.jpg");
        fs::write(&good, "x").unwrap();
        let missing = folder.path().join("missing.jpg");
        let named = [missing.clone(), good, PathBuf::from("/dev/null")];
        let (inputs, unusable) = collect(&named, Path::new("no-such-out"));
        assert_eq!(names(&inputs), ["good.jpg"]);
        assert_eq!(unusable[0].path, missing);
        assert!(matches!(unusable[0].error, InputError::Read(_)));
        assert!(matches!(unusable[1].error, InputError::Special));
    }

    #[test]
    fn too_large_files_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        match read(&path, &Limits::default()).unwrap() {
            Source::TooLarge {
                size_bytes,
                rejection,
            } => {
                assert_eq!(size_bytes, 1 << 40);
                assert_eq!(rejection.code, RejectionCode::TooManyBytes);
            }
            Source::Read(_) => panic!("it was read"),
        }
    }
}
