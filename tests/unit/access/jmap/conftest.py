"""What holds for JMAP holds on both databases. What has no SQL of its own is asked there by torture."""

from collections.abc import Iterator

import pytest

from support.stores import KINDS, using

ALWAYS = (
    "test_submissions", "test_sharing_and_quotas", "test_notifications", "test_mdns", "test_traces",
    "test_rules",
)  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if hasattr(metafunc.module, "database"):  # it says itself what it runs on
        return
    always = metafunc.module.__name__.rpartition(".")[2] in ALWAYS
    marks = () if always else (pytest.mark.torture,)
    kinds: list[object] = ["sqlite"]
    kinds += [pytest.param(kind, marks=marks) for kind in KINDS if kind != "sqlite"]
    metafunc.parametrize("database", kinds, indirect=True)


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield
