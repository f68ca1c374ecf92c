"""Delivery through CloudFront: browsers get a format that they take, with the right time to keep it."""

import pytest

import deployment
import pictures
from deployment import CHROME, CURL, MISSING, SAFARI_15
from recipe import IMMUTABLE, SHORT, assert_same_picture, rendition_keys, size_in

KEY = "delivery/some photo.jpg"
PATH = f"/img/{deployment.encode_key(KEY)}"


@pytest.fixture(scope="module")
def picture(tintype):
    picture = pictures.photo(1000, 800, seed=31)
    tintype.put(KEY, pictures.jpeg(picture))
    tintype.wait_ready(KEY)
    return picture


@pytest.fixture(scope="module")
def version(tintype, picture):
    return tintype.image(KEY)["published"]["version"]


@pytest.mark.parametrize(
    "accept, media_type",
    [(CHROME, "image/avif"), (SAFARI_15, "image/webp"), (CURL, "image/jpeg"), (None, "image/jpeg")],
)
def test_each_browser_gets_the_best_format_that_it_takes(tintype, picture, accept, media_type):
    answer = tintype.get(f"{PATH}/medium", accept)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Cache-Control"] == SHORT
    assert "Accept" in answer.headers["Vary"]
    seen = pictures.decode(answer.body)
    assert seen.size == size_in("medium", *picture.size)
    assert_same_picture(seen, picture)


def test_a_path_that_names_a_format_gets_it_whatever_is_accepted(tintype, picture):
    for extension, media_type in (("avif", "image/avif"), ("webp", "image/webp"), ("jpg", "image/jpeg")):
        answer = tintype.get(f"{PATH}/thumbnail.{extension}", SAFARI_15)
        assert (answer.status, answer.headers["Content-Type"]) == (200, media_type)


