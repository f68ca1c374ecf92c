"""The tarball of a release: the program, how to use it, and the terms of everything that is in it."""

import argparse
import pathlib
import sys

import archive
import elf
import notices

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "README.md"]
# Releases run on Debian 12 and newer.
DEBIAN_12 = elf.System("Debian 12", (2, 36))


def main():
    parser = argparse.ArgumentParser(prog="tarball")
    parser.add_argument("--arch", choices=sorted(elf.MACHINES), required=True)
    parser.add_argument("--binary", type=pathlib.Path, required=True, help="the program, stripped")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="name ends in .tar.gz")
    given = parser.parse_args()
    glibc = elf.check(given.binary, given.arch, DEBIAN_12)
    folder = given.out.name.removesuffix(".tar.gz")
    entries = {f"{folder}/tintype": (given.binary.read_bytes(), 0o755)}
    for name in DOCUMENTS:
        entries[f"{folder}/{name}"] = ((ROOT / name).read_bytes(), 0o644)
    terms, packages = notices.collect(ROOT, "tintype-local", given.arch)
    entries[f"{folder}/THIRD-PARTY-LICENSES.txt"] = (terms.encode(), 0o644)
    archive.write_tar(given.out, entries)
    print(f"{given.out}: {given.out.stat().st_size / 2**20:.1f} MiB, glibc {glibc}, terms of {packages} packages")


if __name__ == "__main__":
    try:
        main()
    except (elf.Unsuitable, notices.Unknown, OSError) as error:
        sys.exit(f"release: {error}")
