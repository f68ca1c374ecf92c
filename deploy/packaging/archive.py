"""Archives whose bytes follow from their contents alone."""

import gzip
import hashlib
import io
import tarfile
import zipfile

# The first moment that a zip can name, also in seconds since 1970.
EPOCH = (1980, 1, 1, 0, 0, 0)
EPOCH_SECONDS = 315_532_800


def write(path, entries):
    """Writes a zip of `entries`, a mapping of names to (bytes, mode), in the order of the names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (content, mode) in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever this runs: the mode counts
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)


def write_tar(path, entries):
    """Writes a compressed tar of `entries`, as `write` does, owned by root."""
    with (
        open(path, "wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, (content, mode) in sorted(entries.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, EPOCH_SECONDS
            entry.uname = entry.gname = "root"
            archive.addfile(entry, io.BytesIO(content))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
