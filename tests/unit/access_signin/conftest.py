"""What writes rows of every kind once runs on both databases."""

from collections.abc import Iterator

import pytest

from support.stores import KINDS, using


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield
