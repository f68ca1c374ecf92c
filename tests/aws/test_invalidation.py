"""CloudFront is told of whatever is no longer public, and of nothing else.

MiniStack runs the schedule, so the invalidator may run at any moment; these tests run it as well, because nobody waits
for a minute here. What it asked CloudFront for is in the proxy's record either way.
"""

import json

import pictures
from processes import wait_until


def invalidate(tintype):
    """Runs the invalidator once, and returns what it says that it did."""
    answer = tintype.client("lambda").invoke(FunctionName=tintype.outputs["InvalidatorFunctionName"], Payload=b"{}")
    said = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, (said, tintype.emulator.server.log())
    return said


def asked(tintype, mark):
    """The calls to CloudFront since the recording had this length."""
    return [call for call in tintype.emulator.proxy.record[mark:] if call.operation == "CreateInvalidation"]


def forgotten(tintype, mark):
    return {path for call in asked(tintype, mark) if call.status == 201 for path in call.parameters["paths"]}


def wait_forgotten(tintype, mark, paths):
    def told():
        invalidate(tintype)
        return set(paths) <= forgotten(tintype, mark)

    explain = lambda: f"{forgotten(tintype, mark)}\n{tintype.emulator.server.log()}"
    wait_until(told, f"CloudFront is told of {paths}", explain=explain)


def families(spelling):
    return {f"/img/{spelling}/*", f"/v/{spelling}/*", f"/{spelling}/*"}


def messages(tintype, mark, key):
    """The messages that the worker put into the queue about this key."""
    url = tintype.outputs["InvalidationQueueUrl"]
    sent = [call for call in tintype.emulator.proxy.record[mark:] if call.operation == "SendMessage"]
    bodies = [json.loads(call.parameters["MessageBody"]) for call in sent if call.parameters["QueueUrl"] == url]
    return [body["withdrawal"]["kind"] for body in bodies if body["withdrawal"]["key"] == key]


def test_a_removed_picture_is_told_of_in_every_spelling_by_the_invalidator_alone(tintype):
    key = "invalid/it's (1), ü.jpg"
    mark = len(tintype.emulator.proxy.record)
    tintype.put(key, pictures.small_jpeg(300))
    tintype.wait_ready(key)
    tintype.wait_idle()
    assert messages(tintype, mark, key) == []
    tintype.delete(key)
    tintype.wait_deleted(key)
    guide, api = "invalid/it's%20(1),%20%C3%BC.jpg", "invalid/it%27s%20%281%29%2C%20%C3%BC.jpg"
    wait_forgotten(tintype, mark, families(guide) | families(api))
    invalidator = tintype.function_keys("InvalidatorRole").access_key
    assert {call.access_key for call in asked(tintype, mark)} == {invalidator}


def test_a_replaced_and_a_rejected_picture_are_told_of_and_the_same_bytes_are_not(tintype):
    key = "invalid/changed.jpg"
    mark = len(tintype.emulator.proxy.record)
    tintype.put(key, pictures.small_jpeg(301))
    tintype.wait_ready(key)
    tintype.put(key, pictures.small_jpeg(301))
    tintype.wait_idle()
    assert messages(tintype, mark, key) == []
    etag = tintype.put(key, pictures.small_jpeg(302))
    tintype.wait_ready(key, etag)
    tintype.wait_idle()
    assert messages(tintype, mark, key) == ["replaced"]
    tintype.put(key, b"no picture at all")
    tintype.wait_status(key, "rejected")
    tintype.wait_idle()
    assert messages(tintype, mark, key) == ["replaced", "removed"]
    wait_forgotten(tintype, mark, families(key))


def test_a_name_with_a_tilde_is_covered_by_what_is_before_it(tintype):
    key = "invalid/PHOTO~1.JPG"
    tintype.put(key, pictures.small_jpeg(303))
    tintype.wait_ready(key)
    mark = len(tintype.emulator.proxy.record)
    tintype.delete(key)
    tintype.wait_deleted(key)
    wait_forgotten(tintype, mark, {"/img/invalid/PHOTO*", "/v/invalid/PHOTO*", "/invalid/PHOTO*"})
    assert not [path for path in forgotten(tintype, mark) if "~" in path or "%7E" in path]


def test_cloudfront_without_time_delays_the_news_and_fails_no_removal(tintype, calm):
    key = "invalid/busy.jpg"
    tintype.put(key, pictures.small_jpeg(304))
    tintype.wait_ready(key)
    tintype.wait_idle()
    record = tintype.emulator.proxy.record
    mark = len(record)
    url = tintype.outputs["InvalidationQueueUrl"]
    calm.add("cloudfront busy", lambda call: call.operation == "CreateInvalidation", 1)
    tintype.delete(key)
    tintype.wait_deleted(key)

    def hidden():
        """The messages that were hidden since CloudFront refused, those of other tests among them."""
        refused = [index for index, call in enumerate(record[mark:]) if call.fault == "cloudfront busy"]
        later = record[mark + refused[0]:] if refused else []
        hides = [call for call in later if call.operation == "ChangeMessageVisibility" and call.status == 200]
        return [call.parameters for call in hides if call.parameters["QueueUrl"] == url]

    def put_off():
        invalidate(tintype)
        return [entry for entry in hidden() if entry["VisibilityTimeout"] == 60]

    wait_until(put_off, "the news are hidden for a minute", explain=lambda: tintype.emulator.server.log())
    assert not families(key) & forgotten(tintype, mark)
    # The minute passes.
    for entry in hidden():
        tintype.client("sqs").change_message_visibility(
            QueueUrl=url, ReceiptHandle=entry["ReceiptHandle"], VisibilityTimeout=0
        )
    wait_forgotten(tintype, mark, families(key))
    worker = tintype.function_keys("WorkerRole").access_key
    assert not [call for call in record[mark:] if call.operation == "ChangeMessageVisibility" and call.access_key == worker]
    assert tintype.depth("DeadLetterQueueUrl") == tintype.depth("InvalidationDeadLetterQueueUrl") == (0, 0)


def test_many_removals_are_one_request_of_few_paths(tintype):
    keys = [f"invalid/many/{number}.jpg" for number in range(12)]
    for key in keys:
        tintype.put(key, pictures.small_jpeg(305))
    tintype.wait_settled(keys)
    mark = len(tintype.emulator.proxy.record)
    for key in keys:
        tintype.delete(key)
    for key in keys:
        tintype.wait_deleted(key)

    def covered():
        invalidate(tintype)
        prefixes = [path[:-1] for path in forgotten(tintype, mark)]
        uris = [f"{family}/{key}/medium.avif" for key in keys for family in ("/img", "/v", "")]
        return all(any(uri.startswith(prefix) for prefix in prefixes) for uri in uris)

    wait_until(covered, "every URI is covered", explain=lambda: f"{forgotten(tintype, mark)}")
    assert all(len(call.parameters["paths"]) <= 12 for call in asked(tintype, mark))
