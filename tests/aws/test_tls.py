"""The same over real TLS: certificates are checked by the functions, and what comes without TLS is refused."""

import ssl

import pytest

import deployment
import emulator
import pictures
from deployment import CHROME, Deployment
from recipe import assert_renditions


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    cloud = emulator.Emulator(tmp_path_factory.mktemp("tls"), tls=True)
    try:
        yield Deployment(cloud, "tintype-tls", {"Environment": "tls"})
    finally:
        cloud.stop()


def test_a_picture_is_published_and_delivered_over_tls(tls):
    picture = pictures.photo(500, 400, seed=95)
    tls.put("tls/photo.jpg", pictures.jpeg(picture))
    tls.wait_ready("tls/photo.jpg")
    assert_renditions(tls, "tls/photo.jpg", picture)
    answer = tls.get("/img/tls/photo.jpg/medium", CHROME)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/avif")


def test_uploads_are_signed_for_https(tls):
    answer = tls.api("POST", "/api/v1/uploads", {"key": "tls/signed.jpg", "content_type": "image/jpeg"})
    assert answer.json()["url"].startswith("https://"), answer.body


def test_what_comes_without_tls_is_refused(tls):
    plain = tls.client("s3", url=tls.emulator.plain_url)
    for bucket in (tls.raw, tls.processed):
        with pytest.raises(plain.exceptions.ClientError) as refused:
            plain.list_objects_v2(Bucket=bucket)
        assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_nobody_trusts_this_certificate_who_was_not_told_to(tls):
    with pytest.raises(ssl.SSLCertVerificationError):
        deployment.request(tls.emulator.url, "GET", "/")
