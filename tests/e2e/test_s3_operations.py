"""Every operation of S3 that botocore's model has, and every setting of those that write: an operation that is not
offered, or a setting that is not, changes nothing."""

import datetime

import botocore.exceptions
import botocore.session
import pytest

from bucket import keys

MODEL = botocore.session.get_session().get_service_model("s3")
BODY = b"the picture"
LONG_AGO = datetime.datetime(2000, 1, 2, tzinfo=datetime.UTC)

OFFERED = {
    "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload", "DeleteObject",
    "DeleteObjects", "GetBucketAccelerateConfiguration", "GetBucketLocation", "GetBucketLogging",
    "GetBucketNotification", "GetBucketNotificationConfiguration", "GetBucketRequestPayment", "GetBucketVersioning",
    "GetObject", "GetObjectAttributes", "GetObjectTagging", "HeadBucket", "HeadObject", "ListBuckets",
    "ListMultipartUploads", "ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts", "PutObject",
    "UploadPart", "UploadPartCopy",
}  # fmt: skip
WRITES = [
    "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload", "DeleteObject",
    "DeleteObjects", "PutObject", "UploadPart", "UploadPartCopy",
]  # fmt: skip
# Settings that are heeded, and values of settings that only repeat what is usual. Whatever else succeeds is ignored.
HEEDED = {
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires", "Metadata",
    "CopySourceIfModifiedSince", "CopySourceIfNoneMatch", "MetadataDirective", "ChecksumType",
    "ChecksumAlgorithm=CRC32", "ChecksumAlgorithm=CRC32C", "ChecksumAlgorithm=CRC64NVME", "ChecksumAlgorithm=SHA1",
    "ChecksumAlgorithm=SHA256", "ACL=private", "ACL=bucket-owner-full-control", "RequestPayer=requester",
    "ServerSideEncryption=AES256", "StorageClass=STANDARD", "StorageClass=REDUCED_REDUNDANCY",
    "TaggingDirective=COPY", "TaggingDirective=REPLACE", "AnnotationDirective=COPY", "AnnotationDirective=EXCLUDE",
}  # fmt: skip


def value_of(shape, name=""):
    """Something that a client accepts for this shape."""
    if getattr(shape, "enum", None):
        return shape.enum[0]
    match shape.type_name:
        case "structure":
            members = shape.required_members or list(shape.members)[:1]
            return {member: value_of(shape.members[member], member) for member in members}
        case "list":
            return [value_of(shape.member, name)]
        case "map":
            return {"a": value_of(shape.value)}
        case "string":
            return "x"
        case "integer" | "long":
            return 1
        case "boolean":
            return True
        case "timestamp":
            return LONG_AGO
        case "blob":
            return b"new"
    raise AssertionError(f"no value for {name} of type {shape.type_name}")


def values_of(shape, name):
    return getattr(shape, "enum", None) or [value_of(shape, name)]


@pytest.fixture
def operations(quick_server):
    """A client that sends what it is told to, to the server and nowhere else."""
    return quick_server.s3(parameter_validation=False, inject_host_prefix=False)


