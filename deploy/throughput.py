"""The AWS resources that a rate of uploads takes, and the queue under it: computed and simulated from measured.json.

`cost.py` prints this as a part of cost.md. Durations are those of measured.json; limits are AWS's defaults, each with the
page that it is from. Nothing here has run on AWS.
"""

import math
import random

# Lambda's poller of a standard queue: how many invocations it starts with, and how many it adds in a minute.
FIRST_POLLERS, POLLERS_A_MINUTE = 5, 300
# Parts of each status in the table's index (crates/aws/src/store/index.rs).
INDEX_SHARDS = 8

# name: (default, page, read)
LIMITS = {
    "Lambda, executions at once in an account": (1_000, "lambda/latest/dg/gettingstarted-limits; 10 in a new account", "notes"),
    "Lambda, executions of one queue's mapping": (1_000, "lambda/latest/dg/services-sqs-scaling", "2026-11-30"),
    "S3, PUT a partition": (3_500, "AmazonS3/latest/userguide/optimizing-performance", "2026-11-30, excerpts"),
    "S3, GET and HEAD a partition": (5_500, "AmazonS3/latest/userguide/optimizing-performance", "2026-11-30, excerpts"),
    "DynamoDB, writes of a new table or index": (
        4_000, "amazondynamodb/latest/developerguide/warm-throughput-scenarios", "2026-11-30"),
    "DynamoDB, reads of a new table": (
        12_000, "amazondynamodb/latest/developerguide/warm-throughput-scenarios", "2026-11-30"),
    "DynamoDB, writes of a partition": (
        1_000, "amazondynamodb/latest/developerguide/warm-throughput-scenarios", "2026-11-30"),
    "SQS, messages in flight": (120_000, "AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages", "notes"),
    "API Gateway, requests of an account": (10_000, "apigateway/latest/developerguide/limits", "memory"),
}


def limit(name):
    return LIMITS[name][0]


def needs(measured, rate):
    """[(name, needed a second or at once, the limit that it meets, what to do)] for so many uploads a second."""
    executions = rate * measured["worker_milliseconds"] / 1000
    signing = rate * measured["api_milliseconds"] / 1000
    puts, heads = rate * measured["rendition_puts"], rate * measured["rendition_heads"]
    # The record, and the note of its digest.
    table_writes = rate * (math.ceil(measured["record_bytes"] / 1024) + 1)
    index_writes = rate * 2
    shard_writes = rate / INDEX_SHARDS
    return [
        ("Lambda, worker executions", executions, "Lambda, executions of one queue's mapping",
         "`MaximumConcurrency=1000`, and a quota of the account well above it"),
        ("Lambda, worker and API executions", executions + signing, "Lambda, executions at once in an account",
         "ask for a quota of 2,000"),
        ("API, signed uploads", rate, "API Gateway, requests of an account",
         "`ApiRateLimit` and `ApiBurstLimit` as high, or uploads signed by the site itself"),
        ("S3, uploads", rate, "S3, PUT a partition", ""),
        ("S3, sources read", rate, "S3, GET and HEAD a partition", ""),
        ("S3, renditions written", puts, "S3, PUT a partition",
         f"keys that differ in their first characters: S3 divides the bucket by itself, into {partitions(puts, 'S3, PUT a partition')} "
         "parts here, within an hour, and answers 503 until then, which is tried again"),
        ("S3, renditions looked at", heads, "S3, GET and HEAD a partition", "the same"),
        ("DynamoDB, writes to the table", table_writes, "DynamoDB, writes of a new table or index",
         "begin with less for half an hour, or set its warm throughput"),
        ("DynamoDB, writes to the index", index_writes, "DynamoDB, writes of a new table or index", ""),
        (f"DynamoDB, writes to one of {INDEX_SHARDS} parts of a status", shard_writes, "DynamoDB, writes of a partition", ""),
        ("DynamoDB, reads", rate, "DynamoDB, reads of a new table", ""),
        ("SQS, messages in flight", min(executions, limit("Lambda, executions of one queue's mapping")),
         "SQS, messages in flight", ""),
    ]


def partitions(rate, name):
    return math.ceil(rate / limit(name))


def simulate(measured, rate, concurrency, seconds, seed=1, uploads=None):
    """Uploads that come at random, on average `rate` a second for `seconds` (or `uploads` at once), and a queue that is
    worked off by Lambda's poller, second by second.

    Answers the longest wait and the largest queue, and when the queue was empty for the first time after that largest one:
    seconds from the beginning; None when it never was within a day.
    """
    source = random.Random(seed)
    each = measured["worker_milliseconds"] / 1000
    pollers, arrived, done = float(min(FIRST_POLLERS, concurrency)), 0, 0.0
    arrivals, largest, longest, empty_at = [], 0, 0.0, None
    oldest = 0
    for second in range(24 * 3600):
        if uploads is not None:
            come = uploads if second == 0 else 0
        else:
            come = max(0, round(source.gauss(rate, math.sqrt(rate)))) if second < seconds else 0
        arrived += come
        arrivals.append(arrived)
        done = min(arrived, done + pollers / each)
        waiting = arrived - done
        # The message that is done now came in the first second by whose end so many had come.
        while oldest < second and arrivals[oldest] < done:
            oldest += 1
        if waiting >= 1:
            longest = max(longest, second - oldest)
        if waiting > largest:
            largest, empty_at = waiting, None
        elif waiting < 1 and empty_at is None and largest > 0:
            empty_at = second
        # More pollers only while there is more to take than they take.
        if waiting > pollers:
            pollers = min(concurrency, pollers + POLLERS_A_MINUTE / 60)
        if waiting < 1 and (uploads is not None or second >= seconds):
            break
    return {"longest_wait": longest, "largest_queue": round(largest), "empty_at": empty_at}
