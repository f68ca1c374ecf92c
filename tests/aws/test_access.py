"""Nobody may do more than the design says: functions, uploaders, CloudFront, strangers."""

import urllib.parse

import pytest

import deployment
import pictures
from deployment import CURL

KEY = "access/guarded.jpg"


@pytest.fixture(scope="module")
def guarded(tintype):
    tintype.put(KEY, pictures.small_jpeg(81))
    tintype.wait_ready(KEY)
    return KEY


def code(call, **arguments):
    """The error code that a call ends with; None when it succeeds."""
    try:
        call(**arguments)
    except call.__self__.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_the_worker_cannot_write_or_delete_sources(tintype, guarded):
    s3 = tintype.client("s3", tintype.function_keys("WorkerRole"))
    assert code(s3.get_object, Bucket=tintype.raw, Key=KEY) is None
    assert code(s3.put_object, Bucket=tintype.raw, Key=KEY, Body=b"") == "AccessDenied"
    assert code(s3.put_object, Bucket=tintype.raw, Key="access/new.jpg", Body=b"") == "AccessDenied"
    assert code(s3.delete_object, Bucket=tintype.raw, Key=KEY) == "AccessDenied"


def test_the_worker_reaches_nothing_but_its_own_table_and_queue(tintype, guarded):
    keys = tintype.function_keys("WorkerRole")
    dynamodb, sqs = tintype.client("dynamodb", keys), tintype.client("sqs", keys)
    table = tintype.outputs["TableName"]
    assert code(dynamodb.get_item, TableName=table, Key={"pk": {"S": f"image#{KEY}"}}) is None
    assert code(dynamodb.scan, TableName=table) == "AccessDeniedException"
    assert code(dynamodb.delete_table, TableName=table) == "AccessDeniedException"
    assert code(dynamodb.list_tables) == "AccessDeniedException"
    dead = tintype.outputs["DeadLetterQueueUrl"]
    assert "AccessDenied" in code(sqs.receive_message, QueueUrl=dead)
    for queue in ("DeadLetterQueueUrl", "QueueUrl", "InvalidationDeadLetterQueueUrl"):
        assert "AccessDenied" in code(sqs.send_message, QueueUrl=tintype.outputs[queue], MessageBody="{}"), queue
    assert "AccessDenied" in code(sqs.receive_message, QueueUrl=tintype.outputs["InvalidationQueueUrl"])
    assert code(tintype.client("s3", keys).list_buckets) == "AccessDenied"
    assert code(tintype.client("iam", keys).list_users) == "AccessDenied"


def test_only_the_invalidator_may_ask_cloudfront_and_it_reads_nothing_else(tintype, guarded):
    batch = {"Paths": {"Quantity": 1, "Items": ["/access/*"]}, "CallerReference": "access"}
    arguments = {"DistributionId": tintype.outputs["DistributionId"], "InvalidationBatch": batch}
    for role in ("WorkerRole", "ApiRole"):
        cloudfront = tintype.client("cloudfront", tintype.function_keys(role))
        assert code(cloudfront.create_invalidation, **arguments) == "AccessDenied", role
    # Its session is known to the emulator from its first run on.
    tintype.client("lambda").invoke(FunctionName=tintype.outputs["InvalidatorFunctionName"], Payload=b"{}")
    keys = tintype.function_keys("InvalidatorRole")
    assert code(tintype.client("cloudfront", keys).create_invalidation, **arguments) is None
    s3, sqs = tintype.client("s3", keys), tintype.client("sqs", keys)
    assert code(s3.get_object, Bucket=tintype.raw, Key=KEY) == "AccessDenied"
    assert code(s3.get_object, Bucket=tintype.processed, Key=f"{KEY}/medium.jpg") == "AccessDenied"
    assert "AccessDenied" in code(sqs.receive_message, QueueUrl=tintype.outputs["QueueUrl"])


def test_the_api_cannot_read_or_write_renditions(tintype, guarded):
    s3 = tintype.client("s3", tintype.function_keys("ApiRole"))
    rendition = f"{KEY}/medium.jpg"
    assert code(s3.get_object, Bucket=tintype.processed, Key=rendition) == "AccessDenied"
    assert code(s3.put_object, Bucket=tintype.processed, Key=rendition, Body=b"") == "AccessDenied"
    assert code(s3.delete_object, Bucket=tintype.processed, Key=rendition) == "AccessDenied"


def test_the_api_cannot_take_jobs_from_the_queue(tintype, guarded):
    sqs = tintype.client("sqs", tintype.function_keys("ApiRole"))
    assert "AccessDenied" in code(sqs.receive_message, QueueUrl=tintype.outputs["QueueUrl"])
    assert "AccessDenied" in code(sqs.purge_queue, QueueUrl=tintype.outputs["QueueUrl"])


def test_nobody_but_lambda_becomes_a_functions_role(tintype):
    sts = tintype.client("sts")
    for role in ("WorkerRoleArn", "ApiRoleArn", "InvalidatorRoleArn"):
        assert code(sts.assume_role, RoleArn=tintype.outputs[role], RoleSessionName="me") == "AccessDenied"


