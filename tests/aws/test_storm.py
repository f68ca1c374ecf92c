"""A bad day: a thousand events, twice and in any order, while S3, DynamoDB and SQS fail; the end state is right."""

import hashlib
import os
import random
import threading
import time

import pytest

import pictures
from deployment import Impatience
from processes import wait_until
from recipe import assert_same_picture, rendition_keys
from test_poison import redrive

KEYS = [f"storm/{number:02}.jpg" for number in range(60)]
EVENTS = 1000
# The share of the calls to AWS of the functions that fail.
FAULT_RATE = 0.05


@pytest.fixture(scope="module")
def seed():
    seed = int(os.environ.get("TINTYPE_SEED") or time.time_ns() % 1_000_000)
    print(f"TINTYPE_SEED={seed}")
    return seed


class Site:
    """The changes of the raw bucket, and the picture that each key shows now."""

    def __init__(self, tintype, chance):
        self.tintype = tintype
        self.chance = chance
        self.shown = {}

    def act(self):
        """One put, overwrite or delete of a random key."""
        key = self.chance.choice(KEYS)
        if key in self.shown and self.chance.random() < 0.3:
            self.tintype.delete(key)
            del self.shown[key]
        else:
            seed = self.chance.randrange(1 << 32)
            self.shown[key] = seed
            self.tintype.put(key, pictures.small_jpeg(seed, 64, 48))


def take_all(tintype, count):
    """The bodies of `count` events, taken from the queue that nobody else reads."""
    sqs, url = tintype.client("sqs"), tintype.outputs["QueueUrl"]
    bodies = []

    def took_them():
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(bodies) >= count

    wait_until(took_them, f"{count} events are in the queue", explain=lambda: f"{len(bodies)} came")
    return bodies


def set_feeding(tintype, enabled):
    """Turns the event source on or off, as an operator would."""
    client, mapping = tintype.client("lambda"), tintype.event_source()["UUID"]
    client.update_event_source_mapping(UUID=mapping, Enabled=enabled)
    wanted = "Enabled" if enabled else "Disabled"
    wait_until(lambda: tintype.event_source()["State"] == wanted, f"the event source is {wanted}")


@pytest.fixture(scope="module")
def storm(tintype, seed):
    chance = random.Random(seed)
    site = Site(tintype, chance)
    concurrency = tintype.event_source()["ScalingConfig"]
    mapping = tintype.event_source()["UUID"]
    faults = tintype.emulator.proxy.faults

    # Real events with real sequencers, held back so that their order can be spoilt.
    tintype.wait_idle()
    set_feeding(tintype, False)
    for _ in range(250):
        site.act()
    held = take_all(tintype, 250)
    bodies = held + chance.choices(held, k=EVENTS - 40 - len(held))
    chance.shuffle(bodies)

    client, url = tintype.client("sqs"), tintype.outputs["QueueUrl"]
    faults.storm(seed, FAULT_RATE)
    # More at once than the default: most of the time goes by in the SDK's pauses between retries.
    tintype.client("lambda").update_event_source_mapping(UUID=mapping, ScalingConfig={"MaximumConcurrency": 16})
    set_feeding(tintype, True)
    started = time.monotonic()
    try:
        with Impatience(tintype) as impatience:

            def send():
                for start in range(0, len(bodies), 10):
                    entries = [
                        {"Id": str(number), "MessageBody": body}
                        for number, body in enumerate(bodies[start : start + 10])
                    ]
                    assert not client.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")

            sender = threading.Thread(target=send)
            sender.start()
            # Life goes on meanwhile: these events come straight from S3.
            for _ in range(40):
                site.act()
            sender.join()
            tintype.wait_idle()
            injected = dict(faults.injected)
            faults.calm()
            redriven = redrive(tintype)
            tintype.wait_idle()
            delays = list(impatience.delays)
    finally:
        faults.calm()
        tintype.client("lambda").update_event_source_mapping(UUID=mapping, ScalingConfig=concurrency)
    print(
        f"{len(bodies) + 40} events in {time.monotonic() - started:.0f} s, faults {injected}, "
        f"{len(delays)} messages tried again, {redriven} redriven"
    )
    assert sum(injected.values()) > 100, "this was no storm"
    assert delays, "no message had to be delivered again"
    return site


def test_every_kind_of_fault_was_there(tintype, storm):
    services = {call.service for call in tintype.emulator.proxy.record if call.fault}
    assert {service.value for service in services} >= {"s3", "dynamodb"}
    assert any(call.fault and "lost answer" in call.fault for call in tintype.emulator.proxy.record)


def test_every_picture_that_is_there_is_published_and_no_other(tintype, storm):
    sources = tintype.objects(tintype.raw, "storm/")
    assert set(sources) == set(storm.shown)
    s3, expected = tintype.client("s3"), set()
    for key in KEYS:
        image = tintype.image(key)
        if key not in sources:
            assert image is None, (key, image)
            continue
        assert image["status"] == "ready", (key, image)
        assert image["source"]["etag"] == sources[key], f"{key} shows an older picture"
        expected |= rendition_keys(key)
        for rendition in image["published"]["renditions"]:
            extension = "jpg" if rendition["format"] == "jpeg" else rendition["format"]
            name = f"{key}/{rendition['variant']}.{extension}"
            body = s3.get_object(Bucket=tintype.processed, Key=name)["Body"].read()
            digest = hashlib.sha256(body).hexdigest()
            assert digest.startswith(rendition["etag"]), f"{name} is not the rendition that the record names"
    assert set(tintype.objects(tintype.processed, "storm/")) == expected, "renditions that no record names, or that are missing"


def test_the_pixels_are_those_of_the_last_upload(tintype, storm):
    s3 = tintype.client("s3")
    for key, seed in storm.shown.items():
        body = s3.get_object(Bucket=tintype.processed, Key=f"{key}/original.jpg")["Body"].read()
        assert_same_picture(pictures.decode(body), pictures.decode(pictures.small_jpeg(seed, 64, 48)), 24)


def test_nothing_is_left_in_the_queues(tintype, storm):
    assert tintype.depth("QueueUrl") == (0, 0)
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)


def test_every_rendition_carries_the_order_of_its_record(tintype, storm):
    s3 = tintype.client("s3")
    for key in storm.shown:
        orders = {
            s3.head_object(Bucket=tintype.processed, Key=name)["Metadata"]["tintype-order"]
            for name in rendition_keys(key)
        }
        assert orders == {tintype.record(key)["order"]}, key
