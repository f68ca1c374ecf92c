"""`kill -9` at any moment loses no acknowledged write and publishes nothing partial; SIGTERM hands work back."""

import os
import random
import threading

import botocore.exceptions

import pictures
from tintype import HANG, QUICK_RECIPE, Server, encode_key, wait_until

KILLS = int(os.environ.get("TINTYPE_KILLS", "50"))
STARTUP_KILLS = 10
UPLOADERS = 3
KEYS_EACH = 8
# Acknowledged writes in one life of a server, at most: about half a second on an idle machine.
MOST_WRITES = 40
RENDITIONS = [("small", "webp"), ("small", "jpg"), ("tiny", "webp"), ("tiny", "jpg")]


class Uploader:
    """Writes, overwrites and deletes keys that nobody else writes, and remembers what was acknowledged."""

    def __init__(self, name, seed):
        self.random = random.Random(seed)
        self.keys = [f"{name}/{number} + ü.jpg" for number in range(KEYS_EACH)]
        # None: there is no such object.
        self.acknowledged = dict.fromkeys(self.keys)
        # The body that may be stored instead, of a write that was never answered: at most one for each run of a server.
        self.unanswered = {}
        self.refusals = []
        self.writes = 0

    def run(self, client, stop):
        """Writes until `stop`, or until the server does not answer any more."""
        while not stop.is_set():
            key = self.random.choice(self.keys)
            body = None
            if self.random.random() > 0.15:
                body = pictures.small_jpeg(self.random.getrandbits(32))
            try:
                if body is None:
                    client.delete_object(Bucket="raw", Key=key)
                else:
                    client.put_object(Bucket="raw", Key=key, Body=body)
            except botocore.exceptions.BotoCoreError:
                self.unanswered[key] = body
                return
            except botocore.exceptions.ClientError as error:
                self.refusals.append(error)
                return
            self.acknowledged[key] = body
            self.writes += 1

    def check(self, client, context):
        """Every key holds what was acknowledged last, or what was sent after it and never answered."""
        for key in self.keys:
            try:
                found = client.get_object(Bucket="raw", Key=key)["Body"].read()
            except client.exceptions.NoSuchKey:
                found = None
            allowed = [self.acknowledged[key]]
            if key in self.unanswered:
                allowed.append(self.unanswered[key])
            assert found in allowed, f"{key!r} is not what was acknowledged ({context})"
            self.acknowledged[key] = found
        self.unanswered.clear()


