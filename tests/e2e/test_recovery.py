"""The database can be lost, old or damaged: no upload goes with it. Backups taken under load are whole."""

import os
import random
import shutil
import subprocess
import threading

import pytest

import pictures
from tintype import BINARY, HANG, QUICK_RECIPE, Server, encode_key, wait_until

KEYS = [f"folder {number}/ü +{number}.jpg" for number in range(6)]


def run(*arguments):
    return subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True, timeout=HANG)


def files(data):
    return sorted(path for path in (data / "objects").rglob("*") if path.is_file())


def take_database_away(data):
    for path in data.glob("tintype.db*"):
        path.unlink()


def seen(server):
    """All that a client sees of the sources."""
    client = server.s3()
    found = {}
    for entry in client.list_objects_v2(Bucket="raw").get("Contents", []):
        answer = client.get_object(Bucket="raw", Key=entry["Key"])
        found[entry["Key"]] = (answer["Body"].read(), answer["ETag"], answer["ContentType"], answer["Metadata"])
    return found


def filled(new_server):
    """A server with pictures, one of them overwritten and one deleted, that has processed everything."""
    seed = int(os.environ.get("TINTYPE_SEED", random.SystemRandom().getrandbits(32)))
    print(f"TINTYPE_SEED={seed}")
    chance = random.Random(seed)
    server = new_server(config=QUICK_RECIPE).start()
    picture = lambda: pictures.small_jpeg(chance.getrandbits(32))  # noqa: E731
    for key in [*KEYS, "deleted.jpg"]:
        server.put(key, picture(), ContentType="image/jpeg", Metadata={"title": "a title"})
    server.put(KEYS[0], picture())
    server.s3().delete_object(Bucket="raw", Key="deleted.jpg")
    wait_until(lambda: server.queue() == (0, 0), "everything is processed", server.log)
    return server


def refused(server):
    with pytest.raises(AssertionError):
        server.start()
    assert server.process.wait(10) == 1
    assert "tintype verify --rebuild" in server.log(5), server.log()


def rebuilt(server, before):
    """Rebuilds, starts, and compares what is there with what was there before."""
    told = run("verify", "--data", server.data)
    assert told.returncode == 1, told
    done = run("verify", "--rebuild", "--data", server.data)
    print(done.stdout)
    assert done.returncode == 0, done
    server.start()
    assert seen(server) == before
    for key in KEYS:
        server.wait_ready(key)
        assert server.get(f"/img/{encode_key(key)}/small.jpg").status == 200
    assert server.get("/img/deleted.jpg/small.jpg").status == 404
    assert server.stop() == 0
    assert run("verify", "--data", server.data).returncode == 0


def test_a_missing_database_stops_the_start_and_is_made_again(new_server):
    server = filled(new_server)
    before = seen(server)
    server.stop()
    kept = files(server.data)
    take_database_away(server.data)
    for _ in range(2):
        refused(server)
        assert files(server.data) == kept
    rebuilt(server, before)


@pytest.mark.parametrize("damage", ["empty", "cut", "overwritten"])
def test_a_damaged_database_is_made_again(new_server, damage):
    server = filled(new_server)
    before = seen(server)
    server.stop()
    database = server.data / "tintype.db"
    whole = database.read_bytes()
    broken = {"empty": b"", "cut": whole[: len(whole) // 3], "overwritten": b"x" * 8192 + whole[8192:]}[damage]
    database.write_bytes(broken)
    kept = files(server.data)
    refused(server)
    assert files(server.data) == kept
    rebuilt(server, before)


def test_a_log_that_is_lost_after_a_kill_loses_no_picture(new_server):
    server = filled(new_server)
    before = seen(server)
    server.kill()
    (server.data / "tintype.db-wal").unlink()
    (server.data / "tintype.db-shm").unlink()
    refused(server)
    rebuilt(server, before)


def test_an_older_database_meets_newer_pictures(new_server):
    server = filled(new_server)
    server.stop()
    shutil.copy(server.data / "tintype.db", server.data / "older.db")
    server.start()
    server.put(KEYS[1], pictures.small_jpeg(1))
    server.put("newer.jpg", pictures.small_jpeg(2), ContentType="image/jpeg")
    server.s3().delete_object(Bucket="raw", Key=KEYS[-1])
    wait_until(lambda: server.queue() == (0, 0), "everything is processed", server.log)
    before = seen(server)
    server.stop()
    take_database_away(server.data)
    (server.data / "older.db").rename(server.data / "tintype.db")
    refused(server)
    done = run("verify", "--rebuild", "--data", server.data)
    assert done.returncode == 0, done
    server.start()
    assert seen(server) == before
    server.wait_ready("newer.jpg")
    wait_until(lambda: server.queue() == (0, 0), "everything is processed", server.log)
    assert server.get(f"/img/{encode_key(KEYS[-1])}/small.jpg").status == 404


def test_a_backup_taken_under_load_is_a_working_data_folder(new_server, tmp_path):
    server = filled(new_server)
    stop = threading.Event()
    marks = []

    def load(name):
        client, number = server.s3(), 0
        while not stop.is_set():
            key = f"busy/{name}/{number % 4}.jpg"
            client.put_object(Bucket="raw", Key=key, Body=pictures.small_jpeg(number))
            if number % 5 == 4:
                client.delete_object(Bucket="raw", Key=key)
            number += 1

    threads = [threading.Thread(target=load, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(3):
            mark = f"mark {number}.jpg"
            server.put(mark, pictures.small_jpeg(1000 + number))
            marks.append(mark)
            done = run("backup", tmp_path / f"backup{number}", "--data", server.data)
            assert done.returncode == 0, done
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    again = run("backup", tmp_path / "backup0", "--data", server.data)
    assert again.returncode == 1 and "not empty" in again.stderr, again
    original = seen(server)
    server.stop()
    for number in range(3):
        restored = Server(tmp_path / f"backup{number}", QUICK_RECIPE)
        checked = run("verify", "--data", restored.data)
        assert checked.returncode == 0, checked
        restored.start()
        try:
            found = seen(restored)
            for key in [*KEYS, *marks[: number + 1]]:
                assert found[key] == original[key]
            wait_until(lambda restored=restored: restored.queue() == (0, 0), "all is processed", restored.log)
            for key in found:
                assert restored.image(key)["status"] == "ready", key
        finally:
            restored.stop()


def test_killed_workers_reject_no_picture(new_server):
    """As the kernel does when memory is short, and it chooses them first."""
    server = new_server(config=QUICK_RECIPE + "\n[render]\nworkers = 2\n[queue]\nretry_base_seconds = 0\n").start()
    stop = threading.Event()

    def kill():
        chance = random.Random(1)
        while not stop.is_set():
            workers = children(server.process.pid)
            if workers:
                try:
                    os.kill(chance.choice(workers), 9)
                except ProcessLookupError:
                    pass
            stop.wait(chance.uniform(0.0, 0.05))

    killer = threading.Thread(target=kill)
    killer.start()
    keys = [f"{number}.jpg" for number in range(10)]
    photo = pictures.jpeg(pictures.photo(1500, 1000))
    try:
        for key in keys:
            server.put(key, photo)
        wait_until(lambda: "ended from outside" in server.log(1000), "a worker was killed twice", server.log)
    finally:
        stop.set()
        killer.join()
    for key in keys:
        server.wait_ready(key)


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    if int(stat.read().rpartition(")")[2].split()[1]) == pid:
                        found.append(int(name))
            except OSError:
                continue
    return found
