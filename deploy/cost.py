#!/usr/bin/env python3
"""The cost of Tintype on AWS: reads measured.json, prints the tables of cost.md.

    deploy/cost.py             prints the tables
    deploy/cost.py --write     puts them into cost.md, between its markers

measured.json is what `scripts/aws-measure --write` measured in the packaged functions; `status` is "measured" then, and
"estimate" if somebody made figures up; `how` says on what and when.

Prices are of us-east-1 in USD, on demand, without taxes, each with the page that it is from.
"""

import json
import math
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import throughput  # noqa: E402 - beside this file, wherever it is run from

MILLION = 1_000_000
GB = 1e9
BEGIN, END = "<!-- cost.py: begin -->", "<!-- cost.py: end -->"

# name: (price, for how many, free a month for ever, page, when and where it was read)
PRICES = {
    "Lambda, GB-seconds": (0.0000166667, 1, 400_000, "aws.amazon.com/lambda/pricing", "page"),
    "Lambda, requests": (0.20, MILLION, MILLION, "aws.amazon.com/lambda/pricing", "page"),
    "S3, PUT": (0.005, 1000, 0, "aws.amazon.com/s3/pricing", "devnotes.tech's table of it, page in part"),
    "S3, GET and HEAD": (0.0004, 1000, 0, "aws.amazon.com/s3/pricing", "devnotes.tech's table of it, page in part"),
    "S3, GB-months": (0.023, 1, 0, "aws.amazon.com/s3/pricing", "devnotes.tech's table of it, page in part"),
    "SQS, requests": (0.40, MILLION, MILLION, "aws.amazon.com/sqs/pricing", "cloudburn.io's table of March 2026"),
    "DynamoDB, writes of 1 KB": (0.625, MILLION, 0, "aws.amazon.com/dynamodb/pricing/on-demand", "airbyte.com, 2025"),
    "DynamoDB, reads of 4 KB": (0.125, MILLION, 0, "aws.amazon.com/dynamodb/pricing/on-demand", "airbyte.com, 2025"),
    "DynamoDB, GB-months": (0.25, 1, 25, "aws.amazon.com/dynamodb/pricing/on-demand", "memory"),
    "CloudWatch Logs, GB": (0.50, 1, 5, "aws.amazon.com/cloudwatch/pricing", "factualminds.com, June 2026; free part: page"),
    "API Gateway, HTTP API requests": (1.00, MILLION, 0, "aws.amazon.com/api-gateway/pricing", "apigatewaycost.com; free part: page"),
    "CloudFront, HTTPS requests": (0.0100, 10_000, 10 * MILLION, "aws.amazon.com/cloudfront/pricing", "kindatechnical.com; free part: page"),
    "CloudFront, GB out": (0.085, 1, 1000, "aws.amazon.com/cloudfront/pricing", "page"),
    "CloudFront Functions, runs": (0.10, MILLION, 2 * MILLION, "aws.amazon.com/cloudfront/pricing", "vantage.sh; free part: page"),
    "CloudFront, invalidation paths": (0.005, 1, 1000, "how-aws-pricing-works (AWS whitepaper)", "page"),
    "CloudTrail, data events": (0.10, 100_000, 0, "aws.amazon.com/cloudtrail/pricing", "page"),
    "CloudTrail, management events of a further trail": (2.00, 100_000, 0, "aws.amazon.com/cloudtrail/pricing", "page"),
    "KMS, keys": (1.00, 1, 0, "aws.amazon.com/kms/pricing", "page"),
    "KMS, requests": (0.03, 10_000, 20_000, "aws.amazon.com/kms/pricing", "wring.co, March 2026; free part: page"),
    "DynamoDB, GB-months of point-in-time recovery": (0.20, 1, 0, "aws.amazon.com/dynamodb/pricing/on-demand", "finops.com.py"),
    "WAF, web ACLs": (5.00, 1, 0, "aws.amazon.com/waf/pricing", "c3x.dev"),
    "WAF, rules": (1.00, 1, 0, "aws.amazon.com/waf/pricing", "c3x.dev"),
    "WAF, requests": (0.60, MILLION, 0, "aws.amazon.com/waf/pricing", "c3x.dev"),
    "CloudWatch, alarms": (0.10, 1, 10, "aws.amazon.com/cloudwatch/pricing", "free part: page; price: memory"),
    "CloudWatch, custom metrics": (0.30, 1, 10, "aws.amazon.com/cloudwatch/pricing", "free part: page; price: memory"),
}
READ_ON = "2026-11-23"

