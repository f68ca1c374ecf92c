"""The OCI image: unpacked as a container engine would, and run as its configuration says, in a root of its own."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import urllib.request
import zlib

import boto3
import pytest
from botocore.config import Config
from tintype import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]


def blob(image, digest):
    algorithm, name = digest.split(":")
    content = (image / "blobs" / algorithm / name).read_bytes()
    assert hashlib.new(algorithm, content).hexdigest() == name
    return content


def unpack(archive, folder, *options):
    """Unpacks with tar: `tarfile` of Debian 12's Python 3.11.2 has no filters, and newer ones warn without."""
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", folder, *options], check=True)


def read_image(archive, folder):
    """Digest, manifest and configuration of the one image in an archive."""
    image = folder / "image"
    image.mkdir()
    unpack(archive, image)
    [entry] = json.loads((image / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(image, entry["digest"]))
    return image, entry["digest"], manifest, json.loads(blob(image, manifest["config"]["digest"]))


def build(package):
    for tool, apt in (("buildah", "buildah"), ("unshare", "util-linux"), ("chroot", "coreutils")):
        assert shutil.which(tool), f"{tool} is missing: apt-get install --no-install-recommends {apt}"
    environment = {**os.environ, "PROFILE": "dev", "PACKAGE": str(package)}
    subprocess.run([ROOT / "scripts/oci-image"], check=True, env=environment, stdout=subprocess.PIPE)
    return package / "tintype-oci.tar"


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    archive = build(folder / "package")
    unpacked, digest, manifest, config = read_image(archive, folder)
    root = folder / "root"
    root.mkdir()
    for layer in manifest["layers"]:
        layer_file = folder / "layer.tar"
        layer_file.write_bytes(blob(unpacked, layer["digest"]))
        # Owners and modes count here, and the image is our own.
        unpack(layer_file, root, "--numeric-owner", "--same-owner", "--same-permissions")
    return {"root": root, "digest": digest, "config": config["config"], "created": config["created"]}


@pytest.fixture
def server(image):
    """The image's own command as its own user, on a free loopback port."""
    if os.geteuid() != 0:
        pytest.fail("only root may enter another root: run this test as root")
    root, config = image["root"], image["config"]
    command = [*config["Entrypoint"], *config["Cmd"]]
    assert command[-1] == "0.0.0.0:8080"
    command[-1] = "127.0.0.1:0"
    for name in ("proc", "dev"):
        (root / name).mkdir(exist_ok=True)
    # As `--read-only --tmpfs /tmp` would run it, with what every engine gives a container: its own /proc, and a /dev.
    inside = """
        set -e
        mount --bind "$1" "$1"
        mount --bind "$1/data" "$1/data"
        mount -t tmpfs tmpfs "$1/tmp"
        mount -t proc proc "$1/proc"
        mount --bind /dev "$1/dev"
        mount -o remount,ro,bind "$1"
        shift
        exec "$@"
    """
    launcher = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", inside, "sh", str(root)]
    chroot = ["chroot", f"--userspec={config['User']}", str(root)]
    log = (root.parent / "log").open("w+")
    process = subprocess.Popen(
        [*launcher, *chroot, *command],
        stdout=subprocess.PIPE,
        stderr=log,
        env={"RUST_LOG": "info"},
        text=True,
        # The processes of this session would leave no time to rendering processes, which yield.
        start_new_session=True,
    )
    try:
        ready = process.stdout.readline()
        found = re.fullmatch(r"listening on (http://\S+)\n", ready)
        if not found:
            log.seek(0)
            pytest.fail(f"the server did not start: {ready!r}\n{log.read()}")
        yield found[1], root
    finally:
        # The server is the first process of its namespace: with it the renderers go, and `unshare` after it.
        for child in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        process.wait()
        log.close()


def png(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(
        b"\0" + bytes(value for x in range(width) for value in (x * 255 // width, y * 255 // height, 128))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def credentials(root):
    text = (root / "data/credentials").read_text()
    return dict(re.findall(r"(aws_access_key_id|aws_secret_access_key) *= *(\S+)", text))


def fetch(url, accept):
    """The picture, once the server has it."""

    def ready():
        request = urllib.request.Request(url, headers={"Accept": accept})
        with urllib.request.urlopen(request) as response:
            assert response.status in (200, 202)
            return response.status == 200 and (response.headers["Content-Type"], response.read())

    return wait_until(ready, f"{url} is ready")


def test_a_picture_that_is_uploaded_to_the_container_comes_back(server):
    url, root = server
    bucket = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", config=Config(s3={"addressing_style": "path"}), **credentials(root)
    )
    bucket.put_object(Bucket="raw", Key="gradient.png", Body=png(640, 480), ContentType="image/png")
    media_type, picture = fetch(f"{url}/img/gradient.png/medium", "image/webp")
    assert media_type == "image/webp"
    assert picture[:4] == b"RIFF" and picture[8:12] == b"WEBP"
    with urllib.request.urlopen(f"{url}/healthz") as health:
        assert health.status == 200


def test_the_image_runs_as_nobody_and_keeps_its_data_in_a_volume(image):
    config = image["config"]
    assert config["User"] == "65532:65532"
    assert config["Volumes"] == {"/data": {}}
    assert config["ExposedPorts"] == {"8080": {}} or config["ExposedPorts"] == {"8080/tcp": {}}
    data = (image["root"] / "data").stat()
    assert (data.st_uid, data.st_gid, data.st_mode & 0o777) == (65532, 65532, 0o700)
    # Nothing in it but the program and what it loads: no shell, no set-user-id file, nothing that its user could change.
    for path in image["root"].rglob("*"):
        if path.is_file() and not path.is_relative_to(image["root"] / "data"):
            status = path.lstat()
            assert status.st_mode & 0o6022 == 0, path
            assert status.st_uid == 0, path
            assert path.name == "tintype" or path.parent.name == "etc" or ".so" in path.name, path


def test_the_same_binary_gives_the_same_image(image, tmp_path):
    _, digest, _, config = read_image(build(tmp_path), tmp_path)
    assert digest == image["digest"]
    assert config["created"] == image["created"] == "1970-01-01T00:00:00Z"