def test_an_uploader_cannot_touch_renditions_or_records(tintype, guarded):
    s3 = tintype.client("s3", tintype.uploader)
    assert code(s3.get_object, Bucket=tintype.processed, Key=f"{KEY}/medium.jpg") == "AccessDenied"
    assert code(s3.put_object, Bucket=tintype.processed, Key=f"{KEY}/medium.jpg", Body=b"") == "AccessDenied"
    dynamodb = tintype.client("dynamodb", tintype.uploader)
    assert code(dynamodb.scan, TableName=tintype.outputs["TableName"]) == "AccessDeniedException"


@pytest.mark.parametrize("bucket", ["RawBucketName", "ProcessedBucketName"])
def test_a_stranger_gets_nothing_from_a_bucket(tintype, guarded, bucket):
    name = tintype.outputs[bucket]
    object_key = urllib.parse.quote(KEY if bucket == "RawBucketName" else f"{KEY}/medium.jpg")
    for path in (f"/{name}/{object_key}", f"/{name}", f"/{name}?list-type=2"):
        answer = deployment.request(tintype.emulator.url, "GET", path, ca=tintype.emulator.ca)
        assert answer.status == 403, (path, answer.status, answer.body)
    answer = deployment.request(tintype.emulator.url, "PUT", f"/{name}/x", body=b"x", ca=tintype.emulator.ca)
    assert answer.status == 403


@pytest.mark.parametrize("bucket", ["RawBucketName", "ProcessedBucketName"])
def test_plain_http_is_refused_with_the_best_of_keys(tintype, guarded, bucket):
    plain = tintype.client("s3", url=tintype.emulator.plain_url)
    assert code(plain.list_objects_v2, Bucket=tintype.outputs[bucket]) == "AccessDenied"
    assert code(plain.put_object, Bucket=tintype.outputs[bucket], Key="plain", Body=b"") == "AccessDenied"
    sqs = tintype.client("sqs", url=tintype.emulator.plain_url)
    for queue in ("QueueUrl", "DeadLetterQueueUrl"):
        assert "AccessDenied" in code(sqs.receive_message, QueueUrl=tintype.outputs[queue])


def test_another_encryption_is_refused_and_none_is_the_buckets_own(tintype):
    s3 = tintype.client("s3", tintype.uploader)
    wrong = {"Bucket": tintype.raw, "Key": "access/encrypted.txt", "Body": b"not a picture"}
    assert code(s3.put_object, **wrong, ServerSideEncryption="aws:kms") == "AccessDenied"
    assert code(s3.put_object, **wrong, ServerSideEncryption="AES256") is None
    assert code(s3.put_object, **wrong) is None
    tintype.delete("access/encrypted.txt")


def test_only_this_distribution_reads_the_renditions(tintype, guarded):
    s3 = tintype.client("s3")
    path = f"/img/{KEY}/medium"
    assert tintype.get(path, CURL).status == 200
    policy = s3.get_bucket_policy(Bucket=tintype.processed)["Policy"]
    distribution = tintype.outputs["DistributionId"]
    assert f"distribution/{distribution}" in policy
    other = policy.replace(f"distribution/{distribution}", "distribution/E2QWRUHEXAMPLE")
    s3.put_bucket_policy(Bucket=tintype.processed, Policy=other)
    try:
        assert tintype.get(path, CURL).status == 403
    finally:
        s3.put_bucket_policy(Bucket=tintype.processed, Policy=policy)
    assert tintype.get(path, CURL).status == 200


def test_every_route_of_the_api_wants_a_signature(tintype, guarded):
    routes = [
        ("POST", "/api/v1/uploads"),
        ("GET", "/api/v1/images"),
        ("GET", f"/api/v1/image?key={KEY}"),
        ("DELETE", f"/api/v1/image?key={KEY}"),
        ("POST", f"/api/v1/image/reprocess?key={KEY}"),
        ("GET", "/api/v1/stats"),
        ("GET", "/api/v1/openapi.json"),
    ]
    for method, path in routes:
        body = {"key": "access/new.jpg"} if path.endswith("uploads") else None
        assert tintype.api(method, path, body, signed=False).status == 403, (method, path)
        # Somebody else of the account, who may not invoke it.
        assert tintype.api(method, path, body, keys=tintype.uploader).status == 403, (method, path)
    assert tintype.image(KEY)["status"] == "ready"


def test_the_gateway_knows_no_other_paths(tintype):
    for path in ("/", "/admin", "/api/v1/nothing", "/img/a/medium", "/metrics"):
        assert tintype.api("GET", path).status in (403, 404), path


def test_no_secret_is_in_the_functions_environment(tintype):
    client = tintype.client("lambda")
    for function in ("WorkerFunctionName", "ApiFunctionName", "InvalidatorFunctionName"):
        answer = client.get_function_configuration(FunctionName=tintype.outputs[function])
        variables = answer["Environment"]["Variables"]
        assert variables and all(name.startswith("TINTYPE_") for name in variables)
        assert not [name for name in variables if "SECRET" in name or "TOKEN" in name or "PASSWORD" in name]
    roles = {tintype.outputs[role] for role in ("WorkerRoleArn", "ApiRoleArn", "InvalidatorRoleArn")}
    assert len(roles) == 3, "each function has a role of its own"
