"""The command line as people meet it first."""

import json
import subprocess

import pytest

import pictures
from tintype import BINARY, HANG


def run(*arguments, **options):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=HANG, **options)


@pytest.mark.parametrize("command", [[], ["serve"], ["transcode"], ["inspect"]])
def test_help_says_how_to_go_on(command):
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage: tintype" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["transcode", "a.jpg"],
        ["serve", "--listen", "nowhere"],
        ["serve", "--config", "no/such/file.toml"],
    ],
)
def test_bad_usage_exits_2_and_says_why(arguments, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert done.stdout == ""


def test_transcode_does_what_it_can_and_says_what_it_could_not(tmp_path):
    (tmp_path / "in/album").mkdir(parents=True)
    (tmp_path / "in/album/good.jpg").write_bytes(pictures.phone_jpeg(pictures.cornered(300, 400)))
    (tmp_path / "in/bad.jpg").write_bytes(b"not a picture")
    done = run("transcode", "in", "--out", "out", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    reports = {report["input"]: report for report in map(json.loads, done.stdout.splitlines())}
    assert reports["in/bad.jpg"]["status"] == "rejected"
    assert reports["in/bad.jpg"]["rejection"]["code"] == "unsupported_format"
    good = reports["in/album/good.jpg"]
    assert good["status"] == "processed" and len(good["renditions"]) == 9
    for rendition in good["renditions"]:
        image = pictures.decode((tmp_path / rendition["path"]).read_bytes())
        assert image.size == (rendition["width"], rendition["height"])
        pictures.assert_upright(image)
    assert (tmp_path / "out/album/good.jpg/medium.avif").exists()
    assert not (tmp_path / "out/bad.jpg").exists()


def test_mistakes_in_the_configuration_are_named(tmp_path):
    (tmp_path / "tintype.toml").write_text('[[variant]]\nname = "a/b"\n')
    done = run("serve", "--data", tmp_path, "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert "tintype.toml" in done.stderr and "a/b" in done.stderr
