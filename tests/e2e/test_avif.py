"""AVIF files that another encoder made, in every kind that it makes, against that encoder's own decoder."""

import io
import json
import subprocess

import numpy
import pytest
from PIL import Image, features

import pictures
from tintype import BINARY, HANG

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")

RECIPE = """
[[variant]]
name = "original"
formats = ["png"]
"""

# Name, size, mode, options of the encoder.
KINDS = [
    ("full-444", (181, 97), "RGB", {"subsampling": "4:4:4"}),
    ("full-422", (181, 97), "RGB", {"subsampling": "4:2:2"}),
    ("full-420", (181, 97), "RGB", {"subsampling": "4:2:0"}),
    ("video-444", (180, 98), "RGB", {"subsampling": "4:4:4", "range": "limited"}),
    ("video-422", (181, 97), "RGB", {"subsampling": "4:2:2", "range": "limited"}),
    ("video-420", (181, 97), "RGB", {"subsampling": "4:2:0", "range": "limited"}),
    ("grey", (181, 97), "RGB", {"subsampling": "4:0:0"}),
    ("video-grey", (181, 97), "RGB", {"subsampling": "4:0:0", "range": "limited"}),
    ("alpha", (181, 97), "RGBA", {}),
    ("premultiplied", (181, 97), "RGBA", {"alpha_premultiplied": True}),
    ("tiles", (1300, 700), "RGB", {"tile_rows": 1, "tile_cols": 1}),
    ("dot", (1, 1), "RGB", {}),
    ("line", (1, 65), "RGB", {}),
]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The sources, and the folder with what they became."""
    folder = tmp_path_factory.mktemp("avif")
    sources = folder / "in"
    sources.mkdir()
    (folder / "recipe.toml").write_text(RECIPE)
    for name, size, mode, options in KINDS:
        picture = pictures.photo(*size)
        if mode == "RGBA":
            picture.putalpha(Image.linear_gradient("L").resize(size))
        out = io.BytesIO()
        picture.save(out, "AVIF", quality=90, **options)
        (sources / f"{name}.avif").write_bytes(out.getvalue())
    done = subprocess.run(
        [BINARY, "transcode", sources, "--out", folder / "out", "--config", folder / "recipe.toml", "--json"],
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == len(KINDS) and all(report["status"] == "processed" for report in reports), done.stdout
    return sources, folder / "out"


@pytest.mark.parametrize("name", [name for name, *_ in KINDS])
def test_pictures_come_out_as_their_encoder_sees_them(rendered, name):
    sources, out = rendered
    theirs = Image.open(sources / f"{name}.avif")
    ours = Image.open(out / f"{name}.avif" / "original.png")
    assert ours.size == theirs.size
    mode = "RGBA" if theirs.mode == "RGBA" else "RGB"
    ours, theirs = ours.convert(mode), theirs.convert(mode)
    grounds = ["black", "white"] if mode == "RGBA" else [None]
    for ground in grounds:
        seen = pictures.psnr(on(ground, ours), on(ground, theirs))
        print(f"{name}: {seen:.1f} dB")
        # Decoders round differently, by 1.
        assert seen > 45


def on(colour, image):
    if colour is None:
        return image
    ground = Image.new("RGBA", image.size, colour)
    ground.alpha_composite(image)
    return ground.convert("RGB")


# Encoded in tiles: six, six, four and, at an end in the middle of a superblock both ways, nine. Sides end everywhere in a
# block.
LARGE = [(3000, 2100), (2048, 3072), (4301, 1000), (2912, 2848)]


@pytest.mark.parametrize("size", LARGE, ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_large_picture_of_ours_has_no_seams(tmp_path, size):
    (tmp_path / "recipe.toml").write_text(RECIPE.replace('"png"', '"avif", "png"'))
    source = tmp_path / "photo.jpg"
    source.write_bytes(pictures.jpeg(pictures.photo(*size)))
    command = [BINARY, "transcode", source, "--out", tmp_path / "out", "--config", tmp_path / "recipe.toml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    seen, given = (
        numpy.asarray(Image.open(next((tmp_path / "out").rglob(f"*.{format}"))).convert("RGB"), numpy.int16)
        for format in ("avif", "png")
    )
    assert seen.shape == given.shape == (size[1], size[0], 3)
    errors = numpy.abs(seen - given).mean(axis=2)
    assert errors.mean() < 4
    for across, what in (1, "row"), (0, "column"):
        lines = errors.mean(axis=across)
        for seam in range(64, len(lines) - 64, 64):
            around = lines[seam - 64 : seam + 64].mean()
            assert lines[seam - 2 : seam + 2].mean() < 1.5 * around + 0.5, f"{what} {seam}"
