"""The colours of animations as Chromium shows them: it takes the planes of every AVIF sequence for limited range."""

import base64
import itertools
import subprocess

import pytest
from PIL import Image

from tintype import BINARY, HANG, wait_until
from webdriver import Browser

COLORS = [(220, 30, 30), (30, 30, 220), (40, 200, 60), (128, 128, 128), (255, 255, 255), (0, 0, 0)]
WIDTH = 24
RECIPE = """
[[variant]]
name = "original"
formats = ["avif", "webp", "png"]
"""
# Draws the picture, and writes the pixels in the middle of its bars where they can be read.
PAGE = """<img src="data:image/{format};base64,{data}"><p></p><script>
const image = document.querySelector("img");
image.decode().then(() => {{
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = [];
  for (let x = {width} / 2; x < canvas.width; x += {width}) pixels.push(...context.getImageData(x, 8, 1, 1).data);
  document.querySelector("p").textContent = pixels.join(" ");
}});
</script>"""


def bars(first, alpha):
    """Upright bars, one of each colour, from that one on."""
    mode = "RGB" if alpha is None else "RGBA"
    picture = Image.new(mode, (WIDTH * len(COLORS), 16))
    for place, color in enumerate(COLORS[first:] + COLORS[:first]):
        filled = color if alpha is None else (*color, alpha)
        picture.paste(filled, (place * WIDTH, 0, (place + 1) * WIDTH, 16))
    return picture


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser") / "profile")
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("motion")
    sources = folder / "in"
    sources.mkdir()
    (folder / "recipe.toml").write_text(RECIPE)
    for name, alpha in [("opaque.gif", None), ("opaque.png", None), ("cut-out.png", 128)]:
        first, *others = [bars(number, alpha) for number in (0, 1, 2)]
        first.save(sources / name, save_all=True, append_images=others, duration=100, loop=0)
    bars(0, None).save(sources / "still.png")
    command = [BINARY, "transcode", sources, "--out", folder / "out", "--config", folder / "recipe.toml"]
    subprocess.run(command, check=True, timeout=HANG)
    return folder / "out"


@pytest.mark.parametrize("name", ["opaque.gif", "opaque.png", "cut-out.png", "still.png"])
@pytest.mark.parametrize("kind", ["avif", "webp", "png"])
def test_colours_are_those_of_the_source(browser, rendered, tmp_path, name, kind):
    (file,) = (rendered / name).glob(f"*.{kind}")
    if kind == "avif":
        brand = b"avif" if name == "still.png" else b"avis"
        assert file.read_bytes()[8:12] == brand
    page = tmp_path / "page.html"
    data = base64.b64encode(file.read_bytes()).decode()
    page.write_text(PAGE.format(format=kind, data=data, width=WIDTH))
    browser.open(page.as_uri())
    wait_until(lambda: browser.text("p"), f"{name} as {kind} is drawn")
    seen = [int(value) for value in browser.text("p").split()]
    alpha = 128 if name == "cut-out.png" else 255
    expected = list(itertools.chain.from_iterable((*color, alpha) for color in COLORS))
    assert len(seen) == len(expected)
    # A canvas holds colours multiplied with alpha, which costs a level or two of those that are half transparent.
    allowed = 3 if alpha == 255 else 5
    far = [(one, other) for one, other in zip(seen, expected) if abs(one - other) > allowed]
    assert not far, f"{name} as {kind}: {seen}"
