"""The S3 endpoint with boto3, operation by operation."""

import base64
import hashlib
import pathlib
import re
import zlib

import boto3.s3.transfer
import botocore.exceptions
import pytest
import requests

import pictures
from bucket import MIB, keys, noise, refused
from tintype import HANG


def test_boto3_uploads_files_in_parts_with_trailers(client, tmp_path, prefix):
    large = tmp_path / "large.bin"
    large.write_bytes(noise(12 * MIB + 7))
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    client.upload_file(str(large), "raw", f"{prefix}large.bin", Config=config)
    head = client.head_object(Bucket="raw", Key=f"{prefix}large.bin", ChecksumMode="ENABLED")
    assert head["ContentLength"] == large.stat().st_size
    assert head["ETag"].endswith('-3"')
    client.download_file("raw", f"{prefix}large.bin", str(tmp_path / "back.bin"), Config=config)
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()


ALGORITHMS = ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_boto3_sends_and_verifies_checksums(client, prefix, algorithm):
    body = noise(70_000, 3)
    put = client.put_object(Bucket="raw", Key=prefix + algorithm, Body=body, ChecksumAlgorithm=algorithm)
    stored = put[f"Checksum{algorithm}"]
    got = client.get_object(Bucket="raw", Key=prefix + algorithm, ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got[f"Checksum{algorithm}"] == stored
    if algorithm == "SHA256":
        assert stored == base64.b64encode(hashlib.sha256(body).digest()).decode()
    if algorithm == "CRC32":
        assert stored == base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_boto3_multipart_checksums(client, prefix, algorithm):
    key = prefix + algorithm
    upload = client.create_multipart_upload(Bucket="raw", Key=key, ChecksumAlgorithm=algorithm)["UploadId"]
    parts = []
    for number in (1, 2):
        part = client.upload_part(
            Bucket="raw",
            Key=key,
            UploadId=upload,
            PartNumber=number,
            Body=noise(5 * MIB, number),
            ChecksumAlgorithm=algorithm,
        )
        checksum = f"Checksum{algorithm}"
        parts.append({"PartNumber": number, "ETag": part["ETag"], checksum: part[checksum]})
    client.complete_multipart_upload(Bucket="raw", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    got = client.get_object(Bucket="raw", Key=key)["Body"].read()
    assert got == noise(5 * MIB, 1) + noise(5 * MIB, 2)


def test_corrupted_bodies_are_refused_and_leave_nothing(client, prefix):
    key = prefix + "corrupt"
    for header in [
        {"ChecksumCRC32": base64.b64encode(b"\0\0\0\1").decode()},
        {"ChecksumSHA256": base64.b64encode(b"\1" * 32).decode()},
        {"ContentMD5": base64.b64encode(b"\1" * 16).decode()},
    ]:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.put_object(Bucket="raw", Key=key, Body=b"the body", **header)
        assert error.value.response["Error"]["Code"] in ("BadDigest", "XAmzContentChecksumMismatch"), header
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    refused(lambda: client.head_object(Bucket="raw", Key=key), "404", 404)


def test_a_corrupted_trailer_is_refused(quick_server, prefix):
    """The client computes the trailer itself; on the wire one digit of it is changed."""
    client = quick_server.s3()

    def corrupt(request, **_):
        read = request.body.read

        def changed(*size):
            data = read(*size)
            return re.sub(rb"(x-amz-checksum-crc32:).", rb"\1!", data) if data else data

        request.body.read = changed

    client.meta.events.register("before-send.s3.PutObject", corrupt)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.put_object(Bucket="raw", Key=prefix + "object", Body=pathlib.Path(__file__).open("rb"))
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    refused(lambda: client.head_object(Bucket="raw", Key=prefix + "object"), "404", 404)


def test_conditional_requests(client, prefix):
    key = prefix + "object"
    first = client.put_object(Bucket="raw", Key=key, Body=b"one", IfNoneMatch="*")["ETag"]
    refused(lambda: client.put_object(Bucket="raw", Key=key, Body=b"two", IfNoneMatch="*"), "PreconditionFailed", 412)
    refused(
        lambda: client.put_object(Bucket="raw", Key=key, Body=b"two", IfMatch='"' + "0" * 32 + '"'),
        "PreconditionFailed",
        412,
    )
    second = client.put_object(Bucket="raw", Key=key, Body=b"two", IfMatch=first)["ETag"]
    assert client.get_object(Bucket="raw", Key=key, IfMatch=second)["Body"].read() == b"two"
    refused(lambda: client.get_object(Bucket="raw", Key=key, IfMatch=first), "PreconditionFailed", 412)
    refused(lambda: client.get_object(Bucket="raw", Key=key, IfNoneMatch=second), "304", 304)
    head = client.head_object(Bucket="raw", Key=key)
    refused(lambda: client.get_object(Bucket="raw", Key=key, IfModifiedSince=head["LastModified"]), "304", 304)


def test_ranges_and_metadata(client, prefix):
    key = prefix + "object"
    client.put_object(
        Bucket="raw", Key=key, Body=noise(1000), ContentType="image/x-a", Metadata={"one": "1", "two-words": "zwei"},
        CacheControl="max-age=5",
    )  # fmt: skip
    got = client.get_object(Bucket="raw", Key=key, Range="bytes=990-")
    assert got["Body"].read() == noise(1000)[990:]
    assert got["ContentRange"] == "bytes 990-999/1000"
    assert got["Metadata"] == {"one": "1", "two-words": "zwei"}
    assert (got["ContentType"], got["CacheControl"]) == ("image/x-a", "max-age=5")
    refused(lambda: client.get_object(Bucket="raw", Key=key, Range="bytes=1000-"), "InvalidRange", 416)


def test_copies_keep_or_replace_metadata(client, prefix):
    source = prefix + "a source+with%signs ä.jpg"
    client.put_object(Bucket="raw", Key=source, Body=noise(5000), ContentType="image/x-a", Metadata={"a": "1"})
    client.copy_object(Bucket="raw", Key=prefix + "copy", CopySource={"Bucket": "raw", "Key": source})
    copy = client.get_object(Bucket="raw", Key=prefix + "copy")
    assert (copy["Body"].read(), copy["ContentType"], copy["Metadata"]) == (noise(5000), "image/x-a", {"a": "1"})
    client.copy_object(
        Bucket="raw", Key=prefix + "replaced", CopySource={"Bucket": "raw", "Key": source}, MetadataDirective="REPLACE",
        ContentType="image/x-b", Metadata={"b": "2"},
    )  # fmt: skip
    replaced = client.head_object(Bucket="raw", Key=prefix + "replaced")
    assert (replaced["ContentType"], replaced["Metadata"]) == ("image/x-b", {"b": "2"})
    missing = {"Bucket": "raw", "Key": prefix + "nothing"}
    refused(lambda: client.copy_object(Bucket="raw", Key=prefix + "x", CopySource=missing), "NoSuchKey", 404)


def test_many_objects_are_deleted_at_once(client, prefix):
    names = [f"{prefix}{number} & <{number}>" for number in range(20)]
    for name in names:
        client.put_object(Bucket="raw", Key=name, Body=b"x")
    answer = client.delete_objects(
        Bucket="raw", Delete={"Objects": [{"Key": name} for name in [*names[:15], prefix + "never there"]]}
    )
    assert {deleted["Key"] for deleted in answer["Deleted"]} == {*names[:15], prefix + "never there"}
    assert keys(client, prefix) == sorted(names[15:], key=str.encode)


def test_listings_page_and_fold(client, prefix):
    names = [f"{prefix}{letter}/{number}" for letter in "abc" for number in range(4)] + [f"{prefix}top"]
    for name in names:
        client.put_object(Bucket="raw", Key=name, Body=b"x")
    for operation in ["list_objects", "list_objects_v2"]:
        pages = list(
            client.get_paginator(operation).paginate(
                Bucket="raw", Prefix=prefix, Delimiter="/", PaginationConfig={"PageSize": 2}
            )
        )
        folded = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
        assert folded == [f"{prefix}{letter}/" for letter in "abc"], operation
        assert [entry["Key"] for page in pages for entry in page.get("Contents", [])] == [f"{prefix}top"]
        assert len(pages) == 2
    after = client.list_objects_v2(Bucket="raw", Prefix=prefix, StartAfter=f"{prefix}b/2")
    assert after["Contents"][0]["Key"] == f"{prefix}b/3"
    assert client.list_objects_v2(Bucket="raw", Prefix=prefix, MaxKeys=0)["KeyCount"] == 0


def test_multipart_uploads_list_copy_and_abort(client, prefix):
    key, source = prefix + "parts", prefix + "source"
    client.put_object(Bucket="raw", Key=source, Body=noise(6 * MIB, 9))
    upload = client.create_multipart_upload(
        Bucket="raw", Key=key, ContentType="image/x-parts", Metadata={"kept": "yes"}
    )["UploadId"]
    first = client.upload_part(Bucket="raw", Key=key, UploadId=upload, PartNumber=1, Body=noise(5 * MIB, 1))
    second = client.upload_part_copy(
        Bucket="raw", Key=key, UploadId=upload, PartNumber=2, CopySource={"Bucket": "raw", "Key": source},
        CopySourceRange=f"bytes=0-{5 * MIB - 1}",
    )  # fmt: skip
    third = client.upload_part(Bucket="raw", Key=key, UploadId=upload, PartNumber=7, Body=b"the end")
    listed = client.list_parts(Bucket="raw", Key=key, UploadId=upload)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, 5 * MIB), (2, 5 * MIB), (7, 7)]
    refused(lambda: client.head_object(Bucket="raw", Key=key), "404", 404)
    etags = [(1, first["ETag"]), (2, second["CopyPartResult"]["ETag"]), (7, third["ETag"])]
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in etags]

    def complete(parts):
        return client.complete_multipart_upload(
            Bucket="raw", Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    refused(lambda: complete([parts[0], {"PartNumber": 2, "ETag": '"' + "0" * 32 + '"'}]), "InvalidPart", 400)
    refused(lambda: complete([parts[2], parts[0]]), "InvalidPartOrder", 400)
    assert complete(parts)["ETag"].endswith('-3"')
    got = client.get_object(Bucket="raw", Key=key)
    assert got["Body"].read() == noise(5 * MIB, 1) + noise(6 * MIB, 9)[: 5 * MIB] + b"the end"
    assert (got["ContentType"], got["Metadata"]) == ("image/x-parts", {"kept": "yes"})

    other = client.create_multipart_upload(Bucket="raw", Key=key)["UploadId"]
    client.upload_part(Bucket="raw", Key=key, UploadId=other, PartNumber=1, Body=b"thrown away")
    client.abort_multipart_upload(Bucket="raw", Key=key, UploadId=other)
    refused(lambda: client.list_parts(Bucket="raw", Key=key, UploadId=other), "NoSuchUpload", 404)
    small = client.create_multipart_upload(Bucket="raw", Key=key)["UploadId"]
    tiny = [
        {"PartNumber": number, "ETag": client.upload_part(
            Bucket="raw", Key=key, UploadId=small, PartNumber=number, Body=b"x")["ETag"]}
        for number in (1, 2)
    ]  # fmt: skip
    refused(
        lambda: client.complete_multipart_upload(
            Bucket="raw", Key=key, UploadId=small, MultipartUpload={"Parts": tiny}
        ),
        "EntityTooSmall",
        400,
    )
    client.abort_multipart_upload(Bucket="raw", Key=key, UploadId=small)


def test_presigned_urls_get_and_put(client, prefix):
    key = prefix + "signed + ü.bin"
    put = client.generate_presigned_url("put_object", Params={"Bucket": "raw", "Key": key}, ExpiresIn=60)
    assert requests.put(put, data=noise(3000), timeout=HANG).status_code == 200
    get = client.generate_presigned_url("get_object", Params={"Bucket": "raw", "Key": key}, ExpiresIn=60)
    assert requests.get(get, timeout=HANG).content == noise(3000)
    assert requests.put(get, data=b"other", timeout=HANG).status_code == 403, "signed for GET only"
    other = get.replace("signed", "forged")
    assert requests.get(other, timeout=HANG).status_code == 403, "signed for one key only"
    unsigned = get.split("?")[0]
    assert requests.get(unsigned, timeout=HANG).status_code == 403


def test_clients_that_sign_for_another_region_are_served(quick_server, prefix):
    """Copies of an older DATA/env say us-east-1."""
    key = prefix + "object"
    for region in ["us-east-1", "eu-central-1"]:
        client = quick_server.s3(region=region, signature_version="s3v4")
        client.put_object(Bucket="raw", Key=key, Body=region.encode())
        url = client.generate_presigned_url("get_object", Params={"Bucket": "raw", "Key": key})
        assert f"%2F{region}%2F" in url
        assert requests.get(url, timeout=HANG).content == region.encode()
        post = client.generate_presigned_post("raw", key)
        assert requests.post(post["url"], data=post["fields"], files={"file": b"form"}, timeout=HANG).ok


def test_the_bucket_says_where_it_is(quick_server, client):
    region = client.meta.region_name
    assert client.get_bucket_location(Bucket="raw")["LocationConstraint"] == region
    assert client.head_bucket(Bucket="raw")["BucketRegion"] == region
    assert f"AWS_REGION={region}\n" in (quick_server.data / "env").read_text()


def test_what_is_usual_is_accepted_and_says_nothing(client, prefix):
    key = prefix + "object"
    usual = {"ServerSideEncryption": "AES256", "StorageClass": "REDUCED_REDUNDANCY"}
    client.put_object(Bucket="raw", Key=key, Body=b"body", **usual)
    client.copy_object(Bucket="raw", Key=prefix + "copy", CopySource=f"raw/{key}", **usual)
    upload = client.create_multipart_upload(Bucket="raw", Key=key, **usual)["UploadId"]
    client.abort_multipart_upload(Bucket="raw", Key=key, UploadId=upload)
    head = client.head_object(Bucket="raw", Key=key)
    assert "ServerSideEncryption" not in head and "StorageClass" not in head
    fields = {"x-amz-server-side-encryption": "AES256", "x-amz-storage-class": "STANDARD"}
    conditions = [{name: value} for name, value in fields.items()]
    post = client.generate_presigned_post("raw", prefix + "form", Fields=fields, Conditions=conditions)
    answer = requests.post(post["url"], data=post["fields"], files={"file": b"form"}, timeout=HANG)
    assert answer.status_code == 204, answer.text
    assert keys(client, prefix) == [prefix + "copy", prefix + "form", key]


def test_what_is_not_offered_is_refused_and_touches_nothing(client, prefix):
    """The second table of docs/s3.md."""
    key = prefix + "object"
    client.put_object(Bucket="raw", Key=key, Body=b"body")
    for extra, status, code in [
        ({"ServerSideEncryption": "aws:kms"}, 501, "NotImplemented"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key"}, 501, "NotImplemented"),
        ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "0" * 32}, 501, "NotImplemented"),
        ({"BucketKeyEnabled": True}, 501, "NotImplemented"),
        ({"StorageClass": "GLACIER"}, 400, "InvalidStorageClass"),
        ({"StorageClass": "STANDARD_IA"}, 400, "InvalidStorageClass"),
        ({"Tagging": "a=b"}, 501, "NotImplemented"),
        ({"ACL": "public-read"}, 400, "AccessControlListNotSupported"),
        ({"GrantRead": "id=somebody"}, 501, "NotImplemented"),
        ({"ObjectLockMode": "GOVERNANCE"}, 501, "NotImplemented"),
        ({"WebsiteRedirectLocation": "/elsewhere"}, 501, "NotImplemented"),
        ({"WriteOffsetBytes": 4}, 501, "NotImplemented"),
    ]:
        refused(lambda: client.put_object(Bucket="raw", Key=key, Body=b"x", **extra), code, status)
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    rules = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    for operation, arguments, status, code in [
        ("get_object_acl", {"Key": key}, 501, "NotImplemented"),
        ("put_object_acl", {"Key": key, "ACL": "private"}, 501, "NotImplemented"),
        ("get_bucket_acl", {}, 501, "NotImplemented"),
        ("put_bucket_acl", {"ACL": "private"}, 501, "NotImplemented"),
        ("put_object_tagging", {"Key": key, "Tagging": tags}, 501, "NotImplemented"),
        ("get_object", {"Key": key, "VersionId": "abc"}, 400, "InvalidArgument"),
        ("delete_object", {"Key": key, "VersionId": "abc"}, 400, "InvalidArgument"),
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}, 501, "NotImplemented"),
        ("put_object_legal_hold", {"Key": key, "LegalHold": {"Status": "ON"}}, 501, "NotImplemented"),
        ("restore_object", {"Key": key, "RestoreRequest": {"Days": 1}}, 501, "NotImplemented"),
        ("get_bucket_policy", {}, 404, "NoSuchBucketPolicy"),
        ("put_bucket_policy", {"Policy": "{}"}, 501, "NotImplemented"),
        ("get_bucket_cors", {}, 404, "NoSuchCORSConfiguration"),
        ("put_bucket_cors", {"CORSConfiguration": rules}, 501, "NotImplemented"),
        ("get_bucket_website", {}, 404, "NoSuchWebsiteConfiguration"),
        ("get_bucket_encryption", {}, 404, "ServerSideEncryptionConfigurationNotFoundError"),
        ("get_bucket_lifecycle_configuration", {}, 404, "NoSuchLifecycleConfiguration"),
        ("get_bucket_tagging", {}, 404, "NoSuchTagSet"),
        ("create_bucket", {}, 409, "BucketAlreadyOwnedByYou"),
        ("create_bucket", {"Bucket": "other"}, 403, "AccessDenied"),
        ("list_objects_v2", {"Bucket": "other"}, 404, "NoSuchBucket"),
        ("delete_bucket", {}, 403, "AccessDenied"),
    ]:
        call = getattr(client, operation)
        refused(lambda: call(**{"Bucket": "raw", **arguments}), code, status)
    assert client.get_object_tagging(Bucket="raw", Key=key)["TagSet"] == []
    assert client.get_object(Bucket="raw", Key=key)["Body"].read() == b"body"