# The metrics that the worker writes in the embedded metric format: a custom metric each, and each environment its own.
METRICS = 10

# The most of the index that one count of `GET /stats` reads (crates/aws/src/store/count.rs): answers of 1 MB.
STATS_PAGES = 4 * 8 * 4

# The most dead letters that one request lists or redrives (crates/aws/src/store/dead.rs, crates/edge/src/api/dead.rs).
DEAD_LISTED = 1000

MINUTES = 60 * 24 * 30
# Lambda asks an idle queue some 15 times a minute (getlift/lift#132).
IDLE_POLLS = 15 * MINUTES
# The invalidator asks its queue once a minute and waits a second for an answer; a run's own work takes less than another.
IDLE = {
    "SQS, requests": IDLE_POLLS + MINUTES,
    "Lambda, requests": MINUTES,
    "Lambda, GB-seconds": 2 * MINUTES * 128 / 1024,
}

# One image that CloudFront is told of, and the most that one request names, whatever it is about
# (crates/aws/src/invalidation/merge.rs).
PATHS_OF_ONE, MOST_PATHS = 3, 12

# Alarms of an environment.
ALARMS = 8

# The longest time that SQS keeps an event, which is that of the template's queues.
KEPT_DAYS = 14
DAY = 86_400


def charge(name, amount):
    """USD for an amount in a month, what is always free taken off."""
    price, unit, free, _, _ = PRICES[name]
    return max(0.0, amount - free) / unit * price


def per_upload(measured):
    """The usage of one upload, by the names of the price list: from a signed request to a published record."""
    worker = measured["worker_memory_mb"] / 1024 * measured["worker_milliseconds"] / 1000
    api = measured["api_memory_mb"] / 1024 * measured["api_milliseconds"] / 1000
    return {
        "Lambda, GB-seconds": worker + api,
        "Lambda, requests": 2,
        # The upload itself, then the renditions.
        "S3, PUT": 1 + measured["rendition_puts"],
        "S3, GET and HEAD": 1 + measured["rendition_heads"],
        "S3, GB-months": (measured["upload_bytes"] + measured["rendition_bytes"]) / GB,
        # S3's message, its receipt, its deletion.
        "SQS, requests": 3,
        # The record and the note of its digest, each with its entry in the index.
        "DynamoDB, writes of 1 KB": math.ceil(measured["record_bytes"] / 1024) + 3,
        "DynamoDB, reads of 4 KB": 1,
        "DynamoDB, GB-months": measured["record_bytes"] / GB,
        "CloudWatch Logs, GB": measured["log_bytes"] / GB,
        "API Gateway, HTTP API requests": 1,
    }


def month(measured, uploads):
    """USD by name for a month with so many uploads, what happens without any included, stored for one month."""
    used = {name: amount * uploads + IDLE.get(name, 0) for name, amount in per_upload(measured).items()}
    used["CloudWatch, custom metrics"] = METRICS
    return {name: charge(name, amount) for name, amount in used.items()}


def always_free(measured):
    """The uploads a month that the always-free part of each service covers; services without one are left out."""
    used = per_upload(measured)
    covered = {}
    for name, amount in used.items():
        free = PRICES[name][2] - IDLE.get(name, 0)
        if PRICES[name][2] and not name.startswith("DynamoDB, GB"):
            covered[name] = int(free / amount)
    return covered


def idle(environments):
    """USD a month for environments in one account with nothing in them."""
    used = {name: amount * environments for name, amount in IDLE.items()} | {"CloudWatch, alarms": ALARMS * environments}
    return sum(charge(name, amount) for name, amount in used.items())


def usd(amount):
    if amount == 0:
        return "0"
    return f"{amount:,.4f}" if amount < 0.01 else f"{amount:,.2f}"


def count(number):
    return f"{number:,}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def switches(measured):
    used = per_upload(measured)
    events = used["S3, PUT"]
    kms = used["S3, PUT"] + 2
    price, unit, *_ = PRICES["SQS, requests"]
    request = price / unit
    return [
        ("a second environment in the account",
         f"its queues are polled too, and {2 * ALARMS - 10} of its {ALARMS} alarms are beyond the ten free ones",
         f"{usd(idle(2) - idle(1))} a month"),
        ("a third", "the same, and all of its alarms", f"{usd(idle(3) - idle(2))} a month"),
        ("a second environment that is used", f"{METRICS} custom metrics in each, 10 of an account are free",
         f"{usd(charge('CloudWatch, custom metrics', 2 * METRICS))} a month"),
        ("`GET /api/v1/stats`", f"it reads at most {STATS_PAGES} MB of the index, once a minute",
         f"at most {usd(charge('DynamoDB, reads of 4 KB', STATS_PAGES * 128))} a count"),
        ("`GET /api/v1/dead`", f"it receives up to {DEAD_LISTED:,} messages, ten at a time, and shows each again",
         f"at most {usd(DEAD_LISTED * 1.1 * request)} a list"),
        ("`POST /api/v1/dead/redrive`", f"it receives up to {DEAD_LISTED:,} messages, ten at a time, sends each and deletes each",
         f"at most {usd(DEAD_LISTED * 2.1 * request)} a request"),
        ("`EnableDataEvents`", f"{events:.0f} writes an upload",
         f"{usd(charge('CloudTrail, data events', events * MILLION))} for a million uploads"),
        ("`EnableTrail`, a second trail in the account", "the first copy of management events is free, further ones are not",
         f"{usd(charge('CloudTrail, management events of a further trail', 100_000))} for 100,000 events"),
        ("`EnableKms`", "the key", f"{usd(charge('KMS, keys', 1))} a month, one more after each yearly rotation"),
        ("`EnableKms`", f"at most {kms:.0f} requests an upload; bucket keys make it far fewer",
         f"at most {usd(charge('KMS, requests', kms * MILLION))} for a million uploads"),
        ("`WebAclArn`", "an ACL with one rule",
         f"{usd(charge('WAF, web ACLs', 1) + charge('WAF, rules', 1))} a month and "
         f"{usd(charge('WAF, requests', MILLION))} for a million requests"),
        ("`EnablePitr`", "the table's size",
         f"{usd(charge('DynamoDB, GB-months of point-in-time recovery', used['DynamoDB, GB-months'] * MILLION))} a month for a "
         "million records"),
        ("`EnableApi`", "its free period is twelve months of older accounts",
         f"{usd(charge('API Gateway, HTTP API requests', MILLION))} for a million requests"),
        ("`OldVersionDays`", "a replaced upload is stored, and charged, so long",
         f"{usd(charge('S3, GB-months', 1))} a GB and month"),
    ]


def import_days(measured, pictures, concurrency):
    """The days that the worker needs for so many pictures like the measured one, nothing else to do."""
    return pictures * measured["worker_milliseconds"] / 1000 / concurrency / DAY


def import_concurrency(measured, pictures):
    """The least MaximumConcurrency with which no picture waits for more than half of the time that its event is kept."""
    return max(2, math.ceil(import_days(measured, pictures, 1) / (KEPT_DAYS / 2)))


def import_cost(measured, pictures):
    """USD for processing them: no API, no upload, nothing of what is stored, the free parts used up by others."""
    used = per_upload(measured) | {
        "Lambda, GB-seconds": measured["worker_memory_mb"] / 1024 * measured["worker_milliseconds"] / 1000,
        "Lambda, requests": 1,
        "S3, PUT": measured["rendition_puts"],
    }
    leave_out = ("API Gateway, HTTP API requests", "S3, GB-months", "DynamoDB, GB-months")
    return sum(amount * pictures / PRICES[name][1] * PRICES[name][0] for name, amount in used.items() if name not in leave_out)


def imports(measured):
    """A table of how long imports take."""
    concurrencies = (4, 20, 100, 500)

    def days(pictures, concurrency):
        took = import_days(measured, pictures, concurrency)
        text = f"{took:,.1f} days" if took >= 1 else f"{took * 24:,.1f} h"
        return f"{text}: **events expire**" if took > KEPT_DAYS else text

    rows = [
        (count(pictures), *(days(pictures, concurrency) for concurrency in concurrencies),
         count(import_concurrency(measured, pictures)), usd(import_cost(measured, pictures)))
        for pictures in (100_000, MILLION, 5 * MILLION, 20 * MILLION, 100 * MILLION)
    ]
    head = ("pictures", *(f"at {concurrency}" for concurrency in concurrencies), "least for 7 days", "USD")
    return table(head, rows)


