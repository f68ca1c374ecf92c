"""`make demo`, the first thing that anybody runs."""

import os
import pathlib
import re
import signal
import subprocess

import requests

import pictures
from tintype import HANG, ROOT


def demo(tmp_path, **environment):
    # Its data folders are made under TMPDIR.
    return subprocess.Popen(
        ["make", "--silent", "demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_the_demo_shows_each_format_and_cleans_up(tmp_path):
    photo = tmp_path / "my photo & ü.jpg"
    photo.write_bytes(pictures.phone_jpeg(pictures.cornered(600, 800)))
    process = demo(tmp_path, DEMO_ONCE="1", PHOTO=str(photo))
    output, _ = process.communicate(timeout=3 * HANG)
    assert process.returncode == 0, output
    assert output.count("uploaded and ready in") == 5, output
    for client, media_type in [("Chrome", "image/avif"), ("Safari 15", "image/webp"), ("curl", "image/jpeg")]:
        assert len(re.findall(rf"^ +{client} +{media_type} +\d+ bytes$", output, re.M)) == 5, output
    assert output.rstrip().endswith("all checks passed")
    assert [path.name for path in tmp_path.iterdir()] == [photo.name], "nothing is left behind"


def test_the_demo_serves_until_it_is_interrupted(tmp_path):
    process = demo(tmp_path)
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith("Serving until Ctrl-C"):
            break
    urls = re.findall(r"http://\S+", output)
    pictures_to_open = [url for url in urls if url.endswith("/medium")]
    assert len(pictures_to_open) == 4, output
    for url in pictures_to_open:
        answer = requests.get(url, timeout=HANG)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "image/jpeg"
    sign_in = [url for url in urls if "/admin/login?token=" in url]
    page = requests.get(sign_in[0], timeout=HANG)
    assert page.status_code == 200 and "text/html" in page.headers["Content-Type"]
    assert "phone-upright.jpg" in page.text
    server = re.search(r"source (\S+)/data/env", output)[1]
    # As a terminal does on Ctrl-C: every process in the foreground gets the signal.
    os.killpg(process.pid, signal.SIGINT)
    process.stdout.read()
    process.wait(HANG)
    assert not pathlib.Path(server).exists()
