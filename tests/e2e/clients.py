"""S3 clients as somebody runs them who has sourced DATA/env, and the pages that say how."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from tintype import HANG, ROOT

VENV = pathlib.Path(sys.executable).parent
# Version 1 is what PyPI has, version 2 what Debian has. On Debian 12 that is 2.9.19, which does not read
# AWS_ENDPOINT_URL.
AWS_CLIS = {"aws-cli-1": f"{VENV}:{os.environ['PATH']}", "aws-cli-2": "/usr/bin:/bin"}
# The settings of rclone and s3cmd, in front of a script; s3cmd is then `s3`.
RCLONE = (
    'export RCLONE_S3_PROVIDER=Other RCLONE_S3_ENV_AUTH=true RCLONE_S3_REGION="$AWS_REGION" '
    'RCLONE_S3_ENDPOINT="$AWS_ENDPOINT_URL"'
)
S3CMD = 'address=${AWS_ENDPOINT_URL#*://}; export AWS_CREDENTIAL_FILE="$AWS_SHARED_CREDENTIALS_FILE"; ' + (
    's3() { s3cmd --config=none --no-ssl --host="$address" --host-bucket="$address" --region="$AWS_REGION" "$@"; }'
)
NODE_MODULES = ROOT / "tests/e2e/js/node_modules"


def run(server, script, *arguments, aws="aws-cli-1", cwd=None, input=None):
    """Runs a script of bash that finds DATA/env sourced, and these arguments."""
    return subprocess.run(
        ["bash", "-c", f'set -e; source "$0/env"; {script}', server.data, *map(str, arguments)],
        env={"PATH": AWS_CLIS[aws], "HOME": str(server.data)},
        cwd=cwd,
        input=input,
        capture_output=True,
        timeout=HANG,
    )


def output(*arguments, **options):
    """The output of such a script, which must succeed."""
    done = run(*arguments, **options)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def python(server, text, folder):
    """The output of a Python program that runs in this folder."""
    return output(server, 'exec "$1" -c "$2"', sys.executable, text, cwd=folder)


def javascript(server, text, folder):
    """The output of a JavaScript module that runs in this folder, with the packages of tests/e2e/js."""
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(NODE_MODULES)
    (folder / "program.mjs").write_text(text)
    # The folder that scripts/setup puts Node into when the machine's own is missing or too old.
    node = VENV / "node" if (VENV / "node").exists() else shutil.which("node")
    assert node, "node is missing: `scripts/setup test` installs it"
    return output(server, 'exec "$1" program.mjs', node, cwd=folder)


def blocks(page):
    """The fenced blocks of a Markdown page: heading, language and text of each."""
    found, heading = [], None
    for match in re.finditer(r"^#+ ([^\n]*)$|^```(\w+)\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S):
        if match[1]:
            heading = match[1]
        else:
            found.append((heading, match[2], match[3]))
    return found
