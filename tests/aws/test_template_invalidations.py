"""deploy/template.yaml: how CloudFront is told of what is no longer public."""

import pytest

from cloudformation import evaluate, references
from parameter_sets import SETS
from template_reading import (
    ACCOUNT, ALL, DEFAULT, REGION, TEMPLATE, described, granted, of_type, statements,
)

PARTS = {
    "InvalidationQueue", "InvalidationQueuePolicy", "InvalidationDeadLetterQueue", "InvalidationDeadLetterQueuePolicy",
    "InvalidationDeadLetterAlarm", "InvalidatorErrorsAlarm", "InvalidatorLogGroup", "InvalidatorRole", "InvalidatorFunction",
    "InvalidatorSchedule", "InvalidatorPermission",
}
INVALIDATOR = {
    ("sqs:ReceiveMessage", "InvalidationQueue.Arn"), ("sqs:DeleteMessage", "InvalidationQueue.Arn"),
    ("sqs:ChangeMessageVisibility", "InvalidationQueue.Arn"),
    ("cloudfront:CreateInvalidation", f"arn:aws:cloudfront::{ACCOUNT}:distribution/${{Distribution}}"),
    ("logs:CreateLogStream", "InvalidatorLogGroup.Arn"), ("logs:PutLogEvents", "InvalidatorLogGroup.Arn"),
}
TRACE = {("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*")}


@pytest.fixture(params=SETS)
def resources(request):
    return described(**SETS[request.param])


def test_only_the_invalidator_may_ask_cloudfront_and_it_may_little_else():
    assert granted(DEFAULT, "InvalidatorRole") == INVALIDATOR
    assert granted(ALL, "InvalidatorRole") == INVALIDATOR | TRACE | {("kms:Decrypt", "Key.Arn")}
    document, = ALL["InvalidatorRole"]["Properties"]["Policies"]
    assert statements(document["PolicyDocument"])["UseKey"]["Condition"] == {
        "StringEquals": {"kms:ViaService": f"sqs.{REGION}.amazonaws.com"}}
    for name in of_type(ALL, "AWS::IAM::Role"):
        may = "cloudfront:CreateInvalidation" in {action for action, _ in granted(ALL, name)}
        assert may == (name == "InvalidatorRole"), name


def test_the_invalidator_runs_once_a_minute_and_nothing_polls_its_queue(resources):
    schedule = resources["InvalidatorSchedule"]["Properties"]
    assert (schedule["ScheduleExpression"], schedule["State"]) == ("rate(1 minute)", "ENABLED")
    target, = schedule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["InvalidatorFunction", "Arn"]}
    permission = resources["InvalidatorPermission"]["Properties"]
    assert permission == {
        "FunctionName": {"Ref": "InvalidatorFunction"}, "Action": "lambda:InvokeFunction", "SourceAccount": ACCOUNT,
        "Principal": "events.amazonaws.com", "SourceArn": {"Fn::GetAtt": ["InvalidatorSchedule", "Arn"]}}
    sources = [each["EventSourceArn"] for each in of_type(resources, "AWS::Lambda::EventSourceMapping").values()]
    assert sources == [{"Fn::GetAtt": ["JobQueue", "Arn"]}]


def test_the_invalidator_is_the_workers_program_and_is_told_what_it_works_on():
    function = DEFAULT["InvalidatorFunction"]["Properties"]
    assert function["Environment"]["Variables"] == {
        "TINTYPE_FUNCTION": "invalidator", "TINTYPE_INVALIDATION_QUEUE_URL": {"Ref": "InvalidationQueue"},
        "TINTYPE_DISTRIBUTION_ID": {"Ref": "Distribution"}, "TINTYPE_REPLACEMENT_MINUTES": "10"}
    assert function["Code"] == DEFAULT["WorkerFunction"]["Properties"]["Code"]
    assert function["MemorySize"] == 128


def test_its_queue_keeps_messages_for_a_day_of_tries(resources):
    queue, dead = (resources[name]["Properties"] for name in ("InvalidationQueue", "InvalidationDeadLetterQueue"))
    # A received message must not come back before the run that received it has ended.
    assert queue["VisibilityTimeout"] > resources["InvalidatorFunction"]["Properties"]["Timeout"]
    tries, minutes = queue["RedrivePolicy"]["maxReceiveCount"], 5
    assert tries * minutes >= 24 * 60
    assert tries * minutes * 60 < queue["MessageRetentionPeriod"] < dead["MessageRetentionPeriod"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["InvalidationDeadLetterQueue", "Arn"]}
    assert dead["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue", "sourceQueueArns": [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue['QueueName']}"]}


def test_without_invalidations_nothing_of_them_is_there_and_the_worker_may_do_less():
    without = described(EnableInvalidations="false")
    assert set(DEFAULT) - set(without) == PARTS
    gone = set(TEMPLATE["Resources"]) - set(without)
    assert not references(evaluate(TEMPLATE, EnableInvalidations="false")["Outputs"], gone)
    variables = without["WorkerFunction"]["Properties"]["Environment"]["Variables"]
    assert not {"TINTYPE_INVALIDATION_QUEUE_URL", "TINTYPE_REPLACEMENT_MINUTES"} & set(variables)
    lost = granted(DEFAULT, "WorkerRole") - granted(without, "WorkerRole")
    assert lost == {("sqs:SendMessage", "InvalidationQueue.Arn")}


def test_replaced_images_can_be_left_out():
    for function in ("WorkerFunction", "InvalidatorFunction"):
        variables = described(ReplacementMinutes="0")[function]["Properties"]["Environment"]["Variables"]
        assert variables["TINTYPE_REPLACEMENT_MINUTES"] == "0"
