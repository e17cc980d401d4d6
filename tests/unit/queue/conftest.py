"""What holds for the queue holds on both databases. What takes long there is for torture."""

from collections.abc import Iterator

import pytest

from support.stores import KINDS, using

ALWAYS = (
    "test_queue_accept",
    "test_queue_local",
    "test_queue_orphans",
    "test_queue_verbs",
    "test_queue_selection",
    "test_queue_alerts",
    "test_queue_vacations",
    "test_queue_rules",
)
SLOW = (  # days of virtual time, with a lease renewed in every minute of them
    "test_a_message_is_held_released_and_tried_now",
    "test_releasing_one_recipient_of_a_held_message_keeps_the_others_held",
    "test_who_is_in_hand_when_its_message_is_held_is_held_when_it_comes_back",
    "test_what_is_in_hand_for_long_is_left_alone",
    "test_a_person_gets_one_answer_in_seven_days",
    "test_two_who_are_away_do_not_answer_each_other",
)
NEVER = (
    "test_looks_at_the_rows_are_led_by_an_index",  # it reads SQLite's own plan
    # They break an operation once, and PostgreSQL's commit runs a broken batch once more.
    "test_a_delivery_that_breaks_down_is_taken_up_again",
    "test_a_full_disk_while_recipients_are_given_back_leaves_none_behind",
)


ALSO = (  # of modules that take long: what has SQL of its own and does not wait for days
    "test_a_time_that_is_over_lets_a_message_go_at_once",
    "test_only_who_names_the_message_sends_it_early",
    "test_a_relay_is_told_where_it_was_asked_for_or_the_time_is_lost",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kinds: list[object] = ["sqlite"]
    name = metafunc.function.__name__
    if name not in NEVER:
        always = metafunc.module.__name__.rpartition(".")[2] in ALWAYS and name not in SLOW
        always = always or name in ALSO
        marks = () if always else (pytest.mark.torture,)
        kinds += [pytest.param(kind, marks=marks) for kind in KINDS if kind != "sqlite"]
    metafunc.parametrize("database", kinds, indirect=True)


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield
