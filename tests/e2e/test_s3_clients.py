"""The S3 endpoint with the clients that people use, as they come."""

import base64
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse
import zlib

import boto3.s3.transfer
import botocore
import pytest
import requests

import pictures

AWS = pathlib.Path(sys.executable).with_name("aws")
MIB = 1 << 20


@pytest.fixture
def client(quick_server):
    return quick_server.s3()


@pytest.fixture
def prefix(request, client):
    """A prefix of the test's own; what is left under it is deleted."""
    prefix = request.node.name.split("[")[0] + "/"
    yield prefix
    delete_all(client, prefix)


def delete_all(client, prefix):
    listed = client.list_objects_v2(Bucket="raw", Prefix=prefix).get("Contents", [])
    if listed:
        answer = client.delete_objects(Bucket="raw", Delete={"Objects": [{"Key": entry["Key"]} for entry in listed]})
        assert not answer.get("Errors"), answer


def keys(client, prefix):
    return [entry["Key"] for entry in client.list_objects_v2(Bucket="raw", Prefix=prefix).get("Contents", [])]


def noise(size, seed=0):
    """Bytes that do not compress and are the same every time."""
    return hashlib.shake_256(seed.to_bytes(4, "big")).digest(size)


def refused(call, code, status=None):
    """The call fails with this code of S3."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call()
    assert error.value.response["Error"]["Code"] == code, error.value.response
    if status is not None:
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


# The AWS CLI


@pytest.fixture
def aws(quick_server):
    def run(*arguments, check=True, input=None):
        script = 'set -e; . "$1/env"; shift; exec "$@"'
        environment = {"PATH": os.environ["PATH"], "HOME": str(quick_server.data)}
        done = subprocess.run(
            ["sh", "-c", script, "sh", str(quick_server.data), str(AWS), *map(str, arguments)],
            env=environment,
            input=input,
            capture_output=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode() if check else done

    return run


def test_aws_cli_copies_lists_moves_and_removes(aws, tmp_path, prefix):
    photo = tmp_path / "my photo.jpg"
    photo.write_bytes(pictures.small_jpeg(1))
    aws("s3", "cp", photo, f"s3://raw/{prefix}a b+c.jpg")
    listed = aws("s3", "ls", f"s3://raw/{prefix}")
    assert re.search(rf" {photo.stat().st_size} a b\+c\.jpg$", listed, re.M), listed
    aws("s3", "cp", f"s3://raw/{prefix}a b+c.jpg", tmp_path / "back.jpg")
    assert (tmp_path / "back.jpg").read_bytes() == photo.read_bytes()
    aws("s3", "cp", f"s3://raw/{prefix}a b+c.jpg", f"s3://raw/{prefix}copy.jpg")
    aws("s3", "mv", f"s3://raw/{prefix}copy.jpg", f"s3://raw/{prefix}deep/moved.jpg")
    listed = aws("s3", "ls", "--recursive", f"s3://raw/{prefix}")
    assert [line[31:] for line in listed.splitlines()] == [f"{prefix}a b+c.jpg", f"{prefix}deep/moved.jpg"]
    assert "PRE deep/" in aws("s3", "ls", f"s3://raw/{prefix}")
    aws("s3", "rm", "--recursive", f"s3://raw/{prefix}")
    assert aws("s3", "ls", f"s3://raw/{prefix}", check=False).returncode == 1
    assert "raw" in aws("s3", "ls")


def test_aws_cli_streams_and_large_files_go_up_in_parts(aws, client, tmp_path, prefix):
    aws("s3", "cp", "-", f"s3://raw/{prefix}piped.bin", input=noise(100_000))
    assert client.get_object(Bucket="raw", Key=f"{prefix}piped.bin")["Body"].read() == noise(100_000)
    large = tmp_path / "large.bin"
    large.write_bytes(noise(20 * MIB + 12_345))
    aws("s3", "cp", large, f"s3://raw/{prefix}large.bin")
    assert client.head_object(Bucket="raw", Key=f"{prefix}large.bin")["ETag"].endswith('-3"')
    aws("s3", "cp", f"s3://raw/{prefix}large.bin", tmp_path / "back.bin")
    assert (tmp_path / "back.bin").read_bytes() == large.read_bytes()
    aws("s3", "cp", f"s3://raw/{prefix}large.bin", f"s3://raw/{prefix}large copy.bin")
    assert client.get_object(Bucket="raw", Key=f"{prefix}large copy.bin")["Body"].read() == large.read_bytes()


def test_aws_cli_syncs_both_ways(aws, tmp_path, client, prefix):
    source = tmp_path / "source"
    (source / "sub folder").mkdir(parents=True)
    names = ["one.jpg", "two.jpg", "sub folder/three + four.jpg"]
    for seed, name in enumerate(names):
        (source / name).write_bytes(pictures.small_jpeg(seed))
    aws("s3", "sync", source, f"s3://raw/{prefix}")
    assert keys(client, prefix) == sorted(prefix + name for name in names)
    assert aws("s3", "sync", source, f"s3://raw/{prefix}").strip() == "", "nothing is left to do"
    (source / "two.jpg").unlink()
    aws("s3", "sync", "--delete", source, f"s3://raw/{prefix}")
    assert prefix + "two.jpg" not in keys(client, prefix)
    back = tmp_path / "back"
    aws("s3", "sync", f"s3://raw/{prefix}", back)
    for name in ["one.jpg", "sub folder/three + four.jpg"]:
        assert (back / name).read_bytes() == (source / name).read_bytes()


def test_aws_cli_api_commands(aws, tmp_path, prefix):
    body = tmp_path / "body.bin"
    body.write_bytes(noise(5000))
    key = prefix + "object"
    put = aws("s3api", "put-object", "--bucket", "raw", "--key", key, "--body", body, "--metadata", "author=me",
              "--content-type", "image/x-test")  # fmt: skip
    assert hashlib.md5(noise(5000)).hexdigest() in put
    head = aws("s3api", "head-object", "--bucket", "raw", "--key", key)
    assert '"author": "me"' in head and '"image/x-test"' in head and '"ContentLength": 5000' in head
    aws("s3api", "get-object", "--bucket", "raw", "--key", key, "--range", "bytes=10-19", tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == noise(5000)[10:20]
    for list_objects in ["list-objects", "list-objects-v2"]:
        assert key in aws("s3api", list_objects, "--bucket", "raw", "--prefix", prefix)
    assert "raw" in aws("s3api", "list-buckets")
    aws("s3api", "head-bucket", "--bucket", "raw")
    aws("s3api", "get-bucket-location", "--bucket", "raw")
    again = aws("s3api", "create-bucket", "--bucket", "raw", check=False)
    assert b"BucketAlreadyOwnedByYou" in again.stderr or again.returncode == 0
    missing = aws("s3api", "head-bucket", "--bucket", "other", check=False)
    assert missing.returncode != 0 and b"404" in missing.stderr
    url = aws("s3", "presign", f"s3://raw/{key}", "--expires-in", "60").strip()
    assert requests.get(url, timeout=30).content == noise(5000)


def test_aws_cli_with_the_wrong_secret_is_refused(aws, quick_server, tmp_path):
    wrong = tmp_path / "credentials"
    wrong.write_text(f"[tintype]\naws_access_key_id={quick_server.access_key}\naws_secret_access_key=wrong\n")
    done = subprocess.run(
        [AWS, "--endpoint-url", quick_server.url, "--region", "us-east-1", "s3", "ls", "s3://raw/"],
        env={"PATH": os.environ["PATH"], "AWS_SHARED_CREDENTIALS_FILE": wrong, "AWS_PROFILE": "tintype"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert b"SignatureDoesNotMatch" in done.stderr


# boto3


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
    assert requests.put(put, data=noise(3000), timeout=30).status_code == 200
    get = client.generate_presigned_url("get_object", Params={"Bucket": "raw", "Key": key}, ExpiresIn=60)
    assert requests.get(get, timeout=30).content == noise(3000)
    assert requests.put(get, data=b"other", timeout=30).status_code == 403, "signed for GET only"
    other = get.replace("signed", "forged")
    assert requests.get(other, timeout=30).status_code == 403, "signed for one key only"
    unsigned = get.split("?")[0]
    assert requests.get(unsigned, timeout=30).status_code == 403


def test_boto3_needs_nothing_but_the_exported_environment(quick_server):
    """As it comes, boto3 would sign URLs with Signature Version 2; DATA/env tells it not to."""
    script = """
