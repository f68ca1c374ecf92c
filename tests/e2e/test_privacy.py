"""Whatever a picture carries besides its pixels stays with the source: nothing else that the server keeps, sends or says has it."""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import urllib.parse

import pytest

import pictures
from carriers import CANARY, EVERY_ENCODER, all_files, canary, forms, jxl_container
from tintype import CHROME, encode_key

# The same, with profiles kept as well.
RECIPE = EVERY_ENCODER + """
[[variant]]
name = "small"
width = 64
height = 64
color = "keep"
formats = ["jxl", "avif", "webp", "jpeg", "png"]
"""

# What a record tells of a picture on purpose: docs/formats.md lists it.
KEPT = {canary(name) for name in ("kept make", "kept model", "kept lens", "kept profile")}

# Groups of tags that say how a file is built. Nothing of EXIF, XMP, IPTC, Photoshop, MakerNotes or a profile is among them.
STRUCTURE = {"ExifTool", "System", "File", "Composite", "JFIF", "PNG", "RIFF", "QuickTime", "Meta", "Jpeg2000", "JXL"}
STRUCTURE |= {f"Track{number}" for number in range(1, 4)}
# Of the profile that pictures in Display P3 carry, which is made here.
PROFILE = {"ICC_Profile", "ICC-header"}

