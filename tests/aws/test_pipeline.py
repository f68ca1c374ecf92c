"""The life of a key: twice the same event, new pictures, deletes, versions, and hostile files."""

import json
import struct
import zlib

import pytest

import pictures
from calls import Service
from deployment import CURL, MISSING, encode_key
from recipe import assert_renditions, assert_same_picture, rendition_keys


def event(tintype, key, etag, sequencer, name="ObjectCreated:Put"):
    """An S3 event as it lies in the queue. MiniStack's own sequencers start with five zeros."""
    source = {"key": encode_key(key), "size": 1000, "eTag": etag, "sequencer": sequencer}
    bucket = {"name": tintype.raw, "arn": f"arn:aws:s3:::{tintype.raw}"}
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": tintype.emulator.region,
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": name,
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "test", "bucket": bucket, "object": source},
    }
    return json.dumps({"Records": [record]})


def send(tintype, body):
    tintype.client("sqs").send_message(QueueUrl=tintype.outputs["QueueUrl"], MessageBody=body)


def writes(tintype, since):
    """Renditions written since the recording had this length."""
    return [
        call.target
        for call in tintype.emulator.proxy.record[since:]
        if call.service is Service.S3 and call.operation == "PutObject" and tintype.processed in call.target
    ]


def test_the_same_event_again_changes_nothing_and_writes_nothing(tintype):
    key = "life/twice.jpg"
    queue = tintype.client("sqs")
    tintype.put(key, pictures.small_jpeg(41))
    first = tintype.wait_ready(key)
    tintype.wait_idle()
    objects = tintype.objects(tintype.processed, f"{key}/")
    order = tintype.record(key)["order"].split("-")[0]
    mark = len(tintype.emulator.proxy.record)
    for _ in range(5):
        queue.send_message(
            QueueUrl=tintype.outputs["QueueUrl"], MessageBody=event(tintype, key, first["source"]["etag"], order)
        )
    tintype.wait_idle()
    assert tintype.image(key) == first
    assert tintype.objects(tintype.processed, f"{key}/") == objects
    assert not writes(tintype, mark)


def test_an_event_of_the_past_changes_nothing(tintype):
    key = "life/past.jpg"
    tintype.put(key, pictures.small_jpeg(42))
    first = tintype.wait_ready(key)
    mark = len(tintype.emulator.proxy.record)
    send(tintype, event(tintype, key, "0" * 32, "0000000001"))
    send(tintype, event(tintype, key, "", "0000000002", "ObjectRemoved:DeleteMarkerCreated"))
    tintype.wait_idle()
    assert tintype.image(key) == first
    assert not writes(tintype, mark)
    assert set(tintype.objects(tintype.processed, f"{key}/")) == rendition_keys(key)


def test_a_test_event_is_no_work(tintype):
    send(tintype, json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": tintype.raw}))
    tintype.wait_idle()
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)


def test_a_new_picture_replaces_the_old_one_at_every_url(tintype):
    key = "life/overwritten.jpg"
    old, new = pictures.photo(500, 400, seed=43), pictures.photo(420, 640, seed=44)
    tintype.put(key, pictures.jpeg(old))
    first = tintype.wait_ready(key)
    assert_same_picture(pictures.decode(tintype.get(f"/img/{key}/medium", CURL).body), old)
    etag = tintype.put(key, pictures.png(new))
    second = tintype.wait_ready(key, etag)
    assert first["published"]["version"] != second["published"]["version"]
    assert_renditions(tintype, key, new)
    assert_same_picture(pictures.decode(tintype.get(f"/img/{key}/medium", CURL).body), new)


def test_ten_quick_overwrites_end_with_the_last_picture(tintype):
    key = "life/hasty.jpg"
    for seed in range(10):
        etag = tintype.put(key, pictures.jpeg(pictures.photo(300, 200, seed=100 + seed)))
    tintype.wait_ready(key, etag)
    tintype.wait_idle()
    assert_renditions(tintype, key, pictures.photo(300, 200, seed=109))


def test_a_delete_removes_renditions_and_record(tintype):
    key = "life/deleted.jpg"
    tintype.put(key, pictures.small_jpeg(45))
    tintype.wait_ready(key)
    tintype.delete(key)
    tintype.wait_deleted(key)
    assert not tintype.objects(tintype.processed, f"{key}/")
    assert tintype.get(f"/img/{key}/medium", CURL).status in MISSING


