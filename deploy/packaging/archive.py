"""Zips whose bytes follow from their contents alone."""

import hashlib
import zipfile

# The first moment that a zip can name.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write(path, entries):
    """Writes a zip of `entries`, a mapping of names to (bytes, mode), in the order of the names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (content, mode) in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever this runs: the mode counts
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