def test_head_says_what_get_says_without_the_bytes(tintype, picture):
    get = tintype.get(f"{PATH}/medium", CHROME)
    head = tintype.get(f"{PATH}/medium", CHROME, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control"):
        assert head.headers[name] == get.headers[name], name


def test_a_range_is_206_and_exactly_those_bytes(tintype, picture):
    whole = tintype.get(f"{PATH}/medium.jpg").body
    part = tintype.get(f"{PATH}/medium.jpg", Range="bytes=100-299")
    assert part.status == 206
    assert part.body == whole[100:300]
    assert part.headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    assert part.headers["Cache-Control"] == SHORT


def test_a_browser_that_has_it_gets_304(tintype, picture):
    answer = tintype.get(f"{PATH}/medium.jpg")
    again = tintype.get(f"{PATH}/medium.jpg", If_None_Match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


def test_a_versioned_path_may_be_kept_for_ever(tintype, picture, version):
    path = f"/v/{deployment.encode_key(KEY)}/{version}/medium"
    answer = tintype.get(path, CHROME)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/avif")
    assert answer.headers["Cache-Control"] == IMMUTABLE
    part = tintype.get(path, CHROME, Range="bytes=0-9")
    assert (part.status, part.headers["Cache-Control"]) == (206, IMMUTABLE)
    again = tintype.get(path, CHROME, If_None_Match=answer.headers["ETag"])
    assert (again.status, again.headers["Cache-Control"]) == (304, IMMUTABLE)


@pytest.fixture(scope="module")
def drawing(tintype):
    """The key of a drawing whose WebP is smaller than its AVIF and no worse."""
    key = "delivery/some code.png"
    tintype.put(key, pictures.png(pictures.code(37, 8)))
    image = tintype.wait_ready(key)
    renditions = {(each["variant"], each["format"]): each for each in image["published"]["renditions"]}
    assert "webp" in renditions["original", "avif"]["stand_ins"]
    return key, image["published"]["version"]


def test_a_smaller_file_that_is_no_worse_goes_to_everybody_who_takes_it(tintype, drawing):
    key, version = drawing
    encoded = deployment.encode_key(key)
    for path, policy in ((f"/img/{encoded}/original", SHORT), (f"/v/{encoded}/{version}/original", IMMUTABLE)):
        for method in ("GET", "HEAD"):
            answer = tintype.get(path, CHROME, method=method)
            assert (answer.status, answer.body) == (302, b""), answer
            assert answer.headers["Location"] == f"{path}.webp"
            assert answer.headers["Cache-Control"] == policy and "Accept" in answer.headers["Vary"]
            assert answer.headers["ETag"] is None and answer.headers["Content-Type"] is None
        sent = tintype.get(answer.headers["Location"], CHROME)
        assert (sent.status, sent.headers["Content-Type"]) == (200, "image/webp")
        assert sent.headers["Cache-Control"] == policy
        assert pictures.decode(sent.body).convert("L").tobytes() == pictures.code(37, 8).tobytes()
        named = tintype.get(f"{path}.avif", CHROME)
        assert (named.status, named.headers["Content-Type"]) == (200, "image/avif")
        assert len(sent.body) < len(named.body)
        # A client that prefers WebP gets it at once, and one that takes AVIF alone gets AVIF.
        for accept, media_type in ((SAFARI_15, "image/webp"), ("image/avif", "image/avif")):
            answer = tintype.get(path, accept)
            assert (answer.status, answer.headers["Content-Type"]) == (200, media_type)


def test_a_query_sends_nobody_anywhere(tintype, drawing):
    encoded = deployment.encode_key(drawing[0])
    query = "?path=//evil.example/x&takes=webp"
    assert tintype.get(f"/img/{encoded}/original.avif{query}", CHROME).status == 200
    assert tintype.get(f"/img/{encoded}/original{query}", CHROME).headers["Location"] == f"/img/{encoded}/original.webp"


def test_ranges_and_what_a_browser_holds_are_not_redirected(tintype, drawing):
    path = f"/img/{deployment.encode_key(drawing[0])}/original"
    held = tintype.get(f"{path}.avif", CHROME)
    part = tintype.get(path, CHROME, Range="bytes=0-9", If_Range=held.headers["ETag"])
    assert (part.status, part.body) == (206, held.body[:10])
    assert tintype.get(path, CHROME, If_None_Match=held.headers["ETag"]).status == 304


def test_an_object_lists_its_stand_ins_and_no_other_object_is_there(tintype, drawing):
    key, _ = drawing
    found = tintype.client("s3").head_object(Bucket=tintype.processed, Key=f"{key}/original.avif")
    assert "webp" in found["Metadata"]["tintype-stand-ins"].split(",")
    assert found["ContentType"] == "image/avif"
    assert set(tintype.objects(tintype.processed, f"{key}/")) == rendition_keys(key)


def test_an_error_is_never_kept(tintype, picture, version):
    missing = f"/v/delivery/nothing.jpg/{version}/medium"
    for path in ("/img/delivery/nothing.jpg/medium", missing):
        answer = tintype.get(path, CHROME)
        assert answer.status in MISSING, (path, answer.status, answer.body)
        assert "immutable" not in (answer.headers["Cache-Control"] or "")
        assert "max-age=86400" not in (answer.headers["Cache-Control"] or "")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/index.html",
        "/img",
        "/img/",
        f"{PATH}/huge",
        f"{PATH}/medium.gif",
        f"{PATH}/",
        "/img/medium",
        f"/{deployment.encode_key(KEY)}/medium.jpg",
        f"/v/{deployment.encode_key(KEY)}",
    ],
)
def test_what_is_no_picture_is_404(tintype, picture, path):
    answer = tintype.get(path, CHROME)
    assert answer.status == 404, (path, answer.status, answer.body)


def test_bad_utf8_in_a_path_is_400(tintype, picture):
    assert tintype.get("/img/%FF/medium", CHROME).status == 400


def test_a_query_changes_nothing(tintype, picture):
    assert tintype.get(f"{PATH}/medium.jpg?cache=bust").body == tintype.get(f"{PATH}/medium.jpg").body


def test_answers_carry_the_security_headers(tintype, picture):
    headers = tintype.get(f"{PATH}/medium", CHROME).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age=" in headers["Strict-Transport-Security"]


def test_plain_http_is_sent_to_https(tintype, picture):
    plain = {"Host": tintype.outputs["DistributionDomainName"], "Accept": CHROME}
    answer = deployment.request(tintype.emulator.plain_url, "GET", f"{PATH}/medium", plain)
    assert answer.status in (301, 307, 308)
    assert answer.headers["Location"].startswith("https://")
