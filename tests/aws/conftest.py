import pytest

import emulator
from deployment import Deployment


def pytest_collection_modifyitems(items):
    """Puts the tests of the whole session last, behind those that delete the stack."""
    order = {"test_lifecycle.py": 1, "test_iam.py": 2}
    items.sort(key=lambda item: order.get(item.path.name, 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what MiniStack and the functions had to say."""
    report = yield
    if report.when == "call" and report.failed and "tintype" in getattr(item, "funcargs", {}):
        report.sections.append(("MiniStack", item.funcargs["tintype"].emulator.server.log(200)))
    return report


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    """MiniStack behind the proxy, for the whole session."""
    cloud = emulator.Emulator(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.stop()


@pytest.fixture(scope="session")
def tintype(cloud):
    """The shipped template and binaries, deployed once for the whole session."""
    return Deployment(cloud)


@pytest.fixture
def calm(tintype):
    """The test's faults end with it."""
    yield tintype.emulator.proxy.faults
    tintype.emulator.proxy.faults.calm()
