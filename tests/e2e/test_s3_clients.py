"""The S3 endpoint with the clients that people use, as they come: what docs/s3.md says, and presigned URLs."""

import datetime
import io
import json
import os
import subprocess
import urllib.parse

import minio
import pyarrow.fs
import pytest
import requests
from minio.commonconfig import ComposeSource, CopySource
from minio.datatypes import PostPolicy
from minio.deleteobjects import DeleteObject

import clients
import pictures
import raw_http
from bucket import MIB, keys, noise
from clients import RCLONE, S3CMD
from tintype import HANG

# The programs that run the blocks of docs/s3.md, by their language.
LANGUAGES = {
    "sh": lambda server, text, folder, aws: clients.output(server, text, aws=aws, cwd=folder),
    "python": lambda server, text, folder, aws: clients.python(server, text, folder),
    "js": lambda server, text, folder, aws: clients.javascript(server, text, folder),
}
DOCUMENTED = [
    ("AWS CLI", "aws-cli-1"),
    ("AWS CLI", "aws-cli-2"),
    ("boto3", None),
    ("AWS SDK for JavaScript", None),
    ("minio-py", None),
    ("pyarrow", None),
    ("rclone", None),
    ("s3cmd", None),
    ("curl", None),
]


@pytest.mark.parametrize(("client_name", "aws"), DOCUMENTED)
def test_what_the_page_says_uploads_lists_downloads_and_deletes(quick_server, client, tmp_path, client_name, aws):
    """Each block of docs/s3.md uploads photo.jpg, lists it, downloads it as back.jpg and deletes it."""
    [(_, language, text)] = [block for block in clients.blocks("docs/s3.md") if block[0] == client_name]
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(pictures.small_jpeg(3))
    said = LANGUAGES[language](quick_server, text, tmp_path, aws or "aws-cli-1")
    assert "photo.jpg" in said, said
    assert (tmp_path / "back.jpg").read_bytes() == photo.read_bytes()
    # A file system leaves the folder.
    assert [key for key in keys(client, "some/") if key != "some/"] == []


def test_the_page_has_a_block_of_each_client():
    documented = {heading for heading, language, _ in clients.blocks("docs/s3.md") if language in LANGUAGES}
    assert documented == {name for name, _ in DOCUMENTED}


# Presigned URLs: GET and PUT, by each client that makes them


def presigned_by_boto3(server, method, key, folder):
    operation = {"GET": "get_object", "PUT": "put_object"}[method]
    return clients.python(
        server,
        f"""
import boto3
client = boto3.client("s3")
print(client.generate_presigned_url({operation!r}, Params={{"Bucket": "raw", "Key": {key!r}}}))
""",
        folder,
    )


def presigned_by_javascript(server, method, key, folder):
    command = {"GET": "GetObjectCommand", "PUT": "PutObjectCommand"}[method]
    return clients.javascript(
        server,
        f"""
import {{ S3Client, {command} }} from "@aws-sdk/client-s3";
import {{ getSignedUrl }} from "@aws-sdk/s3-request-presigner";
const object = new {command}({{ Bucket: "raw", Key: {key!r} }});
console.log(await getSignedUrl(new S3Client({{ forcePathStyle: true }}), object));
""",
        folder,
    )


def presigned_by_aws_cli(aws):
    def presign(server, method, key, folder):
        assert method == "GET", "the AWS CLI signs nothing else"
        return clients.output(server, 'aws --endpoint-url "$AWS_ENDPOINT_URL" s3 presign "s3://raw/$1"', key, aws=aws)

    return presign


def presigned_by_rclone(server, method, key, folder):
    assert method == "GET", "rclone signs nothing else"
    return clients.output(server, f'{RCLONE}; rclone link --expire 1h ":s3:raw/$1"', key)


@pytest.mark.parametrize(
    ("presign", "method"),
    [
        pytest.param(presigned_by_boto3, "GET", id="boto3-GET"),
        pytest.param(presigned_by_boto3, "PUT", id="boto3-PUT"),
        pytest.param(presigned_by_javascript, "GET", id="javascript-GET"),
        pytest.param(presigned_by_javascript, "PUT", id="javascript-PUT"),
        pytest.param(presigned_by_aws_cli("aws-cli-1"), "GET", id="aws-cli-1-GET"),
        pytest.param(presigned_by_aws_cli("aws-cli-2"), "GET", id="aws-cli-2-GET"),
        pytest.param(presigned_by_rclone, "GET", id="rclone-GET"),
    ],
)
def test_presigned_urls_work_as_they_come(quick_server, client, tmp_path, prefix, presign, method):
    key, body = prefix + "a b+c ü.jpg", pictures.small_jpeg(4)
    if method == "GET":
        client.put_object(Bucket="raw", Key=key, Body=body)
    url = presign(quick_server, method, key, tmp_path).strip()
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    answer = requests.request(method, url, data=body if method == "PUT" else None, timeout=HANG)
    assert answer.status_code == 200, answer.text
    if method == "GET":
        assert answer.content == body
    assert client.get_object(Bucket="raw", Key=key)["Body"].read() == body
    # It is for this method and this key only.
    assert requests.delete(url, timeout=HANG).status_code == 403
    assert requests.request(method, url.replace("a%20b", "other"), timeout=HANG).status_code == 403


def test_urls_of_s3cmd_are_signed_the_old_way_and_refused_with_a_hint(quick_server):
    """s3cmd (up to 2.4.0) signs requests with version 4 and URLs with version 2, in every region."""
    url = clients.output(quick_server, f"{S3CMD}; s3 signurl s3://raw/any +60").strip()
    answer = requests.get(url, timeout=HANG)
    assert answer.status_code == 400
    assert "AWS4-HMAC-SHA256" in answer.text


# The AWS SDK for JavaScript


def test_javascript_streams_parts_and_checksums(quick_server, client, tmp_path, prefix):
    """Bodies of unknown kinds come in chunks with a checksum behind them, large ones in parts."""
    (tmp_path / "large.bin").write_bytes(noise(12 * MIB + 7))
    said = clients.javascript(
        quick_server,
        f"""
import {{ createReadStream }} from "node:fs";
import {{ S3Client, PutObjectCommand, GetObjectCommand, CopyObjectCommand, DeleteObjectsCommand,
  paginateListObjectsV2 }} from "@aws-sdk/client-s3";
import {{ Upload }} from "@aws-sdk/lib-storage";
const s3 = new S3Client({{ forcePathStyle: true }});
const at = (name) => ({{ Bucket: "raw", Key: {prefix!r} + name }});
await new Upload({{ client: s3, params: {{ ...at("parts"), Body: createReadStream("large.bin") }} }}).done();
for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {{
  await s3.send(new PutObjectCommand({{ ...at(ChecksumAlgorithm), Body: "text", ChecksumAlgorithm }}));
  const got = await s3.send(new GetObjectCommand(at(ChecksumAlgorithm)));
  if ((await got.Body.transformToString()) !== "text") throw new Error(ChecksumAlgorithm);
}}
await s3.send(new CopyObjectCommand({{ ...at("copy"), CopySource: "raw/" + {prefix!r} + "SHA256" }}));
const listed = [];
for await (const page of paginateListObjectsV2({{ client: s3, pageSize: 2 }}, {{ Bucket: "raw", Prefix: {prefix!r} }}))
  listed.push(...page.Contents.map(({{ Key }}) => Key));
console.log(listed.length);
const Objects = listed.filter((Key) => !Key.endsWith("parts")).map((Key) => ({{ Key }}));
await s3.send(new DeleteObjectsCommand({{ Bucket: "raw", Delete: {{ Objects }} }}));
""",
        tmp_path,
    )
    assert said.strip() == "7"
    assert keys(client, prefix) == [prefix + "parts"]
    parts = client.get_object(Bucket="raw", Key=prefix + "parts")
    assert parts["ETag"].endswith('-3"') and parts["Body"].read() == noise(12 * MIB + 7)


