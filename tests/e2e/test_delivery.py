"""From `aws s3 cp` to a picture in the format that the client takes."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

import pictures
from tintype import CHROME, CURL, HANG, QUICK_RECIPE, SAFARI_15, encode_key, wait_until

AWS = pathlib.Path(sys.executable).with_name("aws")
FORMATS = {"image/avif": "AVIF", "image/webp": "WEBP", "image/jpeg": "JPEG"}


def aws(server, *arguments):
    """The AWS CLI with nothing but what DATA/env exports, as the README says."""
    script = 'set -e; . "$1/env"; shift; exec "$@"'
    environment = {"PATH": os.environ["PATH"], "HOME": str(server.data), "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(server.data), str(AWS), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def phone_photo(server, tmp_path_factory):
    """The key of an upright 900x1200 picture that was uploaded lying on its side."""
    photo = tmp_path_factory.mktemp("photo") / "photo.jpg"
    photo.write_bytes(pictures.phone_jpeg(pictures.cornered(900, 1200)))
    aws(server, "s3", "cp", str(photo), "s3://raw/some/photo.jpg")
    server.wait_ready("some/photo.jpg")
    return "some/photo.jpg"


@pytest.mark.parametrize(
    ("accept", "media_type"), [(CHROME, "image/avif"), (SAFARI_15, "image/webp"), (CURL, "image/jpeg")]
)
def test_each_client_gets_its_format_upright_and_inside_the_box(server, phone_photo, accept, media_type):
    answer = server.get(f"/img/{phone_photo}/medium", accept)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == media_type
    image = pictures.decode(answer.body)
    assert image.format == FORMATS[media_type]
    assert image.size == (450, 600)
    pictures.assert_upright(image)
    assert not image.getexif(), "metadata must be stripped"
    assert b"Secret Camera Maker" not in answer.body
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert answer.headers["Vary"] == "Accept"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("variant", "size"), [("original", (900, 1200)), ("medium", (450, 600)), ("thumbnail", (225, 300))]
)
@pytest.mark.parametrize(("extension", "format"), [("avif", "AVIF"), ("webp", "WEBP"), ("jpg", "JPEG")])
def test_every_rendition_has_its_own_url(server, phone_photo, variant, size, extension, format):
    answer = server.get(f"/img/{phone_photo}/{variant}.{extension}", "text/html")
    assert answer.status == 200
    assert "Vary" not in answer.headers
    image = pictures.decode(answer.body)
    assert (image.format, image.size) == (format, size)
    pictures.assert_upright(image)


def test_head_tells_what_get_would_send(server, phone_photo):
    get = server.get(f"/img/{phone_photo}/thumbnail", CHROME)
    head = server.request("HEAD", f"/img/{phone_photo}/thumbnail", {"Accept": CHROME})
    assert head.status == 200
    assert head.body == b""
    for name in ["Content-Type", "Content-Length", "ETag", "Cache-Control", "Vary", "Accept-Ranges", "Last-Modified"]:
        assert head.headers[name] == get.headers[name], name
    assert int(head.headers["Content-Length"]) == len(get.body)


def test_a_known_etag_is_answered_304_without_a_body(server, phone_photo):
    path = f"/img/{phone_photo}/thumbnail"
    first = server.get(path, CHROME)
    etag = first.headers["ETag"]
    assert etag.startswith('"') and etag.endswith('"')
    again = server.request("GET", path, {"Accept": CHROME, "If-None-Match": f'"other", {etag}'})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == etag
    assert again.headers["Vary"] == "Accept"
    other_format = server.request("GET", path, {"Accept": CURL, "If-None-Match": etag})
    assert other_format.status == 200, "formats have different entity tags"
    assert other_format.headers["ETag"] != etag


def test_single_ranges_are_served(server, phone_photo):
    path = f"/img/{phone_photo}/medium.jpg"
    whole = server.get(path)
    length = len(whole.body)
    for given, start, end in [("bytes=0-9", 0, 10), ("bytes=100-", 100, length), ("bytes=-7", length - 7, length)]:
        part = server.request("GET", path, {"Range": given})
        assert part.status == 206, given
        assert part.body == whole.body[start:end]
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{length}"
    beyond = server.request("GET", path, {"Range": f"bytes={length}-"})
    assert beyond.status == 416
    assert beyond.headers["Content-Range"] == f"bytes */{length}"
    stale = server.request("GET", path, {"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (stale.status, stale.body) == (200, whole.body)


def test_the_versioned_url_is_immutable_and_an_outdated_version_is_not(server, phone_photo):
    version = server.image(phone_photo)["published"]["version"]
    named = server.get(f"/v/{phone_photo}/{version}/medium", CHROME)
    assert named.status == 200
    assert named.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    outdated = server.get(f"/v/{phone_photo}/{'0' * 32}/medium", CHROME)
    assert outdated.status == 200
    assert outdated.body == named.body
    assert outdated.headers["Cache-Control"] == "public, max-age=86400"


def test_what_is_not_there_is_404_and_what_is_no_picture_is_422(server):
    for path in ["/img/never/uploaded.jpg/medium", "/img/some/photo.jpg/gigantic", "/img/some/photo.jpg/medium.gif"]:
        answer = server.get(path, CHROME)
        assert answer.status == 404, path
        assert answer.headers["Content-Type"] == "application/problem+json"
    server.put("no-picture.jpg", b"this is not a picture")
    image = server.wait_settled("no-picture.jpg")
    assert image["status"] == "rejected"
    answer = server.get("/img/no-picture.jpg/medium", CHROME)
    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "unsupported_format"
    assert "immutable" not in answer.headers["Cache-Control"] and "86400" not in answer.headers["Cache-Control"]


def test_until_it_is_ready_a_picture_is_202(new_server):
    """All rendering processes are stopped for a while, so that the picture is seen waiting."""
    server = new_server(config=QUICK_RECIPE + "[render]\nworkers = 2\n").start()
    stopped = server.renderers()
    assert len(stopped) == 2
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    try:
        server.put("waiting.jpg", pictures.small_jpeg(1))
        answer = server.get("/img/waiting.jpg/small", CURL)
        assert answer.status == 202
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["Cache-Control"] == "no-store"
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
    statuses = []

    def arrived():
        statuses.append(server.get("/img/waiting.jpg/small", CURL).status)
        return statuses[-1] == 200

    wait_until(arrived, "waiting.jpg delivered", server.log)
    assert set(statuses) <= {202, 200}


def test_an_overwrite_changes_the_picture_and_a_delete_removes_it(server):
    key = "changing picture.jpg"
    path = f"/img/{encode_key(key)}/thumbnail"
    red, blue = (pictures.jpeg(pictures.Image.new("RGB", (400, 300), colour)) for colour in ("#c02020", "#2020c0"))
    server.wait_ready(key, server.put(key, red))
    first = server.get(path, CURL)
    r, _, b = pictures.decode(first.body).getpixel((100, 100))
    assert r > b

    etag = server.put(key, blue)

    # The old picture stays until the new one is there: there is no moment without one.
    def changed():
        answer = server.get(path, CURL)
        assert answer.status == 200
        return answer.headers["ETag"] != first.headers["ETag"] and answer

    second = wait_until(changed, "the new picture", server.log)
    r, _, b = pictures.decode(second.body).getpixel((100, 100))
    assert b > r
    assert server.wait_ready(key, etag)["status"] == "ready"

    server.s3().delete_object(Bucket="raw", Key=key)
    wait_until(lambda: server.get(path, CURL).status == 404, "the picture gone", server.log)
    assert server.image(key) is None
    for extension in ["avif", "webp", "jpg"]:
        assert server.get(f"{path}.{extension}").status == 404
    server.put(key, red)
    wait_until(lambda: server.get(path, CURL).status == 200, "the picture back", server.log)


def test_transparent_pictures_keep_their_alpha_and_jpeg_shows_white(server):
    image = pictures.Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    image.paste((0, 128, 0, 255), (100, 50, 200, 150))
    server.put("cut-out.png", pictures.png(image))
    server.wait_ready("cut-out.png")
    for accept in [CHROME, SAFARI_15]:
        seen = pictures.decode(server.get("/img/cut-out.png/thumbnail", accept).body)
        assert seen.mode == "RGBA"
        assert seen.getpixel((5, 5))[3] < 8
        assert seen.getpixel((150, 100))[3] > 247
    seen = pictures.decode(server.get("/img/cut-out.png/thumbnail", CURL).body)
    assert min(seen.getpixel((5, 5))) > 247


def test_the_api_needs_the_token_and_delivery_does_not(server, phone_photo):
    assert server.request("GET", "/api/v1/images").status == 401
    assert server.api("GET", "/images", token="wrong").status == 401
    assert server.api("GET", "/images").status == 200
    assert server.get("/healthz").status == 200
    assert server.get(f"/img/{phone_photo}/thumbnail").status == 200


def test_other_hosts_and_cross_origin_writes_are_refused(server, phone_photo):
    rebound = server.request(
        "GET", "/api/v1/images", {"Host": "evil.example", "Authorization": f"Bearer {server.token}"}
    )
    assert rebound.status in (400, 421)
    login = server.get(f"/admin/login?token={server.token}")
    assert login.status == 303, login.body
    cookie = login.headers["Set-Cookie"].split(";")[0]
    query = "key=" + encode_key(phone_photo)
    crossed = server.request(
        "POST",
        f"/api/v1/image/reprocess?{query}",
        {"Cookie": cookie, "Origin": "https://evil.example", "Content-Length": "0"},
    )
    assert crossed.status == 403


def test_pictures_that_are_small_are_not_enlarged(server):
    server.put("tiny.jpg", pictures.small_jpeg(4, 40, 30))
    server.wait_ready("tiny.jpg")
    for variant in ["original", "medium", "thumbnail"]:
        image = pictures.decode(server.get(f"/img/tiny.jpg/{variant}", CHROME).body)
        assert image.size == (40, 30)
