"""Starts, stops and kills the real binary, and asks it what it has."""

import configparser
import dataclasses
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.parse

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(
    os.environ.get(
        "TINTYPE_BIN",
        pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/tintype",
    )
)
CORPUS = pathlib.Path(os.environ.get("TINTYPE_CORPUS", ROOT.parent / "shared/corpus"))
# Rebuilt from public bug reports, with a MANIFEST.tsv as well.
FIELD = pathlib.Path(os.environ.get("TINTYPE_FIELD", ROOT.parent / "shared/field"))

# Seconds after which a test is taken for hung. It is a watchdog and nothing else: no test asserts a time, and what takes
# milliseconds on an idle machine must not come near this on a busy one.
HANG = 600

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI_15 = "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"
CURL = "*/*"

# A recipe that costs little, for tests that are about something else than pixels.
QUICK_RECIPE = """
[[variant]]
name = "small"
width = 64
height = 64
formats = ["webp", "jpeg"]

[[variant]]
name = "tiny"
width = 16
height = 16
formats = ["webp", "jpeg"]
"""


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)


def wait_until(condition, what, log=lambda: ""):
    """Asks until the answer is true; what it was is returned."""
    deadline = time.monotonic() + HANG
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"hangs, not even within {HANG} s: {what}\n{log()}")
        time.sleep(0.01)


def encode_key(key):
    """A key as it is spelled in delivery URLs."""
    return urllib.parse.quote(key.encode(), safe="/-._~")


class Server:
    """`tintype serve` on a data folder and a free port; the folder outlives the process."""

    def __init__(self, data, config=None, wrapper=()):
        self.data = pathlib.Path(data)
        self.config = None
        if config is not None:
            self.config = self.data.with_name(self.data.name + ".toml")
            self.config.write_text(config)
        self.wrapper = list(wrapper)
        self.process = None
        self.log_path = self.data.with_name(self.data.name + ".log")

    def start(self):
        command = [*self.wrapper, str(BINARY), "serve", "--data", str(self.data), "--listen", "127.0.0.1:0"]
        if self.config is not None:
            command += ["--config", str(self.config)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        # A server that never says a word must not hang the test.
        watchdog = threading.Timer(HANG, self.process.kill)
        watchdog.daemon = True
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        match = re.fullmatch(r"listening on http://(\S+):(\d+)\n", line)
        if not match:
            self.process.kill()
            raise AssertionError(f"said {line!r} instead of its address\n{self.log()}")
        self.host, self.port = match[1], int(match[2])
        self.url = f"http://{self.host}:{self.port}"
        credentials = configparser.ConfigParser()
        credentials.read(self.data / "credentials")
        self.access_key = credentials["tintype"]["aws_access_key_id"]
        self.secret_key = credentials["tintype"]["aws_secret_access_key"]
        self.token = (self.data / "admin-token").read_text().strip()
        return self

    def log(self, lines=60):
        if not self.log_path.exists():
            return ""
        return "server log:\n" + "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(HANG)
        self.process.stdout.close()
        return status

    def kill(self):
        """SIGKILL to the server alone: its workers have to notice by themselves."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def renderers(self):
        """The processes that render: the children of the server's threads."""
        found = []
        for thread in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            found += [int(pid) for pid in (thread / "children").read_text().split()]
        return found

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=HANG)

    def request(self, method, path, headers=None, body=None, connection=None):
        """Sends exactly this path, without any client's idea of normalising it."""
        own = connection is None
        connection = connection or self.connect()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            if own:
                connection.close()

    def get(self, path, accept=None, **headers):
        if accept is not None:
            headers["Accept"] = accept
        return self.request("GET", path, headers)

    def api(self, method, path, body=None, token=None):
        headers = {"Authorization": f"Bearer {token or self.token}"}
        if body is not None:
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        return self.request(method, f"/api/v1{path}", headers, body)

    def image(self, key):
        """The facts of a key from the API; None when it has none."""
        answer = self.api("GET", "/image?key=" + urllib.parse.quote(key.encode(), safe=""))
        if answer.status == 404:
            return None
        assert answer.status == 200, (key, answer.status, answer.body)
        return answer.json()["image"]

    def wait_settled(self, key, etag=None):
        """The image once it is neither pending nor unknown, made from the source with this ETag if one is given."""

        def settled():
            image = self.image(key)
            if image is None or image["status"] == "pending":
                return None
            if etag is not None and image["source"]["etag"] != etag.strip('"'):
                return None
            return image

        return wait_until(settled, f"{key!r} settled", self.log)

    def wait_ready(self, key, etag=None):
        image = self.wait_settled(key, etag)
        assert image["status"] == "ready", (image, self.log())
        return image

    def queue(self):
        """Number of jobs that are not done, without those that were given up; and of those."""
        stats = self.api("GET", "/stats")
        assert stats.status == 200, stats.body
        queue = stats.json()["queue"]
        return queue["ready"] + queue["leased"], queue["dead"]

    def s3(self, region="local", **config):
        config.setdefault("retries", {"total_max_attempts": 1})
        config.setdefault("read_timeout", HANG)
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=botocore.config.Config(s3={"addressing_style": "path"}, **config),
        )

    def put(self, key, body, **options):
        """Uploads and returns the ETag without quotes."""
        answer = self.s3().put_object(Bucket="raw", Key=key, Body=body, **options)
        return answer["ETag"].strip('"')