import boto3
client = boto3.client("s3")
client.put_object(Bucket="raw", Key="from env", Body=b"hello")
print(client.generate_presigned_url("get_object", Params={"Bucket": "raw", "Key": "from env"}))
"""
    done = subprocess.run(
        ["sh", "-c", '. "$1/env"; exec "$2" -c "$3"', "sh", quick_server.data, sys.executable, script],
        env={"PATH": os.environ["PATH"], "HOME": str(quick_server.data)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert requests.get(done.stdout.strip(), timeout=30).content == b"hello"
    quick_server.s3().delete_object(Bucket="raw", Key="from env")


def test_urls_signed_the_old_way_are_refused_with_a_hint(quick_server):
    old = quick_server.s3(signature_version="s3")
    url = old.generate_presigned_url("get_object", Params={"Bucket": "raw", "Key": "any"})
    answer = requests.get(url, timeout=30)
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
            post["url"], data={**post["fields"], **fields}, files={"file": ("ä photo.jpg", body)}, timeout=30
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
        return requests.post(upload["url"], data=fields, files={"file": ("x", body)}, timeout=30).status_code

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
    send = requests.request(upload["method"], upload["url"], headers=upload["headers"], data=body, timeout=30)
    assert send.status_code == 200, send.text
    quick_server.wait_ready(prefix + "from the api.jpg")
    wrong_type = requests.request(
        upload["method"],
        upload["url"],
        headers={**upload["headers"], "content-type": "text/html"},
        data=body,
        timeout=30,
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


# rclone


@pytest.fixture
def rclone(quick_server, tmp_path):
    config = tmp_path / "rclone.conf"
    config.write_text(
        "[tin]\ntype = s3\nprovider = Other\n"
        f"access_key_id = {quick_server.access_key}\nsecret_access_key = {quick_server.secret_key}\n"
        f"endpoint = {quick_server.url}\nregion = us-east-1\n"
    )

    def run(*arguments):
        done = subprocess.run(
            ["rclone", "--config", config, "--retries", "1", "--low-level-retries", "1", *map(str, arguments)],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.mark.parametrize("version", ["1", "2"])
def test_rclone_copies_lists_syncs_and_checks(rclone, client, tmp_path, prefix, version):
    source = tmp_path / "source"
    (source / "sub dir").mkdir(parents=True)
    names = ["a+b c.jpg", "sub dir/ü 100%.jpg", "sub dir/d.jpg"]
    for seed, name in enumerate(names):
        (source / name).write_bytes(pictures.small_jpeg(seed))
    (source / "big.bin").write_bytes(noise(11 * MIB))
    options = ["--s3-list-version", version, "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M"]
    remote = f"tin:raw/{prefix}"
    rclone(*options, "copy", source, remote)
    listed = rclone(*options, "lsf", "--recursive", "--files-only", remote).decode().splitlines()
    assert sorted(listed) == sorted([*names, "big.bin"])
    rclone(*options, "check", "--download", source, remote)
    assert client.head_object(Bucket="raw", Key=prefix + "big.bin")["ETag"].endswith('-3"')
    (source / "a+b c.jpg").unlink()
    (source / "new.jpg").write_bytes(pictures.small_jpeg(9))
    rclone(*options, "sync", source, remote)
    listed = rclone(*options, "lsf", "--recursive", "--files-only", remote).decode().splitlines()
    assert sorted(listed) == sorted(["big.bin", "new.jpg", *names[1:]])
    rclone(*options, "copyto", remote + "new.jpg", remote + "server side copy.jpg")
    rclone(*options, "moveto", remote + "new.jpg", remote + "moved.jpg")
    assert rclone(*options, "cat", remote + "moved.jpg") == pictures.small_jpeg(9)
    rclone(*options, "purge", remote)
    assert keys(client, prefix) == []


def test_uploads_of_every_client_become_pictures(quick_server, client, aws, tmp_path, prefix):
    """Whatever way the bytes took, the event that follows them is the same."""
    body = pictures.small_jpeg(5)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(body)
    aws("s3", "cp", photo, f"s3://raw/{prefix}cli.jpg")
    client.put_object(Bucket="raw", Key=f"{prefix}boto3.jpg", Body=body)
    client.copy_object(Bucket="raw", Key=f"{prefix}copied.jpg", CopySource=f"raw/{prefix}cli.jpg")
    url = client.generate_presigned_url("put_object", Params={"Bucket": "raw", "Key": f"{prefix}put.jpg"})
    assert requests.put(url, data=body, timeout=30).ok
    post = client.generate_presigned_post("raw", f"{prefix}post.jpg")
    assert requests.post(post["url"], data=post["fields"], files={"file": body}, timeout=30).ok
    upload = client.create_multipart_upload(Bucket="raw", Key=f"{prefix}parts.jpg")["UploadId"]
    part = client.upload_part(Bucket="raw", Key=f"{prefix}parts.jpg", UploadId=upload, PartNumber=1, Body=body)
    client.complete_multipart_upload(
        Bucket="raw", Key=f"{prefix}parts.jpg", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    delivered = set()
    for name in ["cli", "boto3", "copied", "put", "post", "parts"]:
        key = f"{prefix}{name}.jpg"
        quick_server.wait_ready(key)
        delivered.add(quick_server.get("/img/" + urllib.parse.quote(key) + "/small.webp").body)
    assert len(delivered) == 1, "the same bytes make the same renditions"