def invalidations():
    """The cost of invalidating images that are no longer public."""
    def paid(paths):
        return usd(charge("CloudFront, invalidation paths", paths))

    def at_most(minutes):
        return MOST_PATHS * MINUTES // minutes

    day = 1_000_000 / 4 / 60
    rows = [
        ("images deleted or replaced now and then, each told of by itself", "333", paid(333 * PATHS_OF_ONE)),
        ("the same", "1,333", paid(1333 * PATHS_OF_ONE)),
        ("deleted, however many, in every minute of the month", "at most " + count(at_most(1)) + " paths", paid(at_most(1))),
        *((f"replaced, however many, with `ReplacementMinutes={minutes}`", "at most " + count(at_most(minutes)) + " paths",
           paid(at_most(minutes))) for minutes in (10, 30, 60)),
        ("a million replaced in one go, four a second, `ReplacementMinutes=10`",
         f"at most {count(math.ceil(day / 10) * MOST_PATHS)} paths", paid(math.ceil(day / 10) * MOST_PATHS)),
    ]
    return table(("in a month", "images or paths", "USD"), rows)


def delivery():
    rows = []
    for views in (MILLION, 10 * MILLION, 100 * MILLION):
        gigabytes = views * 100_000 / GB
        runs = charge("CloudFront Functions, runs", 2 * views)
        total = charge("CloudFront, HTTPS requests", views) + charge("CloudFront, GB out", gigabytes) + runs
        rows.append((count(views), usd(charge("CloudFront, HTTPS requests", views)), usd(runs),
                     usd(charge("CloudFront, GB out", gigabytes)), f"**{usd(total)}**"))
    return table(("views a month", "requests", "Functions (two runs a view)", "bytes (100 KB a view)", "together"), rows)


def memory(measured):
    """The share of the worker's memory that an upload takes, in a sentence; empty when it was not measured."""
    if "peak_mib" not in measured:
        return ""
    fifty = measured["fifty_megapixels"]
    return (
        f" The worker's two processes took {sum(measured['peak_mib'].values()):,} MiB at most; for 50 megapixels, the limit, "
        f"{sum(fifty['peak_mib'].values()):,} MiB and {fifty['worker_milliseconds'] / 1000:.1f} s."
    )


def hours(seconds):
    return f"{seconds:,.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def uploads_a_second(measured):
    """The part of the page about many uploads at once."""
    rate = 1000
    rows = []
    for name, needed, met, advice in throughput.needs(measured, rate):
        default = throughput.limit(met)
        rows.append((name, count(math.ceil(needed)), f"{count(default)}", advice if needed > default * 0.9 or "API" in name else "–"))
    each = sum(charge_marginal(name, amount) for name, amount in per_upload(measured).items() if "GB-months" not in name)
    most = throughput.limit("Lambda, executions of one queue's mapping") * 1000 / measured["worker_milliseconds"]
    scenarios = [(1000, 1000, 3600, None), (900, 1000, 3600, None), (500, 1000, 3600, None), (100, 100, 3600, None), (50, 100, 3600, None),
                 (4, 4, 3600, None), (3, 4, 3600, None), (None, 4, None, 100_000), (None, 100, None, MILLION), (None, 1000, None, MILLION)]
    simulated = []
    for speed, concurrency, seconds, at_once in scenarios:
        seen = throughput.simulate(measured, speed, concurrency, seconds or 0, uploads=at_once)
        what = f"{count(at_once)} at once" if at_once else f"{count(speed)} a second for an hour"
        # A queue of a few seconds comes and goes.
        lasting = speed is None or seen["largest_queue"] > 10 * speed
        empty = "–" if not lasting else "not within a day" if seen["empty_at"] is None else hours(seen["empty_at"])
        simulated.append((what, count(concurrency), count(seen["largest_queue"]), hours(seen["longest_wait"]), empty))
    limits = [(name, count(value), page, read) for name, (value, page, read) in throughput.LIMITS.items()]
    return "\n\n".join([
        f"What {count(rate)} uploads of this picture a second take, against AWS's defaults. One queue's mapping makes at most "
        f"{most:,.0f} of them a second, so this is its end; beyond it, a second environment. It costs {usd(each * rate * 3600)} USD "
        "an hour, storage aside.",
        table(("", "needed", "default limit", "what to do"), rows),
        "Simulated, second by second: uploads come at random, Lambda's poller begins with "
        f"{throughput.FIRST_POLLERS} invocations and adds {throughput.POLLERS_A_MINUTE} a minute, and each takes as long as was "
        "measured.",
        table(("uploads", "`MaximumConcurrency`", "largest queue", "longest wait", "queue empty after"), simulated),
        table(("limit", "default", "page", "read"), limits),
    ])


