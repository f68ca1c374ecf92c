"""A job that cannot be done is tried five times, set aside, and done when the cause is gone."""

import contextlib
import json

import pictures
from deployment import Impatience
from processes import wait_until
from recipe import rendition_keys

RECEIVES = 5


@contextlib.contextmanager
def denied(tintype, action, resource):
    """While it is entered, the processed bucket's policy denies this to the worker."""
    s3 = tintype.client("s3")
    before = s3.get_bucket_policy(Bucket=tintype.processed)["Policy"]
    policy = json.loads(before)
    policy["Statement"].append(
        {
            "Sid": "CauseOfTheTest",
            "Effect": "Deny",
            "Principal": {"AWS": tintype.outputs["WorkerRoleArn"]},
            "Action": action,
            "Resource": resource,
        }
    )
    s3.put_bucket_policy(Bucket=tintype.processed, Policy=json.dumps(policy))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=tintype.processed, Policy=before)


def dead_letters(tintype):
    """The jobs that the API lists as given up."""
    answer = tintype.api("GET", "/api/v1/dead")
    assert answer.status == 200, (answer.status, answer.body)
    return answer.json()["items"]


def redrive(tintype, query=""):
    """How many jobs the API has queued again."""
    answer = tintype.api("POST", f"/api/v1/dead/redrive{query}")
    assert answer.status == 202, (answer.status, answer.body)
    return answer.json()["redriven"]


def test_a_poison_message_is_set_aside_after_five_tries_and_published_after_redrive(tintype):
    key = "poison/denied.jpg"
    worker = tintype.function_keys("WorkerRole").access_key
    with denied(tintype, "s3:PutObject", f"arn:aws:s3:::{tintype.processed}/*"), Impatience(tintype) as impatience:
        mark = len(tintype.emulator.proxy.record)
        tintype.put(key, pictures.small_jpeg(61))
        wait_until(
            lambda: tintype.depth("DeadLetterQueueUrl")[0] == 1,
            "the message is in the dead-letter queue",
            explain=lambda: tintype.emulator.server.log(),
        )
    record = tintype.emulator.proxy.record[mark:]
    # Every try reads the source once.
    tries = [call for call in record if call.operation == "GetObject" and call.target.endswith(key)]
    assert len(tries) == RECEIVES
    assert {call.access_key for call in tries} == {worker}
    # 15 s x 2^n and up to a quarter more; the last try may leave it to the queue.
    assert len(impatience.delays) >= 4
    for delay, least in zip(impatience.delays, [15, 30, 60, 120]):
        assert least <= delay <= least * 1.25
    image = tintype.image(key)
    assert image["status"] == "failed", image
    assert image["failure"]["attempts"] == RECEIVES
    assert not tintype.objects(tintype.processed, f"{key}/")
    stats = tintype.api("GET", "/api/v1/stats").json()
    assert stats["queue"]["dead"] == 1, stats

    [letter] = dead_letters(tintype)
    assert letter["key"] == key and letter["attempts"] >= RECEIVES, letter
    # A list changes nothing but the number of looks, and hides nothing once it is answered.
    assert tintype.depth("DeadLetterQueueUrl") == (1, 0)
    assert [again["id"] for again in dead_letters(tintype)] == [letter["id"]]
    other = tintype.api("POST", f"/api/v1/dead/redrive?id={letter['id'] - 1}")
    assert (other.status, other.json()["code"]) == (404, "not_found")
    assert tintype.depth("DeadLetterQueueUrl") == (1, 0)

    assert redrive(tintype, f"?id={letter['id']}") == 1
    tintype.wait_status(key, "ready")
    assert set(tintype.objects(tintype.processed, f"{key}/")) == rendition_keys(key)
    tintype.wait_idle()
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)
    assert dead_letters(tintype) == [] and redrive(tintype) == 0


def test_several_jobs_that_were_given_up_are_redriven_at_once(tintype):
    keys = [f"poison/several {number}.jpg" for number in range(3)]
    with denied(tintype, "s3:PutObject", f"arn:aws:s3:::{tintype.processed}/*"), Impatience(tintype):
        for number, key in enumerate(keys):
            tintype.put(key, pictures.small_jpeg(80 + number))
        wait_until(
            lambda: tintype.depth("DeadLetterQueueUrl")[0] == len(keys),
            "the messages are in the dead-letter queue",
            explain=lambda: tintype.emulator.server.log(),
        )
    assert {letter["key"] for letter in dead_letters(tintype)} == set(keys)
    assert redrive(tintype) == len(keys)
    for key in keys:
        tintype.wait_status(key, "ready")
    tintype.wait_idle()
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)


def test_other_pictures_are_published_while_one_is_poisoned(tintype):
    poisoned, fine = "poison/one.jpg", [f"poison/fine {number}.jpg" for number in range(4)]
    mark = len(tintype.emulator.proxy.record)
    with denied(tintype, "s3:PutObject", f"arn:aws:s3:::{tintype.processed}/{poisoned}/*"):
        tintype.put(poisoned, pictures.small_jpeg(62))
        for number, key in enumerate(fine):
            tintype.put(key, pictures.small_jpeg(70 + number))
        for key in fine:
            tintype.wait_ready(key)
        assert not tintype.objects(tintype.processed, f"{poisoned}/")
    with Impatience(tintype, since=mark):
        tintype.wait_status(poisoned, "ready")
        tintype.delete(poisoned)
        tintype.wait_deleted(poisoned)


def test_a_message_that_nobody_understands_ends_in_the_dead_letter_queue(tintype):
    with Impatience(tintype):
        tintype.client("sqs").send_message(QueueUrl=tintype.outputs["QueueUrl"], MessageBody="not an event")
        wait_until(
            lambda: tintype.depth("DeadLetterQueueUrl")[0] == 1,
            "the message is in the dead-letter queue",
            explain=lambda: tintype.emulator.server.log(),
        )
    [letter] = dead_letters(tintype)
    assert "key" not in letter, letter
    messages = tintype.client("sqs").receive_message(QueueUrl=tintype.outputs["DeadLetterQueueUrl"])["Messages"]
    assert [message["Body"] for message in messages] == ["not an event"]
    tintype.client("sqs").purge_queue(QueueUrl=tintype.outputs["DeadLetterQueueUrl"])
    assert tintype.depth("DeadLetterQueueUrl") == (0, 0)


def test_calls_that_fail_for_a_moment_are_not_noticed(tintype, calm):
    key = "poison/moment.jpg"
    mark = len(tintype.emulator.proxy.record)
    calm.add("s3 503", lambda call: call.operation == "GetObject" and call.target.endswith(key), 2)
    calm.add("s3 lost answer", lambda call: call.operation == "PutObject" and f"/{key}/" in call.target, 2)
    calm.add("dynamodb throughput", lambda call: call.operation == "GetItem" and key in call.target, 2)
    calm.add("dynamodb lost answer", lambda call: call.operation in ("PutItem", "UpdateItem") and key in call.target, 1)
    tintype.put(key, pictures.small_jpeg(63))
    tintype.wait_ready(key)
    tintype.wait_idle()
    assert set(tintype.objects(tintype.processed, f"{key}/")) == rendition_keys(key)
    assert sum(calm.injected.values()) == 7, calm.injected
    assert len(tintype.emulator.proxy.record) > mark
