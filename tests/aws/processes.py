"""Starts servers on free loopback ports, waits until they answer, and ends them by their pid."""

import pathlib
import shutil
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-aws/bin"
# Seconds after which a test is taken for hung. It is a watchdog and nothing else: no test asserts a time, and what takes
# milliseconds on an idle machine must not come near this on a busy one.
HANG = 600


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, what, pause=0.02, explain=lambda: ""):
    """Asks until the answer is true; what it was is returned. `explain` tells what was there instead."""
    deadline = time.monotonic() + HANG
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"hangs, not even within {HANG} s: {what}\n{explain()}")
        time.sleep(pause)


def tool(name):
    """A program of the harness's own Python environment, else of the machine."""
    own = VENV / name
    found = str(own) if own.exists() else shutil.which(name)
    assert found, f"{name} is missing: `scripts/setup aws` installs it"
    return found


class Process:
    """A server whose output goes to a file. `ready` is asked until it answers true."""

    def __init__(self, command, environment, log, ready):
        self.log_path = pathlib.Path(log)
        with open(self.log_path, "ab") as output:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            wait_until(lambda: self._answers(ready), f"{command[0]} answers", explain=self.log)
        except BaseException:
            self.stop()
            raise

    def _answers(self, ready):
        assert self.process.poll() is None, f"ended with {self.process.returncode}\n{self.log()}"
        return ready()

    def log(self, lines=80):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