def test_javascript_signs_urls_whose_body_is_checked(quick_server, client, tmp_path, prefix):
    """Checksums in the query are those of no body; one that is a signed header holds."""
    url = clients.javascript(
        quick_server,
        f"""
import {{ S3Client, PutObjectCommand }} from "@aws-sdk/client-s3";
import {{ getSignedUrl }} from "@aws-sdk/s3-request-presigner";
const put = new PutObjectCommand({{ Bucket: "raw", Key: {prefix + "k"!r}, ChecksumCRC32: "NSRBwg==" }});
const unhoistableHeaders = new Set(["x-amz-checksum-crc32"]);
console.log(await getSignedUrl(new S3Client({{ forcePathStyle: true }}), put, {{ unhoistableHeaders }}));
""",
        tmp_path,
    ).strip()
    checksum = {"x-amz-checksum-crc32": "NSRBwg=="}
    assert requests.put(url, data=b"abc", timeout=HANG).status_code == 403, "it must be sent"
    assert requests.put(url, data=b"abd", headers=checksum, timeout=HANG).status_code == 400
    assert keys(client, prefix) == []
    assert requests.put(url, data=b"abc", headers=checksum, timeout=HANG).status_code == 200


def test_javascript_posts_forms_and_presigns_parts(quick_server, client, tmp_path, prefix):
    """Forms and parts of an upload, sent by somebody who has no key."""
    lines = clients.javascript(
        quick_server,
        f"""
import {{ S3Client, CreateMultipartUploadCommand, UploadPartCommand }} from "@aws-sdk/client-s3";
import {{ createPresignedPost }} from "@aws-sdk/s3-presigned-post";
import {{ getSignedUrl }} from "@aws-sdk/s3-request-presigner";
const s3 = new S3Client({{ forcePathStyle: true }});
const object = {{ Bucket: "raw", Key: {prefix + "parts"!r} }};
const {{ UploadId }} = await s3.send(new CreateMultipartUploadCommand(object));
const part = new UploadPartCommand({{ ...object, UploadId, PartNumber: 1 }});
const Conditions = [["content-length-range", 1, 1000]];
console.log(JSON.stringify([
  UploadId, await getSignedUrl(s3, part), await createPresignedPost(s3, {{ ...object, Key: {prefix + "form"!r}, Conditions }}),
]));
""",
        tmp_path,
    )
    upload, url, post = json.loads(lines)
    part = requests.put(url, data=b"part", timeout=HANG)
    assert part.status_code == 200, part.text
    client.complete_multipart_upload(
        Bucket="raw", Key=prefix + "parts", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part.headers["ETag"]}]},
    )  # fmt: skip
    answer = requests.post(post["url"], data=post["fields"], files={"file": b"form"}, timeout=HANG)
    assert answer.status_code == 204, answer.text
    assert answer.headers["Location"] == f"{quick_server.url}/raw/{prefix}form"
    assert client.get_object(Bucket="raw", Key=prefix + "parts")["Body"].read() == b"part"
    assert client.get_object(Bucket="raw", Key=prefix + "form")["Body"].read() == b"form"


def test_metadata_in_many_headers_comes_back(quick_server, client, prefix):
    metadata = {f"name-{number}": f"{number:04}" for number in range(150)}
    client.put_object(Bucket="raw", Key=prefix + "k", Metadata=metadata)
    # Python's own client reads no more than 100 headers.
    path = f"/raw/{prefix}k"
    status, text = raw_http.ask(quick_server, "HEAD", path, raw_http.signed(quick_server, "HEAD", path))
    assert status == 200, text
    lines = text.decode().lower().split("\r\n")
    assert {line for line in lines if line.startswith("x-amz-meta-")} == {
        f"x-amz-meta-{name}: {value}" for name, value in metadata.items()
    }


# minio-py


