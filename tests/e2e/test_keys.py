"""Object keys are opaque: stored, listed and read back exactly, whatever they look like."""

import urllib.parse

import pytest

import pictures
from tintype import CURL, encode_key

LONG = "k" * 400 + "/" + "ü" * 300 + "/"

# The longest key that leaves room for "/small.webp", the longest suffix of a rendition here, within 1,024 bytes.
LONGEST_SERVABLE = 1024 - len("/small.webp")

# Delivered: no empty, "." or ".." segment, no control character, room for the renditions' own keys.
SERVABLE = [
    "plain.jpg",
    "some/photo.jpg",
    "two words.jpg",
    " leading space.jpg",
    "trailing space.jpg ",
    "   ",
    "a+b.jpg",
    "a%2Bb.jpg",
    "a b+c%20d.jpg",
    "a%20b.jpg",
    "%25",
    "%",
    "%%",
    "%zz.jpg",
    "%2e%2e%2fescape.jpg",
    "%2F",
    "%00",
    "..%2f..%2fetc%2fpasswd",
    "...",
    "..a/b..",
    "a/.hidden/..b",
    "back\\slash\\..\\up.jpg",
    "C:\\autoexec.bat",
    "C:",
    "con",
    "aux.jpg",
    "~root/.ssh",
    "~",
    "-rf",
    "--help",
    "*",
    "?",
    "what?.jpg",
    "a?b=c&d=e.jpg",
    "a#fragment.jpg",
    "semi;colon;v=1.jpg",
    "amp&lt;.jpg",
    "<script>alert(1)</script>",
    "quote\"'`.jpg",
    "$(touch pwned)",
    "${HOME}",
    "`id`",
    "|pipe",
    "{curly}[square]",
    "a:b@c,d=e!",
    "http://example.com/x.jpg".replace("//", "/"),
    "medium",
    "photo/medium",
    "photo/medium.avif",
    "photo/thumbnail/medium",
    "img/photo/medium",
    "raw",
    "raw/raw",
    "admin",
    "api/v1/images",
    "healthz",
    "dir",
    "dir/sub",
    "dir/sub/file.jpg",
    "dir.jpg",
    "Case.JPG",
    "case.jpg",
    "CASE.jpg",
    "caf\u00e9.jpg",
    "cafe\u0301.jpg",
    "\U0001f40c.jpg",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466/family.png",
    "\u65e5\u672c\u8a9e/\u5199\u771f.jpg",
    "\u05e9\u05dc\u05d5\u05dd/\u0645\u0631\u062d\u0628\u0627.jpg",
    "\u202egpj.exe",
    "\ufeffbom.jpg",
    "\u00a0nbsp\u2003em.jpg",
    "zero\u200bwidth.jpg",
    "soft\u00adhyphen.jpg",
    "\U0010ffff.jpg",
    "\ue000.jpg",
    "\u2028line.jpg",
    "e" * 255 + ".jpg",
    "f" * 300,
    LONG + "x" * (LONGEST_SERVABLE - len(LONG.encode())),
]

# Stored all the same; their outcome says that a CDN could not carry them.
UNSERVABLE = [
    "/",
    "//",
    "/leading.jpg",
    "trailing/",
    "a//b.jpg",
    "a///b.jpg",
    "./a.jpg",
    ".",
    "..",
    "../",
    "../../../../etc/passwd",
    "../outside.jpg",
    "a/../b.jpg",
    "a/./b.jpg",
    "a/..",
    "dir/",
    "dir/sub/",
    "line\nbreak.jpg",
    "carriage\rreturn.jpg",
    "crlf\r\nSet-Cookie: x=y",
    "tab\there.jpg",
    "bell\x07.jpg",
    "nul\x00byte.jpg",
    "escape\x1b[31m.jpg",
    "delete\x7f.jpg",
    "next\u0085line.jpg",
    LONG + "x" * (LONGEST_SERVABLE + 1 - len(LONG.encode())),
    "y" * 1024,
    "\U0001f40c" * 256,
]

KEYS = SERVABLE + UNSERVABLE


@pytest.fixture(scope="module")
def uploaded(quick_server, tmp_path_factory):
    """All keys uploaded, each with a picture of its own: key -> bytes."""
    canary = quick_server.data.parent
    (canary / "canary").write_text("untouched")
    before = tree(canary, quick_server.data)
    client = quick_server.s3()
    bodies = {}
    for seed, key in enumerate(KEYS):
        bodies[key] = pictures.small_jpeg(seed)
        client.put_object(Bucket="raw", Key=key, Body=bodies[key])
    yield bodies
    assert tree(canary, quick_server.data) == before, "something was written outside the data folder"


def tree(folder, without):
    """Every path under the folder and its size, except what is inside `without` and the server's log."""
    return {
        path: path.stat().st_size
        for path in folder.rglob("*")
        if without not in path.parents and path != without and path.suffix != ".log"
    }


def test_there_are_more_than_sixty_keys_and_all_are_different():
    assert len(set(KEYS)) == len(KEYS) >= 60
    assert any(len(key.encode()) == 1024 for key in KEYS)
    assert all(len(key.encode()) <= 1024 for key in KEYS)


