"""The Lambda Runtime API, as far as a function needs it, and a real function's process on it."""

import http.server
import json
import os
import queue
import subprocess
import threading
import time
import uuid
import zipfile

from processes import wait_until


class RuntimeApi(http.server.ThreadingHTTPServer):
    """Hands out one event at a time and keeps what the function says to it.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.events = queue.Queue()
        self.answers = {}
        # Seconds from an event to its answer.
        self.took = {}
        self.init_error = None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        assert self.path == "/2018-06-01/runtime/invocation/next", self.path
        request_id, event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        self.send_response(200)
        body = json.dumps(event).encode()
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": "9999999999999",
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:api",
            "Lambda-Runtime-Trace-Id": f"Root=1-00000000-{request_id.replace('-', '')[:24]};Sampled=1",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.server.took[request_id] = -time.perf_counter()
        self.wfile.write(body)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/2018-06-01/runtime/init/error":
            self.server.init_error = body
        else:
            request_id, kind = self.path.rsplit("/", 2)[1:]
            self.server.took[request_id] += time.perf_counter()
            self.server.answers[request_id] = (kind, body)
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Function:
    """The `bootstrap` of a package, started as Lambda starts it."""

    def __init__(self, package, folder, environment):
        self.runtime = RuntimeApi()
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(package) as unpacked:
            unpacked.extractall(folder)
        bootstrap = folder / "bootstrap"
        os.chmod(bootstrap, 0o755)
        self.log_path = folder / "log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [bootstrap],
                cwd=folder,
                env={
                    "AWS_LAMBDA_RUNTIME_API": self.runtime.address,
                    "AWS_LAMBDA_FUNCTION_NAME": "api",
                    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
                    "LAMBDA_TASK_ROOT": str(folder),
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def invoke(self, event):
        """`("response" | "error", what the function said)`."""
        request_id = str(uuid.uuid4())
        self.runtime.events.put((request_id, event))

        def answered():
            assert self.process.poll() is None, f"ended with {self.process.returncode}\n{self.log()}"
            return request_id in self.runtime.answers

        wait_until(answered, "the function answers", explain=self.log)
        return (*self.runtime.answers[request_id], request_id)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.runtime.events.put((None, None))
        self.runtime.shutdown()
        self.runtime.server_close()