def test_minio_py_uploads_copies_composes_posts_and_removes(quick_server, client, prefix):
    s3 = minio.Minio(
        f"{quick_server.host}:{quick_server.port}",
        secure=False,
        region="local",
        access_key=quick_server.access_key,
        secret_key=quick_server.secret_key,
    )
    assert s3.bucket_exists("raw") and [bucket.name for bucket in s3.list_buckets()] == ["raw"]
    large = noise(11 * MIB)
    # Its length is not known, so it is uploaded in parts.
    s3.put_object("raw", prefix + "large", io.BytesIO(large), -1, part_size=5 * MIB, metadata={"made": "by-hand"})
    s3.put_object("raw", prefix + "a+b c ü", io.BytesIO(b"small"), 5)
    assert s3.stat_object("raw", prefix + "large").metadata["x-amz-meta-made"] == "by-hand"
    assert s3.get_object("raw", prefix + "large", offset=5 * MIB, length=7).read() == large[5 * MIB :][:7]
    s3.copy_object("raw", prefix + "copy", CopySource("raw", prefix + "a+b c ü"))
    sources = [ComposeSource("raw", prefix + "large"), ComposeSource("raw", prefix + "copy")]
    s3.compose_object("raw", prefix + "composed", sources)
    assert s3.get_object("raw", prefix + "composed").read() == large + b"small"
    policy = PostPolicy("raw", datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30))
    policy.add_equals_condition("key", prefix + "form")
    fields = {**s3.presigned_post_policy(policy), "key": prefix + "form"}
    assert requests.post(quick_server.url + "/raw", data=fields, files={"file": b"form"}, timeout=HANG).ok
    url = s3.presigned_put_object("raw", prefix + "url")
    assert requests.put(url, data=b"url", timeout=HANG).ok
    assert requests.get(s3.presigned_get_object("raw", prefix + "url"), timeout=HANG).content == b"url"
    names = [entry.object_name for entry in s3.list_objects("raw", prefix=prefix, include_user_meta=True)]
    assert names == [prefix + name for name in ["a+b c ü", "composed", "copy", "form", "large", "url"]]
    assert [entry.object_name for entry in s3.list_objects("raw", prefix=prefix, start_after=names[2])] == names[3:]
    assert list(s3.remove_objects("raw", [DeleteObject(name) for name in names])) == []
    assert keys(client, prefix) == []


# pyarrow, which uses the AWS SDK for C++


def test_pyarrow_reads_and_writes_files_in_folders(quick_server, client, prefix):
    s3 = pyarrow.fs.S3FileSystem(
        scheme="http",
        endpoint_override=f"{quick_server.host}:{quick_server.port}",
        region="local",
        access_key=quick_server.access_key,
        secret_key=quick_server.secret_key,
    )
    folder, large = f"raw/{prefix}folder", noise(11 * MIB)
    s3.create_dir(folder + "/sub")
    with s3.open_output_stream(folder + "/sub/large", metadata={"Content-Type": "image/png"}) as stream:
        stream.write(large)
    with s3.open_output_stream(folder + "/a+b c ü") as stream:
        stream.write(b"small")
    assert client.head_object(Bucket="raw", Key=f"{prefix}folder/sub/large")["ContentType"] == "image/png"
    with s3.open_input_file(folder + "/sub/large") as file:
        file.seek(5 * MIB)
        assert file.read(7) == large[5 * MIB :][:7]
    s3.copy_file(folder + "/a+b c ü", folder + "/copy")
    s3.move(folder + "/copy", folder + "/moved")
    entries = s3.get_file_info(pyarrow.fs.FileSelector(folder, recursive=True))
    files = {entry.path.removeprefix(folder + "/"): entry.size for entry in entries if entry.is_file}
    assert files == {"a+b c ü": 5, "moved": 5, "sub/large": len(large)}
    s3.delete_dir(folder)
    assert [key for key in keys(client, prefix) if not key.endswith("/")] == []


# s3cmd


