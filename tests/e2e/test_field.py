"""Every file of the field collection, when it is there: pictures that people's reports were about.

The collection is not part of this repository: TINTYPE_FIELD names its folder. Its MANIFEST.tsv says what each file must
do, and `refs/` has right pictures: `J03.png` for `j03_....jpg`, and `G02.0_100ms.png` for the first frame of an animation.
"""

import csv
import json
import re
import subprocess

import numpy
import pytest
from PIL import Image

import pictures
from motion import Motion
from tintype import BINARY, CHROME, FIELD, HANG

pytestmark = pytest.mark.skipif(not (FIELD / "MANIFEST.tsv").exists(), reason=f"no field collection at {FIELD}")

# Pixels without loss at their full size, and the small size that extreme shapes have to survive.
STILLS = """
[[variant]]
name = "whole"
formats = ["png"]

[[variant]]
name = "thumbnail"
width = 300
height = 300
formats = ["png"]
"""

ANIMATIONS = """
[[variant]]
name = "whole"
formats = ["png", "webp", "avif"]
quality = { webp = "lossless" }
"""

# These are about what is made of a picture, so they get the default recipe.
DRAWN = ("k01_qr_code.png", "k03_line_chart_palette.png")
HEAVY = ("cut_2mp_matte.png", "scan300.png", "scan600.png")

# Lowest peak signal-to-noise ratio in dB against the right picture. Both are decoded without loss, so what differs are
# the decoders: how chroma is spread, how colours are converted.
LOWEST = 40.0
# Files for which that is too high, and why.
LOWER = {
    # Chroma of every second pixel, spread by another rule than libjpeg's on rows that are four pixels wide in chroma.
    "j18a_65500x8.jpg": 32.0,
    # libjpeg smooths blocks of which it has the average alone.
    "j22_progressive_dc_only.jpg": 26.0,
    # 5 and 6 bits, stretched to 8 with and without rounding.
    "b04a_565_bitfields.bmp": 39.0,
    # Chroma of every second pixel, spread by another rule than libwebp's.
    "w04c_last_chunk_unpadded.webp": 37.0,
    "w05a_vp8x_trailing_junk.webp": 37.0,
    "w06b_flag_exif_without_chunk.webp": 37.0,
    "w06d_flag_alpha_without_chunk.webp": 37.0,
    "w06e_flag_icc_without_chunk.webp": 37.0,
    # The same against libheif's and libavif's rules.
    "h02_depth_refers_to_tmap_only.heic": 35.0,
    "h05_exif6_and_irot3.heic": 35.0,
    "h06c_imir0.heic": 35.0,
    "h08b_grid_mdat_irot_420.heic": 36.5,
    "h09c_heic_named_jpg.jpg": 35.0,
    "h14_iden_turned.heic": 35.0,
    "a04_10bit_odd_size.avif": 31.5,
    # The grey patch where a restart marker was lost is an interval longer than libjpeg's.
    "j24_restart_marker_missing.jpg": 31.0,
    # Light of a high dynamic range, brought down and back.
    "h20_pq_bt2020_10bit.heic": 34.0,
}

CLEAN = {"unsupported_format", "corrupt_image", "too_many_pixels", "too_many_bytes", "too_many_frames"}
TOKEN = b"SECRET-4711-TOKEN"


