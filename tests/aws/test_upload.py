"""Every way to upload ends in renditions, a record, and an answer of the API."""

import hashlib
import secrets
import urllib.parse

import boto3.s3.transfer
import numpy
import pytest
from PIL import Image

import deployment
import pictures
from recipe import assert_renditions, rendition_keys, size_in


def send_form(upload, content):
    """Sends the fields of a presigned POST as a browser does."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in upload["fields"].items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode()
        + content
        + b"\r\n"
    )
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", **upload["headers"]}
    return send(upload, body, headers)


def send(upload, body, headers=None):
    parts = urllib.parse.urlsplit(upload["url"])
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    url = f"{parts.scheme}://{parts.netloc}"
    return deployment.request(url, upload["method"], target, headers or upload["headers"], body)


def presign(tintype, **wanted):
    answer = tintype.api("POST", "/api/v1/uploads", wanted)
    assert answer.status in (200, 201), (answer.status, answer.body)
    return answer.json()


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_upload_that_the_api_signed_is_published(tintype, method):
    key = f"upload/signed {method}.jpg"
    picture = pictures.photo(1000, 700, seed=11)
    upload = presign(tintype, key=key, content_type="image/jpeg", method=method)
    assert upload["method"] == method
    assert upload["expires_in"] <= 900
    content = pictures.jpeg(picture)
    answer = send_form(upload, content) if method == "POST" else send(upload, content)
    assert answer.status in (200, 201, 204), answer.body
    tintype.wait_ready(key)
    assert_renditions(tintype, key, picture)


def test_a_form_holds_the_upload_to_its_key_and_type(tintype):
    upload = presign(tintype, key="upload/bound.jpg", content_type="image/jpeg", method="POST")
    content = pictures.small_jpeg(1)
    for name, value in [("key", "upload/elsewhere.jpg"), ("Content-Type", "text/html")]:
        assert name in upload["fields"], upload
        tampered = {**upload, "fields": {**upload["fields"], name: value}}
        answer = send_form(tampered, content)
        assert answer.status == 403, (name, answer.status, answer.body)
    assert not tintype.objects(tintype.raw, "upload/bound.jpg")
    assert not tintype.objects(tintype.raw, "upload/elsewhere.jpg")


def test_a_signed_put_holds_for_its_key_only(tintype):
    upload = presign(tintype, key="upload/one.jpg", content_type="image/jpeg", method="PUT")
    other = {**upload, "url": upload["url"].replace("one.jpg", "two.jpg")}
    answer = send(other, pictures.small_jpeg(1))
    assert answer.status == 403, answer.body
    assert not tintype.objects(tintype.raw, "upload/two.jpg")


def test_what_the_aws_cli_copies_is_published(tintype, tmp_path):
    key = "upload/by the cli.jpg"
    upright = pictures.cornered(700, 1000)
    (tmp_path / "photo.jpg").write_bytes(pictures.phone_jpeg(upright))
    tintype.aws("s3", "cp", str(tmp_path / "photo.jpg"), f"s3://{tintype.raw}/{key}", keys=tintype.uploader)
    image = tintype.wait_ready(key)
    assert image["published"]["picture"]["orientation"] == 6
    assert_renditions(tintype, key, upright)
    thumbnail = tintype.client("s3").get_object(Bucket=tintype.processed, Key=f"{key}/thumbnail.jpg")["Body"].read()
    pictures.assert_upright(pictures.decode(thumbnail))
    assert b"Secret Camera Maker" not in thumbnail


def test_a_multipart_upload_is_published(tintype, tmp_path):
    key = "upload/in parts.png"
    noise = numpy.random.default_rng(5).integers(0, 256, (1340, 1340, 3), dtype=numpy.uint8)
    content = pictures.png(Image.fromarray(noise))
    assert len(content) > 5 << 20
    (tmp_path / "noise.png").write_bytes(content)
    tintype.client("s3", tintype.uploader).upload_file(
        str(tmp_path / "noise.png"),
        tintype.raw,
        key,
        Config=boto3.s3.transfer.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20),
    )
    image = tintype.wait_ready(key)
    assert image["source"]["etag"].endswith("-2"), "this was no multipart upload"
    assert image["source"]["size_bytes"] == len(content)
    assert set(tintype.objects(tintype.processed, f"{key}/")) == rendition_keys(key)


def test_the_record_describes_picture_and_renditions(tintype):
    key = "upload/described.png"
    content = pictures.png(pictures.photo(640, 900, seed=3))
    etag = tintype.put(key, content)
    image = tintype.wait_ready(key, etag)
    published = image["published"]
    assert (published["picture"]["format"], published["picture"]["width"], published["picture"]["height"]) == (
        "png",
        640,
        900,
    )
    s3 = tintype.client("s3")
    for rendition in published["renditions"]:
        extension = "jpg" if rendition["format"] == "jpeg" else rendition["format"]
        stored = s3.get_object(Bucket=tintype.processed, Key=f"{key}/{rendition['variant']}.{extension}")
        # S3's own ETag need not be a digest of the bytes; the record's is.
        assert hashlib.sha256(stored["Body"].read()).hexdigest().startswith(rendition["etag"])
        assert stored["Metadata"]["tintype-digest"] == rendition["etag"]
        assert stored["ContentLength"] == rendition["size_bytes"]
        assert stored["ContentType"] == rendition["content_type"]
        expected = size_in(rendition["variant"], 640, 900)
        assert abs(rendition["width"] - expected[0]) <= 1 and abs(rendition["height"] - expected[1]) <= 1
    item = tintype.record(key)
    assert item["key"] == key
    assert item["status_shard"].startswith("ready#")


def test_the_api_lists_pages_and_filters_by_status(tintype):
    keys = [f"upload/listed/{number}.png" for number in range(5)]
    for number, key in enumerate(keys):
        tintype.put(key, pictures.png(pictures.photo(40 + number, 30)))
    for key in keys:
        tintype.wait_ready(key)
    listed, after = [], ""
    while True:
        answer = tintype.api("GET", f"/api/v1/images?after={after}&limit=2&prefix=upload%2Flisted%2F&status=ready")
        assert answer.status == 200, answer.body
        page = answer.json()
        listed += [image["key"] for image in page["items"]]
        if page.get("next") is None:
            break
        after = urllib.parse.quote(page["next"], safe="")
    assert listed == keys


def test_the_api_deletes_and_makes_again(tintype):
    key = "upload/again.jpg"
    tintype.put(key, pictures.small_jpeg(21))
    first = tintype.wait_ready(key)
    quoted = urllib.parse.quote(key, safe="")
    answer = tintype.api("POST", f"/api/v1/image/reprocess?key={quoted}")
    assert answer.status == 202, answer.body
    again = tintype.wait(
        key, lambda image: image["status"] == "ready" and image["updated_at"] != first["updated_at"], "is made again"
    )
    assert again["published"]["version"] == first["published"]["version"], "same source, recipe and engine"
    answer = tintype.api("DELETE", f"/api/v1/image?key={quoted}")
    assert answer.status in (200, 202, 204), answer.body
    tintype.wait_deleted(key)
    assert key not in tintype.objects(tintype.raw, "upload/")
    assert not tintype.objects(tintype.processed, f"{key}/")


def test_stats_and_events_answer_from_the_real_tables_and_queues(tintype):
    tintype.put("upload/counted.jpg", pictures.small_jpeg(22))
    tintype.wait_ready("upload/counted.jpg")
    stats = tintype.api("GET", "/api/v1/stats")
    assert stats.status == 200, stats.body
    assert stats.json()["queue"]["dead"] == 0
    document = tintype.api("GET", "/api/v1/openapi.json")
    assert document.status == 200, document.body
    assert "/api/v1/uploads" in document.json()["paths"]
