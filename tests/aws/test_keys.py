"""Nasty keys go from event to delivery undamaged: decoded exactly once, never a path, never another key's picture."""

import re

import pytest

import pictures
from deployment import CURL, encode_key
from processes import ROOT
from recipe import assert_same_picture, rendition_keys


def nasty_keys():
    """The list of the conformance suites, so that there is one."""
    source = (ROOT / "crates/model/src/testing/conformance/mod.rs").read_text()
    body = source[source.index("pub fn nasty_keys()") : source.index(".map(str::to_owned)")]
    literals = re.findall(r'^\s+"((?:[^"\\]|\\.)*)",$', body, re.MULTILINE)
    assert len(literals) > 50
    simple = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "0": "\0"}

    def unescape(match):
        return chr(int(match[1], 16)) if match[1] else simple[match[2]]

    keys = [re.sub(r"\\(?:u\{([0-9a-fA-F]+)\}|(.))", unescape, literal) for literal in literals]
    return keys + ["k" * 1024, "\u00e9" * 512, "d/" * 511 + "/x", "k" * (1024 - len("/thumbnail.avif"))]


def is_servable(key):
    return (
        all(part not in ("", ".", "..") for part in key.split("/"))
        and not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in key)
        and len(key.encode()) + len("/thumbnail.avif") <= 1024
    )


# No wildcard of a policy matches a line feed in MiniStack, nor in the simulator of test_iam, so nobody may read such a
# key there; the conformance suites have it.
KEYS = [key for key in nasty_keys() if "\n" not in key]
SERVABLE = [key for key in KEYS if is_servable(key)]
UNSERVABLE = [key for key in KEYS if not is_servable(key)]


@pytest.fixture(scope="module")
def uploaded(tintype):
    bodies = {key: pictures.small_jpeg(1000 + number, 48, 36) for number, key in enumerate(KEYS)}
    for key, body in bodies.items():
        # To MiniStack's authorisation a key of slashes alone is a request for the bucket. The deployer may do that.
        who = tintype.uploader if key.strip("/") else tintype.deployer
        tintype.client("s3", who).put_object(Bucket=tintype.raw, Key=key, Body=body)
    tintype.wait_settled(bodies)
    return bodies


def test_every_key_keeps_its_own_picture(tintype, uploaded):
    for key in SERVABLE:
        tintype.wait_ready(key)
        answer = tintype.get(f"/img/{encode_key(key)}/thumbnail", CURL)
        assert answer.status == 200, (key, answer.status, answer.body[:300])
        assert_same_picture(pictures.decode(answer.body), pictures.decode(uploaded[key]), 24)


def test_keys_that_a_cdn_cannot_carry_are_rejected(tintype, uploaded):
    assert UNSERVABLE
    for key in UNSERVABLE:
        image = tintype.image(key)
        assert image is not None and image["status"] == "rejected", (key, image)
        assert image["rejection"]["code"] == "unservable_key", (key, image)


def test_renditions_lie_under_their_own_keys_and_nowhere_else(tintype, uploaded):
    stored = set(tintype.objects(tintype.processed))
    for key in SERVABLE:
        assert rendition_keys(key) <= stored, repr(key)
    for key in UNSERVABLE:
        assert not any(f"{key}/{name}" in stored for name in ("original.jpg", "medium.jpg", "thumbnail.jpg")), repr(key)


def test_nothing_of_them_failed(tintype, uploaded):
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)
