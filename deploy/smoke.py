"""Checks a deployed environment from outside; `scripts/aws-smoke` starts it. Exit status 1 when a check fails.

Each check settles the line of docs/aws-unproved.md that names it. STACK, AWS credentials and region come from the
environment; PUBLIC_URL and API_URL replace the stack's outputs (an emulator serves them elsewhere); TOKEN is for an API
that takes JWTs; ONLY names the checks to run; PATIENCE multiplies the seconds that checks wait for something.
"""

import contextlib
import dataclasses
import functools
import http.client
import io
import json
import os
import re
import secrets
import ssl
import sys
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import boto3
import numpy
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI_15 = "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"
SHORT, IMMUTABLE = "public, max-age=86400", "public, max-age=31536000, immutable"
CHECKS = {}


def check(function):
    """A check; the first line of its description is what it shows."""
    CHECKS[function.__name__] = function
    return function


class Skipped(Exception):
    """The environment has nothing to check here."""


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def send(url, method="GET", body=None, headers=None, context=None):
    """One request, its path as it is, redirects not followed."""
    parts = urllib.parse.urlsplit(url)
    # RFC 6761: names under localhost are loopback, whatever the resolver knows.
    host = "127.0.0.1" if parts.hostname.endswith(".localhost") else parts.hostname
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=300, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=300)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    with contextlib.closing(connection):
        connection.request(method, path or "/", body, {"Host": parts.netloc, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def wait(condition, what, seconds):
    seconds *= float(os.environ.get("PATIENCE", "1"))
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(1)
    return answer


def picture(width, height):
    """A JPEG that nobody has uploaded before, quick to make in any size: colours that run into each other, under grain,
    so that its AVIF is smaller than its WebP."""
    noise = numpy.random.default_rng()
    colours, grain = (
        Image.fromarray(noise.integers(0, 256, shape, dtype=numpy.uint8)).resize((width, height), Image.Resampling.BILINEAR)
        for shape in ((8, 8, 3), (height // 2, width // 2, 3))
    )
    out = io.BytesIO()
    Image.blend(colours, grain, 0.2).save(out, "JPEG", quality=90)
    return out.getvalue()


class Environment:
    """The deployed stack, and what one does with it."""

    def __init__(self, stack):
        self.session = boto3.Session()
        found, = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
        self.parameters = {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}
        self.public = os.environ.get("PUBLIC_URL", self.outputs["PublicUrl"])
        self.api_url = os.environ.get("API_URL", self.outputs.get("ApiUrl"))
        self.raw, self.processed = self.outputs["RawBucketName"], self.outputs["ProcessedBucketName"]
        self.run = f"smoke/{secrets.token_hex(6)}"
        self.s3 = self.client("s3")

    def client(self, service, **config):
        config.setdefault("retries", {"mode": "standard"})
        if service == "s3" and os.environ.get("AWS_ENDPOINT_URL"):
            config["s3"] = {"addressing_style": "path"}
        return self.session.client(service, config=Config(**config))

    def key(self, name):
        return f"{self.run}/{name}"

    def upload(self, name, body):
        self.s3.put_object(Bucket=self.raw, Key=self.key(name), Body=body)
        return self.key(name)

    def renditions(self, key):
        found = self.s3.list_objects_v2(Bucket=self.processed, Prefix=f"{key}/")
        return sorted(each["Key"] for each in found.get("Contents", []))

    def record(self, key):
        table = self.client("dynamodb")
        return table.get_item(TableName=self.outputs["TableName"], Key={"pk": {"S": f"image#{key}"}}).get("Item")

    def published(self, key, seconds=90):
        """Waits for all renditions and then the record, which comes last."""
        wait(lambda: self.renditions(key) and self.record(key), f"{key} is published", seconds)
        return self.renditions(key)

    @functools.cached_property
    def shown(self):
        """A published picture that several checks look at."""
        key = self.upload("a b+c-ü.jpg", picture(1600, 1200))
        self.published(key)
        return key

    def path(self, key, variant="medium"):
        return f"/img/{urllib.parse.quote(key, safe='/-._~')}/{variant}"

    def versioned(self, key, version, variant="medium"):
        return f"/v/{urllib.parse.quote(key, safe='/-._~')}/{version}/{variant}"

    def get(self, path, accept=CHROME, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return send(self.public + path, headers={"Accept": accept, **headers})

    def api(self, method, path, body=None, signed=True):
        if not self.api_url:
            raise Skipped("EnableApi is false")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = json.dumps(body) if body is not None else None
        url = f"{self.api_url}/api/v1{path}"
        if signed and self.parameters["JwtIssuer"]:
            if not os.environ.get("TOKEN"):
                raise Skipped("the API takes JWTs: set TOKEN")
            headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"
        elif signed:
            request = AWSRequest(method, url, headers=headers, data=content)
            SigV4Auth(self.session.get_credentials(), "execute-api", self.session.region_name).add_auth(request)
            headers = dict(request.headers)
        return send(url, method, content, headers)

    def clean(self):
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.raw, Prefix=f"{self.run}/"):
            for each in page.get("Contents", []):
                self.s3.delete_object(Bucket=self.raw, Key=each["Key"])


def denied(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403, error
        return
    raise AssertionError(f"{call.__name__} was allowed")


@check
def pipeline(env):
    """an upload becomes renditions and a record, through queue and roles as AWS evaluates them"""
    assert {name.rsplit("/", 1)[1] for name in env.published(env.shown)} >= {"medium.avif", "medium.webp", "medium.jpg"}


@check
def formats(env):
    """each browser gets its format, with Vary and the short policy"""
    for accept, kind in ((CHROME, "image/avif"), (SAFARI_15, "image/webp"), ("*/*", "image/jpeg")):
        answer = env.get(env.path(env.shown), accept)
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind), (accept, answer.status, dict(answer.headers))
        assert answer.headers["Cache-Control"] == SHORT and "Accept" in answer.headers.get("Vary", "")


@check
def smallest(env):
    """a client is sent on to a smaller file that is no worse, unless the URL names a format"""
    modules = numpy.random.default_rng().integers(0, 2, (48, 48), dtype=numpy.uint8) * 255
    out = io.BytesIO()
    Image.fromarray(modules).resize((384, 384), Image.Resampling.NEAREST).save(out, "PNG")
    key = env.upload("drawn.png", out.getvalue())
    env.published(key)
    for path, policy in ((env.path(key, "original"), SHORT), (env.versioned(key, "smoke", "original"), IMMUTABLE)):
        answer = env.get(path)
        assert (answer.status, answer.headers["Location"]) == (302, f"{path}.webp"), (answer.status, dict(answer.headers))
        assert answer.headers["Cache-Control"] == policy and not answer.body
        webp, avif = env.get(answer.headers["Location"]), env.get(f"{path}.avif")
        assert [each.status for each in (webp, avif)] == [200, 200]
        assert (webp.headers["Content-Type"], avif.headers["Content-Type"]) == ("image/webp", "image/avif")
        assert len(webp.body) < len(avif.body)


def request_event(target, accept):
    """The event of a request, for the Functions."""
    request = {"method": "GET", "uri": target, "querystring": {}, "headers": {"accept": {"value": accept}}, "cookies": {}}
    context = {"eventType": "viewer-request", "distributionDomainName": "d111111abcdef8.cloudfront.net",
               "distributionId": "EDFDVBD6EXAMPLE", "requestId": "smoke"}
    return json.dumps({"version": "1.0", "context": context, "viewer": {"ip": "198.51.100.11"}, "request": request}).encode()


@check
def functions(env):
    """the request Function takes its worst requests within the time that CloudFront gives it (ComputeUtilization)"""
    cloudfront = env.client("cloudfront")
    name = f"{env.parameters['Prefix']}-{env.parameters['Environment']}-{env.session.region_name}-request"
    version = cloudfront.describe_function(Name=name, Stage="LIVE")["ETag"]
    cjk, quotes = urllib.parse.quote("\u4e2d" * 336), "!'()*" * 201
    requests = {
        "plain": ("/img/photos/beach.jpg/medium", CHROME), "CJK key": (f"/v/{cjk}/{'0' * 32}/medium", CHROME),
        "folders": (f"/img/{'a/' * 503}a/medium", CHROME), "!'()*": (f"/v/{quotes}/{'0' * 32}/medium", CHROME),
        "commas": ("/img/a/medium", "," * 512), "8 KB": ("/img/a/medium", "," * 8192),
    }
    used = {}
    for what, (target, accept) in requests.items():
        result = cloudfront.test_function(
            Name=name, IfMatch=version, Stage="LIVE", EventObject=request_event(target, accept))["TestResult"]
        assert not result.get("FunctionErrorMessage"), (what, result)
        used[what] = int(result["ComputeUtilization"])
    print(f"    percent of the time allowed: {used}")
    assert all(percent <= 70 for percent in used.values()), used


@check
def forgetting(env):
    """a picture that is deleted and forgotten leaves no record; the tombstone goes a quarter of an hour later"""
    key = env.upload("forgotten.jpg", picture(400, 300))
    env.published(key)
    answer = env.api("DELETE", f"/image?key={urllib.parse.quote(key, safe='')}&forget=true")
    assert answer.status == 202, answer
    wait(lambda: (env.record(key) or {}).get("status_shard", {}).get("S", "").startswith("deleted#"), "it is deleted", 90)
    wait(lambda: env.record(key) is None, "its tombstone is gone", 1200)


@check
def owners(env):
    """S3 refuses what is said to be for a bucket of another account"""
    account = env.client("sts").get_caller_identity()["Account"]
    other = f"{(int(account) + 1) % 10 ** 12:012d}"
    env.s3.head_bucket(Bucket=env.raw, ExpectedBucketOwner=account)
    denied(env.s3.head_bucket, Bucket=env.raw, ExpectedBucketOwner=other)


@check
def headers(env):
    """deliveries carry the security headers, and errors are not told to be kept"""
    answer = env.get(env.path(env.shown), Origin="https://elsewhere.example")
    expected = {
        "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin", "Access-Control-Allow-Origin": "*", "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    missing = env.get(env.path(env.key("never")))
    assert "immutable" not in missing.headers.get("Cache-Control", "") and SHORT != missing.headers.get("Cache-Control")


@check
def missing(env):
    """what is not there is a 404, not a 403, on every behaviour"""
    for path in (env.path(env.key("never")), env.versioned(env.key("never"), "abc"), "/", "/index.html", "/img/", "/v/x"):
        assert env.get(path).status == 404, (path, env.get(path).status)


@check
def error_cache(env):
    """a 404 is forgotten within seconds, so that an upload shows soon"""
    key = env.key("late.jpg")
    assert env.get(env.path(key)).status == 404
    env.upload("late.jpg", picture(400, 300))
    env.published(key)
    wait(lambda: env.get(env.path(key), "*/*").status == 200, "the picture shows", 15)


@check
def caching(env):
    """the edge keeps pictures, and /img and /v entries apart"""
    path, versioned = env.path(env.shown, "thumbnail.jpg"), env.versioned(env.shown, "smoke", "thumbnail.jpg")
    for one, policy in ((versioned, IMMUTABLE), (path, SHORT)):
        wait(lambda: "Hit" in env.get(one).headers.get("X-Cache", ""), f"{one} is a hit", 30)
        assert env.get(one).headers["Cache-Control"] == policy, one
    # Each from its own cache, after both were hit.
    assert env.get(path).headers["Cache-Control"] == SHORT


@check
def immutable(env):
    """200, 206 and 304 under /v/ are immutable, and a version that the client made up in a header changes nothing"""
    path = env.versioned(env.shown, "smoke")
    first = env.get(path)
    answers = [first, env.get(path, Range="bytes=0-9"), env.get(path, If_None_Match=first.headers["ETag"])]
    assert [each.status for each in answers] == [200, 206, 304], [each.status for each in answers]
    assert {each.headers["Cache-Control"] for each in answers} == {IMMUTABLE}
    assert env.get(env.path(env.shown), X_Tintype_Version="smoke").headers["Cache-Control"] == SHORT


@check
def https(env):
    """plain HTTP is redirected; HTTP/2 is spoken and HTTP/3 offered; TLS 1.1 is refused on a custom domain"""
    host = urllib.parse.urlsplit(env.public).hostname
    answer = send(f"http://{host}{env.path(env.shown)}")
    assert answer.status == 301 and answer.headers["Location"].startswith("https://")
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    connection = http.client.HTTPSConnection(host, context=context, timeout=30)
    connection.connect()
    assert connection.sock.selected_alpn_protocol() == "h2"
    connection.close()
    assert "h3" in env.get(env.path(env.shown)).headers.get("Alt-Svc", "")
    if env.parameters["DomainName"]:
        old = ssl.create_default_context()
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        try:
            send(f"{env.public}/", context=old)
        except ssl.SSLError:
            return
        raise AssertionError("TLS 1.1 was accepted")


@check
def private(env):
    """nobody reads the buckets but through CloudFront, and nobody over plain HTTP"""
    stranger = env.client("s3", signature_version=UNSIGNED)
    denied(stranger.get_object, Bucket=env.processed, Key=env.renditions(env.shown)[0])
    denied(stranger.list_objects_v2, Bucket=env.raw)
    if os.environ.get("AWS_ENDPOINT_URL"):
        return
    plain = env.session.client("s3", endpoint_url=f"http://s3.{env.session.region_name}.amazonaws.com")
    denied(plain.get_object, Bucket=env.raw, Key=env.shown)


@check
def encryption(env):
    """another encryption than the bucket's is refused, none at all is the bucket's"""
    kms = env.parameters["EnableKms"] == "true"
    wrong = {"ServerSideEncryption": "AES256" if kms else "aws:kms"}
    denied(env.s3.put_object, Bucket=env.raw, Key=env.key("wrong"), Body=b"x", **wrong)
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": secrets.token_bytes(32)}
    denied(env.s3.put_object, Bucket=env.raw, Key=env.key("wrong"), Body=b"x", **customer)
    head = env.s3.head_object(Bucket=env.raw, Key=env.shown)
    assert head["ServerSideEncryption"] == ("aws:kms" if kms else "AES256"), head["ServerSideEncryption"]


@check
def api(env):
    """the API answers who it knows, and nobody else"""
    assert env.api("GET", "/stats", signed=False).status in (401, 403)
    answer = env.api("GET", f"/image?key={urllib.parse.quote(env.shown, safe='')}")
    assert answer.status == 200 and json.loads(answer.body)["image"]["status"] == "ready", answer
    assert env.api("GET", "/openapi.json").status == 200
    assert env.api("GET", "/nothing").status == 404


@check
def presigned(env):
    """an upload that the API signed is taken by S3, the same with another type is not"""
    key, content = env.key("signed.jpg"), picture(640, 480)
    answer = env.api("POST", "/uploads", {"key": key, "content_type": "image/jpeg"})
    assert answer.status in (200, 201), answer
    upload = json.loads(answer.body)
    if upload["method"] != "PUT":
        upload = json.loads(env.api("POST", "/uploads", {"key": key, "content_type": "image/jpeg", "method": "PUT"}).body)
    forged = {**upload["headers"], "content-type": "text/html"}
    forged = {name: value for name, value in forged.items() if name == name.lower() or name.lower() not in forged}
    assert send(upload["url"], "PUT", content, forged).status == 403
    assert send(upload["url"], "PUT", content, upload["headers"]).status == 200
    env.published(key)


@check
def rejected(env):
    """a file that is no picture is answered, not retried"""
    key = env.upload("no-picture.jpg", secrets.token_bytes(2000))
    wait(lambda: env.record(key), "it has a record", 90)
    assert not env.renditions(key)
    assert dead_letters(env) == 0


def dead_letters(env):
    attributes = env.client("sqs").get_queue_attributes(
        QueueUrl=env.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


@check
def redriven(env):
    """a message in the dead-letter queue is listed by the API and sent back by its number"""
    # The worker acknowledges it and does nothing.
    message = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": env.raw})
    before = {each["id"] for each in json.loads(env.api("GET", "/dead").body)["items"]}
    env.client("sqs").send_message(QueueUrl=env.outputs["DeadLetterQueueUrl"], MessageBody=message)

    def listed():
        return [each["id"] for each in json.loads(env.api("GET", "/dead").body)["items"] if each["id"] not in before]

    number, = wait(listed, "the message is listed", 30)
    answer = env.api("POST", f"/dead/redrive?id={number}")
    assert (answer.status, json.loads(answer.body)) == (202, {"redriven": 1}), answer
    assert number not in listed()


def wait_hit(env, path):
    wait(lambda: "Hit" in env.get(path).headers.get("X-Cache", ""), f"{path} is a hit", 30)


@check
def delete(env):
    """deleting sources takes their pictures from the edge's caches, under each spelling of their names"""
    keys = [env.upload(name, picture(640, 480)) for name in ("doomed.jpg", "spelled (1), @=&+'!.jpg", "SPELLE~1.JPG")]
    # As our API writes them, and as a browser sends a hand-written link.
    by_hand = [f"/img/{urllib.parse.quote(key, safe='/-._~!$&()*+,;=:@' + chr(39))}/medium" for key in keys]
    paths = [env.path(key) for key in keys] + by_hand
    for key in keys:
        env.published(key)
    for path in paths:
        wait_hit(env, path)
    for key in keys:
        env.s3.delete_object(Bucket=env.raw, Key=key)
    wait(lambda: not any(env.renditions(key) for key in keys), "their renditions are gone", 90)
    for path in paths:
        wait(lambda path=path: env.get(path).status == 404, f"the edge has forgotten {path}", 420)


@check
def compared(env):
    """which URI CloudFront compares with an invalidation: the viewer's, the one that the Function made, or both"""
    cloudfront, distribution = env.client("cloudfront"), env.outputs["DistributionId"]
    paths, made = {}, []
    for name in ("viewer", "rewritten"):
        key = env.upload(f"compared-{name}.jpg", picture(640, 480))
        env.published(key)
        path = paths[name] = env.path(key, "thumbnail.jpg")
        wait_hit(env, path)
        items = [path if name == "viewer" else path.removeprefix("/img")]
        batch = {"Paths": {"Quantity": 1, "Items": items}, "CallerReference": secrets.token_hex(16)}
        made.append(cloudfront.create_invalidation(DistributionId=distribution, InvalidationBatch=batch)["Invalidation"])
    for each in made:
        cloudfront.get_waiter("invalidation_completed").wait(DistributionId=distribution, Id=each["Id"])
    forgotten = [name for name, path in paths.items() if "Hit" not in env.get(path).headers.get("X-Cache", "")]
    print(f"    compared: {' and '.join(forgotten) or 'neither'}")
    assert forgotten


@check
def replaced(env):
    """a replaced picture is forgotten by the edge when its window is over"""
    minutes = int(env.parameters["ReplacementMinutes"])
    if env.parameters["EnableInvalidations"] == "false" or minutes == 0:
        raise Skipped("replaced pictures are not told of")
    key = env.upload("replaced.jpg", picture(640, 480))
    env.published(key)
    wait_hit(env, path := env.path(key, "medium.jpg"))
    before = env.get(path).body
    env.upload("replaced.jpg", picture(320, 240))
    wait(lambda: env.get(path).body != before, "the new picture shows", 60 * minutes + 420)


@check
def burst(env):
    """a hundred uploads at once are all published, and throttling sends none to the dead letters"""
    bodies = [picture(320, 240) for _ in range(100)]
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda item: env.upload(f"burst/{item[0]}.jpg", item[1]), enumerate(bodies)))
    for key in keys:
        env.published(key, 300)
    assert dead_letters(env) == 0


@check
def memory(env):
    """50 megapixels are rendered within the function's memory, and a cold start within its ten seconds"""
    before = int(time.time() * 1000)
    env.published(env.upload("huge.jpg", picture(8192, 6100)), 240)
    logs = env.client("logs")
    group = f"/aws/lambda/{env.outputs['WorkerFunctionName']}"

    def reports():
        found = logs.filter_log_events(logGroupName=group, startTime=before - 600_000, filterPattern='"Max Memory Used"')
        return [each["message"] for each in found["events"] if each["timestamp"] >= before - 600_000]

    lines = wait(reports, "Lambda reports", 120)
    used = max(int(re.search(r"Max Memory Used: (\d+) MB", line)[1]) for line in lines)
    size = int(env.parameters["WorkerMemory"])
    started = [float(found[1]) for line in lines if (found := re.search(r"Init Duration: ([\d.]+) ms", line))]
    print(f"    most memory {used} of {size} MB; cold starts {started or 'none seen'} ms; "
          f"longest {max(float(re.search(r'Duration: ([0-9.]+) ms', line)[1]) for line in lines):.0f} ms")
    assert used < size and all(each < 10_000 for each in started)


@check
def jail(env):
    """the rendering process is confined as far as Lambda's kernel lets it"""
    found = env.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{env.outputs['WorkerFunctionName']}", filterPattern='"jail.level"',
        startTime=int((time.time() - 3600) * 1000))["events"]
    assert found, "the worker has not started within the hour"
    print(f"    {found[-1]['message'].strip()}")


@check
def alarms(env):
    """alarms are there and none rings"""
    prefix = f"{env.parameters['Prefix']}-{env.parameters['Environment']}-"
    found = env.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    told = env.parameters["EnableInvalidations"] == "true"
    assert len(found) == 5 + (env.parameters["EnableApi"] == "true") + 2 * told, [each["AlarmName"] for each in found]
    assert not [each["AlarmName"] for each in found if each["StateValue"] == "ALARM"]


def main():
    if sys.argv[1:] == ["--list"]:
        for name, function in CHECKS.items():
            print(f"{name:12} {function.__doc__}")
        return 0
    wanted = os.environ.get("ONLY", "").split() or list(CHECKS)
    unknown = set(wanted) - set(CHECKS)
    if unknown:
        print(f"aws-smoke: no such check: {' '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    env = Environment(os.environ["STACK"])
    failed = 0
    try:
        for name in wanted:
            try:
                CHECKS[name](env)
                outcome = "ok"
            except Skipped as reason:
                outcome = f"skipped: {reason}"
            except Exception as error:  # noqa: BLE001 - the next check still tells something
                failed += 1
                outcome = f"FAILED: {type(error).__name__}: {error}"
            print(f"{name:12} {outcome}", flush=True)
    finally:
        env.clean()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