class Object:
    """An object, an upload with one part, and what a client can see of them."""

    def __init__(self, client, key):
        self.client, self.key = client, key
        client.put_object(Bucket="raw", Key=key, Body=BODY, ContentType="image/png", Metadata={"made": "by-hand"})
        self.upload = client.create_multipart_upload(Bucket="raw", Key=key)["UploadId"]
        part = client.upload_part(Bucket="raw", Key=key, UploadId=self.upload, PartNumber=1, Body=b"part")
        self.part = {"PartNumber": 1, "ETag": part["ETag"]}
        self.seen = self.look()

    def look(self):
        got = self.client.get_object(Bucket="raw", Key=self.key)
        listed = self.client.list_objects_v2(Bucket="raw", Prefix=self.key)["Contents"]
        parts = self.client.list_parts(Bucket="raw", Key=self.key, UploadId=self.upload)
        return (
            got["Body"].read(), got["ETag"], got["LastModified"], got["ContentType"], got["Metadata"],
            [(entry["Key"], entry["Size"], entry["ETag"]) for entry in listed],
            [(part["PartNumber"], part["ETag"]) for part in parts["Parts"]],
        )  # fmt: skip

    def parameters(self, operation):
        """The parameters of the operation for this object."""
        shape = operation.input_shape
        if shape is None:
            return {}
        needed = {name: value_of(shape.members[name], name) for name in shape.required_members}
        own = {
            "Bucket": "raw", "Key": self.key, "UploadId": self.upload, "CopySource": {"Bucket": "raw", "Key": self.key},
            "Delete": {"Objects": [{"Key": self.key}]}, "ObjectAttributes": ["ETag"],
        }  # fmt: skip
        more = {
            "CopyObject": {"MetadataDirective": "REPLACE"},
            "CompleteMultipartUpload": {"MultipartUpload": {"Parts": [self.part]}},
            "PutObject": {"Body": b"new"},
            "PutObjectAnnotation": {"AnnotationPayload": b"new"},
            "UploadPart": {"Body": b"new"},
        }
        needed.update({name: value for name, value in own.items() if name in needed})
        needed.update(
            {name: value for name, value in more.get(operation.name, {}).items() if name in shape.members}
        )
        return needed

    def send(self, client, operation, parameters):
        """The status of the answer."""
        method = botocore.xform_name(operation.name)
        try:
            answer = getattr(client, method)(**parameters)
        except botocore.exceptions.ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]
        return answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def thing(client, prefix):
    """An object of the test's own."""

    def abort_all():
        for upload in client.list_multipart_uploads(Bucket="raw", Prefix=prefix).get("Uploads", []):
            client.abort_multipart_upload(Bucket="raw", Key=upload["Key"], UploadId=upload["UploadId"])

    def make():
        abort_all()
        return Object(client, prefix + "picture.png")

    yield make
    abort_all()


@pytest.mark.parametrize("name", MODEL.operation_names)
def test_an_operation_is_offered_or_changes_nothing(operations, client, thing, name):
    operation = MODEL.operation_model(name)
    picture = thing()
    status = picture.send(operations, operation, picture.parameters(operation))
    if name in OFFERED:
        assert status < 300, status
    else:
        assert status >= 400, status
        assert picture.look() == picture.seen
        assert keys(client, picture.key) == [picture.key]


@pytest.mark.parametrize("name", WRITES)
def test_a_setting_is_heeded_or_refused(operations, thing, name):
    """One setting after the other, with each of its values where the model names them."""
    operation = MODEL.operation_model(name)
    ignored, picture = [], None
    for member, shape in operation.input_shape.members.items():
        for value in values_of(shape, member):
            picture = picture or thing()
            parameters = picture.parameters(operation)
            # The length of the body is what it is; the rest is what makes the operation.
            if member == "ContentLength" or (member in parameters and member != "MetadataDirective"):
                continue
            parameters[member] = value
            try:
                status = picture.send(operations, operation, parameters)
            except botocore.exceptions.FlexibleChecksumError:
                # An algorithm that botocore cannot compute. crates/s3/tests/it sends those.
                continue
            if status >= 400:
                assert picture.look() == picture.seen, (member, value)
                continue
            picture = None
            if not {member, f"{member}={value}"} & HEEDED:
                ignored.append((member, value))
    assert ignored == []


def test_conditions_in_the_document_of_a_delete_are_heeded_or_refused(operations, client, thing):
    shape = MODEL.operation_model("DeleteObjects").input_shape.members["Delete"].members["Objects"].member
    picture = thing()
    for member in shape.members:
        if member != "Key":
            entry = {"Key": picture.key, member: value_of(shape.members[member], member)}
            answer = operations.delete_objects(Bucket="raw", Delete={"Objects": [entry]})
            assert [error["Key"] for error in answer["Errors"]] == [picture.key], member
            assert picture.look() == picture.seen, member
