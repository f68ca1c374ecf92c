"""Pictures that the tests upload, and what can be told about the ones that come back."""

import io

import numpy
from PIL import Image, ImageChops, ImageDraw, ImageFilter

# Corners of the upright picture: top left, top right, bottom left, bottom right.
CORNERS = {
    "top left": (220, 30, 30),
    "top right": (30, 180, 40),
    "bottom left": (30, 60, 220),
    "bottom right": (235, 210, 40),
}


def photo(width, height, seed=1):
    """Smooth shapes, edges and noise: compresses like a photograph."""
    random = numpy.random.default_rng(seed)
    picture = numpy.zeros((height, width, 3), numpy.float32)
    cells = 3
    weight = 0.5
    while cells < max(width, height) / 2:
        lattice = random.random((cells + 1, cells + 1, 3), numpy.float32) * 255
        layer = [
            Image.fromarray(lattice[:, :, channel]).resize((width, height), Image.Resampling.BICUBIC)
            for channel in range(3)
        ]
        picture += weight * (numpy.stack(layer, axis=2) - 127.5)
        weight *= 0.6
        cells *= 2
    rows, columns = numpy.mgrid[0:height, 0:width].astype(numpy.float32)
    for _ in range(6):
        x, y = random.random(2) * (width, height)
        radius = (0.05 + 0.15 * random.random()) * min(width, height)
        disc = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
        picture[disc] += random.random(3, numpy.float32) * 120 - 60
    picture += random.normal(0, 2.5, (height, width, 1)).astype(numpy.float32)
    return Image.fromarray(numpy.clip(picture + 127.5, 0, 255).astype(numpy.uint8))


def code(modules, scale, seed=5):
    """Black and white squares without order, as in a QR code."""
    random = numpy.random.default_rng(seed)
    squares = random.integers(0, 2, (modules, modules), dtype=numpy.uint8) * 255
    return Image.fromarray(squares).resize((modules * scale, modules * scale), Image.Resampling.NEAREST)


def chart(width, height, seed=6):
    """Bars, a grid and a line on white."""
    random = numpy.random.default_rng(seed)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for y in range(0, height, height // 10):
        draw.line([(0, y), (width, y)], fill=(200, 200, 200))
    step = width // 12
    tops = [int(top) for top in random.integers(height // 10, height * 9 // 10, 12)]
    for number, top in enumerate(tops):
        colour = [(40, 90, 200), (220, 60, 60), (30, 150, 80)][number % 3]
        draw.rectangle([number * step + 8, top, number * step + step - 8, height], fill=colour)
    draw.line([(number * step + step // 2, top - 20) for number, top in enumerate(tops)], fill="black", width=3)
    return image


def badge(size):
    """Rings of flat colour around nothing: transparent outside."""
    image = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    for inset, colour in ((10, (200, 30, 60, 255)), (60, (255, 255, 255, 255)), (90, (30, 60, 160, 160))):
        draw.ellipse([inset, inset, size - inset, size - inset], fill=colour)
    return image


def moving_code(frames):
    """A GIF of codes that follow each other."""
    first, *others = (code(24, 6, seed).convert("P") for seed in range(frames))
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=others, duration=100, loop=0)
    return out.getvalue()


def jpeg(image, quality=90, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, **options)
    return out.getvalue()


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def small_jpeg(seed, width=96, height=72):
    """A picture of its own for every seed, a few kilobytes."""
    random = numpy.random.default_rng(seed)
    lattice = random.integers(0, 256, (6, 8, 3), dtype=numpy.uint8)
    return jpeg(Image.fromarray(lattice).resize((width, height), Image.Resampling.BICUBIC))


def cornered(width, height):
    """Four corners that can be told apart, on a photograph of something rough, of which AVIF is smaller than WebP."""
    grain = numpy.random.default_rng(3).integers(0, 256, (height, width), dtype=numpy.uint8)
    grain = Image.fromarray(grain).filter(ImageFilter.GaussianBlur(1)).convert("RGB")
    image = ImageChops.add(photo(width, height, seed=7), grain, offset=-128)
    w, h = width // 4, height // 4
    places = [(0, 0), (width - w, 0), (0, height - h), (width - w, height - h)]
    for colour, place in zip(CORNERS.values(), places):
        image.paste(colour, (*place, place[0] + w, place[1] + h))
    return image


def phone_jpeg(upright):
    """A picture as phones write it: turned left, with EXIF orientation 6."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Secret Camera Maker"
    return jpeg(upright.transpose(Image.Transpose.ROTATE_90), exif=exif)


def decode(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def assert_upright(image):
    """Every corner shows its own colour."""
    rgb = image.convert("RGB")
    width, height = rgb.size
    places = [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)]
    for (name, expected), (x, y) in zip(CORNERS.items(), places):
        seen = rgb.getpixel((int(x * width), int(y * height)))
        assert max(abs(a - b) for a, b in zip(seen, expected)) < 40, f"{name} is {seen}, not {expected}"


def psnr(a, b):
    """Peak signal-to-noise ratio of two pictures of 8 bits, in dB."""
    difference = numpy.asarray(a, numpy.float64) - numpy.asarray(b, numpy.float64)
    error = numpy.mean(difference**2)
    return 99.0 if error == 0 else 10 * numpy.log10(255**2 / error)
