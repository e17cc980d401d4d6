"""What holds for the directory holds on both databases."""

from collections.abc import Iterator

import pytest

from support.stores import KINDS, using


@pytest.fixture(params=KINDS, autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield
