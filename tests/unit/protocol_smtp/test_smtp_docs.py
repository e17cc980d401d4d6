"""The protocol table says all that EHLO says."""

from __future__ import annotations

from pathlib import Path

import pytest

from postillon.protocol.sasl.server import offered
from postillon.protocol.smtp.server import Offer

DOCS = Path(__file__).parents[3] / "docs" / "smtp.md"
ALL = Offer(
    max_size=1,
    starttls=True,
    mechanisms=offered(scram=True, binding=b"x"),
    max_recipients=1,
    max_transactions=1,
    least_by=60,
    longest_hold=1,
    hold_until="2026-01-01T00:00:00Z",
)


def table() -> str:
    """The first column of the protocol table."""
    rows = DOCS.read_text().partition("## Protocol table")[2].splitlines()
    return "\n".join(row.split("|")[1] for row in rows if row.startswith("|"))


@pytest.mark.parametrize("keyword", [line.split()[0] for line in ALL.keywords()])
def test_what_is_advertised_stands_in_the_protocol_table(keyword: str) -> None:
    assert keyword in table()


@pytest.mark.parametrize("mechanism", ALL.mechanisms)
def test_every_mechanism_stands_in_the_protocol_table(mechanism: str) -> None:
    name, plus, _ = mechanism.partition("-PLUS")
    assert name in table()
    assert plus in table()
