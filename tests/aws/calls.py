"""The meaning of an HTTP request to AWS: service, operation, resource, caller and required IAM permissions."""

import dataclasses
import enum
import html
import json
import re
import urllib.parse


class Service(enum.Enum):
    S3 = "s3"
    DYNAMODB = "dynamodb"
    SQS = "sqs"
    CLOUDFRONT = "cloudfront"


REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclasses.dataclass(frozen=True)
class Permission:
    """One question for IAM, with the part of the request context that policies look at."""

    action: str
    resource: str
    context: tuple = ()


@dataclasses.dataclass
class Call:
    """One request of a function. `status` is 0 until it is answered."""

    service: Service
    operation: str
    target: str
    access_key: str
    permissions: tuple
    # Permissions whose lack would only show in another answer: S3 says 403 instead of 404 without s3:ListBucket.
    when_missing: tuple = ()
    parameters: dict = dataclasses.field(default_factory=dict)
    status: int = 0
    fault: str | None = None

    @staticmethod
    def of(method, path, headers, body):
        """Reads a signed request. What the functions have no business with raises AssertionError."""
        parts = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        access_key = _access_key(headers, query, body)
        match headers.get("X-Amz-Target", "").split("."):
            case ["DynamoDB_20120810", operation]:
                return _dynamodb(operation, json.loads(body), access_key)
            case ["AmazonSQS", operation]:
                return _sqs(operation, json.loads(body), access_key)
            case [""]:
                pass
            case other:
                raise AssertionError(f"a call that nobody expects: {other}")
        if distribution := re.fullmatch(r"/2020-05-31/distribution/(\w+)/invalidation", parts.path):
            assert method == "POST", (method, path)
            arn = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{distribution[1]}"
            paths = tuple(html.unescape(path) for path in re.findall(r"<Path>([^<]*)</Path>", body.decode()))
            return Call(
                Service.CLOUDFRONT,
                "CreateInvalidation",
                arn,
                access_key,
                (Permission("cloudfront:CreateInvalidation", arn),),
                parameters={"paths": paths},
            )
        return _s3(method, parts.path, query, headers, body, access_key)

    def used(self):
        """The permissions that this call has shown to be needed."""
        return self.permissions + (self.when_missing if self.status == 404 else ())


def _access_key(headers, query, body):
    credential = re.search(r"Credential=([^/,]+)/", headers.get("Authorization", ""))
    if credential:
        return credential[1]
    if "X-Amz-Credential" in query:
        return query["X-Amz-Credential"].split("/")[0]
    return _field(body, b"x-amz-credential").split("/")[0]


def _field(body, name):
    """The value of a multipart form's field: what stands after its headers."""
    found = re.search(rb'name="' + name + rb'"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)\r\n', body, re.IGNORECASE)
    return found[1].decode() if found else ""


def _s3(method, path, query, headers, body, access_key):
    bucket, _, encoded = path.removeprefix("/").partition("/")
    key = urllib.parse.unquote(encoded)
    bucket_arn = f"arn:aws:s3:::{bucket}"
    arn = f"{bucket_arn}/{key}" if key else bucket_arn
    listing = (Permission("s3:ListBucket", bucket_arn),)
    encryption = headers.get("x-amz-server-side-encryption")
    # A precondition on an ETag also needs to read: conditional-deletes.html and conditional-writes.html say so.
    by_etag = (Permission("s3:GetObject", arn),) if headers.get("If-Match", "*") != "*" else ()
    when_missing = ()
    match method, bool(key):
        case ("GET" | "HEAD", True) if set(query) <= {"x-id", "versionId"}:
            operation = "GetObject" if method == "GET" else "HeadObject"
            action = "s3:GetObjectVersion" if "versionId" in query else "s3:GetObject"
            permissions, when_missing = (Permission(action, arn),), listing
        case ("PUT", True) if set(query) <= {"x-id"} or "X-Amz-Signature" in query:
            operation = "PutObject"
            context = (("s3:x-amz-server-side-encryption", encryption),) if encryption else ()
            permissions = (Permission("s3:PutObject", arn, context), *by_etag)
        case ("DELETE", True) if set(query) <= {"x-id"}:
            operation, permissions = "DeleteObject", (Permission("s3:DeleteObject", arn), *by_etag)
        case ("GET", False) if query.get("list-type") == "2":
            prefix = (("s3:prefix", query.get("prefix", "")),)
            operation, permissions = "ListObjectsV2", (Permission("s3:ListBucket", bucket_arn, prefix),)
        case ("GET", False) if "versions" in query:
            operation, permissions = "ListObjectVersions", (Permission("s3:ListBucketVersions", bucket_arn),)
        case ("HEAD", False):
            operation, permissions = "HeadBucket", listing
        case ("POST", False) if not query:
            # A browser's upload by a form that the API signed; the key is one of its fields.
            operation, arn = "PostObject", f"{bucket_arn}/{_field(body, b'key')}"
            permissions = (Permission("s3:PutObject", arn),)
        case _:
            raise AssertionError(f"a call that nobody expects: {method} {path} {query}")
    parameters = {"owner": headers.get("x-amz-expected-bucket-owner"), "presigned": _is_presigned(operation, query)}
    return Call(Service.S3, operation, arn, access_key, permissions, when_missing, parameters)


def _is_presigned(operation, query):
    """Tells whether a client sends a request that the API signed."""
    return operation == "PostObject" or "X-Amz-Signature" in query


def _dynamodb(operation, request, access_key):
    def table(name, index=None):
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
        return f"{arn}/index/{index}" if index else arn

    if operation in ("BatchGetItem", "BatchWriteItem"):
        targets = [table(name) for name in request["RequestItems"]]
        permissions = tuple(
            Permission(f"dynamodb:{operation}", table(name), _leading([key["pk"] for key in items["Keys"]]))
            for name, items in request["RequestItems"].items()
        )
    elif operation == "TransactWriteItems":
        kinds = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
        items = [(kind, item) for entry in request["TransactItems"] for kind, item in entry.items()]
        targets = [table(item["TableName"]) for _, item in items]
        permissions = tuple(
            Permission(f"dynamodb:{kinds[kind]}", table(item["TableName"])) for kind, item in items
        )
    else:
        targets = [table(request["TableName"], request.get("IndexName"))]
        key = request.get("Key") or request.get("Item")
        # A query's leading key is that of the index.
        permissions = (Permission(f"dynamodb:{operation}", targets[0], _leading([key["pk"]]) if key else ()),)
    key = request.get("Key") or request.get("Item") or {}
    item = json.dumps(key.get("pk", ""), sort_keys=True)
    return Call(Service.DYNAMODB, operation, targets[0] + item, access_key, permissions, parameters=request)


def _leading(keys):
    """The condition key of the items that a call is about: their kinds, which is what policies tell apart."""
    kinds = sorted({re.sub(r"#.*", "#", next(iter(key.values())), flags=re.DOTALL) for key in keys})
    return (("dynamodb:LeadingKeys", tuple(kinds)),)


def _sqs(operation, request, access_key):
    name = request["QueueUrl"].rsplit("/", 1)[1]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    action = {
        "SendMessageBatch": "SendMessage",
        "DeleteMessageBatch": "DeleteMessage",
        "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    }.get(operation, operation)
    return Call(Service.SQS, operation, arn, access_key, (Permission(f"sqs:{action}", arn),), parameters=request)
