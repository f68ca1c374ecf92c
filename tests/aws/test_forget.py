"""Tombstones end, and a key can be forgotten: nothing is left that tells of it, and nothing that is late brings it back."""

import json
import urllib.parse

import pictures
from calls import Service
from processes import wait_until
from test_pipeline import event, send

DAY = 24 * 60 * 60


def items_of(tintype, key):
    """Every item of the table that names the key."""
    pages = tintype.client("dynamodb").get_paginator("scan").paginate(TableName=tintype.outputs["TableName"])
    return [item["pk"]["S"] for page in pages for item in page["Items"] if key in item["pk"]["S"]]


def wait_forgotten(tintype, key):
    wait_until(lambda: tintype.record(key) is None, f"{key!r} is forgotten", explain=tintype.emulator.server.log)
    tintype.wait_idle()


def test_a_tombstone_ends_and_the_note_of_its_digest_is_gone_at_once(tintype):
    key = "forget/ends.jpg"
    tintype.put(key, pictures.small_jpeg(61))
    tintype.wait_ready(key)
    assert "expires_at" not in tintype.record(key)
    assert len(items_of(tintype, key)) == 2
    tintype.put(key, pictures.small_jpeg(62))
    tintype.wait_idle()
    assert len(items_of(tintype, key)) == 2, "the note of the digest that it had before is gone"
    tintype.delete(key)
    tintype.wait_deleted(key)
    assert items_of(tintype, key) == [f"image#{key}"]
    tombstone = tintype.record(key)
    removed_at = json.loads(tombstone["record"])["updated_at"]
    assert int(tombstone["expires_at"]) == removed_at // 1000 + 90 * DAY


def test_a_forgotten_key_leaves_nothing_and_nothing_late_brings_it_back(tintype):
    key = "forget/gone ü.jpg"
    etag = tintype.put(key, pictures.small_jpeg(63))
    tintype.wait_ready(key)
    tintype.wait_idle()
    order = tintype.record(key)["order"].split("-")[0]
    mark = len(tintype.emulator.proxy.record)
    path = "/api/v1/image?forget=true&key=" + urllib.parse.quote(key.encode(), safe="")
    answer = tintype.api("DELETE", path)
    assert answer.status == 202 and answer.json()["status"] == "forgetting", answer
    tintype.wait_deleted(key)
    assert not tintype.objects(tintype.processed, f"{key}/")
    # The message that forgets is kept back for a quarter of an hour: sent again here, it comes at once.
    sent = [call.parameters for call in tintype.emulator.proxy.record[mark:]
            if call.service is Service.SQS and call.operation == "SendMessage"]
    body, = [each["MessageBody"] for each in sent if each.get("DelaySeconds") == 900]
    assert json.loads(body)["job"]["work"] == "forget"
    send(tintype, body)
    wait_forgotten(tintype, key)
    assert items_of(tintype, key) == []
    assert tintype.image(key) is None
    for late in (event(tintype, key, etag, order), event(tintype, key, "", "00FF" + order[4:], "LifecycleExpiration:Delete"), body):
        send(tintype, late)
        tintype.wait_idle()
        assert items_of(tintype, key) == [], late
    assert tintype.api("DELETE", path).status == 404
    # The key can be used again.
    tintype.put(key, pictures.small_jpeg(64))
    tintype.wait_ready(key)


def test_a_tombstone_can_be_forgotten_later(tintype):
    key = "forget/later.jpg"
    tintype.put(key, pictures.small_jpeg(65))
    tintype.wait_ready(key)
    tintype.delete(key)
    tintype.wait_deleted(key)
    path = "/api/v1/image?key=" + urllib.parse.quote(key, safe="")
    assert tintype.api("DELETE", path).status == 404
    mark = len(tintype.emulator.proxy.record)
    assert tintype.api("DELETE", path + "&forget=true").status == 202
    body, = [call.parameters["MessageBody"] for call in tintype.emulator.proxy.record[mark:] if call.operation == "SendMessage"]
    send(tintype, body)
    wait_forgotten(tintype, key)
    assert items_of(tintype, key) == []
