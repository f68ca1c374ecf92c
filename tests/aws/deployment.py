"""Tintype as `make package` ships it, deployed into an emulator by the AWS CLI, and what people do with it."""

import dataclasses
import hashlib
import http.client
import json
import re
import ssl
import subprocess
import threading
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

import cloudformation
import iam
import processes
import strip
from calls import Service
from emulator import Keys
from processes import HANG, ROOT, wait_until

PACKAGE = ROOT / "target/package"

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI_15 = "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"
CURL = "*/*"

# The answer of CloudFront for a missing picture. S3 answers 404 to roles that may list, and test_iam.py shows that
# CloudFront may; MiniStack says 403 to CloudFront either way.
MISSING = (403, 404)


@dataclasses.dataclass
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)


def encode_key(key):
    """A key as it is spelled in delivery URLs."""
    return urllib.parse.quote(key.encode(), safe="/-._~")


def request(url, method, path, headers=None, body=None, ca=None):
    """Sends exactly this path, without any client's idea of normalising it."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=HANG, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=HANG)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Deployment:
    """One stack. `outputs` are those of the template; `deployer` may do anything, `uploader` what a client may."""

    def __init__(self, emulator, name="tintype-test", parameters=None, distribution_port=None):
        self.emulator = emulator
        self.name = name
        self.parameters = {"Environment": "test", **(parameters or {})}
        self.folder = emulator.folder
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        self.deployer = emulator.new_user(f"{name}-deployer", everything)
        emulator.client("s3", self.deployer).create_bucket(Bucket=f"{name}-artifacts")
        self.template = self._package()
        self.deploy()
        raw = f"arn:aws:s3:::{self.outputs['RawBucketName']}"
        # The bucket alone: what a site that uploads would get.
        self.uploader = emulator.new_user(
            f"{name}-uploader",
            {
                "Effect": "Allow",
                "Action": [
                    "s3:PutObject",
                    "s3:GetObject",
                    "s3:GetObjectVersion",
                    "s3:DeleteObject",
                    "s3:DeleteObjectVersion",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                ],
                "Resource": f"{raw}/*",
            },
            {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:ListBucketVersions"], "Resource": raw},
        )
        api = f"arn:aws:execute-api:{emulator.region}:{emulator.account}:{self.api_id}/*"
        self.api_user = emulator.new_user(
            f"{name}-api-user", {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": api}
        )
        # As shipped: tests may change them for a while, and the last one deletes the stack.
        self.policies = iam.Policies(self)
        self.cdn = emulator.open_distribution(self.outputs["DistributionDomainName"], distribution_port)

    # ---- The stack

    def aws(self, *command, keys=None, check=True):
        """Runs the AWS CLI, as the deployer unless told otherwise."""
        done = subprocess.run(
            [processes.tool("aws"), *command],
            env=self.emulator.environment(keys or self.deployer),
            capture_output=True,
            text=True,
            timeout=HANG,
        )
        assert done.returncode == 0 or not check, f"aws {' '.join(command)}\n{done.stdout}{done.stderr}"
        return done

    def _package(self):
        """The shipped template without the types that MiniStack refuses, its zips uploaded by the AWS CLI."""
        shipped, packaged = PACKAGE / "template.yaml", self.folder / "packaged.yaml"
        assert shipped.exists(), f"{shipped} is missing: `PROFILE=dev scripts/package` builds it"
        template, _ = strip.strip(cloudformation.load(shipped))
        # Beside the zips that it names.
        stripped = PACKAGE / "template.stripped.json"
        stripped.write_text(json.dumps(template))
        self.aws(
            *("cloudformation", "package", "--template-file", str(stripped)),
            *("--s3-bucket", f"{self.name}-artifacts", "--output-template-file", str(packaged)),
        )
        return packaged

    def deploy(self, **parameters):
        """Creates or updates the stack; parameters that are not named keep their values."""
        self.parameters |= parameters
        self.aws(
            *("cloudformation", "deploy", "--template-file", str(self.template), "--stack-name", self.name),
            *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "--no-fail-on-empty-changeset"),
            *("--s3-bucket", f"{self.name}-artifacts"),
            "--parameter-overrides",
            *(f"{name}={value}" for name, value in self.parameters.items()),
        )
        stack = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), stack
        self.outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack["Outputs"]}
        # MiniStack's poller takes the number as a number only, and templates have their parameters as text.
        mapping = self.event_source()
        concurrency = int(mapping["ScalingConfig"]["MaximumConcurrency"])
        self.client("lambda").update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": concurrency}
        )

    def event_source(self):
        """The mapping that invokes the worker for messages of the queue."""
        mappings = self.client("lambda").list_event_source_mappings(FunctionName=self.outputs["WorkerFunctionName"])
        return mappings["EventSourceMappings"][0]

    @property
    def api_id(self):
        return re.match(r"https?://(\w+)\.", self.outputs["ApiUrl"])[1]

    def client(self, service, keys=None, **options):
        return self.emulator.client(service, keys or self.deployer, **options)

    def function_keys(self, role):
        """The keys that a function's session has: "WorkerRole", "ApiRole" or "InvalidatorRole".

        Roles that only Lambda may assume can be tried with nothing else. MiniStack derives a session's keys from
        function and role (`execution_credentials` in its lambda_runtime.py).
        """
        function = role.removesuffix("Role") + "FunctionName"
        arn = f"arn:aws:lambda:{self.emulator.region}:{self.emulator.account}:function:{self.outputs[function]}"
        digest = hashlib.sha256(f"{arn}:{self.outputs[role + 'Arn']}".encode()).hexdigest()
        secret, token = (hashlib.sha256(f"{kind}:{digest}".encode()).hexdigest() for kind in ("secret", "token"))
        return Keys(f"ASIA{digest[:16].upper()}", secret, token)

    # ---- What people do with it

    @property
    def raw(self):
        return self.outputs["RawBucketName"]

    @property
    def processed(self):
        return self.outputs["ProcessedBucketName"]

    def put(self, key, body, **options):
        """Uploads as the uploader; the ETag without quotes."""
        s3 = self.client("s3", self.uploader)
        return s3.put_object(Bucket=self.raw, Key=key, Body=body, **options)["ETag"].strip('"')

    def delete(self, key, **options):
        self.client("s3", self.uploader).delete_object(Bucket=self.raw, Key=key, **options)

    def api(self, method, path, body=None, keys=None, signed=True):
        """A request to the HTTP API, signed for execute-api."""
        port = urllib.parse.urlsplit(self.emulator.url).port
        host = f"{self.api_id}.execute-api.localhost:{port}"
        content = json.dumps(body).encode() if body is not None else b""
        headers = {"Host": host, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if signed:
            keys = keys or self.api_user
            signing = botocore.awsrequest.AWSRequest(method, f"https://{host}{path}", headers=headers, data=content)
            credentials = botocore.credentials.Credentials(keys.access_key, keys.secret_key, keys.session_token)
            botocore.auth.SigV4Auth(credentials, "execute-api", self.emulator.region).add_auth(signing)
            headers = dict(signing.headers)
        return request(self.emulator.url, method, path, headers, content or None, self.emulator.ca)

    def image(self, key):
        """The facts of a key from the API; None when it has none."""
        answer = self.api("GET", "/api/v1/image?key=" + urllib.parse.quote(key.encode(), safe=""))
        if answer.status == 404:
            return None
        assert answer.status == 200, (key, answer.status, answer.body)
        return answer.json()["image"]

    def wait(self, key, condition, what):
        """The image once the condition holds for it (None when the API knows nothing)."""
        seen = [None]

        def holds():
            seen[0] = self.image(key)
            return condition(seen[0])

        wait_until(holds, f"{key!r} {what}", explain=lambda: f"{seen[0]}\n{self.emulator.server.log()}")
        return seen[0]

    def wait_ready(self, key, etag=None):
        """The image once it is published, from the source with this ETag if one is given."""

        def ready(image):
            if image is None or image["status"] == "pending":
                return False
            if etag is not None and image["source"]["etag"] != etag:
                return False
            assert image["status"] == "ready", (image, self.emulator.server.log())
            return True

        return self.wait(key, ready, "is ready")

    def wait_status(self, key, status):
        return self.wait(key, lambda image: image is not None and image["status"] == status, f"is {status}")

    def record(self, key):
        """The item of a key in the table, its record parsed; None when there is none."""
        item = self.client("dynamodb").get_item(
            TableName=self.outputs["TableName"], Key={"pk": {"S": f"image#{key}"}}, ConsistentRead=True
        ).get("Item")
        return item and {name: next(iter(value.values())) for name, value in item.items()}

    def wait_deleted(self, key):
        """Waits for the tombstone; to the API it is as if the picture had never been."""
        wait_until(
            lambda: (self.record(key) or {}).get("status_shard", "").startswith("deleted#"),
            f"{key!r} is deleted",
            explain=lambda: f"{self.record(key)}\n{self.emulator.server.log()}",
        )
        self.wait_idle()
        assert self.image(key) is None

    def wait_settled(self, keys):
        """Waits until nothing is unknown or pending and the queue is empty."""
        for key in keys:
            self.wait(key, lambda image: image is not None and image["status"] != "pending", "is settled")
        self.wait_idle()

    def get(self, path, accept=None, method="GET", **headers):
        """A browser's request to CloudFront."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if accept is not None:
            headers["Accept"] = accept
        return request(self.cdn, method, path, headers, ca=self.emulator.ca)

    # ---- What lies where

    def objects(self, bucket, prefix=""):
        """Key -> ETag of everything in a bucket."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}

    def depth(self, queue):
        """Messages in a queue: waiting, and taken but not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)
        return tuple(int(answer["Attributes"][name]) for name in names)

    def wait_idle(self):
        """Waits until the queue is empty and nobody works on anything."""
        wait_until(
            lambda: self.depth("QueueUrl") == (0, 0),
            "the queue is empty",
            explain=lambda: f"{self.depth('QueueUrl')}\n{self.emulator.server.log()}",
        )


