"""The conformance suites of the ports, which memory and local stores pass, against two emulators of AWS."""

import os
import re
import shutil
import subprocess
import urllib.request

import pytest

import processes
from calls import REGION
from processes import ROOT

SUITES = "package(tintype-aws)"


def run(environment):
    """The ignored tests of crates/aws, which want an emulator."""
    if shutil.which("cargo-nextest"):
        command = ["cargo", "nextest", "run", "--workspace", "--locked", "--run-ignored", "only", "-E", SUITES]
    else:
        command = ["cargo", "test", "--locked", "--workspace", "--test", "it", "--", "--ignored"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=2 * processes.HANG
    )
    print(done.stdout[-4000:])
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    passed = sum(int(number) for number in re.findall(r"\b(\d+) passed", done.stderr + done.stdout))
    assert passed >= 8, f"the suites are missing\n{done.stderr[-2000:]}"


def credentials(access_key, secret_key, url):
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
    }


def test_the_adapters_conform_on_ministack(cloud):
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    keys = cloud.new_user("conformance", everything)
    run({**credentials(keys.access_key, keys.secret_key, cloud.url), "TINTYPE_EMULATOR": "ministack"})


@pytest.fixture
def moto(tmp_path):
    """A second opinion: checks reserved words and part sizes, which MiniStack lets pass."""
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"

    def answers():
        try:
            with urllib.request.urlopen(f"{url}/moto-api/", timeout=30) as answer:
                return answer.status == 200
        except OSError:
            return False

    command = [processes.tool("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    server = processes.Process(command, dict(os.environ), tmp_path / "moto.log", answers)
    yield url
    server.stop()


def test_the_adapters_conform_on_moto(moto):
    run({**credentials("moto", "moto", moto), "TINTYPE_EMULATOR": "moto"})
