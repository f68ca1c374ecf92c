"""The API function's process, alone: what it signs with a user's key and with a role's session holds in S3 for exactly
that, and what it says to Lambda is what Lambda expects."""

import base64
import copy
import datetime
import json
import urllib.parse

import pytest
import requests

from deployment import PACKAGE
from emulator import ROOT_KEYS, Keys
from processes import HANG
from runtime_api import Function

BUCKET = "signing-raw"
TYPE = "image/jpeg"
KEY = "some/photo é+1 $.jpg"
MAX_BYTES = 1000
CONFIG = f"[limits]\nmax_bytes = {MAX_BYTES}\n"


def event(method, path, query="", body=None):
    """The event that API Gateway invokes the function with for a caller whom IAM allowed."""
    made = {
        "version": "2.0",
        "routeKey": "ANY /api/v1/{proxy+}",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "a.execute-api.us-east-1.amazonaws.com"},
        "requestContext": {
            "authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:user/alice"}},
            "http": {"method": method, "path": path},
            "requestId": "gateway",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        made["headers"]["content-type"] = "application/json"
        made["body"] = json.dumps(body)
    return made


class World:
    """A bucket, two queues and a table, and the function with somebody's keys."""

    def __init__(self, cloud, folder):
        self.cloud = cloud
        self.folder = folder
        root = Keys(*ROOT_KEYS)
        self.s3 = cloud.client("s3", root)
        self.s3.create_bucket(Bucket=BUCKET)
        sqs = cloud.client("sqs", root)
        self.jobs = sqs.create_queue(QueueName="signing-jobs")["QueueUrl"]
        self.dead = sqs.create_queue(QueueName="signing-dead")["QueueUrl"]
        sqs.send_message(QueueUrl=self.dead, MessageBody="{}")
        cloud.client("dynamodb", root).create_table(
            TableName="signing-images",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "status_shard", "key")
            ],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_status",
                    "KeySchema": [
                        {"AttributeName": "status_shard", "KeyType": "HASH"},
                        {"AttributeName": "key", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        # Exactly the permissions of the template's role.
        statements = [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": f"arn:aws:s3:::{BUCKET}/*",
            },
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"},
            {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"], "Resource": "*"},
            {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:GetQueueAttributes"], "Resource": "*"},
        ]
        self.user = cloud.new_user("signing-user", *statements)
        iam = cloud.client("iam", root)
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        role = iam.create_role(
            RoleName="signing-role",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName="signing-role", PolicyName="own", PolicyDocument=policy)
        self.role = cloud.assume(root, role["Arn"])

    def environment(self, keys):
        environment = {
            "AWS_ENDPOINT_URL": self.cloud.url,
            "AWS_REGION": self.cloud.region,
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "TINTYPE_RAW_BUCKET": BUCKET,
            "TINTYPE_TABLE": "signing-images",
            "TINTYPE_ACCOUNT": "000000000000",
            "TINTYPE_QUEUE_URL": self.jobs,
            "TINTYPE_DEAD_LETTER_QUEUE_URL": self.dead,
            "TINTYPE_PUBLIC_URL": "https://images.example",
            "TINTYPE_AUTHORIZER": "iam",
            "TINTYPE_ENVIRONMENT": "test",
            "TINTYPE_MAX_CONCURRENCY": "4",
        }
        if keys.session_token:
            environment["AWS_SESSION_TOKEN"] = keys.session_token
        return environment

    def start(self, name, keys, **changes):
        folder = self.folder / name
        folder.mkdir(parents=True)
        (folder / "tintype.toml").write_text(CONFIG)
        environment = {**self.environment(keys), **changes}
        return Function(PACKAGE / "api.zip", folder, {k: v for k, v in environment.items() if v is not None})

    def stored(self):
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@pytest.fixture(scope="module")
def world(cloud, tmp_path_factory):
    return World(cloud, tmp_path_factory.mktemp("signing"))


@pytest.fixture(scope="module", params=["user", "role"])
def function(request, world):
    """The function with the key of an IAM user, and with the session of a role."""
    running = world.start(request.param, getattr(world, request.param))
    running.session_token = getattr(world, request.param).session_token
    yield running
    running.stop()


def call(function, *request, **body):
    kind, answer, _ = function.invoke(event(*request, **body))
    assert kind == "response", answer
    return answer["statusCode"], json.loads(answer["body"])


def sign(function, **order):
    status, upload = call(function, "POST", "/api/v1/uploads", body={"key": KEY, **order})
    assert status == 200, upload
    assert upload["max_bytes"] == MAX_BYTES
    assert upload["expires_in"] <= 900
    return upload


def send_form(upload, content):
    answer = requests.post(upload["url"], data=upload["fields"], files={"file": ("x", content)}, timeout=HANG)
    return answer.status_code


def test_a_form_holds_for_what_it_was_signed_for(world, function):
    upload = sign(function, content_type=TYPE)
    assert (upload["method"], upload["headers"]) == ("POST", {})
    token = function.session_token
    assert upload["fields"].get("x-amz-security-token") == token
    document = json.loads(base64.b64decode(upload["fields"]["policy"]))
    if token:
        assert {"x-amz-security-token": token} in document["conditions"]
    for name, value in upload["fields"].items():
        changed = copy.deepcopy(upload)
        changed["fields"][name] = value[:-1] + ("1" if value[-1] != "1" else "2")
        assert send_form(changed, b"x") in (400, 403), f"{name} changed"
        del changed["fields"][name]
        assert send_form(changed, b"x") in (400, 403), f"{name} missing"
    for name, value in {"acl": "public-read", "x-amz-meta-a": "b", "success_action_redirect": "https://a.example"}.items():
        more = copy.deepcopy(upload)
        more["fields"][name] = value
        assert send_form(more, b"x") == 403, name
    for size in (0, MAX_BYTES + 1):
        assert send_form(upload, b"x" * size) == 400, size
    assert world.stored() == []
    assert send_form(upload, b"x" * MAX_BYTES) in (200, 201, 204)
    assert world.stored() == [KEY]
    assert world.s3.head_object(Bucket=BUCKET, Key=KEY)["ContentType"] == TYPE
    world.s3.delete_object(Bucket=BUCKET, Key=KEY)


def test_a_put_holds_for_its_key_and_type(world, function):
    upload = sign(function, method="PUT", content_type=TYPE)
    assert upload["fields"] == {}

    def send(url, headers):
        return requests.put(url, data=b"picture", headers=headers, timeout=HANG).status_code

    assert send(upload["url"], {"content-type": "text/html"}) == 403
    assert send(upload["url"].replace("some/", "other/"), upload["headers"]) == 403
    assert send(upload["url"].replace("X-Amz-Expires=", "X-Amz-Expires=1"), upload["headers"]) in (400, 403)
    assert world.stored() == []
    assert send(upload["url"], upload["headers"]) == 200
    assert world.stored() == [KEY]
    world.s3.delete_object(Bucket=BUCKET, Key=KEY)


@pytest.mark.parametrize("key", ["soap", "a/b+c.jpg", "100%.jpg", "🐌.jpg", " "])
def test_keys_of_every_kind_can_be_uploaded_to(world, function, key):
    form = sign(function, key=key)
    assert send_form(form, b"form") in (200, 201, 204)
    assert world.stored() == [key]
    put = sign(function, key=key, method="PUT")
    assert requests.put(put["url"], data=b"put", timeout=HANG).status_code == 200
    assert world.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"put"
    status, image = call(function, "GET", "/api/v1/image", f"key={urllib.parse.quote(key, safe='')}")
    assert (status, image["image"]["key"], image["image"]["status"]) == (200, key, "pending")
    status, _ = call(function, "DELETE", "/api/v1/image", f"key={urllib.parse.quote_plus(key)}")
    assert status == 202
    assert world.stored() == []


def test_an_upload_ends_with_its_time(world, function):
    # The default is 900.
    upload = sign(function, content_type=TYPE, expires_in=600)
    expiration = json.loads(base64.b64decode(upload["fields"]["policy"]))["expiration"]
    left = datetime.datetime.fromisoformat(expiration) - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(0) < left <= datetime.timedelta(seconds=600)
    query = urllib.parse.urlsplit(sign(function, method="PUT", expires_in=600)["url"]).query
    assert "X-Amz-Expires=600" in query.split("&")


def test_stats_count_records_and_messages(world, function):
    status, stats = call(function, "GET", "/api/v1/stats")
    assert (status, stats["images"]["ready"], stats["workers"]) == (200, 0, 4)
    assert stats["queue"] == {"ready": 0, "leased": 0, "dead": 1}
    assert "cache" not in stats


def test_what_is_no_request_is_an_error(function):
    kind, error, _ = function.invoke({"Records": []})
    assert (kind, error["errorType"]) == ("error", "NotAnHttpApiRequest")
    # And the next one is served.
    assert call(function, "GET", "/api/v1/openapi.json")[0] == 200


def test_every_line_of_the_log_is_json_with_request_and_trace(function):
    *_, request_id = function.invoke(event("GET", "/api/v1/images"))
    lines = [json.loads(line) for line in function.log().splitlines()]
    [line] = [line for line in lines if line.get("span", {}).get("requestId") == request_id]
    assert line["message"] == "answered"
    assert line["span"]["xrayTraceId"].startswith("Root=1-00000000-")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/images", 200)
    assert line["principal"].endswith(":user/alice")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TINTYPE_RAW_BUCKET", None),
        ("TINTYPE_TABLE", ""),
        ("TINTYPE_QUEUE_URL", "jobs"),
        ("TINTYPE_DEAD_LETTER_QUEUE_URL", None),
        ("TINTYPE_PUBLIC_URL", "images.example"),
        ("TINTYPE_AUTHORIZER", "none"),
        ("TINTYPE_MAX_CONCURRENCY", "many"),
    ],
)
def test_a_bad_environment_ends_the_start_and_is_named(world, name, value):
    function = world.start(f"without {name}", world.user, **{name: value})
    try:
        assert function.process.wait(30) != 0
        assert name in function.runtime.init_error["errorMessage"]
        assert name in function.log()
    finally:
        function.stop()
