"""Measures a running `tintype serve` and prints the section of docs/performance.md; scripts/bench-serve runs it.

Every figure is a median with its range, and a ratio to something that was measured in turn with it in the same run, so
that what else the machine does meets both.
"""

import argparse
import contextlib
import datetime
import hashlib
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import pictures  # noqa: E402
import tintype  # noqa: E402
from tintype import CHROME, Server, wait_until  # noqa: E402

# Of one window of deliveries.
REQUESTS = 500
# Of one round of puts, all clients together.
PUTS = 200
PUT_BYTES = 100_000
CLIENTS = 8


def milliseconds(began):
    return 1000 * (time.perf_counter() - began)


def spread(values, digits=2, unit=""):
    """The median, and the least and the largest."""
    least, most = min(values), max(values)
    return f"{statistics.median(values):.{digits}f}{unit} ({least:.{digits}f} to {most:.{digits}f})"


def quantile(values, hundredth):
    return statistics.quantiles(values, n=100)[hundredth - 1]


@contextlib.contextmanager
def serving(folder, config=None):
    server = Server(pathlib.Path(folder) / "data", config).start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def stopped(server):
    """While it is entered no job is finished, so that nobody but the puts writes and syncs."""
    processes = server.renderers()
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


# ---- From an upload to nine renditions


def upload_to_ready(folder, rounds):
    """Seconds from the first byte of an upload to the ready record; and those of the engine alone on the same file."""
    photo = pictures.jpeg(pictures.photo(4000, 3000))
    file = pathlib.Path(folder) / "photo.jpg"
    file.write_bytes(photo)
    ready, alone = [], []
    with serving(folder) as server:
        client = server.s3()
        for number in range(rounds):
            key = f"photo {number}.jpg"
            began = time.perf_counter()
            client.put_object(Bucket="raw", Key=key, Body=photo)
            image = server.wait_ready(key)
            ready.append(milliseconds(began) / 1000)
            assert len(image["published"]["renditions"]) == 9
            wait_until(lambda: server.queue()[0] == 0, "the queue is empty", server.log)
            began = time.perf_counter()
            out = pathlib.Path(folder) / f"out {number}"
            subprocess.run([tintype.BINARY, "transcode", file, "--out", out], check=True, capture_output=True)
            alone.append(milliseconds(began) / 1000)
    ratios = [a / b for a, b in zip(ready, alone)]
    return [
        ["from the first byte of the upload to the ready record", spread(ready, 2, " s")],
        ["`tintype transcode` of the same file", spread(alone, 2, " s")],
        ["ratio", spread(ratios)],
    ]


# ---- Cached delivery


def window(server, path):
    """Milliseconds of every request of a window, on one connection that is kept alive."""
    connection = server.connect()
    taken = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        answer = server.request("GET", path, {"Accept": CHROME}, connection=connection)
        taken.append(milliseconds(began))
        assert answer.status == 200
    connection.close()
    return taken


def cached_delivery(folder, rounds):
    """Windows without work for the workers and windows with more than they can do, in turn."""
    photo = pictures.jpeg(pictures.photo(3000, 2000))
    idle, busy = [], []
    number = 0
    with serving(folder) as server:
        server.put("cached.jpg", pictures.jpeg(pictures.photo(1600, 1200)))
        server.wait_ready("cached.jpg")
        path = "/img/cached.jpg/thumbnail"
        window(server, path)
        for _ in range(rounds):
            wait_until(lambda: server.queue()[0] == 0, "nothing to do", server.log)
            idle.append(window(server, path))
            while server.queue()[0] < 2 * (os.cpu_count() or 1):
                server.put(f"load {number}.jpg", photo)
                number += 1
            busy.append(window(server, path))
            assert server.queue()[0] > 0, "the workers ran out of work during a window"
    rows = []
    for hundredth in (50, 99):
        quiet = [quantile(each, hundredth) for each in idle]
        loaded = [quantile(each, hundredth) for each in busy]
        ratios = [b / a for a, b in zip(quiet, loaded)]
        rows.append([f"p{hundredth}", spread(quiet, 2, " ms"), spread(loaded, 2, " ms"), spread(ratios)])
    return rows


# ---- Durable puts