def test_virtual_hosts_are_not_served(quick_server):
    assert quick_server.request("GET", "/any", {"Host": f"raw.localhost:{quick_server.port}"}).status == 421


def test_urls_signed_the_old_way_are_refused_with_a_hint(quick_server):
    old = quick_server.s3(signature_version="s3")
    url = old.generate_presigned_url("get_object", Params={"Bucket": "raw", "Key": "any"})
    answer = requests.get(url, timeout=HANG)
    assert answer.status_code == 400
    assert "<Code>InvalidRequest</Code>" in answer.text
    assert "AWS4-HMAC-SHA256" in answer.text


def test_presigned_posts_keep_to_their_policy(client, prefix):
    post = client.generate_presigned_post(
        "raw",
        prefix + "${filename}",
        Fields={"Content-Type": "image/jpeg"},
        Conditions=[
            ["content-length-range", 1, 10_000],
            {"Content-Type": "image/jpeg"},
            ["starts-with", "$key", prefix],
        ],
        ExpiresIn=60,
    )

    def send(body, **fields):
        answer = requests.post(
            post["url"], data={**post["fields"], **fields}, files={"file": ("ä photo.jpg", body)}, timeout=HANG
        )
        code = re.search("<Code>(.*?)</Code>", answer.text)
        return answer.status_code, code and code[1]

    body = pictures.small_jpeg(1)
    assert send(body) == (204, None)
    got = client.get_object(Bucket="raw", Key=prefix + "ä photo.jpg")
    assert (got["Body"].read(), got["ContentType"]) == (body, "image/jpeg")
    assert send(noise(10_001)) == (400, "EntityTooLarge")
    assert send(b"") == (400, "EntityTooSmall")
    assert send(body, key="elsewhere.jpg")[0] == 403
    assert send(body, **{"Content-Type": "text/html"})[0] == 403
    assert send(body, policy=base64.b64encode(b'{"expiration": "2099-01-01T00:00:00Z"}').decode())[0] == 403
    assert keys(client, prefix) == [prefix + "ä photo.jpg"]


