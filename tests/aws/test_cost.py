"""deploy/cost.md says what deploy/cost.py computes, and that follows from prices and measurements."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from cloudformation import evaluate, load
from template_reading import of_type

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_spec = importlib.util.spec_from_file_location("cost", DEPLOY / "cost.py")
cost = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cost)
throughput = cost.throughput
CRATE = DEPLOY.parent / "crates/aws/src"
MEASURED = json.loads((DEPLOY / "measured.json").read_text())
# Figures that are easy to follow by hand: 2 GB-seconds an upload.
ROUND = {
    "status": "measured", "how": "made up", "worker_memory_mb": 2048, "worker_milliseconds": 1000, "api_memory_mb": 1024,
    "api_milliseconds": 0, "upload_bytes": 1_000_000, "rendition_bytes": 1_000_000, "log_bytes": 1000,
    "record_bytes": 2048, "rendition_puts": 9, "rendition_heads": 9,
}


def test_the_page_has_the_tables_of_the_calculator():
    page = (DEPLOY / "cost.md").read_text()
    tables = page.split(cost.BEGIN)[1].split(cost.END)[0].strip()
    assert tables == cost.report(MEASURED), "run deploy/cost.py --write"


def test_an_estimate_is_called_one():
    assert MEASURED["status"] in ("estimate", "measured")
    assert ("estimates, not measurements" in cost.report(MEASURED)) == (MEASURED["status"] == "estimate")
    assert "estimates, not measurements" not in cost.report(ROUND)


def test_what_is_free_is_taken_off_before_anything_is_charged():
    assert cost.charge("Lambda, requests", 1_000_000) == 0
    assert cost.charge("Lambda, requests", 3_000_000) == pytest.approx(0.40)
    # AWS's own example: 3 million runs of a second at 512 MB are 18.74 USD.
    seconds = cost.charge("Lambda, GB-seconds", 1_500_000)
    assert seconds + cost.charge("Lambda, requests", 3_000_000) == pytest.approx(18.74, abs=0.01)
    # And its example of two trails: 3 USD, and 2 USD for 2 million data events.
    assert cost.charge("CloudTrail, management events of a further trail", 150_000) == pytest.approx(3)
    assert cost.charge("CloudTrail, data events", 2_000_000) == pytest.approx(2)


def test_a_month_adds_up_by_hand():
    month = cost.month(ROUND, 1_000_000)
    # Two seconds a minute of 128 MB are 10,800 GB-seconds.
    assert month["Lambda, GB-seconds"] == pytest.approx((2_000_000 + 10_800 - 400_000) * 0.0000166667)
    assert month["Lambda, requests"] == pytest.approx((2 + 0.0432 - 1) * 0.20)
    assert month["S3, PUT"] == pytest.approx(50) and month["S3, GET and HEAD"] == pytest.approx(4)
    assert month["S3, GB-months"] == pytest.approx(2000 * 0.023)
    assert month["SQS, requests"] == pytest.approx((3 + 0.648 + 0.0432 - 1) * 0.40)
    assert month["DynamoDB, writes of 1 KB"] == pytest.approx(5 * 0.625)
    assert month["DynamoDB, reads of 4 KB"] == pytest.approx(0.125)
    assert month["CloudWatch Logs, GB"] == 0
    assert month["API Gateway, HTTP API requests"] == pytest.approx(1)


def test_the_free_part_covers_what_the_scarcest_service_covers():
    covered = cost.always_free(ROUND)
    assert covered["Lambda, GB-seconds"] == (400_000 - 10_800) // 2
    assert covered["SQS, requests"] == (1_000_000 - 691_200) // 3
    assert cost.month(ROUND, min(covered.values()))["Lambda, GB-seconds"] == 0
    assert cost.month(ROUND, 194_601)["Lambda, GB-seconds"] > 0


def test_an_idle_environment_costs_nothing_and_a_second_its_polling_and_alarms():
    assert cost.idle(1) == 0
    polling = (2 * 691_200 - 1_000_000) / 1_000_000 * 0.40
    alarms = (2 * 8 - 10) * 0.10
    assert cost.idle(2) == pytest.approx(polling + alarms)


def test_an_import_takes_as_long_as_one_works_out_by_hand():
    # A second each: 86,400 a day and worker.
    assert cost.import_days(ROUND, 864_000, 1) == pytest.approx(10)
    assert cost.import_days(ROUND, 864_000, 4) == pytest.approx(2.5)
    # Within seven days, one worker does 604,800.
    assert cost.import_concurrency(ROUND, 604_800 * 10) == 10
    assert cost.import_concurrency(ROUND, 604_800 * 10 + 1) == 11
    assert cost.import_concurrency(ROUND, 1) == 2, "the template takes no less"
    per_picture = 2 * 0.0000166667 + 0.20e-6 + 9 * 0.005e-3 + 10 * 0.0004e-3 + 3 * 0.40e-6 + 5 * 0.625e-6 + 0.125e-6 + 0.5e-6
    assert cost.import_cost(ROUND, 1_000_000) == pytest.approx(per_picture * 1_000_000)
    assert "events expire" in cost.imports(ROUND)


def test_an_import_has_as_long_as_the_queue_keeps_its_events():
    queue = evaluate(load())["Resources"]["JobQueue"]["Properties"]
    assert queue["MessageRetentionPeriod"] == cost.KEPT_DAYS * cost.DAY


def test_the_calculator_counts_what_the_template_makes():
    resources = evaluate(load())["Resources"]
    assert len(of_type(resources, "AWS::Lambda::EventSourceMapping")) == 1
    assert len(of_type(resources, "AWS::CloudWatch::Alarm")) == cost.ALARMS
    assert resources["InvalidatorSchedule"]["Properties"]["ScheduleExpression"] == "rate(1 minute)"
    assert resources["InvalidatorFunction"]["Properties"]["MemorySize"] == 128
    assert str(MEASURED["worker_memory_mb"]) == resources["WorkerFunction"]["Properties"]["MemorySize"]
    assert MEASURED["api_memory_mb"] == resources["ApiFunction"]["Properties"]["MemorySize"]
    # Nothing that is charged by the hour or month before anything happens.
    idle_charges = {"AWS::KMS::Key", "AWS::WAFv2::WebACL", "AWS::EC2::NatGateway", "AWS::SecretsManager::Secret"}
    assert not idle_charges & {item["Type"] for item in resources.values()}


def test_the_calculator_counts_what_the_functions_write_and_read():
    metrics = re.findall(r'name: "(\w+)"|count\("(\w+)"', (CRATE / "worker/account.rs").read_text())
    assert len(metrics) == cost.METRICS
    assert cost.month(ROUND, 1)["CloudWatch, custom metrics"] == 0
    assert cost.charge("CloudWatch, custom metrics", 2 * cost.METRICS) == pytest.approx((20 - 10) * 0.30)
    pages, = re.findall(r"MAX_PAGES: usize = (\d+)", (CRATE / "store/count.rs").read_text())
    shards, = re.findall(r"SHARDS: u8 = (\d+)", (CRATE / "store/index.rs").read_text())
    shown, = re.findall(r"SHOWN: \[\w+; (\d+)\]", (CRATE / "store/index.rs").read_text())
    assert cost.STATS_PAGES == int(pages) * int(shards) * int(shown)
    assert throughput.INDEX_SHARDS == int(shards)
    redriven, = re.findall(r"MOST: usize = (\d+)", (CRATE / "store/dead.rs").read_text())
    listed, = re.findall(r"MAX_LISTED: usize = (\d+)", (CRATE.parents[1] / "edge/src/api/dead.rs").read_text())
    assert cost.DEAD_LISTED == int(redriven) == int(listed)


def test_what_a_rate_takes_follows_from_the_measurements():
    needed = {name: amount for name, amount, _, _ in throughput.needs(ROUND, 1000)}
    assert needed["Lambda, worker executions"] == 1000 and needed["Lambda, worker and API executions"] == 1000
    assert needed["S3, renditions written"] == needed["S3, renditions looked at"] == 9000
    assert needed["DynamoDB, writes to the table"] == 3000 and needed["DynamoDB, writes to the index"] == 2000
    assert needed["DynamoDB, writes to one of 8 parts of a status"] == 125
    assert throughput.partitions(9000, "S3, PUT a partition") == 3
    for _, _, met, _ in throughput.needs(ROUND, 1000):
        assert throughput.limit(met) > 0


def test_the_simulation_agrees_with_arithmetic_where_there_is_some():
    # A second each: five at once are five a second.
    once = throughput.simulate(ROUND, None, 5, 0, uploads=1000)
    assert (once["empty_at"], once["largest_queue"]) == (199, 995) and once["longest_wait"] == pytest.approx(199, abs=1)
    # Twice as many as can be done: half of them wait when it ends.
    flood = throughput.simulate(ROUND, 10, 5, 1000)
    assert flood["largest_queue"] == pytest.approx(5000, rel=0.1) and flood["empty_at"] == pytest.approx(2000, rel=0.05)
    # Five more pollers a second: from 5 to 105 in 20 s, in which 100 a second leave 1,000 behind.
    ramp = throughput.simulate(ROUND, 100, 1000, 600)
    assert ramp["largest_queue"] == pytest.approx(1000, rel=0.15) and ramp["longest_wait"] < 20
    calm = throughput.simulate(ROUND, 2, 5, 1000)
    assert calm["longest_wait"] <= 2 and calm["empty_at"] is not None
    assert throughput.simulate(ROUND, 10, 5, 100, seed=3) == throughput.simulate(ROUND, 10, 5, 100, seed=3)


def test_every_switch_that_costs_is_named():
    named = " ".join(what for what, _, _ in cost.switches(MEASURED))
    for switch in ("EnableDataEvents", "EnableTrail", "EnableKms", "WebAclArn", "EnablePitr", "EnableApi"):
        assert f"`{switch}`" in named
    assert "second environment" in named


def test_invalidations_have_a_ceiling_and_the_code_keeps_it():
    source = (DEPLOY.parent / "crates/aws/src/invalidation/merge.rs").read_text()
    assert f"MOST_PATHS: usize = {cost.MOST_PATHS};" in source
    rows = cost.invalidations().splitlines()
    assert rows[2].endswith("| 333 | 0 |") and rows[3].endswith("| 1,333 | 15.00 |")
    # Twelve paths a minute for thirty days.
    assert rows[4].endswith("| at most 518,400 paths | 2,587.00 |")
    assert rows[5].endswith("| at most 51,840 paths | 254.20 |")
    # 69 hours and 27 minutes of ten-minute windows.
    assert rows[8].endswith("| at most 5,004 paths | 20.02 |")


def test_every_price_says_where_it_is_from():
    for name, (price, unit, free, page, read) in cost.PRICES.items():
        assert price > 0 and unit > 0 and free >= 0 and page and read, name
