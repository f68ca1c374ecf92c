"""Delivery stays quick while pictures are rendered. `make bench-serve` measures the speed; a test holds the
mechanism, which no other load on the machine can change.
"""

import os
import pathlib
import subprocess

import pytest

import pictures
from tintype import CHROME, QUICK_RECIPE, wait_until

WORKERS = 2
RENDER = f"\n[render]\nworkers = {WORKERS}\nthreads = 3\n"
# Calls that use a file, a connection of the database (which locks its index in memory), or a new thread.
TRACED = "openat,open,read,readv,pread64,preadv,mmap,fcntl,newfstatat,statx,clone,clone3"


def policies(process):
    """The scheduling policy of every thread of a process, by its number; empty when it has just ended."""
    found = {}
    try:
        for thread in pathlib.Path(f"/proc/{process}/task").iterdir():
            found[int(thread.name)] = os.sched_getscheduler(int(thread.name))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def test_rendering_processes_are_few_and_yield_to_whatever_else_wants_to_run(new_server):
    """SCHED_IDLE in every thread, looked at while pictures are rendered, and never more processes than configured."""
    server = new_server(config=RENDER).start()
    photo = pictures.jpeg(pictures.photo(2000, 1500))
    keys = [f"photo {number}.jpg" for number in range(3 * WORKERS)]
    for key in keys:
        server.put(key, photo)
    most_processes = most_threads = 0

    def is_done():
        nonlocal most_processes, most_threads
        processes = server.renderers()
        most_processes = max(most_processes, len(processes))
        assert most_processes <= WORKERS, processes
        for process in processes:
            found = policies(process)
            most_threads = max(most_threads, len(found))
            assert set(found.values()) <= {os.SCHED_IDLE}, (process, found)
            # Kernels that share the CPUs out by session would give a session of its own as much as the server's.
            assert os.getsid(process) == os.getsid(server.process.pid)
        return server.queue()[0] == 0

    wait_until(is_done, "every picture is rendered", server.log)
    for key in keys:
        assert server.image(key)["status"] == "ready"
    assert most_processes == WORKERS
    assert most_threads > 1, "no process was seen while it rendered on several threads"
    assert set(policies(server.process.pid).values()) == {os.SCHED_OTHER}, "the server itself yields to nobody"


def cache(server):
    """Hits and misses of the renditions in memory."""
    counts = server.api("GET", "/stats").json()["cache"]
    return [counts["hits"], counts["misses"]]


def test_a_cached_rendition_is_delivered_from_memory(quick_server):
    quick_server.put("cached.jpg", pictures.small_jpeg(1))
    quick_server.wait_ready("cached.jpg")
    assert quick_server.get("/img/cached.jpg/small", CHROME).status == 200
    hits, misses = cache(quick_server)
    for _ in range(20):
        assert quick_server.get("/img/cached.jpg/small", CHROME).status == 200
    assert cache(quick_server) == [hits + 20, misses]


@pytest.fixture
def trace(tmp_path):
    """The strace command that writes to a file, if this machine lets processes be traced."""
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"processes cannot be traced here: {probe.stderr.strip()}")
    out = tmp_path / "trace"
    calls = f"trace={TRACED},recvfrom"
    return ["strace", "-D", "-f", "-y", "-qq", "-s", "64", "-o", str(out), "-e", calls], out


def test_a_cached_delivery_touches_no_file_and_no_database(new_server, trace):
    """So nothing of it waits for a disk, nor for the pool of threads that wait for disks."""
    command, out = trace
    server = new_server(config=QUICK_RECIPE, wrapper=command).start()
    server.put("cached.jpg", pictures.small_jpeg(1))
    server.wait_ready("cached.jpg")
    # The job is done after the record, and files that were replaced are collected.
    wait_until(lambda: server.queue()[0] == 0, "the queue is empty", server.log)
    connection = server.connect()

    def between(name, requests):
        """The lines of the trace between two requests for nothing, around these."""
        marks = [f"GET /{name}/{side} " for side in ("begin", "end")]
        for mark, paths in zip(marks, (requests, [])):
            server.request("GET", mark.split()[1], connection=connection)
            for path in paths:
                answer = server.request("GET", path, {"Accept": CHROME}, connection=connection)
                assert answer.status == 200
        text = []

        def is_whole():
            text[:] = out.read_text(errors="replace").splitlines()
            return any(marks[1] in line for line in text)

        wait_until(is_whole, "the trace has the last request", server.log)
        first, last = (next(number for number, line in enumerate(text) if mark in line) for mark in marks)
        return text[first + 1 : last]

    path = "/img/cached.jpg/small"
    uncached = touching(server, between("uncached", [path]))
    assert any("openat" in line for line in uncached), "a rendition that is not in memory is read from its file"
    cached = between("cached", [path] * 50)
    assert sum(f"GET {path} " in line for line in cached) == 50
    assert touching(server, cached) == []
    assert not any("clone" in line for line in cached), "a thread was started"


def touching(server, lines):
    """Lines with a call on a file of the data folder, or on one that is opened by its name there."""
    return [line for line in lines if f"{server.data}" in line]