def test_the_api_signs_forms(quick_server, client, prefix):
    key = prefix + "from the api é $.jpg"
    answer = quick_server.api("POST", "/uploads", {"key": key, "content_type": "image/jpeg"})
    assert answer.status == 200, answer.body
    upload = answer.json()
    assert (upload["method"], upload["headers"]) == ("POST", {})

    def send(body, **fields):
        fields = {**upload["fields"], **fields}
        return requests.post(upload["url"], data=fields, files={"file": ("x", body)}, timeout=HANG).status_code

    body = pictures.small_jpeg(2)
    assert send(body, key=prefix + "another.jpg") == 403
    assert send(body, **{"Content-Type": "text/html"}) == 403
    assert send(body, acl="public-read") == 403
    assert send(b"") == 400
    assert keys(client, prefix) == []
    assert send(body) == 204
    quick_server.wait_ready(key)


def test_the_api_signs_puts(quick_server, prefix):
    order = {"key": prefix + "from the api.jpg", "method": "PUT", "content_type": "image/jpeg"}
    answer = quick_server.api("POST", "/uploads", order)
    assert answer.status == 200, answer.body
    upload = answer.json()
    body = pictures.small_jpeg(2)
    send = requests.request(upload["method"], upload["url"], headers=upload["headers"], data=body, timeout=HANG)
    assert send.status_code == 200, send.text
    quick_server.wait_ready(prefix + "from the api.jpg")
    wrong_type = requests.request(
        upload["method"],
        upload["url"],
        headers={**upload["headers"], "content-type": "text/html"},
        data=body,
        timeout=HANG,
    )
    assert wrong_type.status_code == 403


def test_requests_that_nobody_signed_are_refused(quick_server):
    for method, path in [
        ("GET", "/raw"),
        ("GET", "/raw/x"),
        ("PUT", "/raw/x"),
        ("DELETE", "/raw/x"),
        ("POST", "/raw?delete"),
    ]:
        answer = quick_server.request(method, path, {"Content-Length": "0"})
        assert answer.status == 403, (method, path, answer.status, answer.body)


def test_deleting_what_is_not_there_succeeds(client):
    assert client.delete_object(Bucket="raw", Key="never there")["ResponseMetadata"]["HTTPStatusCode"] == 204
