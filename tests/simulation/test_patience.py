"""The table of docs/queue.md holds within 5 %: the real queue, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.simulation.measure import OUTAGES, Row, computed, many, one_each
from tests.simulation.others import MODELS
from tests.simulation.table import others, outage

PAGE = Path(__file__).parents[2] / "docs" / "queue.md"
SHORT = (300, 900, 1_800)  # seconds; what the default run measures again
TOLERANCE = 0.05


def kept(length: int) -> list[float]:
    """The numbers of an outage's row in the measured table."""
    lines = PAGE.read_text().split("| Outage | 1 message", 1)[1].splitlines()
    row = next(line for line in lines if line.startswith(f"| {outage(length)} |"))
    return [float(cell.split()[0].replace(",", "")) for cell in row.split("|")[2:-1]]


def close(measured: float, expected: float) -> bool:
    return abs(measured - expected) <= max(TOLERANCE * expected, 0.5)  # 0.5: as it is rounded


def check_one(length: int) -> Row:
    row = one_each(length)
    wait, missed = kept(length)[:2]
    assert close(row.wait, wait)
    assert close(row.missed, missed)
    assert row.made == 1
    return row


def check_many(length: int, first: Row) -> None:
    row = many(length, first.wait)
    assert row.made is not None
    for measured, expected in zip(
        (row.wait, row.last, row.missed, row.made), kept(length)[2:], strict=True
    ):
        assert close(measured, expected)


@pytest.mark.parametrize("length", SHORT)
def test_short_outages_cost_what_the_table_says(length: int) -> None:
    check_one(length)


def test_a_thousand_messages_share_the_probes_of_one() -> None:
    wait = kept(SHORT[0])[0]
    check_many(SHORT[0], Row(wait, wait, 0))


@pytest.mark.torture
@pytest.mark.timeout(600)
@pytest.mark.parametrize("length", OUTAGES)
def test_every_outage_costs_what_the_table_says(length: int) -> None:
    check_many(length, check_one(length))


def test_the_other_servers_rows_are_what_their_schedules_make() -> None:
    page = PAGE.read_text()
    for line in others(1):
        assert line in page


def test_a_schedule_gives_up_or_delivers_each_message_and_never_before_the_end() -> None:
    for model in MODELS.values():
        for length in OUTAGES:
            row = computed(model, length, 20, samples=3)
            assert 0 <= row.lost <= 20
            assert row.wait >= 0
            assert row.missed >= 1
