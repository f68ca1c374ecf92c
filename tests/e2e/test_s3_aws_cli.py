"""The S3 endpoint with the AWS CLI, versions 1 (PyPI) and 2 (Debian), and the lines that tell people to use it."""

import hashlib
import re
import subprocess

import pytest
import requests

import clients
import pictures
from bucket import MIB, keys, noise
from tintype import HANG, ROOT


@pytest.fixture(params=clients.AWS_CLIS)
def aws(request, quick_server):
    """Runs one of the two with what DATA/env exports."""

    def run(*arguments, check=True, input=None):
        done = clients.run(
            quick_server, 'aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"', *arguments, aws=request.param, input=input
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
    assert requests.get(url, timeout=HANG).content == noise(5000)


def test_aws_cli_with_the_wrong_secret_is_refused(quick_server, tmp_path):
    wrong = tmp_path / "credentials"
    wrong.write_text(f"[tintype]\naws_access_key_id={quick_server.access_key}\naws_secret_access_key=wrong\n")
    script = 'AWS_SHARED_CREDENTIALS_FILE=$1 aws --endpoint-url "$AWS_ENDPOINT_URL" s3 ls s3://raw/'
    for aws in clients.AWS_CLIS:
        done = clients.run(quick_server, script, wrong, aws=aws)
        assert done.returncode != 0
        assert b"SignatureDoesNotMatch" in done.stderr


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "ap-south-1"])
def test_signatures_for_any_region_are_taken(aws, tmp_path, prefix, region):
    """Older scripts, and copies of an older env file, keep working."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(pictures.small_jpeg(1))
    aws("--region", region, "s3", "cp", photo, f"s3://raw/{prefix}photo.jpg")
    assert "photo.jpg" in aws("--region", region, "s3", "ls", f"s3://raw/{prefix}")


def test_scripts_that_ask_for_what_is_usual_work(aws, tmp_path, prefix):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(pictures.small_jpeg(1))
    for storage_class in ["STANDARD", "REDUCED_REDUNDANCY"]:
        usual = ["--sse", "AES256", "--storage-class", storage_class]
        aws("s3", "cp", *usual, photo, f"s3://raw/{prefix}photo.jpg")
        aws("s3", "cp", *usual, f"s3://raw/{prefix}photo.jpg", f"s3://raw/{prefix}copy.jpg")
    for other, code in [
        (["--sse", "aws:kms"], b"NotImplemented"),
        (["--sse-c", "AES256", "--sse-c-key", "0" * 32], b"NotImplemented"),
        (["--storage-class", "GLACIER"], b"InvalidStorageClass"),
    ]:
        done = aws("s3", "cp", *other, photo, f"s3://raw/{prefix}other.jpg", check=False)
        assert done.returncode != 0 and code in done.stderr, done.stderr
    assert "other.jpg" not in aws("s3", "ls", f"s3://raw/{prefix}")


# The lines that people are told to type


@pytest.mark.parametrize("aws", clients.AWS_CLIS)
def test_the_lines_of_the_readme(server, tmp_path, aws):
    """The block that uses a running server, as it is printed but for the port, with nothing set up before."""
    [lines] = [text for _, _, text in clients.blocks("README.md") if "tintype-data/env" in text]
    lines = [line.replace("http://127.0.0.1:8080", server.url) for line in lines.splitlines()]
    (tmp_path / "tintype-data").symlink_to(server.data)
    (tmp_path / "photo.jpg").write_bytes(pictures.small_jpeg(1))
    uploads = [number for number, line in enumerate(lines) if line.startswith("aws ")]
    assert len(uploads) == 1, lines

    def type_in(lines):
        done = subprocess.run(
            ["bash", "-e", "-c", "\n".join(lines)],
            env={"PATH": clients.AWS_CLIS[aws], "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            timeout=HANG,
        )
        assert done.returncode == 0, done.stderr.decode()

    type_in(lines[: uploads[0] + 1])
    server.wait_ready("some/photo.jpg")
    type_in(lines[uploads[0] + 1 :])
    assert (tmp_path / "photo.avif").read_bytes()[4:12] == b"ftypavif"
    server.s3().delete_object(Bucket="raw", Key="some/photo.jpg")


@pytest.mark.parametrize("aws", clients.AWS_CLIS)
def test_the_line_that_the_demo_prints(quick_server, tmp_path, aws):
    script = (ROOT / "scripts/demo").read_text()
    [printed] = re.findall(r'^echo "  (source \$work/data/env .*)"$', script, re.M)
    line = printed.replace("$work/data", str(quick_server.data)).replace("\\", "")
    (tmp_path / "photo.jpg").write_bytes(pictures.small_jpeg(1))
    environment = {"PATH": clients.AWS_CLIS[aws], "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", line], env=environment, cwd=tmp_path, capture_output=True, timeout=HANG)
    assert done.returncode == 0, done.stderr.decode()
    quick_server.s3().delete_object(Bucket="raw", Key="some/photo.jpg")