class Impatience:
    """While it is entered, messages that a function put off are delivered again at once.

    The worker sets the visibility of a message that failed to 15 s x 2^n and up to a quarter more. The proxy saw that call: the same receipt
    handle makes the message visible again. `delays` keeps what the worker had asked for.
    """

    def __init__(self, deployment, since=None):
        """`since` is the length of the proxy's record from which on it hurries; the default is when it is entered."""
        self.deployment = deployment
        self.delays = []
        self._next = since
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="impatience", daemon=True)

    def __enter__(self):
        if self._next is None:
            self._next = len(self.deployment.emulator.proxy.record)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _run(self):
        sqs = self.deployment.client("sqs")
        record = self.deployment.emulator.proxy.record
        while not self._done.wait(0.02):
            while self._next < len(record):
                call = record[self._next]
                self._next += 1
                if call.service is not Service.SQS or call.operation != "ChangeMessageVisibility":
                    continue
                # The invalidator hides what it has to tell until later, too.
                if call.parameters["QueueUrl"] != self.deployment.outputs["QueueUrl"]:
                    continue
                if call.status == 200:
                    self.delays.append(call.parameters["VisibilityTimeout"])
                # Also when the worker was told that it failed: it may give up, and the message wait for minutes.
                try:
                    sqs.change_message_visibility(
                        QueueUrl=call.parameters["QueueUrl"],
                        ReceiptHandle=call.parameters["ReceiptHandle"],
                        VisibilityTimeout=0,
                    )
                except sqs.exceptions.ClientError:
                    # It has been received again or deleted in the meantime.
                    pass
