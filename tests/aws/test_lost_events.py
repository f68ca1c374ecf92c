"""Events that never come, that are of somebody else, or that nobody understands; and sources that nobody can read."""

import json
import urllib.parse

import pictures
from calls import Service
from deployment import Impatience
from processes import wait_until
from recipe import rendition_keys
from test_pipeline import event, send
from test_storm import set_feeding, take_all

AFTER_EVERY_EVENT = "F" * 32


def reprocess(tintype, key):
    return tintype.api("POST", f"/api/v1/image/reprocess?key={urllib.parse.quote(key, safe='')}")


def lose_the_event_of(tintype, key, body):
    """Uploads, and takes its event out of the queue before the worker sees it."""
    tintype.wait_idle()
    set_feeding(tintype, False)
    try:
        tintype.put(key, body)
        return take_all(tintype, 1)[0]
    finally:
        set_feeding(tintype, True)


def test_an_upload_whose_event_was_lost_says_so_and_can_be_reprocessed(tintype):
    key = "lost/event.jpg"
    late = lose_the_event_of(tintype, key, pictures.small_jpeg(201))
    image = tintype.image(key)
    assert image["status"] == "pending"
    assert image["waiting"]["can_reprocess"] is True
    assert image["waiting"]["source_put_at"] == image["updated_at"]
    listed = tintype.api("GET", "/api/v1/images?prefix=lost%2F").json()["items"]
    assert listed == [], "no record tells of it"

    assert reprocess(tintype, key).status == 202
    tintype.wait_ready(key)
    tintype.wait_idle()
    assert set(tintype.objects(tintype.processed, f"{key}/")) == rendition_keys(key)
    assert tintype.record(key)["order"] == f"{'0' * 32}-{0:08}"
    # It was only late: it takes its place, and a later one would too.
    send(tintype, late)
    tintype.wait(key, lambda _: tintype.record(key)["order"] > f"{'0' * 32}-{0:08}", "is at the order of its event")
    tintype.wait_ready(key)
    assert "waiting" not in tintype.image(key)


def test_an_upload_after_a_removal_whose_event_was_lost_can_be_reprocessed(tintype):
    key = "lost/again.jpg"
    tintype.put(key, pictures.small_jpeg(202))
    tintype.wait_ready(key)
    tintype.delete(key)
    tintype.wait_deleted(key)
    lose_the_event_of(tintype, key, pictures.small_jpeg(203))
    assert tintype.image(key)["status"] == "pending"
    assert reprocess(tintype, key).status == 202
    tintype.wait_ready(key)
    tintype.wait_idle()
    assert set(tintype.objects(tintype.processed, f"{key}/")) == rendition_keys(key)


def test_a_folder_marker_and_nothing_at_all_have_true_answers(tintype):
    tintype.put("lost/folder/", b"")
    tintype.wait_idle()
    image = tintype.image("lost/folder/")
    assert (image["status"], image["skip"]["code"]) == ("skipped", "folder_marker")
    assert reprocess(tintype, "lost/folder/").status == 409
    assert tintype.image("lost/nothing.jpg") is None
    assert reprocess(tintype, "lost/nothing.jpg").status == 404


def test_an_event_of_another_bucket_leaves_nothing_and_cannot_come_first(tintype):
    key = "lost/stranger.jpg"
    for bucket in ("somebody-elses", tintype.processed):
        for name in ("ObjectCreated:Put", "ObjectRemoved:Delete"):
            send(tintype, event(tintype, key, "0" * 32, AFTER_EVERY_EVENT, name).replace(tintype.raw, bucket))
    tintype.wait_idle()
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)
    assert tintype.record(key) is None
    tintype.wait_ready(key, tintype.put(key, pictures.small_jpeg(204)))


def test_a_record_that_cannot_be_understood_takes_no_neighbour_with_it(tintype):
    keys = ["lost/neighbour one.jpg", "lost/neighbour two.jpg"]
    records = []
    for number, key in enumerate(keys):
        body = lose_the_event_of(tintype, key, pictures.small_jpeg(205 + number))
        records += json.loads(body)["Records"]
    records.insert(1, {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": "not an object"})
    mark = len(tintype.emulator.proxy.record)
    with Impatience(tintype):
        send(tintype, json.dumps({"Records": records}))
        wait_until(
            lambda: tintype.depth("DeadLetterQueueUrl")[0] == 1,
            "the message is in the dead-letter queue",
            explain=lambda: tintype.emulator.server.log(),
        )
    for key in keys:
        assert tintype.image(key)["status"] == "ready"
    record = tintype.emulator.proxy.record[mark:]
    reads = [call for call in record if call.operation == "GetObject" and call.target.startswith(f"arn:aws:s3:::{tintype.raw}/")]
    assert len(reads) == len(keys), "neither is made again by the four retries"
    tintype.client("sqs").purge_queue(QueueUrl=tintype.outputs["DeadLetterQueueUrl"])
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)


def test_an_archived_source_is_rejected_at_once_until_it_is_restored(tintype, calm):
    key = "lost/archived.jpg"
    mark = len(tintype.emulator.proxy.record)
    calm.add("s3 archived", lambda call: call.operation == "GetObject" and call.target.endswith(key), 1)
    tintype.put(key, pictures.small_jpeg(207))
    image = tintype.wait_status(key, "rejected")
    assert image["rejection"]["code"] == "archived"
    assert "GLACIER" in image["rejection"]["detail"]
    assert image["source"]["size_bytes"] > 0
    tintype.wait_idle()
    record = tintype.emulator.proxy.record[mark:]
    assert not [call for call in record if call.operation == "ChangeMessageVisibility"], "it is no failure"
    # Restored: S3 reads it again, and sends no event that the queue hears of.
    assert reprocess(tintype, key).status == 202
    tintype.wait_status(key, "ready")


def test_a_removal_deletes_what_it_knows_by_name_though_no_listing_answers(tintype, calm):
    key = "lost/listing.jpg"
    tintype.put(key, pictures.small_jpeg(208))
    tintype.wait_ready(key)
    tintype.wait_idle()
    mark = len(tintype.emulator.proxy.record)

    def listings():
        record = tintype.emulator.proxy.record[mark:]
        worker = tintype.function_keys("WorkerRole").access_key
        return [
            call for call in record
            if call.service is Service.S3 and call.operation == "ListObjectsV2" and call.access_key == worker
        ]

    calm.add("s3 503", lambda call: call.operation == "ListObjectsV2" and call.target.endswith(tintype.processed), 1000)
    tintype.delete(key)
    wait_until(
        lambda: any(call.operation == "ChangeMessageVisibility" for call in tintype.emulator.proxy.record[mark:]),
        "the removal failed",
        explain=lambda: tintype.emulator.server.log(),
    )
    assert listings() and all(call.status == 503 for call in listings())
    calm.calm()
    assert not tintype.objects(tintype.processed, f"{key}/"), "nothing is public any more"
    with Impatience(tintype, since=mark):
        tintype.wait_deleted(key)
    prefixes = {dict(permission.context)["s3:prefix"] for call in listings() for permission in call.permissions}
    assert prefixes == {f"{key}/{variant}." for variant in ("original", "medium", "thumbnail")}
