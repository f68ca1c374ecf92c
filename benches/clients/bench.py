"""Measures an honest client beside 2,000 slow connections, and how long those last; scripts/bench-clients runs it.

Windows with slow connections and windows without are taken in turn, on one server, so that what else the machine does meets
both. Slow connections are of all kinds of tests/e2e/slow_clients.py, from eight addresses, and drip once a second.
"""

import argparse
import datetime
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import pictures  # noqa: E402
from slow_clients import SlowClients, allow_open_files, counts  # noqa: E402
from tintype import CHROME, QUICK_RECIPE, Server, wait_until  # noqa: E402

SLOW = 2000
ADDRESSES = [f"127.0.0.{last}" for last in range(1, 9)]
REQUESTS = 2000
PATH = "/img/honest.jpg/small"


def window(server, kept_alive):
    """Milliseconds of every request, on one connection or on a new one each."""
    taken = []
    connection = server.connect() if kept_alive else None
    for _ in range(REQUESTS):
        began = time.perf_counter()
        answer = server.request("GET", PATH, {"Accept": CHROME}, connection=connection)
        taken.append(1000 * (time.perf_counter() - began))
        assert answer.status == 200
    if connection:
        connection.close()
    return taken


def p99(values):
    return statistics.quantiles(values, n=100)[98]


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def beside_slow_connections(folder, rounds):
    """The 99th hundredth of each window, without and with slow connections."""
    # Nobody is closed for being slow: all of them are there during the whole window.
    config = "[http]\nconnections_per_address = 260\ntimeout_seconds = 3600\n" + QUICK_RECIPE
    server = Server(pathlib.Path(folder) / "beside", config).start()
    server.put("honest.jpg", pictures.small_jpeg(3))
    server.wait_ready("honest.jpg")
    found = {}
    for kept_alive in (True, False):
        window(server, kept_alive)
        alone, beside = [], []
        for _ in range(rounds):
            wait_until(lambda: counts(server)["open"] < 10, "none are open", server.log)
            alone.append(p99(window(server, kept_alive)))
            slow = SlowClients(server, SLOW, ADDRESSES, PATH)
            wait_until(lambda: counts(server)["open"] >= SLOW, "all are open", server.log)
            with slow.dripping():
                beside.append(p99(window(server, kept_alive)))
            assert counts(server)["open"] >= SLOW
            slow.close()
        found[kept_alive] = (alone, beside)
    server.stop()
    return found


def seconds_to_close(folder):
    """Seconds until the last of 350 slow connections of all kinds was closed, with the default configuration."""
    server = Server(pathlib.Path(folder) / "seconds_to_close", QUICK_RECIPE).start()
    server.put("honest.jpg", pictures.small_jpeg(3))
    server.wait_ready("honest.jpg")
    slow = SlowClients(server, 350, ADDRESSES[:1], PATH)
    began = time.perf_counter()
    with slow.dripping():
        wait_until(lambda: counts(server)['closed{reason="timeout"}'] >= 350, "all are closed", server.log)
        lasted = time.perf_counter() - began
    slow.close()
    server.stop()
    return lasted


def report(arguments):
    allow_open_files(16_384)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = beside_slow_connections(folder, arguments.rounds)
        longest = seconds_to_close(folder)
    today = datetime.date.today()
    lines = [
        f"Measured on {today.day} {today:%B %Y} on {os.cpu_count()} processors, {arguments.build} build: 99th hundredth of"
        f" {REQUESTS:,} cached deliveries, median",
        f"of {arguments.rounds} windows and their range, milliseconds. The slow connections are of seven kinds, from eight"
        " addresses, and drip",
        "once a second; the client that measures and the slow ones share the processors with the server.",
        "",
        "| | alone | beside 2,000 slow connections | ratio |",
        "|---|---|---|---|",
    ]
    for kept_alive, name in [(True, "one connection"), (False, "a new connection for each request")]:
        alone, beside = found[kept_alive]
        ratios = [b / a for a, b in zip(alone, beside)]
        lines.append(f"| {name} | {spread(alone)} | {spread(beside)} | {spread(ratios)} |")
    lines += [
        "",
        f"The last of 350 slow connections of all kinds, with the default configuration, was closed after {longest:.1f} s.",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder")
    parser.add_argument("--build", default="release")
    parser.add_argument("--write", type=pathlib.Path)
    arguments = parser.parse_args()
    text = report(arguments)
    print(text)
    if arguments.write:
        command = [ROOT / "scripts/write-marked", arguments.write, "bench-clients"]
        subprocess.run(command, input=text, text=True, check=True)


main()
