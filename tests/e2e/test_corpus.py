"""Every file of the corpus, when it is there: pictures come out right, the rest is rejected, nothing falls over.

The corpus is not part of this repository: TINTYPE_CORPUS names its folder, which has a MANIFEST.tsv.
"""

import csv
import io
import json
import pathlib
import resource
import subprocess
import warnings

import numpy
import pytest
from PIL import Image, ImageCms, ImageOps

import pictures
from motion import Motion
from tintype import BINARY, CORPUS, HANG

pytestmark = pytest.mark.skipif(not (CORPUS / "MANIFEST.tsv").exists(), reason=f"no corpus at {CORPUS}")

# Read by this release; other formats of the corpus have to be rejected cleanly.
READ = {"JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "AVIF", "HEIF", "ICO", "TIFF", "JXL", "SVG", "SVGZ"}
# Not by Pillow, which would have to compare them. The wheels that teach it HEIC bring x265, which is under the GPL: the
# tests of `tintype-transcode` compare what comes out with figures from libheif.
NOT_BY_PILLOW = {"HEIF", "JXL", "SVG", "SVGZ"}

RECIPE = """
[[variant]]
name = "medium"
width = 800
height = 600
formats = ["avif", "webp", "jpeg", "png"]
quality = { jpeg = 85 }
"""

# Lowest peak signal-to-noise ratio, in dB, of a rendition against Pillow's own decode, conversion to sRGB and Lanczos
# resize. PNG is lossless, so what is lost there is the difference of two decoders, colour engines and resizers.
# AVIF is made with quantization matrices, which give up what the eye sees least and this ratio counts in full.
BOUND = {"png": 38.0, "jpg": 27.0, "webp": 29.0, "avif": 26.5}

# Files that cannot reach these bounds, and why.
EXCEPTIONS = {
    # Saturated colours on 16x12 pixels, of which the lossy formats keep the colour of every second one.
    "bmp/libvips_small.bmp": {"jpg": 21.0, "webp": 23.0, "avif": 22.0},
    # Black and white noise: every bit of it is high frequency. Where it is resized, Lanczos overshoots everywhere, and
    # resizers clip that at different moments.
    "bmp/mono1.bmp": {"jpg": 25.0},
    "png/grey1bit.png": {"png": 25.0, "jpg": 22.0, "webp": 24.0, "avif": 24.0},
    # PQ of saturated colours, of which Pillow gives 8 bits.
    "avif/colors_hdr_rec2020.avif": {"png": 31.0, "jpg": 26.0, "webp": 26.0, "avif": 26.0},
    "tiff/g4_fax.tif": {"png": 25.0, "jpg": 24.0, "webp": 24.0, "avif": 24.0},
    # Coloured noise.
    "webp/random_lossy_animated.webp": {"jpg": 24.0},
}

# Files that Pillow shows otherwise, and why.
NOT_COMPARED = {
    # Pillow knows no cICP: it takes the profile beside it, which counts less (PNG third edition, section 13.13).
    "png/cicp_pq_bt2020.png",
}

MEMORY_LIMIT = 2 << 30


def manifest():
    with open(CORPUS / "MANIFEST.tsv", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The output of `tintype transcode` for each file, and the folder that it wrote to."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "recipe.toml").write_text(RECIPE)
    done = subprocess.run(
        [BINARY, "transcode", CORPUS, "--out", folder / "out", "--config", folder / "recipe.toml", "--json"],
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 1, done.stderr[-3000:]
    by_file = {}
    for line in done.stdout.splitlines():
        report = json.loads(line)
        by_file[str(pathlib.Path(report["input"]).relative_to(CORPUS))] = report
    return by_file, folder / "out"


def reference(path, size):
    """The pixels that a browser would show, by Pillow alone: upright, first frame, sRGB, resized. RGBA if any pixel is
    transparent, else RGB."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(path)
        image.seek(0)
        profile = image.info.get("icc_profile")
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            image = Image.fromarray((numpy.asarray(image).astype(numpy.uint32) >> 8).astype(numpy.uint8))
        if path.name in HDR:
            image = tone_mapped(image, *HDR[path.name])
        transparent = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA")
        mask = image.convert("RGBA").getchannel("A") if transparent else None
        if profile:
            image = to_srgb(image, profile)
        image = image.convert("RGB")
        if mask is not None:
            image.putalpha(mask)
    return image if image.size == size else resized(image, size)


# Pictures in PQ, which Pillow leaves as they are: the primaries that lead from theirs to sRGB's (BT.2087, EG 432-1), and
# the brightest pixel in cd/m2.
HDR = {
    "colors_hdr_rec2020.avif": (
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
        470.0,
    ),
    "immich_10bit_hdr_p3_20mp.avif": (
        [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
        712.0,
    ),
}


def tone_mapped(image, matrix, peak):
    """PQ to sRGB: the EETF of ITU-R BT.2390 on the largest component, diffuse white at 203 cd/m2 (BT.2408)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128

    def light(signal):
        power = signal ** (1 / m2)
        return 10000 * (numpy.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)

    def signal(light):
        power = (light / 10000) ** m1
        return ((c1 + c2 * power) / (1 + c3 * power)) ** m2

    colour = light(numpy.asarray(image.convert("RGB")).astype(numpy.float64) / 255)
    largest = numpy.maximum(colour.max(axis=2), 1e-6)
    top = signal(peak)
    white, level = signal(203) / top, signal(largest) / top
    knee = 1.5 * white - 0.5
    t = ((level - knee) / (1 - knee)).clip(0, 1)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * white
    mapped = light(numpy.where(level < knee, level, curve) * top)
    linear = (colour * (mapped / largest / 203)[:, :, None]) @ numpy.array(matrix).T
    linear = linear.clip(0, 1)
    encoded = numpy.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray((encoded * 255).round().astype(numpy.uint8))


def resized(image, size):
    """Lanczos in linear light, on colours multiplied with their alpha (docs/decisions/0002-resize-light.md)."""
    samples = numpy.asarray(image).astype(numpy.float32) / 255
    colour, alpha = samples[:, :, :3], samples[:, :, 3:]
    linear = numpy.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    channels = numpy.concatenate([linear * alpha, alpha] if alpha.size else [linear], axis=2)
    small = numpy.stack(
        [
            numpy.asarray(Image.fromarray(channels[:, :, channel]).resize(size, Image.Resampling.LANCZOS))
            for channel in range(channels.shape[2])
        ],
        axis=2,
    ).clip(0, 1)
    linear, alpha = small[:, :, :3], small[:, :, 3:]
    if alpha.size:
        linear = (linear / numpy.maximum(alpha, 1e-6)).clip(0, 1)
    colour = numpy.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray((numpy.concatenate([colour, alpha], axis=2) * 255).round().astype(numpy.uint8))


def to_srgb(image, profile):
    """A profile that cannot be used, or is for another colour space, counts as none."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        base = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space)
        flat = (
            image.convert("RGB")
            if image.mode in ("P", "RGBA")
            else image.convert("L")
            if image.mode in ("LA", "1")
            else image
        )
        if flat.mode != base:
            return image
        target = ImageCms.createProfile("sRGB")
        # LittleCMS compensates the black point of inks by itself in the perceptual intent; browsers do not.
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC if base == "CMYK" else ImageCms.Intent.PERCEPTUAL
        return ImageCms.profileToProfile(flat, source, target, renderingIntent=intent, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image


def compare(expected, rendition):
    """Signal-to-noise ratio in dB of a rendition's visible pixels."""
    seen = Image.open(rendition)
    if expected.mode == "RGB":
        return pictures.psnr(seen.convert("RGB"), expected)
    if seen.mode == "RGB":
        # No alpha in this format: on white.
        return pictures.psnr(seen, on("white", expected))
    # Colour where nothing is seen does not count: on black and on white.
    return min(pictures.psnr(on(colour, seen), on(colour, expected)) for colour in ("black", "white"))


def on(colour, image):
    ground = Image.new("RGBA", image.size, colour)
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")


def test_every_file_has_an_answer(reports):
    by_file, _ = reports
    assert set(manifest()) <= set(by_file)
    failed = {file: report for file, report in by_file.items() if report["status"] == "failed"}
    assert not failed


def test_pictures_come_out_and_everything_else_is_rejected_with_a_reason(reports):
    by_file, _ = reports
    wrong = []
    for file, row in manifest().items():
        report = by_file[file]
        if row["expected"] == "decode" and row["format"] in READ:
            right = report["status"] == "processed"
        elif row["expected"] in ("reject", "limit"):
            right = report["status"] == "rejected"
        else:
            right = report["status"] in ("processed", "rejected")
        if right and report["status"] == "rejected":
            right = len(report["rejection"]["detail"]) > 10
        if not right:
            wrong.append((file, row["expected"], row["exercises"], report.get("rejection") or report["status"]))
    assert not wrong, "\n".join(map(str, wrong))


def test_limits_are_told_from_damage(reports):
    """Bombs are rejected by their header, not by a decoder that was killed."""
    by_file, _ = reports
    wrong = [
        (file, by_file[file]["rejection"])
        for file, row in manifest().items()
        if row["expected"] == "limit" and by_file[file]["rejection"]["code"] == "decoder_killed"
    ]
    assert not wrong


def test_renditions_match_an_independent_decoder(reports):
    _, out = reports
    lowest = {}
    wrong = []
    for file, row in manifest().items():
        if row["expected"] != "decode" or row["format"] not in READ - NOT_BY_PILLOW or file in NOT_COMPARED:
            continue
        expected = None
        for extension, usual in BOUND.items():
            rendition = out / file / f"medium.{extension}"
            if not rendition.exists():
                wrong.append((file, extension, "missing"))
                continue
            if expected is None:
                expected = reference(CORPUS / file, Image.open(rendition).size)
            seen = compare(expected, rendition)
            bound = EXCEPTIONS.get(file, {}).get(extension, usual)
            kind = (row["format"].replace("MPO", "JPEG"), extension)
            if file not in EXCEPTIONS and seen < lowest.get(kind, (99.0, ""))[0]:
                lowest[kind] = (seen, file)
            if seen < bound:
                wrong.append((file, extension, f"{seen:.1f} dB", row["exercises"]))
    for (source, extension), (seen, file) in sorted(lowest.items()):
        print(f"lowest {source} -> {extension}: {seen:.1f} dB ({file})")
    assert not wrong, "\n".join(map(str, wrong))


def test_animations_stay_animated(reports):
    """Every frame at the moment when it is shown, in every format that can be animated."""
    _, out = reports
    wrong, seen_formats = [], set()
    for file, row in manifest().items():
        if row["expected"] != "decode" or row["format"] not in {"PNG", "GIF", "WEBP"}:
            continue
        with Image.open(CORPUS / file) as image:
            if getattr(image, "n_frames", 1) == 1:
                continue
        source = Motion(CORPUS / file)
        for extension, lowest in {"png": 30.0, "webp": 24.0, "avif": 24.0}.items():
            rendition = Motion(out / file / f"medium.{extension}")
            fewest, most = source.distinct(), len(source.frames)
            if not fewest <= len(rendition.frames) <= most:
                wrong.append((file, extension, f"{len(rendition.frames)} frames, not {fewest} to {most}"))
            if abs(rendition.total - source.total) > 1:
                wrong.append((file, extension, f"{rendition.total} ms, not {source.total}"))
            if rendition.plays not in (None, source.plays):
                wrong.append((file, extension, f"shown {rendition.plays} times, not {source.plays}"))
            for start, frame in zip(source.starts, source.frames):
                shown = rendition.at(start)
                expected = frame if frame.size == shown.size else resized(frame, shown.size)
                seen = min(
                    pictures.psnr(on(colour, shown), on(colour, expected)) for colour in ("black", "white")
                )
                if seen < lowest:
                    wrong.append((file, extension, f"{seen:.1f} dB at {start} ms"))
                    break
            seen_formats.add((row["format"], extension))
    assert len(seen_formats) == 9
    assert not wrong, "\n".join(map(str, wrong))


def test_all_eight_orientations_come_out_the_same(reports):
    _, out = reports
    upright = [pictures.decode((out / f"orientation/Landscape_{n}.jpg/medium.png").read_bytes()) for n in range(1, 9)]
    assert {image.size for image in upright} == {(600, 450)}
    for number, image in enumerate(upright[1:], 2):
        assert pictures.psnr(image.convert("RGB"), upright[0].convert("RGB")) > 22, number


def test_drawings_come_out_as_pixels_large_enough(reports):
    by_file, out = reports
    drawn = [
        file
        for file, row in manifest().items()
        if row["format"] in ("SVG", "SVGZ") and by_file[file]["status"] == "processed"
    ]
    assert len(drawn) > 12
    for file in drawn:
        image = pictures.decode((out / file / "medium.png").read_bytes())
        assert 800 in image.size or 600 in image.size, (file, image.size)


def test_metadata_is_gone(reports):
    _, out = reports
    for file in out.rglob("medium.*"):
        data = file.read_bytes()
        image = pictures.decode(data)
        assert not image.getexif(), file
        assert "xmp" not in image.info and "comment" not in image.info, file
        for secret in [b"<?php", b"http://ns.adobe.com", b"/etc/passwd", b"Google Pixel"]:
            assert secret not in data, (file, secret)


def test_no_process_used_more_memory_than_its_limit(reports):
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"peak memory of any process: {peak >> 20} MiB")
    assert peak < MEMORY_LIMIT
