//! Files that the command line writes.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes a file whole or not at all.
pub(crate) fn write_file(folder: &Path, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    // The mode follows the user's umask, so that a web server may read it; temporary files are private otherwise.
    let mut temporary = tempfile::Builder::new()
        .prefix(".tintype-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.persist(path)?;
    Ok(())
}