ERRORS = {
    "no picture": canary("words").encode(),
    "an entity": f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&{CANARY};</text></svg>'.encode(),
    "a wrong end": f'<svg xmlns="http://www.w3.org/2000/svg"><{CANARY}></svg>'.encode(),
    "a wrong attribute": f'<svg xmlns="http://www.w3.org/2000/svg" {CANARY}={CANARY}/>'.encode(),
    "no namespace": f'<svg xmlns="http://www.w3.org/2000/svg"><{CANARY}:a/></svg>'.encode(),
    "a doctype": f'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///{CANARY}">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>'.encode(),
    "a cut png": pictures.png(pictures.photo(64, 64))[:60] + canary("png").encode() * 9,
    "a cut jpeg": b"\xff\xd8\xff\xfe\0\x40" + canary("jpeg").encode(),
    "a gif of nothing": b"GIF89a" + canary("gif").encode() * 9,
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A server that has all of these pictures, and what it knows of each."""
    from tintype import Server

    # Whoever looks for a fault turns on everything.
    server = Server(tmp_path_factory.mktemp("privacy") / "data", RECIPE, wrapper=["env", "RUST_LOG=trace"]).start()
    server.put("plain", pictures.small_jpeg(1))
    server.wait_ready("plain")
    # The one encoder of JPEG XL at hand is the server's own: a bare codestream, or one in a box.
    made = server.get("/img/plain/original.jxl").body
    files = {**all_files(), "jxl": jxl_container(codestream(made))}
    for name, data in files.items():
        server.put(name, data)
    images = {name: server.wait_ready(name) for name in files}
    for name, data in ERRORS.items():
        server.put(name, data)
    for name in ERRORS:
        assert server.wait_settled(name)["status"] == "rejected", name
    yield server, files, images
    if server.is_running():
        assert server.stop() == 0


def codestream(jxl):
    if jxl.startswith(b"\xff\x0a"):
        return jxl
    at = 0
    while at < len(jxl):
        size = int.from_bytes(jxl[at : at + 4], "big") or len(jxl) - at
        if jxl[at + 4 : at + 8] == b"jxlc":
            return jxl[at + 8 : at + size]
        at += size
    raise AssertionError("no codestream")


def renditions(server, image, name):
    for rendition in image["published"]["renditions"]:
        extension = {"jpeg": "jpg"}.get(rendition["format"], rendition["format"])
        path = f"/img/{encode_key(name)}/{rendition['variant']}.{extension}"
        answer = server.get(path)
        assert answer.status == 200, (path, answer.status)
        yield path, extension, answer


def test_every_canary_is_in_its_source(filled):
    """The files are what they claim to be: another reader finds the fields that were planted."""
    _, files, _ = filled
    planted = {name: forms(data) for name, data in files.items()}
    assert all(planted.values())
    assert sum(len(found) for found in planted.values()) > 350
    assert exiftool_knows(files["jpeg"]) >= 20 and exiftool_knows(files["avif"]) >= 20
    assert exiftool_knows(files["png"]) >= 20 and exiftool_knows(files["jxl"]) >= 20


def exiftool_knows(data):
    found = subprocess.run(["exiftool", "-a", "-u", "-U", "-ee3", "-b", "-j", "-"], input=data, capture_output=True)
    return len(forms(found.stdout))


def test_no_rendition_carries_anything(filled, tmp_path):
    server, files, images = filled
    written = {}
    for name in files:
        for path, extension, answer in renditions(server, images[name], name):
            assert not forms(answer.body), path
            for header, value in answer.headers.items():
                assert CANARY not in value, (path, header)
            file = tmp_path / f"{len(written)}.{extension}"
            file.write_bytes(answer.body)
            written[str(file)] = path
    assert len(written) >= 13 * len(files) - 20
    command = ["exiftool", "-a", "-u", "-U", "-ee3", "-G1", "-j", "-q", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, check=True).stdout
    assert not forms(told)
    seen = set()
    for entry in json.loads(told):
        path = written[entry["SourceFile"]]
        groups = {tag.split(":")[0] for tag in entry if ":" in tag}
        allowed = STRUCTURE | PROFILE if "/small." in path else STRUCTURE
        assert groups <= allowed, (path, groups - allowed)
        assert not any("Warning" in tag or "Comment" in tag for tag in entry), (path, entry)
        seen |= groups
    assert {"File", "PNG", "RIFF"} <= seen and len(json.loads(told)) == len(written)


def test_no_rendition_says_anything_where_other_readers_do_not_look(filled, tmp_path):
    """JPEG XL packs profiles, which neither a search for bytes nor exiftool unpacks."""
    from tintype import BINARY

    server, files, images = filled
    for name in ("jpeg", "jpeg of high quality", "png", "webp", "tiff", "avif", "jxl"):
        for path, extension, answer in renditions(server, images[name], name):
            (tmp_path / f"{path.replace('/', ' ')}").write_bytes(answer.body)
    inspected = subprocess.run([BINARY, "inspect", "--json", *sorted(tmp_path.iterdir())], capture_output=True, check=True)
    assert inspected.stdout.count(b"jpeg/exact.jxl") + inspected.stdout.count(b"jpeg exact.jxl") == 1
    assert not forms(inspected.stdout) and b"kept" not in inspected.stdout


def test_answers_and_pages_tell_the_camera_and_nothing_else(filled):
    server, files, images = filled
    told = forms(json.dumps(images["jpeg"]).encode())
    assert told == KEPT, "the record tells the camera"
    paths = ["/api/v1/images", "/api/v1/stats", "/api/v1/dead", "/healthz", "/readyz", "/metrics", "/admin", "/admin/dead"]
    for name in [*files, *ERRORS]:
        key = urllib.parse.quote(name, safe="")
        paths += [f"/api/v1/image?key={key}", f"/admin/image?key={key}", f"/img/{encode_key(name)}/original"]
    for path in paths:
        answer = server.get(path, CHROME, Authorization=f"Bearer {server.token}")
        assert forms(answer.body) <= KEPT, path
        assert not any(CANARY in value for value in answer.headers.values()), path


def test_the_log_and_the_database_have_none(filled):
    server, files, _ = filled
    assert server.stop() == 0
    assert len(server.log(lines=10_000)) > 100
    assert not forms(server.log_path.read_bytes())
    # Row by row: pages of the file cut what the record tells.
    with contextlib.closing(sqlite3.connect(server.data / "tintype.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        told = set()
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    told |= forms(value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b"")
    assert told == KEPT, "records tell the camera"
    for file in server.data.rglob("*"):
        # Files of sources end in `s`.
        if file.is_file() and not file.name.startswith("tintype.db") and not file.name.endswith("s"):
            assert not forms(file.read_bytes()), file
    sources = [file for file in (server.data / "objects").rglob("*s") if file.is_file() and forms(file.read_bytes()) - KEPT]
    assert len(sources) >= len(files), "the sources are where they were looked for"


def test_inspect_tells_the_camera_and_nothing_else(filled, tmp_path):
    """The command line runs the same code, and says more of what went wrong."""
    from tintype import BINARY

    _, files, _ = filled
    for name, data in {**files, **ERRORS}.items():
        (tmp_path / name).write_bytes(data)
    out = tmp_path / "out"
    names = [tmp_path / name for name in [*files, *ERRORS]]
    inspected = subprocess.run([BINARY, "inspect", "--json", *names], capture_output=True)
    assert forms(inspected.stdout) == KEPT
    assert not forms(inspected.stderr)
    made = subprocess.run([BINARY, "transcode", *names, "--out", out, "--json"], capture_output=True)
    assert forms(made.stdout) <= KEPT and not forms(made.stderr)
    shutil.rmtree(out)