def test_a_late_event_cannot_bring_back_what_was_deleted(tintype):
    key = "life/tombstone.jpg"
    etag = tintype.put(key, pictures.small_jpeg(46))
    tintype.wait_ready(key)
    tintype.delete(key)
    tintype.wait_deleted(key)
    send(tintype, event(tintype, key, etag, "0000000003"))
    tintype.wait_idle()
    assert tintype.image(key) is None
    assert not tintype.objects(tintype.processed, f"{key}/")


def test_deleting_an_old_version_keeps_the_picture(tintype):
    key = "life/versions.jpg"
    s3 = tintype.client("s3", tintype.uploader)
    old = s3.put_object(Bucket=tintype.raw, Key=key, Body=pictures.small_jpeg(47))["VersionId"]
    tintype.wait_ready(key)
    picture = pictures.photo(200, 150, seed=48)
    image = tintype.wait_ready(key, tintype.put(key, pictures.jpeg(picture)))
    mark = len(tintype.emulator.proxy.record)
    tintype.delete(key, VersionId=old)
    # The event has been worked on when the queue was asked and is empty again: its handler reads the source.
    seen = lambda: any(call.target.endswith(f"/{key}") for call in tintype.emulator.proxy.record[mark:])
    tintype.wait(key, lambda _: seen(), "was looked at")
    tintype.wait_idle()
    after = tintype.image(key)
    assert (after["status"], after["source"]["etag"]) == ("ready", image["source"]["etag"])
    assert_renditions(tintype, key, picture)


def test_removing_a_delete_marker_brings_the_picture_back(tintype):
    key = "life/undeleted.jpg"
    picture = pictures.photo(240, 180, seed=49)
    tintype.put(key, pictures.jpeg(picture))
    tintype.wait_ready(key)
    marker = tintype.client("s3", tintype.uploader).delete_object(Bucket=tintype.raw, Key=key)["VersionId"]
    tintype.wait_deleted(key)
    tintype.delete(key, VersionId=marker)
    tintype.wait_status(key, "ready")
    assert_renditions(tintype, key, picture)


def png_of(width, height):
    """A PNG whose header promises this size; there are a few bytes of pixels."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


HOSTILE = {
    "hostile/ends too soon.jpg": (pictures.small_jpeg(51, 640, 480)[:3000] + b"\xff\xd9", {"corrupt_image"}),
    "hostile/bomb.png": (png_of(60_000, 60_000), {"too_many_pixels", "too_large", "dimensions_too_large"}),
    "hostile/pixels missing.png": (png_of(300, 300), {"corrupt_image"}),
    "hostile/text.jpg": (b"<html><script>alert(1)</script></html>", None),
    "hostile/zeros.jpg": (bytes(100_000), None),
    "hostile/empty.jpg": (b"", None),
    "hostile/entities.svg": (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>', None),
}


@pytest.fixture(scope="module")
def hostile(tintype):
    mark = len(tintype.emulator.proxy.record)
    for key, (body, _) in HOSTILE.items():
        tintype.put(key, body, ContentType="image/jpeg")
    tintype.wait_settled(HOSTILE)
    return tintype.emulator.proxy.record[mark:]


def test_hostile_files_are_rejected_with_a_reason_and_publish_nothing(tintype, hostile):
    for key, (_, codes) in HOSTILE.items():
        image = tintype.image(key)
        assert image["status"] == "rejected", (key, image)
        assert codes is None or image["rejection"]["code"] in codes, (key, image)
        assert image["rejection"]["detail"], key
        assert tintype.get(f"/img/{encode_key(key)}/medium", CURL).status in MISSING
    assert not tintype.objects(tintype.processed, "hostile/")


def test_hostile_files_are_never_tried_again(tintype, hostile):
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)
    worker = tintype.function_keys("WorkerRole").access_key
    assert not [call for call in hostile if call.operation == "ChangeMessageVisibility" and call.access_key == worker]


def test_a_folder_marker_is_skipped(tintype):
    tintype.put("life/folder/", b"")
    tintype.put("life/folder/inside.jpg", pictures.small_jpeg(52))
    tintype.wait_ready("life/folder/inside.jpg")
    tintype.wait_idle()
    assert tintype.image("life/folder/")["status"] == "skipped"
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)