def test_s3cmd_copies_lists_syncs_and_removes(quick_server, client, tmp_path, prefix):
    def s3(*arguments):
        return clients.output(quick_server, f'{S3CMD}; s3 --no-progress "$@"', *arguments)

    source, back = tmp_path / "source", tmp_path / "back"
    (source / "sub dir").mkdir(parents=True)
    back.mkdir()
    names = ["a+b c.jpg", "big.bin", "sub dir/ü 100%.jpg"]
    for seed, name in enumerate(names):
        (source / name).write_bytes(noise(11 * MIB) if name == "big.bin" else pictures.small_jpeg(seed))
    remote = f"s3://raw/{prefix}"
    s3("--multipart-chunk-size-mb=5", "sync", f"{source}/", remote)
    assert keys(client, prefix) == [prefix + name for name in names]
    assert client.head_object(Bucket="raw", Key=prefix + "big.bin")["ETag"].endswith('-3"')
    assert all(name in s3("ls", "--recursive", remote) for name in names)
    s3("sync", remote, f"{back}/")
    assert all((back / name).read_bytes() == (source / name).read_bytes() for name in names)
    s3("cp", f"{remote}a+b c.jpg", f"{remote}copy.jpg")
    s3("mv", f"{remote}copy.jpg", f"{remote}moved.jpg")
    for usual in [["--server-side-encryption"], ["--reduced-redundancy"], ["--storage-class=STANDARD"]]:
        s3(*usual, "put", source / "a+b c.jpg", f"{remote}usual.jpg")
    assert "local" in s3("info", "s3://raw")
    s3("del", "--recursive", "--force", remote)
    assert keys(client, prefix) == []


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
            timeout=HANG,
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


def test_uploads_of_every_client_become_pictures(quick_server, client, tmp_path, prefix):
    """Whatever way the bytes took, the event that follows them is the same."""
    body = pictures.small_jpeg(5)
    (tmp_path / "photo.jpg").write_bytes(body)
    for aws in clients.AWS_CLIS:
        copy = 'aws --endpoint-url "$AWS_ENDPOINT_URL" s3 cp photo.jpg "s3://raw/$1"'
        clients.output(quick_server, copy, f"{prefix}{aws}.jpg", aws=aws, cwd=tmp_path)
    clients.output(quick_server, f'{S3CMD}; s3 put photo.jpg "s3://raw/$1"', f"{prefix}s3cmd.jpg", cwd=tmp_path)
    clients.output(quick_server, f'{RCLONE}; rclone copyto photo.jpg ":s3:raw/$1"', f"{prefix}rclone.jpg", cwd=tmp_path)
    client.put_object(Bucket="raw", Key=f"{prefix}boto3.jpg", Body=body)
    client.copy_object(Bucket="raw", Key=f"{prefix}copied.jpg", CopySource=f"raw/{prefix}boto3.jpg")
    for name, presign in [("boto3-url", presigned_by_boto3), ("javascript-url", presigned_by_javascript)]:
        url = presign(quick_server, "PUT", f"{prefix}{name}.jpg", tmp_path).strip()
        assert requests.put(url, data=body, timeout=HANG).ok
    post = client.generate_presigned_post("raw", f"{prefix}post.jpg")
    assert requests.post(post["url"], data=post["fields"], files={"file": body}, timeout=HANG).ok
    upload = client.create_multipart_upload(Bucket="raw", Key=f"{prefix}parts.jpg")["UploadId"]
    part = client.upload_part(Bucket="raw", Key=f"{prefix}parts.jpg", UploadId=upload, PartNumber=1, Body=body)
    client.complete_multipart_upload(
        Bucket="raw", Key=f"{prefix}parts.jpg", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    uploaded = keys(client, prefix)
    assert len(uploaded) == 10
    delivered = set()
    for key in uploaded:
        quick_server.wait_ready(key)
        delivered.add(quick_server.get("/img/" + urllib.parse.quote(key) + "/small.webp").body)
    assert len(delivered) == 1, "the same bytes make the same renditions"
