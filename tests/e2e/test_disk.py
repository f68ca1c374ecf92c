"""A disk that is full, and a database that is damaged: what still works, and who is told."""

import contextlib
import os
import signal
import sqlite3
import subprocess

import pytest

import pictures
from tintype import QUICK_RECIPE, wait_until


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MB, if this machine lets one be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Takes all the room there is, to the last block; the file that has it."""
    path = folder / "filler"
    with open(path, "ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                pass
    assert os.statvfs(folder).f_bfree == 0
    return path


def ready(server):
    answer = server.get("/readyz")
    return answer.status, answer.body.decode()


def serving(new_server, keys, config=""):
    """A server on the small disk that has published these pictures and has its reserve."""
    server = new_server("disk/data", QUICK_RECIPE + config).start()
    for seed, key in enumerate(keys):
        server.put(key, pictures.small_jpeg(seed))
    for key in keys:
        server.wait_ready(key)
    wait_until((server.data / "reserve").exists, "a reserve", log=server.log)
    return server


def wait_for_room(server, filler):
    """Gives all the room back, and waits until the server has seen it."""
    filler.unlink()
    wait_until(lambda: ready(server)[0] == 200, "ready again", log=server.log)


def test_a_full_disk_stops_uploads_and_nothing_else(new_server, small_disk):
    keys = [f"{number}.jpg" for number in range(4)]
    server = serving(new_server, keys)
    filler = fill(small_disk)
    for _ in range(3):
        status, said = ready(server)
        assert status == 503 and "the disk is full" in said
        with pytest.raises(server.s3().exceptions.ClientError):
            server.put("new.jpg", pictures.small_jpeg(9))
    assert server.get("/healthz").status == 200
    assert server.get("/img/0.jpg/small").status == 200

    server.s3().delete_object(Bucket="raw", Key="0.jpg")
    assert server.api("DELETE", "/image?key=1.jpg").status == 202
    for key in ("0.jpg", "1.jpg"):
        wait_until(lambda: server.get(f"/img/{key}/small").status == 404, f"{key} is gone", log=server.log)
    wait_for_room(server, filler)
    server.put("new.jpg", pictures.small_jpeg(9))
    server.wait_ready("new.jpg")
    assert (server.data / "reserve").exists(), "the reserve is there again"
    assert server.stop() == 0
    log = server.log(lines=10_000)
    assert log.count("the disk is full: ") == 1, log
    assert log.count("there is room on the disk again") == 1, log


def test_several_deletes_in_one_request_find_room(new_server, small_disk):
    keys = [f"{number}.jpg" for number in range(4)]
    server = serving(new_server, keys)
    filler = fill(small_disk)
    wanted = {"Objects": [{"Key": key} for key in keys[:3]]}
    answer = server.s3().delete_objects(Bucket="raw", Delete=wanted)
    assert "Errors" not in answer, answer
    assert sorted(deleted["Key"] for deleted in answer["Deleted"]) == keys[:3]
    for key in keys[:3]:
        wait_until(lambda: server.get(f"/img/{key}/small").status == 404, f"{key} is gone", log=server.log)
    assert server.get(f"/img/{keys[3]}/small").status == 200
    wait_for_room(server, filler)
    assert server.stop() == 0


def test_a_full_disk_does_not_stop_the_start(new_server, small_disk):
    server = serving(new_server, ["a.jpg", "b.jpg"])
    assert server.stop() == 0
    filler = fill(small_disk)
    server.start()
    assert server.get("/img/a.jpg/small").status == 200
    assert server.api("DELETE", "/image?key=a.jpg").status == 202
    wait_until(lambda: server.get("/img/a.jpg/small").status == 404, "gone", log=server.log)
    server.kill()
    fill(small_disk)
    server.start()
    assert server.get("/img/b.jpg/small").status == 200
    wait_for_room(server, filler)
    assert server.stop() == 0


def test_a_full_disk_does_not_stop_a_start_with_work_in_hand(new_server, small_disk):
    """The processes that render are stopped, so that the server is killed while it has the job. The log of the database
    is cut, so that writing that the job is nobody's needs room, and the reserve was used up before."""
    server = serving(new_server, ["a.jpg"], "[render]\nworkers = 1\n")
    for process in server.renderers():
        os.kill(process, signal.SIGSTOP)
    server.put("b.jpg", pictures.small_jpeg(2))

    def in_hand():
        figures = server.get("/metrics", Authorization=f"Bearer {server.token}").body.decode()
        return 'tintype_queue_jobs{state="leased"} 1\n' in figures

    wait_until(in_hand, "in hand", log=server.log)
    server.kill()
    (server.data / "reserve").unlink()
    with contextlib.closing(sqlite3.connect(server.data / "tintype.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        filler = fill(small_disk)
        server.start()
    assert server.get("/img/a.jpg/small").status == 200
    assert server.get("/img/b.jpg/small").status == 202
    assert "the jobs in hand are taken up later" in server.log(lines=10_000)
    wait_for_room(server, filler)
    assert server.stop() == 0


def test_a_start_writes_only_what_has_changed(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    assert server.stop() == 0
    before = {name: os.stat(server.data / name).st_ino for name in ("config", "credentials", "admin-token")}
    server.start()
    assert {name: os.stat(server.data / name).st_ino for name in before} == before
    assert f"'{server.url}'" in (server.data / "env").read_text()
    assert server.stop() == 0


def test_a_damaged_database_is_told(new_server):
    server = new_server(config=QUICK_RECIPE).start()
    for number in range(50):
        server.put(f"{number}.txt", b"not a picture")
    assert ready(server)[0] == 200
    database = server.data / "tintype.db"
    # The rest of the log is written to the file when the server stops.
    assert server.stop() == 0
    server.start()
    size = database.stat().st_size
    with open(database, "r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))
    wait_until(lambda: ready(server)[0] == 503, "damage is told", log=server.log)
    assert "database" in ready(server)[1]
    assert server.get("/healthz").status == 200