def processes_of_session(session):
    """Living processes of a session: the server and its workers."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            # After the command: state, ppid, pgrp, session.
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(name))
    return found


def check_published(server, key, source, context):
    """Every rendition that the record names is whole, and shows the source."""
    original = pictures.decode(source)
    image = server.image(key)
    assert len(image["published"]["renditions"]) == len(RENDITIONS), context
    for variant, extension in RENDITIONS:
        answer = server.get(f"/img/{encode_key(key)}/{variant}.{extension}")
        assert answer.status == 200, (context, key, variant, extension, answer.status, answer.body[:300])
        assert len(answer.body) == int(answer.headers["Content-Length"])
        rendition = pictures.decode(answer.body).convert("RGB")
        expected = original.resize(rendition.size, pictures.Image.Resampling.LANCZOS)
        seen = pictures.psnr(rendition, expected)
        # Two different pictures of this kind have 12 dB at most.
        assert seen > 16, f"{key!r} {variant}.{extension} shows another picture: {seen:.1f} dB ({context})"


def test_kill_9_at_any_moment_loses_nothing_and_publishes_nothing_partial(new_server):
    seed = int(os.environ.get("TINTYPE_SEED", random.SystemRandom().getrandbits(32)))
    print(f"TINTYPE_SEED={seed}")
    chance = random.Random(seed)
    server = new_server(config=QUICK_RECIPE)
    uploaders = [Uploader(f"uploader {number}", chance.getrandbits(32)) for number in range(UPLOADERS)]

    for life in range(KILLS):
        context = f"TINTYPE_SEED={seed}, life {life}"
        server.start()
        client = server.s3()
        for uploader in uploaders:
            uploader.check(client, context)
        for image in server.api("GET", "/images?status=ready&limit=1000").json()["items"]:
            if chance.random() < 0.1:
                # Work goes on meanwhile: the source may have been overwritten or deleted. Whatever is shown is whole.
                for variant, extension in RENDITIONS:
                    answer = server.get(f"/img/{encode_key(image['key'])}/{variant}.{extension}")
                    assert answer.status in (200, 202, 404), (context, image, answer.status, answer.body)
                    if answer.status == 200:
                        pictures.decode(answer.body)
        stop = threading.Event()
        clients = [server.s3() for _ in uploaders]
        threads = [
            threading.Thread(target=uploader.run, args=(client, stop)) for uploader, client in zip(uploaders, clients)
        ]
        for thread in threads:
            thread.start()
        # A life lasts for some acknowledged writes, however long they take here. The last of them is no moment that the
        # server prefers: the other uploaders are anywhere in theirs.
        enough = sum(uploader.writes for uploader in uploaders) + chance.randrange(MOST_WRITES)

        def is_enough(threads=threads, enough=enough, context=context):
            assert all(thread.is_alive() for thread in threads), f"an upload failed before the kill ({context})"
            return sum(uploader.writes for uploader in uploaders) >= enough

        wait_until(is_enough, f"writes are acknowledged ({context})", server.log)
        session = server.process.pid
        server.kill()
        stop.set()
        for thread in threads:
            thread.join(HANG)
            assert not thread.is_alive()
        assert not any(uploader.refusals for uploader in uploaders), [uploader.refusals for uploader in uploaders]
        wait_until(lambda: not processes_of_session(session), f"workers ended with their server ({context})")
        # Some servers die while they start, which is when they recover.
        if life % (KILLS // STARTUP_KILLS or 1) == 0:
            dying = Server(server.data, QUICK_RECIPE)
            threading.Timer(
                chance.uniform(0.0, 0.15), lambda dying=dying: dying.process and dying.process.kill()
            ).start()
            try:
                dying.start()
            except AssertionError:
                pass
            dying.process.kill()
            dying.process.wait()

    context = f"TINTYPE_SEED={seed}, at the end"
    server.start()
    client = server.s3()
    for uploader in uploaders:
        uploader.check(client, context)
    wait_until(lambda: server.queue()[0] == 0, "the queue is empty", server.log)
    assert server.queue()[1] == 0, f"dead letters: {server.log()}"
    writes = sum(uploader.writes for uploader in uploaders)
    print(f"{KILLS} kills, {writes} acknowledged writes")
    for uploader in uploaders:
        for key, source in uploader.acknowledged.items():
            if source is None:
                image = server.image(key)
                assert image is None or image["status"] == "deleted", (context, image)
                assert server.get(f"/img/{encode_key(key)}/small").status == 404, context
            else:
                etag = client.head_object(Bucket="raw", Key=key)["ETag"].strip('"')
                image = server.image(key)
                assert image["status"] == "ready", (context, image)
                assert image["source"]["etag"] == etag, (context, image)
                check_published(server, key, source, context)
    assert server.stop() == 0


def test_sigterm_finishes_or_returns_work(new_server):
    server = new_server().start()
    photo = pictures.jpeg(pictures.photo(3000, 2000))
    keys = [f"photo {number}.jpg" for number in range(4)]
    for key in keys:
        server.put(key, photo)
    session = server.process.pid
    assert server.stop() == 0, server.log()
    assert processes_of_session(session) == []
    server.start()
    for key in keys:
        server.wait_ready(key)
    # A record is ready a moment before its job is done.
    wait_until(lambda: server.queue()[0] == 0, "the queue is empty", server.log)
    assert server.queue()[1] == 0


def test_sigterm_while_idle_waits_for_nobody(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    # A client that keeps its connection open is not waited for until its time is over.
    connection = server.connect()
    assert server.request("GET", "/healthz", connection=connection).status == 200
    assert server.stop() == 0
    assert "cut connections" not in server.log()
    connection.close()


def test_a_data_folder_belongs_to_one_server(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    second = Server(server.data, QUICK_RECIPE)
    try:
        second.start()
    except AssertionError as error:
        assert "data" in str(error)
    else:
        raise AssertionError("a second server took the same data folder")
    assert second.process.wait(HANG) != 0
    assert server.get("/healthz").status == 200