def test_every_key_reads_back_its_own_bytes(quick_server, uploaded):
    client = quick_server.s3()
    for key, body in uploaded.items():
        answer = client.get_object(Bucket="raw", Key=key)
        assert answer["Body"].read() == body, repr(key)
        head = client.head_object(Bucket="raw", Key=key)
        assert head["ContentLength"] == len(body), repr(key)


@pytest.mark.parametrize("version", ["list_objects_v2", "list_objects"])
@pytest.mark.parametrize("page", [1000, 7])
def test_every_key_is_listed_exactly_in_the_order_of_its_bytes(quick_server, uploaded, version, page):
    paginator = quick_server.s3().get_paginator(version)
    listed = []
    for part in paginator.paginate(Bucket="raw", PaginationConfig={"PageSize": page}):
        listed += [entry["Key"] for entry in part.get("Contents", [])]
    assert listed == sorted(KEYS, key=str.encode)


def test_prefixes_and_delimiters_split_keys_like_strings(quick_server, uploaded):
    client = quick_server.s3()
    for prefix in ["dir", "dir/", "dir/sub", "a", "../", "%2", "c", "\U0001f40c", "line\n"]:
        answer = client.list_objects_v2(Bucket="raw", Prefix=prefix)
        listed = [entry["Key"] for entry in answer.get("Contents", [])]
        assert listed == sorted((key for key in KEYS if key.startswith(prefix)), key=str.encode), repr(prefix)
    answer = client.list_objects_v2(Bucket="raw", Prefix="dir", Delimiter="/")
    assert [entry["Key"] for entry in answer["Contents"]] == ["dir", "dir.jpg"]
    assert [entry["Prefix"] for entry in answer["CommonPrefixes"]] == ["dir/"]


def test_servable_keys_are_delivered_under_their_encoded_path(quick_server, uploaded):
    for key, body in ((key, uploaded[key]) for key in SERVABLE):
        quick_server.wait_ready(key)
        answer = quick_server.get(f"/img/{encode_key(key)}/small", CURL)
        assert answer.status == 200, (key, answer.status, answer.body[:200])
        seen = pictures.decode(answer.body).convert("RGB")
        expected = pictures.decode(body).resize(seen.size, pictures.Image.Resampling.LANCZOS)
        assert pictures.psnr(seen, expected) > 24, f"{key!r} shows another picture"


def test_the_spelling_of_a_path_does_not_matter_but_plus_is_no_space(quick_server, uploaded):
    quick_server.wait_ready("a+b.jpg")
    picture = quick_server.get("/img/a+b.jpg/small").body
    assert quick_server.get("/img/a%2Bb.jpg/small").body == picture
    assert quick_server.get("/img/a%2bb.jpg/small").body == picture
    assert quick_server.get("/img/%61+b%2Ejpg/sm%61ll").body == picture
    assert quick_server.get("/img/a%20b.jpg/small").status == 404, "decoded twice, this would be another key"
    assert quick_server.get("/img/a%2520b.jpg/small").status == 200
    assert quick_server.get("/img/some%2Fphoto.jpg/small").status == 200


def test_unservable_keys_are_rejected_with_their_code(quick_server, uploaded):
    for key in UNSERVABLE:
        image = quick_server.wait_settled(key)
        assert image["status"] == "rejected", (key, image)
        assert image["rejection"]["code"] == "unservable_key", (key, image)
        answer = quick_server.get("/img/" + urllib.parse.quote(key.encode(), safe="") + "/small")
        assert answer.status in (404, 422), (key, answer.status)


def test_the_api_lists_every_key_exactly(quick_server, uploaded):
    for key in KEYS:
        quick_server.wait_settled(key)
    listed, after = [], ""
    while True:
        answer = quick_server.api("GET", "/images?limit=20" + after)
        assert answer.status == 200, answer.body
        page = answer.json()
        listed += [image["key"] for image in page["items"]]
        if page.get("next") is None:
            break
        after = "&after=" + urllib.parse.quote(page["next"].encode(), safe="")
    assert listed == sorted(KEYS, key=str.encode)


def test_folder_markers_are_stored_and_skipped(quick_server, uploaded):
    client = quick_server.s3()
    client.put_object(Bucket="raw", Key="empty folder/", Body=b"")
    client.put_object(Bucket="raw", Key="after the marker.jpg", Body=pictures.small_jpeg(1))
    quick_server.wait_ready("after the marker.jpg")
    assert client.head_object(Bucket="raw", Key="empty folder/")["ContentLength"] == 0
    image = quick_server.image("empty folder/")
    assert image is None or image["status"] not in ("ready", "failed")
    client.delete_object(Bucket="raw", Key="empty folder/")
    client.delete_object(Bucket="raw", Key="after the marker.jpg")


def test_a_key_of_1025_bytes_is_refused(quick_server, uploaded):
    client = quick_server.s3()
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.put_object(Bucket="raw", Key="z" * 1025, Body=b"x")
    assert refused.value.response["Error"]["Code"] == "KeyTooLongError"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
