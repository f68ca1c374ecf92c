"""deploy/template.yaml: functions, what they may do, the table and the key."""

import pytest

from cloudformation import references
from parameter_sets import SETS
from template_reading import (
    ACCOUNT, ALL, DEFAULT, RAW_ARN, REGION, TEMPLATE, all_statements, described, granted, listed, of_type, plain,
    statements,
)


@pytest.fixture(params=SETS)
def resources(request):
    return described(**SETS[request.param])


# ---------------------------------------------------------------- functions


def test_the_worker_takes_one_message_at_a_time_and_reserves_nothing(resources):
    mapping = resources["WorkerEventSource"]["Properties"]
    assert mapping == {
        "FunctionName": {"Fn::GetAtt": ["WorkerFunction", "Arn"]}, "EventSourceArn": {"Fn::GetAtt": ["JobQueue", "Arn"]},
        "BatchSize": 1, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": "4"}}
    # One polled queue stays within the free requests, a second would not.
    assert len(of_type(resources, "AWS::Lambda::EventSourceMapping")) == 1
    assert not any("ReservedConcurrentExecutions" in item for item in of_type(resources, "AWS::Lambda::Function").values())


def test_functions_run_our_binary_with_a_log_of_limited_age(resources):
    for name, properties in of_type(resources, "AWS::Lambda::Function").items():
        assert properties["Runtime"] == "provided.al2023" and properties["Architectures"] == ["x86_64"]
        assert properties["Code"] == {
            "WorkerFunction": "worker.zip", "InvalidatorFunction": "worker.zip", "ApiFunction": "api.zip"}[name]
        assert properties["RecursiveLoop"] == "Terminate"
        assert "VpcConfig" not in properties
        group = properties["LoggingConfig"]["LogGroup"]["Ref"]
        assert resources[group]["Properties"]["LogGroupName"] == f"/aws/lambda/{properties['FunctionName']}"
    for properties in of_type(resources, "AWS::Logs::LogGroup").values():
        assert properties["RetentionInDays"] == "30"
    assert {item["TracingConfig"]["Mode"] for item in of_type(DEFAULT, "AWS::Lambda::Function").values()} == {"PassThrough"}
    assert {item["TracingConfig"]["Mode"] for item in of_type(ALL, "AWS::Lambda::Function").values()} == {"Active"}


def test_a_new_account_can_run_the_worker():
    memory = TEMPLATE["Parameters"]["WorkerMemory"]
    assert memory["Default"] == memory["MaxValue"] == 3008
    assert TEMPLATE["Parameters"]["MaximumConcurrency"]["Default"] == 4
    assert DEFAULT["WorkerFunction"]["Properties"]["MemorySize"] == "3008"
    # API Gateway gives up after 30 s.
    assert DEFAULT["ApiFunction"]["Properties"]["Timeout"] < 30


def test_functions_are_told_what_they_work_on():
    worker = DEFAULT["WorkerFunction"]["Properties"]["Environment"]["Variables"]
    assert worker == {
        "TINTYPE_ENVIRONMENT": "prod", "TINTYPE_RAW_BUCKET": {"Ref": "RawBucket"},
        "TINTYPE_PROCESSED_BUCKET": {"Ref": "ProcessedBucket"}, "TINTYPE_ACCOUNT": ACCOUNT,
        "TINTYPE_TABLE": {"Ref": "Table"}, "TINTYPE_TOMBSTONE_DAYS": "90",
        "TINTYPE_QUEUE_URL": {"Ref": "JobQueue"}, "TINTYPE_MAX_RECEIVES": "5",
        "TINTYPE_INVALIDATION_QUEUE_URL": {"Ref": "InvalidationQueue"}, "TINTYPE_REPLACEMENT_MINUTES": "10"}
    api = DEFAULT["ApiFunction"]["Properties"]["Environment"]["Variables"]
    assert api == {
        "TINTYPE_ENVIRONMENT": "prod", "TINTYPE_RAW_BUCKET": {"Ref": "RawBucket"}, "TINTYPE_ACCOUNT": ACCOUNT,
        "TINTYPE_TABLE": {"Ref": "Table"}, "TINTYPE_QUEUE_URL": {"Ref": "JobQueue"}, "TINTYPE_DEAD_LETTER_QUEUE_URL": {"Ref": "DeadLetterQueue"},
        "TINTYPE_MAX_CONCURRENCY": "4", "TINTYPE_AUTHORIZER": "iam",
        "TINTYPE_PUBLIC_URL": {"Fn::Sub": "https://${Distribution.DomainName}"}}
    api = ALL["ApiFunction"]["Properties"]["Environment"]["Variables"]
    assert (api["TINTYPE_AUTHORIZER"], api["TINTYPE_PUBLIC_URL"]) == ("jwt", "https://images.example.com")


# ---------------------------------------------------------------- roles

KEY = {("kms:Decrypt", "Key.Arn"), ("kms:GenerateDataKey", "Key.Arn")}
TRACE = {("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*")}
WORKER = {
    ("sqs:ReceiveMessage", "JobQueue.Arn"), ("sqs:DeleteMessage", "JobQueue.Arn"),
    ("sqs:GetQueueAttributes", "JobQueue.Arn"), ("sqs:ChangeMessageVisibility", "JobQueue.Arn"),
    ("s3:GetObject", "${RawBucket.Arn}/*"),
    ("s3:GetObject", "${ProcessedBucket.Arn}/*"), ("s3:PutObject", "${ProcessedBucket.Arn}/*"),
    ("s3:DeleteObject", "${ProcessedBucket.Arn}/*"),
    ("s3:ListBucket", "RawBucket.Arn"), ("s3:ListBucket", "ProcessedBucket.Arn"),
    ("dynamodb:GetItem", "Table.Arn"), ("dynamodb:PutItem", "Table.Arn"), ("dynamodb:DeleteItem", "Table.Arn"),
    ("sqs:SendMessage", "InvalidationQueue.Arn"),
    ("logs:CreateLogStream", "WorkerLogGroup.Arn"), ("logs:PutLogEvents", "WorkerLogGroup.Arn"),
}
API = {
    ("s3:GetObject", "${RawBucket.Arn}/*"), ("s3:PutObject", "${RawBucket.Arn}/*"),
    ("s3:DeleteObject", "${RawBucket.Arn}/*"), ("s3:ListBucket", "RawBucket.Arn"),
    ("dynamodb:GetItem", "Table.Arn"), ("dynamodb:BatchGetItem", "Table.Arn"),
    ("dynamodb:Query", "${Table.Arn}/index/by_status"),
    ("sqs:SendMessage", "JobQueue.Arn"), ("sqs:GetQueueAttributes", "JobQueue.Arn"),
    ("sqs:GetQueueAttributes", "DeadLetterQueue.Arn"), ("sqs:ReceiveMessage", "DeadLetterQueue.Arn"),
    ("sqs:ChangeMessageVisibility", "DeadLetterQueue.Arn"), ("sqs:DeleteMessage", "DeadLetterQueue.Arn"),
    ("logs:CreateLogStream", "ApiLogGroup.Arn"), ("logs:PutLogEvents", "ApiLogGroup.Arn"),
}


def test_each_function_has_a_role_with_exactly_what_it_needs():
    assert granted(DEFAULT, "WorkerRole") == WORKER
    assert granted(DEFAULT, "ApiRole") == API
    assert granted(ALL, "WorkerRole") == WORKER | KEY | TRACE
    assert granted(ALL, "ApiRole") == API | KEY | TRACE
    for resources in (DEFAULT, ALL):
        roles = of_type(resources, "AWS::IAM::Role")
        used = [item["Role"] for item in of_type(resources, "AWS::Lambda::Function").values()]
        assert sorted(plain(role) for role in used) == sorted(f"{name}.Arn" for name in roles)
        for properties in roles.values():
            trust, = properties["AssumeRolePolicyDocument"]["Statement"]
            assert trust == {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            assert "ManagedPolicyArns" not in properties


@pytest.mark.parametrize("role", ["WorkerRole", "ApiRole"])
def test_a_function_reaches_no_bucket_of_another_account(resources, role):
    document, = resources[role]["Properties"]["Policies"]
    of_buckets = [each for each in document["PolicyDocument"]["Statement"]
                  if any(action.startswith("s3:") for action in listed(each["Action"]))]
    assert len(of_buckets) >= 2
    for statement in of_buckets:
        assert statement["Condition"] == {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}, statement["Sid"]


def test_the_api_reads_images_and_no_secret_and_nobody_deletes_that(resources):
    for role, sid, leading in (("ApiRole", "Records", ["image#*"]), ("WorkerRole", "ForgetRecords", ["image#*", "sha256#*"])):
        document, = resources[role]["Properties"]["Policies"]
        condition = statements(document["PolicyDocument"])[sid]["Condition"]
        assert condition == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": leading}}


def test_nothing_is_allowed_by_a_wildcard(resources):
    for name, item in resources.items():
        for statement in all_statements(item["Properties"]):
            if statement["Effect"] == "Deny":
                continue
            actions = listed(statement["Action"])
            if statement.get("Sid") == "Account" and name == "Key":
                assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
                continue
            assert not any("*" in action for action in actions), (name, statement)
            if statement.get("Resource") == "*":
                # X-Ray has no resources, and in a key's own policy * is the key.
                assert name == "Key" or all(action.startswith("xray:") for action in actions), (name, statement)
            if "Principal" in statement:
                assert list(statement["Principal"]) == ["Service"], (name, statement)


# ---------------------------------------------------------------- table and key


def test_the_table_is_on_demand_and_its_index_holds_the_longest_key():
    table = DEFAULT["Table"]["Properties"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    index, = table["GlobalSecondaryIndexes"]
    assert index == {"IndexName": "by_status", "Projection": {"ProjectionType": "KEYS_ONLY"}, "KeySchema": [
        {"AttributeName": "status_shard", "KeyType": "HASH"}, {"AttributeName": "key", "KeyType": "RANGE"}]}
    assert {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]} == {
        "pk": "S", "status_shard": "S", "key": "S"}
    assert table["SSESpecification"] == {"SSEEnabled": False}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": False}
    assert table["DeletionProtectionEnabled"] is False
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    # Longer than an event can lie in both queues, one after the other.
    lying = sum(int(DEFAULT[queue]["Properties"]["MessageRetentionPeriod"]) for queue in ("JobQueue", "DeadLetterQueue"))
    assert TEMPLATE["Parameters"]["TombstoneDays"]["MinValue"] * 86_400 >= max(lying, 2 * 14 * 86_400)
    table = ALL["Table"]["Properties"]
    assert table["SSESpecification"] == {
        "SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True


def test_the_key_rotates_and_serves_exactly_the_services_that_need_it():
    assert "Key" not in DEFAULT and "KeyAlias" not in DEFAULT
    key = ALL["Key"]["Properties"]
    assert key["EnableKeyRotation"] is True
    found = statements(key["KeyPolicy"])
    assert found["Delivery"]["Condition"] == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/*"}}
    assert found["Delivery"]["Action"] == "kms:Decrypt"
    assert found["EventsOfTheRawBucket"]["Condition"] == {
        "ArnEquals": {"aws:SourceArn": RAW_ARN}, "StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert set(found["EventsOfTheRawBucket"]["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    services = {sid: each["Principal"]["Service"] for sid, each in found.items()
                if each["Effect"] == "Allow" and "Service" in each["Principal"]}
    assert services == {
        "Delivery": "cloudfront.amazonaws.com", "EventsOfTheRawBucket": "s3.amazonaws.com",
        "Alarms": "cloudwatch.amazonaws.com", "TrailWrites": "cloudtrail.amazonaws.com",
        "TrailLooks": "cloudtrail.amazonaws.com"}
    assert all(found[sid]["Condition"] for sid in services)
    # No reference at all, so that no circle can come of it.
    assert not references(ALL["Key"], set(ALL))
    for role in ("WorkerRole", "ApiRole"):
        document, = ALL[role]["Properties"]["Policies"]
        use = statements(document["PolicyDocument"])["UseKey"]
        assert use["Condition"] == {"StringEquals": {"kms:ViaService": [
            f"{service}.{REGION}.amazonaws.com" for service in ("s3", "sqs", "dynamodb")]}}