def manifest():
    if not (FIELD / "MANIFEST.tsv").exists():
        return []
    with open(FIELD / "MANIFEST.tsv", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def parameters(kind):
    """The rows whose expectation begins with `kind`; those of large pictures have a test of their own."""
    rows = [row for row in manifest() if row["file"] not in HEAVY]
    return [
        pytest.param(row, id=row["file"])
        for row in rows
        if re.split("[: ]", row["expected"])[0] == kind
    ]


def transcode(folder, recipe, files):
    """The output of `tintype transcode` for each file, and the folder that it writes to."""
    (folder / "recipe.toml").write_text(recipe)
    done = subprocess.run(
        [
            BINARY,
            "transcode",
            *(FIELD / file for file in files),
            "--out",
            folder / "out",
            "--config",
            folder / "recipe.toml",
            "--json",
        ],
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode in (0, 1), done.stderr[-3000:]
    reports = {}
    for line in done.stdout.splitlines():
        report = json.loads(line)
        reports[report["input"].rsplit("/", 1)[1]] = report
    assert set(reports) == set(files), done.stderr[-3000:]
    return reports, folder / "out"


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    files = [row["file"] for row in manifest() if row["file"] not in HEAVY]
    return transcode(tmp_path_factory.mktemp("stills"), STILLS, files)


@pytest.fixture(scope="module")
def animations(tmp_path_factory):
    files = [row["file"] for row in manifest() if row["expected"].startswith("animate")]
    return transcode(tmp_path_factory.mktemp("animations"), ANIMATIONS, files)


def right_pictures(file):
    """The pictures that the file shows, in order; none where only its kind of outcome is known."""
    name = file.split("_")[0]
    name = name[0].upper() + name[1:]
    found = [*(FIELD / "refs").glob(f"{name}.png"), *(FIELD / "refs").glob(f"{name}.*_*ms.png")]
    return sorted(found, key=lambda path: int((re.findall(r"\.(\d+)_", path.name) or [0])[0]))


def seen(image, right):
    """The signal-to-noise ratio of what can be seen, in dB: colour where nothing is seen does not count."""
    assert image.size == right.size
    return min(pictures.psnr(on(colour, image), on(colour, right)) for colour in ("black", "white"))


def on(colour, image):
    ground = Image.new("RGBA", image.size, colour)
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


def check_pixels(file, out):
    for path in right_pictures(file):
        image, right = pictures.decode((out / file / "whole.png").read_bytes()), Image.open(path)
        if file.endswith(".svg") and image.size != right.size:
            # A drawing may be drawn at any size.
            assert image.width * right.height == image.height * right.width
            image = image.resize(right.size, Image.Resampling.BOX)
        ratio = seen(image, right)
        assert ratio >= LOWER.get(file, LOWEST), f"{ratio:.1f} dB"


def check_rejection(report):
    assert report["status"] == "rejected", report
    assert report["rejection"]["code"] in CLEAN, report
    assert len(report["rejection"]["detail"]) > 10, report


@pytest.mark.parametrize("row", parameters("decode"))
def test_a_picture_is_shown_right(row, stills):
    file = row["file"]
    reports, out = stills
    if "or a refusal" in row["expected"] and reports[file]["status"] == "rejected":
        check_rejection(reports[file])
        return
    assert reports[file]["status"] == "processed", reports[file]
    check_pixels(file, out)


@pytest.mark.parametrize("row", parameters("decode-or-clean-error"))
def test_a_picture_is_shown_right_or_refused_with_a_reason(row, stills):
    reports, out = stills
    if reports[row["file"]]["status"] == "processed":
        check_pixels(row["file"], out)
    else:
        check_rejection(reports[row["file"]])


@pytest.mark.parametrize("row", parameters("reject"))
def test_what_is_not_read_is_refused_as_unsupported(row, stills):
    report = stills[0][row["file"]]
    check_rejection(report)
    assert report["rejection"]["code"] == "unsupported_format", report


@pytest.mark.parametrize("row", parameters("animate"))
def test_an_animation_is_shown_right(row, animations):
    reports, out = animations
    file = row["file"]
    assert reports[file]["status"] == "processed", reports[file]
    frames, total, plays = re.search(r"(\d+) frames, (\d+) ms, plays (without end|\d+)", row["expected"]).groups()
    plays = 0 if plays == "without end" else int(plays)
    assert reports[file]["image"]["frames"] == int(frames)
    right = right_pictures(file)
    assert len(right) == int(frames)
    for extension in ("png", "webp", "avif"):
        rendition = Motion(out / file / f"whole.{extension}")
        assert rendition.total == int(total), extension
        assert rendition.plays in (None, plays), extension
        start = 0
        for path in right:
            ratio = seen(rendition.at(start), Image.open(path))
            # AVIF has losses; the others have none.
            assert ratio >= (24.0 if extension == "avif" else LOWEST), f"{extension} at {start} ms: {ratio:.1f} dB"
            start += int(re.search(r"_(\d+)ms", path.name)[1])


@pytest.mark.parametrize("file", HEAVY)
def test_what_is_large_is_read(file, tmp_path):
    reports, _ = transcode(tmp_path, "", [file])
    assert reports[file]["status"] == "processed", reports[file]


@pytest.mark.parametrize("file", DRAWN)
def test_a_browser_gets_no_larger_file_of_a_drawing_than_webp(file, new_server):
    server = new_server().start()
    server.put(file, (FIELD / file).read_bytes())
    server.wait_ready(file)
    for variant in ("original", "medium", "thumbnail"):
        chosen = server.get(f"/img/{file}/{variant}", CHROME)
        webp = server.get(f"/img/{file}/{variant}.webp")
        assert (chosen.status, webp.status) == (200, 200)
        assert len(chosen.body) <= len(webp.body), variant
    assert server.stop() == 0


def test_the_narrowest_picture_keeps_its_shape(stills):
    _, out = stills
    small = pictures.decode((out / "j18a_65500x8.jpg/thumbnail.png").read_bytes())
    assert small.size == (300, 1)


def test_no_rendition_tells_what_was_written_beside_the_pixels(stills, animations):
    told = [path for _, out in (stills, animations) for path in out.rglob("*.*") if path.is_file()]
    assert len(told) > 100
    assert not [path for path in told if TOKEN in path.read_bytes()]
