"""Measures what one upload uses, in the packaged worker and API: the figures behind deploy/cost.md.

    scripts/aws-measure [--write] [PHOTO]

Deploys target/package (`make package`) into MiniStack, uploads PHOTO (a photo of 12 megapixels of its own if none is
named) several times and the same photo enlarged to 50 megapixels, and reads what the functions log, which calls they make
and how much memory their processes took. `--write` puts the figures into deploy/measured.json.

The time is that of this machine's cores and of an emulator's answers: Lambda's are others. Memory, calls and bytes are
the same there.
"""

import argparse
import datetime
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
from PIL import Image

from calls import Service
from deployment import PACKAGE, Deployment
from emulator import Emulator
from processes import ROOT, wait_until
from runtime_api import Function
from test_uploads_signing import World, event

MEASURED = ROOT / "deploy/measured.json"
RUNS = 5
MEGAPIXELS = (4000, 3000), (8660, 5773)


def photo(size):
    """Something with a photo's mixture of smooth and busy parts, the same every time."""
    width, height = size
    random = numpy.random.default_rng(7)
    layers = []
    for cells, weight in ((6, 70), (40, 40), (300, 16), (2000, 7)):
        coarse = random.integers(0, 256, (cells * height // width + 1, cells, 3), dtype=numpy.uint8)
        layer = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        layers.append((numpy.asarray(layer, dtype=numpy.float32) - 128) * (weight / 100))
    picture = numpy.clip(sum(layers) + 128, 0, 255).astype(numpy.uint8)
    return jpeg(Image.fromarray(picture))


def jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92, subsampling="4:2:0")
    return file.getvalue()


def enlarged(source, size):
    Image.MAX_IMAGE_PIXELS = None
    return jpeg(Image.open(io.BytesIO(source)).convert("RGB").resize(size, Image.Resampling.BICUBIC))


class Meter:
    def __init__(self, stack):
        self.stack = stack
        self.worker = stack.function_keys("WorkerRole").access_key

    def messages(self, function, since):
        """The log of a function from that moment on (seconds since 1970)."""
        name = self.stack.outputs[function]
        pages = self.stack.client("logs").get_paginator("filter_log_events")
        events = pages.paginate(logGroupName=f"/aws/lambda/{name}", startTime=int(since * 1000))
        return [event["message"] for page in events for event in page["events"]]

    def documents(self, function, since):
        found = []
        for message in self.messages(function, since):
            try:
                found.append(json.loads(message))
            except ValueError:
                continue
        return found

    def upload(self, key, source):
        """One upload, and what the worker used for it."""
        since, mark = time.time(), len(self.stack.emulator.proxy.record)
        etag = self.stack.put(key, source)
        self.stack.wait_ready(key, etag)
        self.stack.wait_idle()

        def reported():
            documents = self.documents("WorkerFunctionName", since)
            done = [each for each in documents if each.get("fields", each).get("outcome") == "processed"]
            metrics = [each for each in documents if each.get("RenderMilliseconds")]
            return (done, metrics) if done and metrics else None

        done, metrics = wait_until(reported, "the worker's log is there", explain=self.stack.emulator.server.log)
        calls = [call for call in self.stack.emulator.proxy.record[mark:] if call.access_key == self.worker]
        of = lambda *operations: sum(  # noqa: E731
            call.service is Service.S3 and call.operation in operations and self.stack.processed in call.target
            for call in calls
        )
        record = self.stack.client("dynamodb").get_item(
            TableName=self.stack.outputs["TableName"], Key={"pk": {"S": f"image#{key}"}}
        )["Item"]
        return {
            "worker_milliseconds": done[-1].get("fields", done[-1])["duration_ms"],
            "render_milliseconds": single(metrics[-1]["RenderMilliseconds"]),
            "rendition_bytes": single(metrics[-1]["RenditionBytes"]),
            "rendition_puts": of("PutObject"),
            "rendition_heads": of("HeadObject", "GetObject"),
            "record_bytes": sum(len(name) + len(str(next(iter(value.values())))) for name, value in record.items()),
            "log_bytes": sum(len(message) for message in self.messages("WorkerFunctionName", since)),
        }

    def worker_memory(self):
        """Peak memory in bytes of the worker's process and of its rendering process."""
        pid = self.stack.emulator.server.process.pid
        peaks = {}
        for child in descendants(pid):
            command = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            is_render = b"render-worker" in command
            if not is_render and b"worker" not in function_name(child):
                continue
            status = pathlib.Path(f"/proc/{child}/status").read_text()
            peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
            part = "render" if is_render else "function"
            peaks[part] = max(peak, peaks.get(part, 0))
        return peaks


def single(value):
    """A metric's value: one number, or a list of them when there were several."""
    return value[0] if isinstance(value, list) else value


def function_name(pid):
    """The name of the Lambda function that a process runs; empty when it runs none."""
    environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    return environment.partition(b"AWS_LAMBDA_FUNCTION_NAME=")[2].partition(b"\0")[0]


def descendants(pid):
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    for child in map(int, children.stdout.split()):
        yield child
        yield from descendants(child)


def api_milliseconds(emulator, folder):
    """Median time of the API function, warm, to sign an upload."""
    world = World(emulator, folder)
    function = Function(PACKAGE / "api.zip", folder / "api", world.environment(world.role))
    try:
        times = []
        for _ in range(15):
            request = event("POST", "/api/v1/uploads", body={"key": "measure/signed.jpg", "content_type": "image/jpeg"})
            kind, answer, request_id = function.invoke(request)
            assert kind == "response" and answer["statusCode"] in (200, 201), answer
            times.append(function.runtime.took[request_id] * 1000)
    finally:
        function.stop()
    return statistics.median(times[5:])


def main():
    parser = argparse.ArgumentParser(prog="aws-measure")
    parser.add_argument("photo", nargs="?", type=pathlib.Path)
    parser.add_argument("--write", action="store_true", help="put the figures into deploy/measured.json")
    given = parser.parse_args()
    source = given.photo.read_bytes() if given.photo else photo(MEGAPIXELS[0])
    width, height = Image.open(io.BytesIO(source)).size
    with tempfile.TemporaryDirectory(prefix="tintype-measure.") as folder:
        emulator = Emulator(pathlib.Path(folder))
        try:
            stack = Deployment(emulator, "tintype-measure", {"Environment": "measure", "MaximumConcurrency": "2"})
            meter = Meter(stack)
            runs = [meter.upload(f"measure/{number}.jpg", source) for number in range(RUNS)]
            twelve = meter.worker_memory()
            fifty = meter.upload("measure/fifty.jpg", enlarged(source, MEGAPIXELS[1]))
            memory = meter.worker_memory()
            signed = api_milliseconds(emulator, pathlib.Path(folder) / "signing")
        finally:
            emulator.stop()
    # The first run is the cold one.
    median = {name: round(statistics.median(run[name] for run in runs[1:])) for name in runs[0]}
    name = given.photo.name if given.photo else "a generated photo"
    measured = json.loads(MEASURED.read_text()) | {
        "status": "measured",
        "how": f"{name}, {width} by {height} pixels, default recipe, the release package in MiniStack on "
        f"{datetime.date.today()}, {os.cpu_count()} cores (Lambda's 3,008 MB are 1.7); milliseconds are the worker's own "
        "account of an upload, medians of warm runs, with the emulator's answers in place of S3's and DynamoDB's",
        **{key: value for key, value in median.items() if key != "render_milliseconds"},
        "upload_bytes": len(source),
        "render_milliseconds": median["render_milliseconds"],
        "api_milliseconds": max(1, round(signed)),
        "peak_mib": {part: round(bytes_ / 2**20) for part, bytes_ in twelve.items()},
        "fifty_megapixels": {
            "worker_milliseconds": fifty["worker_milliseconds"],
            "peak_mib": {part: round(bytes_ / 2**20) for part, bytes_ in memory.items()},
        },
    }
    print(json.dumps(measured, indent=2))
    print(f"first, cold run: {runs[0]}\nAPI: {signed:.2f} ms for a signed upload", file=sys.stderr)
    if given.write:
        MEASURED.write_text(json.dumps(measured, indent=2) + "\n")


if __name__ == "__main__":
    main()
