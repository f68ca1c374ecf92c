"""deploy/template.yaml as a whole, its buckets and its queues.

Functions, roles, table and key are in test_template_functions.py; delivery, API and watching in test_template_edge.py.
A test reads the template as it is with parameters, after conditions and names are resolved (`cloudformation.evaluate`).
"""

import re

import pytest

from cloudformation import PSEUDO, evaluate, loads, parameters, references
from parameter_sets import EVERYTHING, SETS
from template_reading import (
    ACCOUNT, ALL, BUCKETS, DATA, DEFAULT, PREFIX, RAW_ARN, REGION, TEMPLATE, described, of_type, policy,
)


@pytest.fixture(params=SETS)
def resources(request):
    return described(**SETS[request.param])


# ---------------------------------------------------------------- the whole


def test_what_cloudformation_does_not_know_is_refused_by_the_reader():
    for broken in ("a: &x 1\nb: *x", "a: 1\na: 2"):
        with pytest.raises(ValueError):
            loads(broken)


def test_nothing_refers_to_itself_in_a_circle(resources):
    waiting = {name: references(item, resources) - {name} for name, item in resources.items()}
    for name, item in resources.items():
        assert name not in references(item, resources), f"{name} refers to itself"
    while waiting:
        ready = {name for name, needs in waiting.items() if not needs & set(waiting)}
        assert ready, f"a circle among {sorted(waiting)}"
        waiting = {name: needs for name, needs in waiting.items() if name not in ready}


def test_everything_that_is_referred_to_is_there_whatever_is_switched_off():
    switches = [name for name, spec in TEMPLATE["Parameters"].items() if spec.get("AllowedValues") == ["true", "false"]]
    assert len(switches) == 7
    sets = [{}, EVERYTHING, {"EnableApi": "false"}, {**EVERYTHING, "EnableApi": "false"}, {"AlarmEmail": "me@example.com"},
            {"JwtIssuer": "https://login.example.com", "JwtAudience": "one"}, {"EnableTrail": "true"},
            {"EnableInvalidations": "false"}]
    sets += [{name: "true"} for name in switches if name != "EnableDataEvents"]
    for given in sets:
        described_now = evaluate(TEMPLATE, **given)
        for section in described_now.values():
            gone = set(TEMPLATE["Resources"]) - set(described_now["Resources"])
            assert not references(section, gone), given


def test_several_environments_fit_one_account_and_region():
    def names(environment):
        found = []
        for name, item in described(**EVERYTHING, Environment=environment).items():
            kind = item["Type"].split("::")[-1]
            properties = item["Properties"]
            for nested in ("OriginAccessControlConfig", "CachePolicyConfig", "ResponseHeadersPolicyConfig", "Budget"):
                properties = properties.get(nested, properties)
            for key in ("Name", "AliasName", "LogGroupName", f"{kind}Name", "FunctionName"):
                # A FunctionName of a mapping or a permission refers to a function.
                if isinstance(properties.get(key), str):
                    found.append((item["Type"], name, properties[key]))
        return found

    ours = names("prod")
    within_one_api = {"AWS::ApiGatewayV2::Authorizer", "AWS::ApiGatewayV2::Stage"}
    account_wide = {"AWS::CloudFront::Function", "AWS::CloudFront::CachePolicy", "AWS::CloudFront::OriginAccessControl",
                    "AWS::CloudFront::ResponseHeadersPolicy", "AWS::Budgets::Budget"}
    assert {kind for kind, _, _ in ours} >= account_wide | {"AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::DynamoDB::Table",
                                                            "AWS::Lambda::Function", "AWS::CloudWatch::Alarm"}
    for kind, logical, name in ours:
        if kind in within_one_api:
            continue
        assert PREFIX in name, logical
        if kind in account_wide or kind == "AWS::S3::Bucket":
            assert REGION in name, logical
        if kind == "AWS::S3::Bucket":
            assert ACCOUNT in name, logical
    others = {(kind, name) for kind, _, name in names("test")}
    shared = {(kind, name) for kind, _, name in ours} & others
    assert {kind for kind, _ in shared} == within_one_api
    assert not of_type(ALL, "AWS::IAM::Role")["WorkerRole"].get("RoleName")


