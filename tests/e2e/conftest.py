import pathlib

import pytest

import bucket
import tintype
from tintype import BINARY, Server


def pytest_configure():
    if not BINARY.exists():
        raise pytest.UsageError(f"{BINARY} is missing: `make test` builds it")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its server had to say."""
    report = yield
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Server):
                report.sections.append(("server", value.log()))
    return report


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server with the default configuration for all tests of a module."""
    server = Server(tmp_path_factory.mktemp("server") / "data").start()
    yield server
    if server.is_running():
        assert server.stop() == 0, server.log()


@pytest.fixture(scope="module")
def quick_server(tmp_path_factory):
    """One server with a recipe that costs little, for all tests of a module."""
    server = Server(tmp_path_factory.mktemp("quick") / "data", tintype.QUICK_RECIPE).start()
    yield server
    if server.is_running():
        assert server.stop() == 0, server.log()


@pytest.fixture
def new_server(tmp_path):
    """Makes servers that no other test sees, and ends them."""
    servers = []

    def make(name="data", config=None, wrapper=()):
        servers.append(Server(pathlib.Path(tmp_path) / name, config, wrapper))
        return servers[-1]

    yield make
    for server in servers:
        if server.is_running():
            server.kill()


@pytest.fixture
def client(quick_server):
    return quick_server.s3()


@pytest.fixture
def prefix(request, client):
    """A prefix of the test's own; what is left under it is deleted."""
    prefix = request.node.name.split("[")[0] + "/"
    yield prefix
    bucket.delete_all(client, prefix)