def charge_marginal(name, amount):
    """USD for an amount when the free part is used up."""
    price, unit, _, _, _ = PRICES[name]
    return amount / unit * price


def report(measured):
    cases = (10_000, MILLION, 100 * MILLION)
    months = [month(measured, uploads) for uploads in cases]
    rows = [(name, *(usd(each[name]) for each in months)) for name in months[0]]
    rows.append(("**together**", *(f"**{usd(sum(each.values()))}**" for each in months)))
    once = [sum(value for name, value in each.items() if "GB-months" not in name) / uploads * 1000
            for each, uploads in zip(months, cases)]
    rows.append(("for 1,000 uploads, storage aside", *(usd(each) for each in once)))
    covered = sorted(always_free(measured).items(), key=lambda item: item[1])
    word = {"estimate": "**Durations and sizes are estimates, not measurements yet**", "measured": "Measured"}
    free = covered[0][1]
    paid = month(measured, free)
    return "\n\n".join([
        f"{word[measured['status']]}: {measured['how']}.",
        f"An upload: {measured['worker_milliseconds']:,} ms of the worker at {measured['worker_memory_mb']:,} MB, "
        f"{measured['api_milliseconds']} ms of the API at {measured['api_memory_mb']} MB, {measured['upload_bytes'] / 1e6:.2g} MB "
        f"uploaded, {measured['rendition_bytes'] / 1e6:.2g} MB of renditions, {measured['record_bytes'] / 1e3:.2g} KB of record."
        + memory(measured),
        "## Uploads",
        table(("USD a month", *(f"{count(uploads)} uploads" for uploads in cases)), rows),
        "## What is always free",
        table(("", "covers so many uploads a month"), [(name, count(uploads)) for name, uploads in covered]),
        f"So {count(free)} uploads a month cost nothing but what has no free part: {usd(sum(paid.values()))} USD for S3 "
        f"({usd(paid['S3, GB-months'])} of it to store them for a month), DynamoDB's requests and API Gateway. Discounts for "
        "volume are not counted.",
        "## Many uploads a second",
        uploads_a_second(measured),
        "## Idle",
        f"One environment in an account, with nothing in it: **{usd(idle(1))} USD**. Its queues are asked {count(IDLE['SQS, requests'])} times "
        f"a month, of a million requests that are free, and the invalidator runs {count(MINUTES)} times, of another million. What is stored is charged: "
        f"{usd(charge('S3, GB-months', per_upload(measured)['S3, GB-months'] * 1000))} USD a month for every thousand images.",
        "## Large imports",
        f"The days until the last of so many pictures, uploaded at once, is processed, by `MaximumConcurrency`; the least "
        f"`MaximumConcurrency` with which the queue is empty within {KEPT_DAYS // 2} days, half of the time that an event is kept; "
        "and what the processing costs, storage and uploads aside, nothing free left. The cost does not depend on the "
        "concurrency. That events are kept for fourteen days costs nothing: SQS charges by the request.",
        imports(measured),
        "## Delivery",
        delivery(),
        "## What CloudFront is told",
        "Unless `EnableInvalidations` is off. A path costs 0.005 USD beyond the first 1,000 of a month; one with a wildcard is "
        f"one path. An image is {PATHS_OF_ONE} of them (twice that where its name has characters that clients spell in two ways, "
        f"such as parentheses), and one request never has more than {MOST_PATHS}, whatever it is about. First uploads cost none.",
        invalidations(),
        "## What else costs",
        table(("what", "because", "USD"), switches(measured)),
        f"## Prices (us-east-1, read {READ_ON})",
        table(("", "USD", "for", "always free a month", "page", "read from"),
              [(name, f"{price:.10f}".rstrip("0").rstrip("."), f"{unit:,}", count(free_part) if free_part else "", page, read)
               for name, (price, unit, free_part, page, read) in PRICES.items()]),
    ])


def main():
    measured = json.loads((HERE / "measured.json").read_text())
    text = report(measured)
    if sys.argv[1:] == ["--write"]:
        path = HERE / "cost.md"
        before, rest = path.read_text().split(BEGIN)
        path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")
    else:
        print(text)


if __name__ == "__main__":
    main()
