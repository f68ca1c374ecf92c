"""Pictures that are programs as well, and programs that say to be pictures: in what is made of them, and in a browser."""

import http.server
import io
import struct
import threading
import zipfile

import pytest
from PIL import Image

import pictures
from carriers import EVERY_ENCODER, jpeg_with, png_chunk, png_with, riff_chunk, segment
from tintype import CHROME, encode_key, wait_until
from webdriver import Browser

# Sets a mark that everything on the origin can see, and one that only the page itself has.
SCRIPT = "document.cookie='ran=1;path=/';document.title='ran';fetch('/healthz?ran')"
PAGE = f"<html><head><script>{SCRIPT}</script></head><body onload=\"{SCRIPT}\"><h1>page</h1></body></html>".encode()
PHP = b"<?php system($_GET['c']); ?>"

# Beginnings of other kinds of file, and words of programs.
FOREIGN = [b"<script", b"<html", b"<body", b"<svg", b"<?php", b"system(", b"%PDF", b"PK\3\4", b"PK\5\6", b"#!/bin", b"MZ\x90", b"\x7fELF", b"javascript:", b"fetch("]

MAGIC = {
    "jpg": b"\xff\xd8\xff",
    "png": b"\x89PNG\r\n\x1a\n",
    "webp": b"RIFF",
    "avif": b"\0\0\0",
    "jxl": b"\xff\x0a",
}


def archive():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("run.sh", b"#!/bin/sh\n" + PHP)
    return packed.getvalue()


def pdf():
    return b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def gif_script():
    """A GIF that is a script where it is taken for one: its comment begins a string, and its end leaves it."""
    data = io.BytesIO()
    pictures.code(24, 6, 1).convert("P").save(data, "GIF")
    data = data.getvalue()
    size = 13 + 3 * (2 << (data[10] & 7)) if data[10] & 0x80 else 13
    comment = b"*/=1;" + SCRIPT.encode() + b"/*"
    return b"GIF89a" + data[6:size] + b"!\xfe" + bytes([len(comment)]) + comment + b"\0" + data[size:] + b"*/;" + SCRIPT.encode()


def polyglots():
    photo = pictures.photo(160, 120, 11)
    png, jpeg = pictures.png(photo), pictures.jpeg(photo, 60)
    webp, gif, bmp, tiff, avif = (io.BytesIO() for _ in range(5))
    photo.save(webp, "WEBP")
    photo.convert("P").save(gif, "GIF")
    photo.save(bmp, "BMP")
    photo.save(tiff, "TIFF")
    photo.save(avif, "AVIF")
    made_webp = webp.getvalue() + riff_chunk(b"HTML", PAGE)
    made = {
        "gif and script": gif_script(),
        "gif and archive": gif.getvalue() + archive(),
        "gif and page": gif.getvalue()[:-1] + b"!\xfe" + bytes([len(PAGE[:255])]) + PAGE[:255] + b"\0;" + PAGE,
        "jpeg and page": jpeg_with([(0xFE, PAGE)], photo) + PAGE,
        "jpeg and php": jpeg_with([(0xFE, PHP), (0xE1, b"Exif\0\0" + PHP)], photo) + PHP,
        "jpeg and pdf": jpeg_with([(0xFE, pdf())], photo) + pdf(),
        "jpeg and archive": jpeg + archive(),
        "jpeg and program": jpeg[:2] + segment(0xEF, b"\x7fELF" + b"MZ\x90" + b"#!/bin/sh") + jpeg[2:],
        "png and php": png_with(png, png_chunk(b"tEXt", b"Comment\0" + PHP) + png_chunk(b"phPx", PHP)) + PHP,
        "png and archive": png + archive(),
        "png and pdf": png_with(png, png_chunk(b"pdFx", pdf())) + pdf(),
        "png and page": png_with(png, png_chunk(b"tEXt", b"a\0" + PAGE)) + PAGE,
        "webp and page": b"RIFF" + struct.pack("<I", len(made_webp) - 8) + made_webp[8:] + PAGE,
        "bmp and page": bmp.getvalue() + PAGE + archive(),
        "tiff and page": tiff.getvalue() + PAGE + archive(),
        "avif and page": avif.getvalue() + struct.pack(">I", len(PAGE) + 8) + b"free" + PAGE,
        "drawing and page": DRAWING,
    }
    return made


