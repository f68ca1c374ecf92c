"""deploy/smoke.py, which `make aws-smoke` runs against a real environment, can pass and can fail.

Here it runs against MiniStack, with the checks that MiniStack can pass; docs/aws-unproved.md names every check.
"""

import re
import subprocess
import sys

import pytest

from processes import HANG, ROOT

SMOKE = ROOT / "deploy" / "smoke.py"
# The others look at what MiniStack does not have: caches, TLS of its own, 404s of CloudFront, Lambda's reports.
HERE = ["pipeline", "formats", "smallest", "immutable", "private", "api", "presigned", "rejected", "redriven",
        "burst"]


def listed():
    said = subprocess.run([sys.executable, SMOKE, "--list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in said.splitlines()]


def run(tintype, **variables):
    environment = tintype.emulator.environment(tintype.deployer) | {
        "STACK": tintype.name, "PUBLIC_URL": tintype.cdn, "PATIENCE": "10", **variables,
    }
    return subprocess.run([sys.executable, SMOKE], env=environment, capture_output=True, text=True, timeout=2 * HANG, check=False)


def test_every_check_is_in_the_list_of_what_is_unproved_and_the_other_way_round():
    page = (ROOT / "docs" / "aws-unproved.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row[4])}
    assert named == set(listed())


def test_the_checks_pass_where_the_emulator_does_what_aws_does(tintype):
    done = run(tintype, ONLY=" ".join(HERE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^(\w+) +ok$", done.stdout, re.MULTILINE) == HERE
    # It clears up after itself.
    assert not tintype.objects(tintype.raw, "smoke/")


def test_a_check_that_does_not_hold_fails_the_run(tintype):
    # Nobody listens for plain HTTP where the pictures' host is.
    done = run(tintype, ONLY="formats https")
    assert done.returncode == 1
    assert re.search(r"^formats +ok$", done.stdout, re.MULTILINE) and "https        FAILED" in done.stdout


def test_a_check_that_is_not_there_is_told(tintype):
    done = run(tintype, ONLY="colour")
    assert done.returncode == 2 and "no such check: colour" in done.stderr
