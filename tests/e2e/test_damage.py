"""Files are removed, cut and altered below a running server: no wrong byte is sent, renditions are made again by
themselves, sources are told."""

import itertools
import sqlite3
import subprocess
import urllib.parse

import botocore.exceptions
import pytest

import pictures
from tintype import BINARY, HANG, QUICK_RECIPE, encode_key, wait_until

KEY = "some folder/ü +1.jpg"
PATH = f"/img/{encode_key(KEY)}/small.jpg"

# Every file is read again and again, as fast as it goes.
BUSY_SCRUB = QUICK_RECIPE + "\n[scrub]\nbytes_per_second = 100000000\ndays = 0\n"
NO_SCRUB = QUICK_RECIPE + "\n[scrub]\nbytes_per_second = 0\n[delivery]\ncache_bytes = 1\n"


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def cut_to_a_quarter(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 4])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)


def zero(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : len(content) // 4 + 64] = bytes(64)
    path.write_bytes(content)


ACCIDENTS = [remove, cut_to_a_quarter, empty, flip, zero]


def files(server, bucket):
    """The files of all objects, by their keys."""
    database = sqlite3.connect(f"file:{server.data / 'tintype.db'}?mode=ro", uri=True)
    rows = database.execute("SELECT key, file FROM objects WHERE bucket = ?", (bucket,)).fetchall()
    database.close()
    return {bytes(key).decode(): server.data / "objects" / file[:2] / file for key, file in rows}


def rendition(server, name):
    [path] = [path for key, path in files(server, 1).items() if key.endswith("/" + name)]
    return path


def metric(server, name):
    text = server.get("/metrics", Authorization=f"Bearer {server.token}").body.decode()
    [value] = [line.split()[-1] for line in text.splitlines() if line.startswith(name + " ")]
    return float(value)


def verify(server, *arguments):
    command = [str(BINARY), "verify", "--data", str(server.data), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG)


def told(server):
    return server.image(KEY)["source"].get("damage")


def quiet(server):
    return wait_until(lambda: server.queue() == (0, 0), "everything is processed", server.log)


def test_a_damaged_rendition_is_never_sent_and_is_made_again(new_server):
    server = new_server(config=NO_SCRUB).start()
    source = pictures.small_jpeg(1)
    server.put(KEY, source)
    before = server.wait_ready(KEY)
    # Read by nobody before the accident: what is in memory stays right.
    for accident, method in itertools.product([*ACCIDENTS, cut], ["GET", "HEAD"]):
        accident(rendition(server, "small.jpg"))
        good = None
        while good is None:
            # GET and HEAD agree, in whichever order they come; an altered file shows only when it is read.
            for asked in (method, "GET"):
                answer = server.request(asked, PATH)
                if answer.status == 503:
                    assert answer.headers["Retry-After"], accident
                    assert "ETag" not in answer.headers
                else:
                    assert answer.status == 200, (accident, answer)
                    if asked == "GET":
                        good = answer
        [wanted] = [
            made
            for made in before["published"]["renditions"]
            if (made["variant"], made["format"]) == ("small", "jpeg")
        ]
        assert good.headers["ETag"] == f'"{wanted["etag"]}"', accident
        assert len(good.body) == wanted["size_bytes"]
        assert pictures.decode(good.body).size == (wanted["width"], wanted["height"])
        quiet(server)
        after = server.wait_ready(KEY)
        assert after["published"]["version"] == before["published"]["version"]
        assert "last_attempt" not in after
        assert metric(server, 'tintype_damaged_files{bucket="renditions"}') == 0
    assert server.log(10_000).count("a stored file is damaged") == 2 * (len(ACCIDENTS) + 1)


def test_damage_that_nobody_meets_is_found_and_mended(new_server):
    server = new_server(config=BUSY_SCRUB).start()
    server.put(KEY, pictures.small_jpeg(2))
    before = server.wait_ready(KEY)
    for accident in ACCIDENTS:
        path = rendition(server, "tiny.webp")
        accident(path)
        wait_until(lambda: path not in files(server, 1).values(), f"{accident} is mended", server.log)
        quiet(server)
        answer = server.get(f"/img/{encode_key(KEY)}/tiny.webp")
        assert answer.status == 200
        wait_until(
            lambda: metric(server, 'tintype_damaged_files{bucket="renditions"}') == 0, "it is forgotten", server.log
        )
    assert server.wait_ready(KEY)["published"]["version"] == before["published"]["version"]
    assert metric(server, "tintype_scrub_passes_total") > 0


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_a_damaged_source_is_told_and_not_given_out(new_server, accident):
    server = new_server(config=BUSY_SCRUB).start()
    server.put(KEY, pictures.small_jpeg(3))
    server.put("whole.jpg", pictures.small_jpeg(4))
    server.wait_ready(KEY)
    picture = server.get(PATH)
    path = files(server, 0)[KEY]
    content = path.read_bytes()
    accident(path)
    wait_until(lambda: told(server), "the damage is told", server.log)
    assert metric(server, 'tintype_damaged_files{bucket="sources"}') == 1

    client = server.s3()
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        client.get_object(Bucket="raw", Key=KEY)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "are damaged" in refused.value.response["Error"]["Message"]
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        client.head_object(Bucket="raw", Key=KEY)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    with pytest.raises(botocore.exceptions.ClientError):
        client.copy_object(Bucket="raw", Key="copy.jpg", CopySource={"Bucket": "raw", "Key": KEY})
    assert client.get_object(Bucket="raw", Key="whole.jpg")["Body"].read() == pictures.small_jpeg(4)

    # Its renditions are whole, and stay, even when reprocessing is asked for.
    key = urllib.parse.quote(KEY.encode(), safe="")
    assert server.api("POST", f"/image/reprocess?key={key}").status == 202
    answer = server.get(PATH)
    assert (answer.status, answer.body) == (200, picture.body)
    assert server.get("/readyz").status == 200, "one picture is not the server"
    assert server.log(10_000).count("a stored file is damaged") == 1
    assert server.stop() == 0

    word = {remove: "gone", cut_to_a_quarter: "cut", empty: "cut"}.get(accident, "altered")
    verified = verify(server)
    assert verified.returncode == 1 and f"{word}: {KEY}" in verified.stdout, verified
    assert verify(server, "--sizes").returncode == (0 if word == "altered" else 1)

    server.start()
    assert told(server)
    assert server.stop() == 0
    path.write_bytes(content)
    server.start()
    wait_until(lambda: not told(server), "the file that was put back is used", server.log)
    assert server.s3().get_object(Bucket="raw", Key=KEY)["Body"].read() == pictures.small_jpeg(3)
