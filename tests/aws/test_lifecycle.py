"""The stack changes while pictures stay, and goes without taking them along."""

import pictures
from deployment import CURL
from recipe import rendition_keys


def test_a_changed_parameter_changes_that_and_nothing_else(tintype):
    key = "lifecycle/before.jpg"
    tintype.put(key, pictures.small_jpeg(91))
    tintype.wait_ready(key)
    client, before = tintype.client("lambda"), dict(tintype.outputs)
    tintype.deploy(WorkerMemory="2048", MaximumConcurrency="3", LogRetentionDays="7")
    assert tintype.outputs == before
    worker = client.get_function_configuration(FunctionName=tintype.outputs["WorkerFunctionName"])
    assert worker["MemorySize"] == 2048
    assert int(tintype.event_source()["ScalingConfig"]["MaximumConcurrency"]) == 3
    groups = tintype.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    kept = {group["logGroupName"]: group["retentionInDays"] for group in groups}
    assert kept[f"/aws/lambda/{tintype.outputs['WorkerFunctionName']}"] == 7
    assert tintype.get(f"/img/{key}/medium", CURL).status == 200


def test_uploads_go_on_after_an_update(tintype):
    key = "lifecycle/after.jpg"
    tintype.put(key, pictures.small_jpeg(92))
    tintype.wait_ready(key)
    assert tintype.get(f"/img/{key}/medium", CURL).status == 200


def test_deleting_the_stack_keeps_uploads_renditions_and_records(tintype):
    key = "lifecycle/kept.jpg"
    tintype.put(key, pictures.small_jpeg(93))
    tintype.wait_ready(key)
    tintype.wait_idle()
    tintype.aws("cloudformation", "delete-stack", "--stack-name", tintype.name)
    tintype.aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", tintype.name)
    functions = [entry["FunctionName"] for entry in tintype.client("lambda").list_functions()["Functions"]]
    assert tintype.outputs["WorkerFunctionName"] not in functions
    assert key in tintype.objects(tintype.raw, "lifecycle/")
    assert set(tintype.objects(tintype.processed, f"{key}/")) == rendition_keys(key)
    assert tintype.record(key) is not None