def test_the_longest_names_are_allowed():
    longest = dict(EVERYTHING, Environment="e" * 12, Prefix="p" * 12)
    known = PSEUDO["AWS::Region"]
    grow = len("ap-southeast-1") - len(known)
    resources = described(**longest)
    for properties in of_type(resources, "AWS::S3::Bucket").values():
        assert len(properties["BucketName"]) + grow <= 63
    for properties in of_type(resources, "AWS::Lambda::Function").values():
        assert len(properties["FunctionName"]) <= 64
    for properties in of_type(resources, "AWS::CloudFront::Function").values():
        assert len(properties["Name"]) + grow <= 64
    for item in ("OriginAccessControl",):
        assert len(resources[item]["Properties"]["OriginAccessControlConfig"]["Name"]) + grow <= 64


@pytest.mark.parametrize("given, says", [
    ({"DomainName": "images.example.com"}, "go together"),
    ({"CertificateArn": EVERYTHING["CertificateArn"]}, "go together"),
    ({"DomainName": "i.example.com", "CertificateArn": "arn:aws:acm:eu-central-1:111122223333:certificate/ab"}, "us-east-1"),
    ({"JwtIssuer": "https://login.example.com"}, "go together"),
    ({"JwtAudience": "one"}, "go together"),
    ({"JwtIssuer": "http://login.example.com", "JwtAudience": "one"}, "https://"),
    ({"EnableDataEvents": "true"}, "EnableTrail=true"),
    ({"MonthlyBudget": "5"}, "AlarmEmail"),
    ({"WorkerMemory": "3009"}, "3008"),
    ({"MaximumConcurrency": "1"}, "2 to 1000"),
    ({"Environment": "Prod"}, "lower-case"),
    ({"Prefix": "much-too-long-a-prefix"}, "1 to 12"),
    ({"WebAclArn": "arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/a/b"}, "us-east-1"),
    ({"AlarmEmail": "nobody"}, "e-mail"),
    ({"ReplacementMinutes": "61"}, "1 to 60"),
    ({"LogRetentionDays": "31"}, "CloudWatch Logs"),
])
def test_a_wrong_parameter_is_refused_with_what_to_do(given, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        parameters(TEMPLATE, **given)


def test_every_parameter_is_explained_and_has_a_default_and_a_place_on_the_form():
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    shown = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(shown) == sorted(TEMPLATE["Parameters"]) == sorted(interface["ParameterLabels"])
    for name, spec in TEMPLATE["Parameters"].items():
        assert len(spec["Description"]) > 30 and "Default" in spec, name
        if "AllowedPattern" in spec or "MinValue" in spec:
            assert spec["ConstraintDescription"].startswith(("Give ", "Use ")), name
    asked = {"Environment", "Prefix", "PriceClass", "DomainName", "CertificateArn", "WebAclArn", "AllowedOrigins",
             "WorkerMemory", "MaximumConcurrency", "LogRetentionDays", "AlarmEmail", "EnableApi", "EnableTrail",
             "EnableDataEvents", "EnableKms"}
    assert asked <= set(TEMPLATE["Parameters"])


def test_data_stays_when_the_stack_goes_and_nothing_else_does(resources):
    data = {"RawBucket", "ProcessedBucket", "TrailBucket", "Table", "Key"}
    for name, item in resources.items():
        if name in data:
            assert (item["DeletionPolicy"], item["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain"), name
        else:
            assert item.get("DeletionPolicy", "Delete") == item.get("UpdateReplacePolicy", "Delete") == "Delete", name


def test_outputs_are_what_scripts_and_tests_read():
    always = {"RawBucketName", "ProcessedBucketName", "TableName", "QueueUrl", "QueueArn", "DeadLetterQueueUrl",
              "DeadLetterQueueArn", "WorkerFunctionName", "WorkerRoleArn", "DistributionId", "DistributionDomainName",
              "PublicUrl"}
    api = {"ApiFunctionName", "ApiUrl", "ApiRoleArn"}
    invalidations = {"InvalidationQueueUrl", "InvalidationQueueArn", "InvalidationDeadLetterQueueUrl",
                     "InvalidationDeadLetterQueueArn", "InvalidatorFunctionName", "InvalidatorRoleArn"}
    assert set(evaluate(TEMPLATE)["Outputs"]) == always | api | invalidations
    assert set(evaluate(TEMPLATE, EnableApi="false", EnableInvalidations="false")["Outputs"]) == always
    assert evaluate(TEMPLATE, **EVERYTHING)["Outputs"]["PublicUrl"]["Value"] == "https://images.example.com"


# ---------------------------------------------------------------- buckets


def test_buckets_are_private_encrypted_and_versioned(resources):
    kms = "Key" in resources
    for name, properties in of_type(resources, "AWS::S3::Bucket").items():
        assert properties["BucketName"] == f"{DATA}-{BUCKETS[name]}"
        assert set(properties["PublicAccessBlockConfiguration"].items()) == {
            ("BlockPublicAcls", True), ("BlockPublicPolicy", True), ("IgnorePublicAcls", True),
            ("RestrictPublicBuckets", True)}
        assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        rule, = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["BlockedEncryptionTypes"] == {"EncryptionType": ["SSE-C"]}
        if kms:
            assert rule["ServerSideEncryptionByDefault"] == {
                "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]}}
            assert rule["BucketKeyEnabled"] is True
        else:
            assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        assert not {"WebsiteConfiguration", "AccessControl"} & set(properties)


def test_buckets_forget_unfinished_uploads_and_old_versions(resources):
    for name, properties in of_type(resources, "AWS::S3::Bucket").items():
        rules = properties["LifecycleConfiguration"]["Rules"]
        assert all(rule["Status"] == "Enabled" and not {"Prefix", "TagFilters"} & set(rule) for rule in rules)
        merged = {key: value for rule in rules for key, value in rule.items()}
        assert merged["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
        assert merged["ExpiredObjectDeleteMarker"] is True
        assert int(merged["NoncurrentVersionExpiration"]["NoncurrentDays"]) >= 1
        # Current objects are the users'.
        assert ("ExpirationInDays" in merged) == (name == "TrailBucket")


def test_buckets_refuse_plain_http_old_tls_and_wrong_encryption_but_no_missing_header(resources):
    kms = "Key" in resources
    for name in of_type(resources, "AWS::S3::Bucket"):
        arn = {"Fn::GetAtt": [name, "Arn"]}
        objects = {"Fn::Sub": f"${{{name}.Arn}}/*"}
        found = policy(resources, f"{name}Policy")
        for sid, condition in (("OnlyTls", {"Bool": {"aws:SecureTransport": "false"}}),
                               ("OnlyRecentTls", {"NumericLessThan": {"s3:TlsVersion": "1.2"}})):
            assert found[sid] == {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
                                  "Resource": [arn, objects], "Condition": condition}
        if name == "TrailBucket":
            continue
        header = "s3:x-amz-server-side-encryption"
        refused = {
            "NoOtherEncryption": {"StringNotEquals": {header: "aws:kms" if kms else "AES256"}, "Null": {header: "false"}},
            "NoKeyOfTheClient": {"Null": {f"{header}-customer-algorithm": "false"}},
        }
        if kms:
            key = f"{header}-aws-kms-key-id"
            refused["NoOtherKey"] = {"StringNotEquals": {key: {"Fn::GetAtt": ["Key", "Arn"]}}, "Null": {key: "false"}}
        for sid, condition in refused.items():
            assert found[sid] == {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
                                  "Resource": objects, "Condition": condition}
        allowed = {"Delivery", "MissingIsNotFound"} if name == "ProcessedBucket" else set()
        assert set(found) == {"OnlyTls", "OnlyRecentTls"} | set(refused) | allowed


def test_only_this_distribution_reads_renditions_and_is_told_what_is_missing(resources):
    found = policy(resources, "ProcessedBucketPolicy")
    distribution = {"Fn::Sub": f"arn:aws:cloudfront::{ACCOUNT}:distribution/${{Distribution}}"}
    condition = {"StringEquals": {"aws:SourceArn": distribution}}
    service = {"Service": "cloudfront.amazonaws.com"}
    assert found["Delivery"] == {"Sid": "Delivery", "Effect": "Allow", "Principal": service, "Action": "s3:GetObject",
                                 "Resource": {"Fn::Sub": "${ProcessedBucket.Arn}/*"}, "Condition": condition}
    assert found["MissingIsNotFound"] == {
        "Sid": "MissingIsNotFound", "Effect": "Allow", "Principal": service, "Action": "s3:ListBucket",
        "Resource": {"Fn::GetAtt": ["ProcessedBucket", "Arn"]}, "Condition": condition}


def test_browsers_upload_from_the_allowed_origins_only():
    assert "CorsConfiguration" not in DEFAULT["RawBucket"]["Properties"]
    rule, = ALL["RawBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == ["https://app.example.com", "https://admin.example.com"]
    assert set(rule["AllowedMethods"]) == {"PUT", "POST"}


# ---------------------------------------------------------------- queue


def test_every_change_of_the_raw_bucket_reaches_the_queue_and_nothing_else_does(resources):
    raw = resources["RawBucket"]
    assert raw["DependsOn"] == "JobQueuePolicy"
    notifications = raw["Properties"]["NotificationConfiguration"]
    assert list(notifications) == ["QueueConfigurations"]
    queue = {"Fn::GetAtt": ["JobQueue", "Arn"]}
    assert sorted(item["Event"] for item in notifications["QueueConfigurations"]) == [
        "s3:LifecycleExpiration:*", "s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    assert all(set(item) == {"Event", "Queue"} and item["Queue"] == queue for item in notifications["QueueConfigurations"])
    # The output can never trigger the pipeline.
    assert "NotificationConfiguration" not in resources["ProcessedBucket"]["Properties"]

    found = policy(resources, "JobQueuePolicy")
    assert found["EventsOfTheRawBucket"] == {
        "Sid": "EventsOfTheRawBucket", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage", "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": RAW_ARN}, "StringEquals": {"aws:SourceAccount": ACCOUNT}}}
    assert set(found) == {"EventsOfTheRawBucket", "OnlyTls"}


def test_queues_are_encrypted_and_speak_tls_only(resources):
    for name in of_type(resources, "AWS::SQS::Queue"):
        properties = resources[name]["Properties"]
        if "Key" in resources:
            assert properties["KmsMasterKeyId"] == {"Fn::GetAtt": ["Key", "Arn"]}
            assert properties["SqsManagedSseEnabled"] is False
        else:
            assert properties["SqsManagedSseEnabled"] is True and "KmsMasterKeyId" not in properties
        # S3 cannot send to FIFO queues, and an event may have 64 KB.
        assert "FifoQueue" not in properties
        assert properties.get("MaximumMessageSize", 262144) >= 65536
        denied = policy(resources, f"{name}Policy")["OnlyTls"]
        assert denied == {"Sid": "OnlyTls", "Effect": "Deny", "Principal": "*", "Action": "sqs:*",
                          "Resource": {"Fn::GetAtt": [name, "Arn"]}, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
        assert resources[f"{name}Policy"]["Properties"]["Queues"] == [{"Ref": name}]


def test_what_fails_five_times_waits_for_somebody(resources):
    queue, dead = (resources[name]["Properties"] for name in ("JobQueue", "DeadLetterQueue"))
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}, "maxReceiveCount": 5}
    assert dead["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue", "sourceQueueArns": [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue['QueueName']}"]}
    # The longest that SQS has, for both: an event is the only memory of its upload. Dead letters are not: their
    # records tell of them. Age counts from the first sending, so what nearly expired has little time among them, and
    # an alarm rings when half of it is over.
    longest = 14 * 86400
    assert (queue["MessageRetentionPeriod"], dead["MessageRetentionPeriod"]) == (longest, longest)
    expiry = resources["ExpiryAlarm"]["Properties"]
    assert 2 * expiry["Threshold"] == longest
    assert "7 of the 14 days" in expiry["AlarmDescription"] and "no record" in expiry["AlarmDescription"]
    worker = resources["WorkerFunction"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * worker["Timeout"]
    assert worker["Environment"]["Variables"]["TINTYPE_MAX_RECEIVES"] == str(queue["RedrivePolicy"]["maxReceiveCount"])