def in_parallel(clients, job):
    """Runs `job(client, number)` for every number on so many threads; milliseconds of each, and of everything."""
    taken, errors = [], []
    barrier = threading.Barrier(clients + 1)

    def run(client):
        try:
            barrier.wait()
            for number in range(PUTS // clients):
                began = time.perf_counter()
                job(client, number)
                taken.append(milliseconds(began))
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=run, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    barrier.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    assert not errors, errors
    return taken, milliseconds(began)


def body(name):
    """Bytes that do not compress, others for every name."""
    return hashlib.shake_128(name.encode()).digest(PUT_BYTES)


def by_hand(folder, bodies, clients):
    """The same bytes in new files, file and folder synced, one after another in each thread."""
    folder.mkdir()

    def write(client, number):
        with open(folder / f"{client}-{number}", "xb", buffering=0) as file:
            file.write(bodies[client, number])
            os.fsync(file)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(descriptor)
        os.close(descriptor)

    return in_parallel(clients, write)


def puts(server, prefix, bodies, clients):
    """Presigned puts on a connection for each client: nothing of the client's own but the bytes."""
    signer = server.s3()
    paths = {}
    for client, number in bodies:
        key = f"{prefix}/{client}-{number}"
        url = signer.generate_presigned_url("put_object", Params={"Bucket": "raw", "Key": key})
        paths[client, number] = url.removeprefix(server.url)
    connections = [server.connect() for _ in range(clients)]

    def put(client, number):
        answer = server.request(
            "PUT", paths[client, number], body=bodies[client, number], connection=connections[client]
        )
        assert answer.status == 200, answer.body

    result = in_parallel(clients, put)
    for connection in connections:
        connection.close()
    return result


def durable_puts(folder, rounds):
    """Puts and writes by hand in turn, on the same file system."""
    rows = []
    with serving(folder, config=tintype.QUICK_RECIPE) as server:
        for clients in (1, CLIENTS):
            numbers = [(client, number) for client in range(clients) for number in range(PUTS // clients)]
            figures = {"put": [], "hand": []}
            for number in range(rounds):
                bodies = {each: body(f"{clients} {number} {each}") for each in numbers}
                hand = pathlib.Path(folder) / f"by hand {clients} {number}"
                figures["hand"].append(by_hand(hand, bodies, clients))
                with stopped(server):
                    figures["put"].append(puts(server, f"{clients}/{number}", bodies, clients))
                # What is no picture is rejected now; the next round begins when that is over.
                wait_until(lambda: server.queue()[0] == 0, "the queue is empty", server.log)

            def medians(side):
                return [statistics.median(taken) for taken, _ in figures[side]]

            def rates(side):
                return [1000 * len(taken) / whole for taken, whole in figures[side]]

            rows.append([
                f"{clients} at a time",
                spread(medians("put"), 2, " ms"),
                spread(medians("hand"), 2, " ms"),
                spread([a / b for a, b in zip(medians("put"), medians("hand"))]),
                spread(rates("put"), 0),
                spread(rates("hand"), 0),
                spread([a / b for a, b in zip(rates("put"), rates("hand"))]),
            ])
    return rows


# ---- The page


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def processor():
    found = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else os.uname().machine


def file_system(folder):
    """What the folder lies on, as mounted."""
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    inside = [mount for mount in mounts if pathlib.Path(folder).resolve().is_relative_to(mount[1])]
    return max(inside, key=lambda mount: len(mount[1]))[2]


def report(arguments):
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="bench-serve.", dir=arguments.folder) as folder:
        folder = pathlib.Path(folder)
        disk = file_system(folder)
        measured = []
        for measure in (upload_to_ready, cached_delivery, durable_puts):
            own = folder / measure.__name__
            own.mkdir()
            print(f"bench-serve: {measure.__name__} ...", file=sys.stderr)
            measured.append(measure(own, arguments.rounds))
            load.append(os.getloadavg()[0])
    ready, delivery, durable = measured
    return f"""\
{datetime.date.today()}; {processor()}, {os.cpu_count()} CPUs; {arguments.build} build; data on {disk}.
{arguments.rounds} rounds; a figure is the median of the rounds (least to largest). The load average of the machine over one minute, the
bench in it, was {", ".join(f"{value:.1f}" for value in load)} before, between and after the three parts.

{table(["12 MP photo, nine renditions", "took"], ready)}

Cached delivery, {REQUESTS} requests a window on one connection, windows without and with more pictures than the workers
can render in turn:

{table(["thumbnail from memory", "idle", "busy", "busy : idle"], delivery)}

Durable puts of {PUT_BYTES:,} bytes, {PUTS} a round, each acknowledged when it is synced; by hand is the same bytes written
to a new file, file and folder synced, without a database:

{table(["puts", "median", "by hand", "ratio", "puts a second", "by hand", "ratio"], durable)}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="what kind of build the binary is, for the page")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where data folders are made; the system's folder for temporary files")
    parser.add_argument("--write", type=pathlib.Path, help="a page with marks for the section")
    arguments = parser.parse_args()
    section = report(arguments)
    print(section)
    if arguments.write:
        command = [ROOT / "scripts/write-marked", arguments.write, "bench-serve"]
        subprocess.run(command, input=section, text=True, check=True)


if __name__ == "__main__":
    main()
