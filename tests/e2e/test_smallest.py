"""Nobody is sent a larger file than one that they take as well and that is no worse."""

import html.parser

import pytest

import pictures
from tintype import CHROME, CURL, SAFARI_15

FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
TAKES = {
    CHROME: ["avif", "webp", "jpeg"], FIREFOX: ["avif", "webp", "jpeg"], SAFARI_15: ["webp", "jpeg"], CURL: ["jpeg"],
    "image/avif": ["avif"], "image/avif,image/webp": ["avif", "webp"],
}
EXTENSIONS = {"avif": "avif", "webp": "webp", "jpeg": "jpg"}
SOURCES = {
    "code.png": lambda: pictures.png(pictures.code(37, 8)),
    "small-code.png": lambda: pictures.png(pictures.code(21, 4)),
    "blank.png": lambda: pictures.png(pictures.Image.new("RGB", (640, 480), (250, 250, 250))),
    "chart.png": lambda: pictures.png(pictures.chart(900, 700)),
    "badge.png": lambda: pictures.png(pictures.badge(500)),
    "moving.gif": lambda: pictures.moving_code(6),
    "photo.jpg": lambda: pictures.jpeg(pictures.photo(1000, 800, seed=7)),
    "tiny-photo.jpg": lambda: pictures.jpeg(pictures.photo(60, 40, seed=8)),
}


@pytest.fixture(scope="module")
def renditions(server):
    """Key -> (variant, format) -> what its record tells, for every source."""
    s3 = server.s3()
    for key, make in SOURCES.items():
        s3.put_object(Bucket="raw", Key=key, Body=make())
    published = {key: server.wait_ready(key)["published"] for key in SOURCES}
    return {
        key: {(each["variant"], each["format"]): each for each in of["renditions"]} for key, of in published.items()
    }


def lossless(rendition):
    return rendition["is_lossless"] or rendition["format"] == "png"


def is_no_worse(other, rendition, has_alpha):
    """By the rule of docs/decisions/0014 for the default recipe, which asks the same of all formats."""
    if "frames" in rendition and "frames" not in other or has_alpha and other["format"] == "jpeg":
        return False
    return lossless(other) or not lossless(rendition)


@pytest.mark.parametrize("key", SOURCES)
def test_what_is_sent_is_the_smallest_that_is_no_worse(server, renditions, key):
    has_alpha = server.image(key)["published"]["picture"]["has_alpha"]
    for variant in ("original", "medium", "thumbnail"):
        for accept, takes in TAKES.items():
            answer = server.get(f"/img/{key}/{variant}", accept)
            assert answer.status == 200 and answer.headers["Vary"] == "Accept"
            sent = next(name for name in takes if answer.headers["Content-Type"] == f"image/{name}")
            rendition = renditions[key][variant, sent]
            assert len(answer.body) == rendition["size_bytes"]
            for other in (renditions[key][variant, name] for name in takes if name != sent):
                smaller = other["size_bytes"] < rendition["size_bytes"]
                assert not (smaller and is_no_worse(other, rendition, has_alpha)), (key, variant, accept, sent, other)
            # It is the file that a URL with its extension has.
            assert server.get(f"/img/{key}/{variant}.{EXTENSIONS[sent]}", accept).body == answer.body


def test_a_code_of_black_and_white_squares_is_exact_for_everybody_who_takes_webp(server, renditions):
    avif, webp = (renditions["code.png"]["original", name] for name in ("avif", "webp"))
    assert webp["is_lossless"] and webp["size_bytes"] < avif["size_bytes"] and "webp" in avif["stand_ins"]
    for accept in (CHROME, FIREFOX, SAFARI_15):
        answer = server.get("/img/code.png/original", accept)
        assert answer.headers["Content-Type"] == "image/webp"
        seen = pictures.decode(answer.body).convert("RGB")
        assert seen.tobytes() == pictures.code(37, 8).convert("RGB").tobytes()
    named = server.get("/img/code.png/original.avif", CHROME)
    assert named.headers["Content-Type"] == "image/avif" and len(named.body) == avif["size_bytes"]


class Sources(html.parser.HTMLParser):
    """The `srcset`s of a `<picture>`, in order, as lists of (URL, width)."""

    def __init__(self, markup):
        super().__init__()
        self.found = []
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        srcset = dict(attributes).get("srcset")
        if srcset:
            self.found.append([tuple(each.split(" ")) for each in srcset.split(", ")])


@pytest.mark.parametrize("key", SOURCES)
def test_markup_puts_no_larger_file_before_a_smaller_one_that_is_no_worse(server, renditions, key):
    has_alpha = server.image(key)["published"]["picture"]["has_alpha"]
    detail = server.api("GET", f"/image?key={key}").json()

    def rendition(url):
        variant, extension = url.rsplit("/", 1)[1].split(".")
        return renditions[key][variant, {"jpg": "jpeg"}.get(extension, extension)]

    for part in ("current", "versioned"):
        lists = Sources(detail[part]["picture"]).found
        assert lists
        for at, first in enumerate(lists):
            for later in lists[at + 1 :]:
                for url, width in first:
                    for other_url, other_width in later:
                        one, other = rendition(url), rendition(other_url)
                        smaller = other["size_bytes"] < one["size_bytes"] and width == other_width
                        assert not (smaller and is_no_worse(other, one, has_alpha)), (url, other_url)
