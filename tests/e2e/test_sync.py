"""An upload is acknowledged only when it would survive a power cut: shown by the system calls of the server.

`kill -9` cannot show this, because the kernel keeps what was written and never synced.
"""

import hashlib
import pathlib
import re
import subprocess

import pytest

import pictures
from tintype import QUICK_RECIPE, wait_until

TRACED = "openat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,fsync,fdatasync,msync,write,writev,pwrite64,pwritev,sendto,sendmsg"
LINE = re.compile(r"^(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<call>\w+)\()(?P<rest>.*)$")
FILE = re.compile(r"^\d+<(?P<path>[^>]*)>")


@pytest.fixture
def trace(tmp_path):
    """The strace command that writes to a file, if this machine lets processes be traced."""
    out = tmp_path / "trace"
    # -D: the server stays the direct child, so that signals reach it.
    command = ["strace", "-D", "-f", "-y", "-qq", "-s", "64", "-o", str(out), "-e", f"trace={TRACED}"]
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"processes cannot be traced here: {probe.stderr.strip()}")
    return command, out


class Call:
    """One system call: when it began and ended, as line numbers of the trace."""

    def __init__(self, name, rest, began):
        self.name = name
        self.rest = rest
        self.began = began
        self.ended = None
        match = FILE.match(rest)
        self.path = match and match["path"]

    def __repr__(self):
        return f"{self.name}({self.rest[:90]} at {self.began}..{self.ended}"


def calls(text):
    found, open_calls = [], {}
    for number, line in enumerate(text.splitlines()):
        match = LINE.match(line)
        if not match:
            continue
        if match["resumed"]:
            call = open_calls.pop(match["pid"], None)
            if call is not None:
                call.ended = number
                call.rest += match["rest"]
            continue
        call = Call(match["call"], match["rest"], number)
        found.append(call)
        if line.endswith("<unfinished ...>"):
            open_calls[match["pid"]] = call
        else:
            call.ended = number
    return found


def is_sync(call, path):
    return call.name in ("fsync", "fdatasync") and call.path == str(path)


def answers(traced):
    """Calls that send the head of a successful response."""
    return [call for call in traced if call.name.startswith(("write", "send")) and '"HTTP/1.1 200 ' in call.rest]


def traced_put(new_server, trace, key, send):
    """Starts a traced server, has `send` upload to it, and returns its calls from then on and its data folder."""
    command, out = trace
    server = new_server(config=QUICK_RECIPE, wrapper=command).start()
    client = server.s3()
    before = len(out.read_text(errors="replace").splitlines())
    send(client)
    wait_until(lambda: answers(calls(out.read_text(errors="replace"))), "the answer is in the trace")
    # The trace may lag behind the answer, never the other way round.
    server.stop()
    traced = [call for call in calls(out.read_text(errors="replace")) if call.began >= before]
    return traced, server.data


def stored_file(data, body):
    """The file that holds this body, and behind it what its row says of it."""
    files = [path for path in (pathlib.Path(data) / "objects").rglob("*") if path.is_file()]
    found = [path for path in files if path.name.endswith("s") and path.read_bytes().startswith(body)]
    assert len(found) == 1, found
    assert found[0].read_bytes().endswith(b"TINTYPE1")
    return found[0]


@pytest.mark.parametrize("size", [1, 300_000])
def test_file_folder_and_log_are_synced_before_the_answer(new_server, trace, size):
    body = hashlib.shake_256(b"synced").digest(size)
    traced, data = traced_put(
        new_server, trace, "synced.bin", lambda client: client.put_object(Bucket="raw", Key="synced.bin", Body=body)
    )
    answer = answers(traced)[0]
    file = stored_file(data, body)

    # While its bytes were written the file had other names: the last one is given after the commit.
    names = {str(file)}
    for call in reversed(traced):
        if call.name.startswith(("rename", "link")) and any(f'"{name}"' in call.rest for name in names):
            names |= set(re.findall(r'"([^"]+)"', call.rest))
    written = [call for call in traced if call.name.startswith(("write", "pwrite")) and call.path in names]
    assert written, "the body was written to its file"
    file_synced = [call for call in traced if any(is_sync(call, name) for name in names)]
    folder_synced = [call for call in traced if is_sync(call, file.parent)]
    assert file_synced and folder_synced, (file_synced, folder_synced)

    # The transaction that names the file: what is written to the log after the syncs, up to the log's own sync.
    log = data / "tintype.db-wal"
    log_synced = [call for call in traced if is_sync(call, log) and call.began > folder_synced[0].ended]
    assert log_synced, "the log is synced"
    committed = log_synced[0]
    log_written = [
        call
        for call in traced
        if call.name.startswith("pwrite")
        and call.path == str(log)
        and folder_synced[0].ended < call.began < committed.began
    ]
    for call in [*written, file_synced[0], folder_synced[0], *log_written, committed, answer]:
        print(call)
    assert max(call.ended for call in written) < file_synced[0].began, "all bytes, then the sync"
    assert file_synced[0].ended < folder_synced[0].began, "the file, then its folder"
    assert log_written, "the row is written after the file that it names is safe"
    assert max(call.ended for call in log_written) < committed.began, "the whole transaction, then its sync"
    assert committed.ended < answer.began, "everything, then the answer"


def test_a_multipart_upload_is_synced_before_it_is_complete(new_server, trace):
    body = pictures.small_jpeg(1)

    def send(client):
        upload = client.create_multipart_upload(Bucket="raw", Key="parts.jpg")["UploadId"]
        part = client.upload_part(Bucket="raw", Key="parts.jpg", UploadId=upload, PartNumber=1, Body=body)
        client.complete_multipart_upload(
            Bucket="raw", Key="parts.jpg", UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )  # fmt: skip

    traced, _ = traced_put(new_server, trace, "parts.jpg", send)
    done = answers(traced)
    assert len(done) == 3
    # Between two answers there is a commit: each of the three steps is durable before it is acknowledged.
    began = 0
    for answer in done:
        synced = [
            call
            for call in traced
            if call.name in ("fsync", "fdatasync")
            and call.path.endswith("-wal")
            and began <= call.began
            and call.ended < answer.began
        ]
        assert synced, f"nothing was committed before {answer}"
        began = answer.began
