"""How long uploads take to become pictures, and what that does to everybody else."""

import os
import statistics
import time

import pictures
from tintype import CHROME, wait_until


def test_a_12_megapixel_photo_is_ready_within_1_5_seconds(server):
    """From the first byte of the upload to the ready record, with the default recipe of nine renditions."""
    photo = pictures.jpeg(pictures.photo(4000, 3000))
    client = server.s3()
    seconds = []
    for number in range(3):
        key = f"photo {number}.jpg"
        began = time.monotonic()
        client.put_object(Bucket="raw", Key=key, Body=photo)
        image = server.wait_ready(key)
        seconds.append(time.monotonic() - began)
        assert len(image["published"]["renditions"]) == 9
    print("upload to ready: " + ", ".join(f"{value:.2f} s" for value in seconds))
    # The best of three: other work on the machine only ever adds.
    assert min(seconds) < 1.5


def p99(server, path, requests):
    """Milliseconds that 99 of 100 requests stay under, on one connection that is kept alive."""
    connection = server.connect()
    taken = []
    for _ in range(requests):
        began = time.perf_counter()
        answer = server.request("GET", path, {"Accept": CHROME}, connection=connection)
        taken.append(time.perf_counter() - began)
        assert answer.status == 200
    connection.close()
    return 1000 * statistics.quantiles(taken, n=100)[98]


WINDOWS = 9
# What a second process on two cores adds to the clock of a Python client, whatever the server does.
NOISE_MS = 0.3
# Other work on the machine only ever adds, and sometimes to most windows of a run: the best quarter of the busy ones
# counts, and a run may be repeated. Workers that did not yield would slow down every window.
TRIES = 3


def test_cached_delivery_keeps_its_p99_while_pictures_are_processed(server):
    """Idle and busy windows take turns, so that other work on the machine decides nothing."""
    server.put("cached.jpg", pictures.jpeg(pictures.photo(1600, 1200)))
    server.wait_ready("cached.jpg")
    path = "/img/cached.jpg/thumbnail"
    photo = pictures.jpeg(pictures.photo(3000, 2000))
    p99(server, path, 500)
    for _ in range(TRIES):
        idle, busy = idle_and_busy(server, path, photo)
        print("p99 idle: " + ", ".join(f"{value:.2f}" for value in idle) + " ms")
        print("p99 busy: " + ", ".join(f"{value:.2f}" for value in busy) + " ms")
        usual, yielded = statistics.median(idle), statistics.quantiles(busy, n=4)[0]
        print(f"idle, median: {usual:.2f} ms; busy, first quartile: {yielded:.2f} ms")
        if yielded <= 2 * usual + NOISE_MS:
            return
    raise AssertionError(f"in {TRIES} tries deliveries were slower while pictures were processed")


def idle_and_busy(server, path, photo):
    """The p99 of windows while nothing is processed, and of windows while the workers have more than they can do."""
    number = 0
    idle, busy = [], []
    for _ in range(WINDOWS):
        wait_until(lambda: server.queue()[0] == 0, "nothing to do", 60, server.log)
        idle.append(p99(server, path, 500))
        # More to do than the workers can finish during the window.
        while server.queue()[0] < 2 * (os.cpu_count() or 1):
            server.put(f"load {number}.jpg", photo)
            number += 1
        busy.append(p99(server, path, 500))
        assert server.queue()[0] > 0, "the workers ran out of work during the measurement"
    return idle, busy