DRAWING = f"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="160" height="120" onload="{SCRIPT}">
<script>{SCRIPT}</script><script href="http://127.0.0.1:1/a.js"/>
<foreignObject width="160" height="120"><body xmlns="http://www.w3.org/1999/xhtml"><script>{SCRIPT}</script>
<iframe src="javascript:{SCRIPT}"/></body></foreignObject>
<image href="http://127.0.0.1:1/a.png" width="9" height="9"/><image href="file:///etc/passwd" width="9" height="9"/>
<use xlink:href="http://127.0.0.1:1/a.svg#a"/><a href="javascript:{SCRIPT}"><rect width="90" height="80" fill="#264"/></a>
<style>@import url(http://127.0.0.1:1/a.css); rect {{ background: url(javascript:0) }}</style>
<animate attributeName="href" values="javascript:0"/></svg>""".encode()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    from tintype import Server

    server = Server(tmp_path_factory.mktemp("active") / "data", EVERY_ENCODER).start()
    for name, data in polyglots().items():
        server.put(name, data)
    yield server
    assert server.stop() == 0


@pytest.mark.parametrize("name", polyglots())
def test_renditions_hold_nothing_of_another_kind_of_file(served, name):
    source = polyglots()[name]
    assert any(word in source for word in FOREIGN)
    image = served.wait_ready(name)
    for rendition in image["published"]["renditions"]:
        extension = {"jpeg": "jpg"}.get(rendition["format"], rendition["format"])
        answer = served.get(f"/img/{encode_key(name)}/{rendition['variant']}.{extension}")
        assert answer.status == 200
        assert answer.body.startswith(MAGIC[extension])
        assert answer.headers["Content-Type"] == f"image/{rendition['format']}"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        for word in FOREIGN:
            assert word not in answer.body, (rendition, word)
        # One whole file, without anything behind it.
        assert answer.body.endswith({"jpg": b"\xff\xd9", "png": b"IEND\xaeB`\x82"}.get(extension, b""))
        if extension == "webp":
            assert struct.unpack("<I", answer.body[4:8])[0] + 8 == len(answer.body)


@pytest.mark.parametrize(
    "name, data",
    [
        ("page", PAGE),
        ("page that says to be a png", b"\x89PNG" + PAGE),
        ("pdf", pdf()),
        ("archive", archive()),
        ("script", SCRIPT.encode()),
        ("php", PHP),
        ("page in a comment", b"<!-- " + pictures.png(Image.new("RGB", (9, 9))) + b" -->" + PAGE),
        ("page as xhtml", b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">' + PAGE + b"</html>"),
        ("drawing in a page", b"<html>" + DRAWING + b"</html>"),
        ("gif without a picture", b"GIF89a/*" + SCRIPT.encode() + b"*/;" + SCRIPT.encode()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_picture_has_no_rendition(served, name, data):
    served.put(name, data, ContentType="image/png")
    assert served.wait_settled(name)["status"] == "rejected"
    answer = served.get(f"/img/{encode_key(name)}/original", CHROME)
    assert answer.status == 422
    assert not any(word in answer.body for word in FOREIGN)


# ---- In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser") / "profile")
    yield browser
    browser.close()


@pytest.fixture
def elsewhere():
    """A page of another origin; what it shows is set by the test."""

    class Page(http.server.BaseHTTPRequestHandler):
        html = ""

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(type(self).html.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(html):
        Page.html = html
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield serve
    server.shutdown()


TYPES = {
    "page": ("text/html", PAGE),
    "xhtml": ("application/xhtml+xml", b'<html xmlns="http://www.w3.org/1999/xhtml"><head><script>' + SCRIPT.encode() + b"</script></head></html>"),
    "svg": ("image/svg+xml", DRAWING),
    "xml": ("text/xml", b'<x:script xmlns:x="http://www.w3.org/1999/xhtml">' + SCRIPT.encode() + b"</x:script>"),
    "text": ("text/plain", PAGE),
    "no type": ("", PAGE),
    "picture": ("image/png", PAGE),
    "mhtml": ("multipart/related", PAGE),
}


def presigned(server, key, **parameters):
    return server.s3().generate_presigned_url("get_object", {"Bucket": "raw", "Key": key, **parameters})


def has_run(browser, server):
    """Whether a script of an upload has run: it leaves a cookie and a request behind."""
    browser.open(server.url + "/healthz")
    return "ran" in browser.cookies()


@pytest.mark.parametrize("kind", TYPES)
def test_an_uploaded_page_is_not_shown_from_this_origin(browser, served, kind):
    media_type, data = TYPES[kind]
    # Whoever uploads would have it shown.
    options = {"ContentType": media_type} if media_type else {}
    served.put(f"{kind}.bin", data, ContentDisposition="inline", **options)
    browser.open(served.url + "/healthz")
    before = browser.url
    try:
        browser.open(presigned(served, f"{kind}.bin"))
    except AssertionError as refused:
        # A navigation that becomes a download is aborted.
        assert "ERR_ABORTED" in str(refused), refused
    assert browser.url == before, "it was saved, not shown"
    assert not has_run(browser, served)


@pytest.mark.parametrize("kind", TYPES)
def test_a_page_that_a_signer_has_shown_does_nothing(browser, served, kind):
    media_type, data = TYPES[kind]
    served.put(f"{kind}.bin", data, **({"ContentType": media_type} if media_type else {}))
    url = presigned(served, f"{kind}.bin", ResponseContentDisposition="inline")
    try:
        browser.open(url)
        assert browser.run("return window.origin") == "null" or browser.url != url
        assert browser.run("return document.title") != "ran"
    except AssertionError as refused:
        # Of types that no browser shows.
        assert "ERR_ABORTED" in str(refused), refused
    assert not has_run(browser, served)


def test_the_same_page_runs_where_nothing_keeps_it(browser, elsewhere):
    """The tests above can fail: from an origin without these headers the script runs."""
    browser.open(elsewhere(PAGE.decode()))
    wait_until(lambda: browser.run("return document.title") == "ran", "it runs")


def test_uploads_and_renditions_are_no_scripts_or_styles_for_others(browser, served, elsewhere):
    """A rendition of a file that is a picture and a script is loaded as a picture, and never as a script."""
    served.put("script.gif", gif_script(), ContentType="image/gif")
    served.wait_ready("script.gif")
    sources = [f"{served.url}/img/script.gif/original.{extension}" for extension in MAGIC]
    sources.append(presigned(served, "script.gif"))
    marks = "".join(
        f'<script src="{url}" onload="loaded.push(1)" onerror="failed.push(1)"></script>' for url in sources
    ).replace("&", "&amp;")
    page = elsewhere(f"<title>still</title><script>loaded=[];failed=[]</script>{marks}<img src='{sources[2]}'>")
    browser.open(page)
    wait_until(lambda: browser.run("return loaded.length + failed.length") == len(sources), "all were tried")
    assert browser.run("return [loaded.length, document.title]") == [0, "still"]
    wait_until(lambda: browser.run("return document.images[0].naturalWidth") > 0, "the picture is shown")


def test_every_answer_forbids_sniffing_and_scripts(served):
    served.put("page.html", PAGE, ContentType="text/html")
    token = {"Authorization": f"Bearer {served.token}"}
    paths = [
        "/", "/healthz", "/readyz", "/nothing", "/img/nothing/original", "/img/gif%20and%20script/original", "/img/..%2f/x",
        "/v/gif%20and%20script/0/original", "/admin", "/admin/login", "/admin/nothing", "/metrics", "/api/v1/stats",
        "/api/v1/images", "/api/v1/nothing", "/raw", "/raw/page.html", "/raw/nothing", "/raw?list-type=2",
        presigned(served, "page.html").removeprefix(served.url), presigned(served, "nothing").removeprefix(served.url),
    ]  # fmt: skip
    for path in paths:
        for method in ("GET", "HEAD", "POST", "OPTIONS", "BREW"):
            for headers in ({}, token):
                answer = served.request(method, path, headers)
                where = (method, path, answer.status)
                assert answer.headers["X-Content-Type-Options"] == "nosniff", where
                policy = answer.headers["Content-Security-Policy"] or ""
                assert "default-src 'none'" in policy, (where, policy)
                assert "unsafe" not in policy and "script-src *" not in policy, (where, policy)
