"""Starts a bootstrap the way Lambda does and measures how soon it asks for work, and its memory by then."""

import base64
import http.server
import json
import os
import re
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time

RUNS = 5
PATIENCE_SECONDS = 300

# The variables that the template gives the functions.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "session",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_LAMBDA_FUNCTION_NAME": "tintype-prod",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/tintype-prod",
    "AWS_LAMBDA_LOG_STREAM_NAME": "cold-start",
    "_HANDLER": "bootstrap",
    "LANG": "en_US.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "TZ": ":UTC",
    "TINTYPE_RAW_BUCKET": "tintype-prod-raw",
    "TINTYPE_PROCESSED_BUCKET": "tintype-prod-processed",
    "TINTYPE_ACCOUNT": "111122223333",
    "TINTYPE_TOMBSTONE_DAYS": "90",
    "TINTYPE_TABLE": "tintype-prod-images",
    "TINTYPE_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/tintype-prod-jobs",
    "TINTYPE_DEAD_LETTER_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/tintype-prod-dead",
    "TINTYPE_MAX_RECEIVES": "5",
    "TINTYPE_INVALIDATION_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/tintype-prod-invalidations",
    "TINTYPE_REPLACEMENT_MINUTES": "10",
    "TINTYPE_DISTRIBUTION_ID": "EDFDVBD6EXAMPLE",
    "TINTYPE_FUNCTION": "worker",
    "TINTYPE_PUBLIC_URL": "https://d111111abcdef8.cloudfront.net",
    "TINTYPE_AUTHORIZER": "iam",
    "TINTYPE_MAX_CONCURRENCY": "4",
    "TINTYPE_ENVIRONMENT": "prod",
}


class NeverAsked(Exception):
    """The bootstrap ended, or went on without asking for work."""


# The answer to the request that a function may send to DynamoDB before its first event, for the installation's secret. It
# is sent at once, so that the measured time has no network in it.
SECRET_ITEM = json.dumps({
    "Item": {"pk": {"S": "installation"}, "secret": {"B": base64.b64encode(bytes(32)).decode()}},
}).encode()


class RuntimeApi(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Notes when `invocation/next` is asked for, and leaves that question open. Stands in for DynamoDB, too."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked_at = None
        self.asked = threading.Event()
        self.done = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/2018-06-01/runtime/invocation/next":
            self.server.asked_at = time.perf_counter()
            self.server.asked.set()
            self.server.done.wait()
        else:
            self.send_error(404)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        if target.endswith(".GetItem"):
            self.answer(200, SECRET_ITEM)
        elif target:
            self.answer(400, b'{"__type":"UnknownOperationException"}')
        else:
            # init/error says why the function cannot start; so does what it prints.
            self.answer(202, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def run_once(bootstrap):
    """Seconds until the first question, and the process's peak memory in bytes by then."""
    api = RuntimeApi()
    thread = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    environment = {
        **ENVIRONMENT,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{api.server_port}",
        "LAMBDA_TASK_ROOT": os.path.dirname(bootstrap),
    }
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen([bootstrap], env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        try:
            deadline = started + PATIENCE_SECONDS
            while not api.asked.wait(0.05):
                if process.poll() is not None or time.perf_counter() > deadline:
                    errors.seek(0)
                    said = errors.read().decode(errors="replace").strip()
                    raise NeverAsked(f"{bootstrap} did not ask for work (status {process.poll()}): {said}")
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                peak_kib = int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])
            return api.asked_at - started, peak_kib * 1024
        finally:
            process.kill()
            process.wait()
            api.done.set()
            api.shutdown()
            api.server_close()


def measure(bootstrap):
    """Median seconds of several starts, and the largest peak of memory in bytes."""
    runs = [run_once(bootstrap) for _ in range(RUNS)]
    return statistics.median(seconds for seconds, _ in runs), max(peak for _, peak in runs)


if __name__ == "__main__":
    seconds, peak = measure(sys.argv[1])
    print(f"{seconds * 1000:.0f} ms, {peak / 2**20:.1f} MiB")
