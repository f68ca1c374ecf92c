"""The default recipe, written down a second time: what the tests expect of a picture."""

import pictures

# Variant -> the box that it fits in; None is full size.
VARIANTS = {"original": None, "medium": (800, 600), "thumbnail": (300, 300)}
# Extension -> media type, and what Pillow calls it.
FORMATS = {"avif": ("image/avif", "AVIF"), "webp": ("image/webp", "WEBP"), "jpg": ("image/jpeg", "JPEG")}
SHORT = "public, max-age=86400"
IMMUTABLE = "public, max-age=31536000, immutable"


def rendition_keys(key):
    """The object keys of a published source's renditions."""
    return {f"{key}/{variant}.{extension}" for variant in VARIANTS for extension in FORMATS}


def size_in(variant, width, height):
    """Width and height of a variant of a picture of this size."""
    box = VARIANTS[variant]
    if box is None or (width <= box[0] and height <= box[1]):
        return width, height
    scale = min(box[0] / width, box[1] / height)
    return round(width * scale), round(height * scale)


def assert_same_picture(seen, expected, least=26.0):
    """`seen` shows what `expected` shows, at its own size."""
    seen = seen.convert("RGB")
    expected = expected.convert("RGB").resize(seen.size, pictures.Image.Resampling.LANCZOS)
    assert pictures.psnr(seen, expected) > least


def assert_renditions(tintype, key, picture):
    """The processed bucket has every rendition of the upright picture under this key, and nothing else."""
    s3 = tintype.client("s3")
    stored = tintype.objects(tintype.processed, f"{key}/")
    assert set(stored) == rendition_keys(key)
    for variant in VARIANTS:
        for extension, (media_type, name) in FORMATS.items():
            answer = s3.get_object(Bucket=tintype.processed, Key=f"{key}/{variant}.{extension}")
            assert answer["ContentType"] == media_type, (key, variant, extension)
            assert answer["CacheControl"] == SHORT, (key, variant, extension)
            rendition = pictures.decode(answer["Body"].read())
            assert rendition.format == name
            expected = size_in(variant, *picture.size)
            assert abs(rendition.width - expected[0]) <= 1 and abs(rendition.height - expected[1]) <= 1, (
                variant,
                rendition.size,
                expected,
            )
            assert_same_picture(rendition, picture)
