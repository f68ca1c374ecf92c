"""Checks that a binary runs on a Linux system, by its requirements of the dynamic linker."""

import re
import subprocess
import typing


class System(typing.NamedTuple):
    """A system with a glibc of this version and, of what binaries here could need, `LIBRARIES`."""

    name: str
    glibc: tuple[int, int]


# Its `provided` image has what belongs to glibc, and libgcc_s.
AL2023 = System("Lambda's AL2023", (2, 34))
LIBRARIES = {
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}
MACHINES = {"x86_64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}


class Unsuitable(Exception):
    """The binary would not start there."""


def readelf(binary, *options):
    command = ["readelf", "--wide", *options, str(binary)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout


def needed_libraries(binary):
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", readelf(binary, "--dynamic")))


def newest_glibc(binary):
    """The newest version of a glibc symbol that the binary wants, as a pair of numbers; (0, 0) for none."""
    versions = re.findall(r"\bGLIBC_(\d+)\.(\d+)", readelf(binary, "--version-info"))
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


def check(binary, arch, system=AL2023):
    """Refuses a binary that `system` cannot start. The answer is its newest glibc version, for the report."""
    machine = re.search(r"Machine:\s*(.+)", readelf(binary, "--file-header"))[1]
    if machine != MACHINES[arch]:
        raise Unsuitable(f"{binary} is for {machine}, not for {arch}")
    foreign = needed_libraries(binary) - LIBRARIES
    if foreign:
        raise Unsuitable(f"{binary} needs {', '.join(sorted(foreign))}, which {system.name} does not have")
    newest = newest_glibc(binary)
    if newest > system.glibc:
        wanted, there = ("{}.{}".format(*version) for version in (newest, system.glibc))
        raise Unsuitable(f"{binary} needs glibc {wanted}, {system.name} has {there}: build on Debian 12 or older")
    return "{}.{}".format(*newest)
