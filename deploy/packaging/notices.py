"""The licences of everything that is linked into a program: most of them ask that their text goes with it."""

import collections
import hashlib
import html
import json
import pathlib
import re
import subprocess

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
NAME = re.compile(r"(licen[cs]e|copying|copyright|notice|patents|unlicense|authors|ofl|readme\.ijg)([-_.].*)?", re.IGNORECASE)
# Source files and files of tests are no texts to pass on.
SKIPPED_SUFFIXES = {".rs", ".c", ".h", ".py", ".sh", ".js", ".cmake", ".toml", ".png", ".json", ".html"}
SKIPPED_FOLDERS = {"tests", "test", "testdata", "benches", "examples", "fuzz", "target", ".git"}
RULE = "=" * 78


class Unknown(Exception):
    """A package does not say its terms."""


def collect(root, package, arch):
    """The terms of what `package` links, as one text, and the number of packages in it."""
    linked = linked_packages(metadata(root, TRIPLES[arch]), package)
    # The same text is printed once, under the names of all who use it.
    users = collections.defaultdict(list)
    without = []
    for found in linked:
        title = f"{found['name']} {found['version']}"
        if not found["license"] and not found["license_file"]:
            raise Unknown(f"{title} does not say its licence")
        texts = license_texts(pathlib.Path(found["manifest_path"]).parent)
        for text in texts:
            users[text].append(title)
        if not texts:
            without.append(f"{title}: {found['license']}, {found['repository'] or 'https://crates.io/crates/' + found['name']}")
    users[standard_library()].append("the Rust standard library")
    parts = [
        "Tintype contains the software listed here, under these terms. It is based in part on the work of the\n"
        "Independent JPEG Group.",
        "\n".join(f"{found['name']} {found['version']}: {found['license'] or 'see below'}" for found in linked),
    ]
    if without:
        parts.append("These packages come without a text of their licence:\n\n" + "\n".join(without))
    for text, names in sorted(users.items(), key=lambda entry: entry[1]):
        parts.append(f"{RULE}\n{', '.join(dict.fromkeys(names))}\n{RULE}\n\n{text}")
    return "\n\n".join(parts) + "\n", len(linked)


def metadata(root, triple):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", triple]
    done = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def linked_packages(read, name):
    """Other people's packages that end up in the program: normal dependencies, without procedural macros."""
    packages = {package["id"]: package for package in read["packages"]}
    nodes = {node["id"]: node for node in read["resolve"]["nodes"]}
    waiting = [identity for identity, package in packages.items() if package["name"] == name]
    seen = set()
    while waiting:
        identity = waiting.pop()
        if identity in seen or is_macro(packages[identity]):
            continue
        seen.add(identity)
        for dependency in nodes[identity]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    # Packages without a source are this repository's own.
    found = [packages[identity] for identity in seen if packages[identity]["source"]]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def is_macro(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def license_texts(folder):
    """The texts in a package, those of vendored C libraries too, each once."""
    texts = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if SKIPPED_FOLDERS.intersection(inside.parts[:-1]) or path.suffix.lower() in SKIPPED_SUFFIXES:
            continue
        if path.is_file() and NAME.fullmatch(path.name):
            text = path.read_text(encoding="utf-8", errors="replace").strip()
            if text:
                texts[hashlib.sha256(text.encode()).digest()] = text
    return list(texts.values())


def standard_library():
    """The terms of what every Rust program contains, which come with the compiler as a page."""
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    page = pathlib.Path(sysroot) / "share/doc/rust/COPYRIGHT-library.html"
    if not page.is_file():
        return "MIT OR Apache-2.0, https://www.rust-lang.org"
    text = html.unescape(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8")))
    return re.sub(r"\n\s*\n+", "\n\n", text).strip()
