"""The confinement of rendering processes: what gets out of one, and what the server tells of it."""

import json
import os
import subprocess

import pytest

from tintype import BINARY

NOBODY = 65534


def as_user(user: int | None) -> dict[str, object]:
    """Arguments of subprocess.run for another user than the one who runs the tests."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


@pytest.mark.parametrize("user", [None, NOBODY])
def test_nothing_gets_out_of_a_rendering_process(user, tmp_path):
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can start a program as another user")
    # A copy that every user can execute, wherever the checkout is.
    program = tmp_path / "tintype"
    program.write_bytes(BINARY.read_bytes())
    program.chmod(0o755)
    for folder in [tmp_path, *tmp_path.parents[:2]]:
        folder.chmod(folder.stat().st_mode | 0o111)
    done = subprocess.run(
        [program, "jail", "--self-test", "--json"], capture_output=True, text=True, cwd="/", **as_user(user)
    )
    told = json.loads(done.stdout)
    escapes = [attempt for attempt in told["attempts"] if not attempt["is_refused"]]
    assert escapes == [], told["level"]
    assert done.returncode == 0, done.stderr
    assert len(told["attempts"]) >= 40
    assert told["missing"] == [] or told["level"] != "full"


def test_the_server_tells_the_level_that_the_command_tells(server):
    level = json.loads(subprocess.run([BINARY, "jail", "--json"], capture_output=True, check=True).stdout)
    health = server.get("/healthz").json()
    assert health["jail"] == level["level"]
    assert set(level["steps"]) <= set(health["jail_steps"])
    metrics = server.get("/metrics", Authorization=f"Bearer {server.token}").body.decode()
    assert f'tintype_jail_info{{level="{level["level"]}"}} 1' in metrics


def test_a_level_that_is_not_reached_stops_the_start(tmp_path):
    level = json.loads(subprocess.run([BINARY, "jail", "--json"], capture_output=True, check=True).stdout)
    config = tmp_path / "tintype.toml"
    config.write_text('[jail]\nlevel = "full"\n')
    done = subprocess.run([BINARY, "jail", "--config", config], capture_output=True, text=True)
    assert (done.returncode == 0) == (level["level"] == "full"), done.stderr
    if done.returncode:
        assert level["missing"][0] in done.stderr
    config.write_text('[jail]\nlevel = "fulll"\n')
    wrong = subprocess.run([BINARY, "jail", "--config", config], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "available" in wrong.stderr and "full" in wrong.stderr
