"""A deployment in MiniStack for people, until SIGTERM: `scripts/aws-stack start` runs it.

    serve.py FOLDER [--port PORT]

Writes FOLDER/state.json when everything is ready, and FOLDER/env with what a shell needs to use it.
"""

import argparse
import json
import pathlib
import signal
import socket
import threading

import processes
from deployment import Deployment
from emulator import Emulator


def preferred(port):
    """This port, or a free one when somebody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return processes.free_port()
    return port


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--port", type=int, default=8090, help="where browsers find the pictures")
    arguments = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())

    emulator = Emulator(arguments.folder)
    try:
        stack = Deployment(emulator, "tintype-demo", {"Environment": "demo"}, preferred(arguments.port))
        environment = emulator.environment(stack.deployer)
        exports = [f"export {name}='{value}'" for name, value in environment.items() if name.startswith("AWS_")]
        path = arguments.folder / "env"
        path.touch(mode=0o600)
        path.write_text("\n".join(exports) + "\n")
        state = {
            "pictures": stack.cdn,
            "endpoint": emulator.url,
            "ministack_pid": emulator.server.process.pid,
            **stack.outputs,
        }
        # Renamed into place, so that whoever waits for it reads all of it.
        ready = arguments.folder / "state.json.new"
        ready.write_text(json.dumps(state, indent=2) + "\n")
        ready.rename(arguments.folder / "state.json")
        done.wait()
    finally:
        emulator.stop()


if __name__ == "__main__":
    main()
