"""Whatever a peer, a sender or an administrator wrote, a report is a report, and says only its own."""

from __future__ import annotations

from email import message_from_bytes

from hypothesis import given, settings
from hypothesis import strategies as st

from postillon.mail.address import parse_address
from postillon.mail.cause import cause_of
from postillon.mail.mime import scan
from postillon.mail.outcome import Reply, Status
from postillon.mail.report import (
    Action,
    Original,
    Report,
    Reported,
    compose_report,
    compose_summary,
)
from postillon.mail.wording.languages import WORDINGS, choose, listed

AT = 1_764_000_000_000  # ms
wild = st.text(
    st.one_of(st.characters(), st.sampled_from("\r\n\0\t {}:;<>=?\\\u2028\u202e\udc80é文")),
    max_size=600,
)
replies = st.builds(
    Reply,
    st.integers(400, 599),
    st.just("") | st.from_regex(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True),
    st.lists(wild, min_size=1, max_size=4).map(tuple),
)
statuses = st.builds(
    Status,
    st.from_regex(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True),
    wild,
    st.none() | replies,
    wild,
)
FIELDS = {
    "Reporting-MTA", "Arrival-Date", "Original-Envelope-Id", "Original-Recipient",
    "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date",
    "Will-Retry-Until",
}  # fmt: skip
times = st.none() | st.integers(0, 2**43)


addresses = st.sampled_from(
    [
        parse_address(f"{local}@example.net")
        for local in ("bob", "grün", "文" * 20, '"{whom} x"', '"a\\"b"')
    ]
)


@st.composite
def recipients(draw: st.DrawFn, action: Action) -> Reported:
    status = draw(statuses)
    return Reported(
        draw(addresses), action, status, draw(st.just("") | wild), cause_of(status),
        draw(st.just("") | wild), draw(st.integers(0, 99)), draw(times), draw(times), draw(times),
        draw(times), draw(times), draw(times),
    )  # fmt: skip


originals = st.builds(
    Original,
    st.binary(max_size=300),
    st.none() | st.binary(max_size=300),
    st.just("<one@example.org>"),
    st.just(()),
    wild,
    wild,
    st.integers(0, 2**43),
    st.integers(-840, 840),
)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(list(Action)), st.sampled_from(list(WORDINGS)), originals)
def test_any_words_make_a_report_with_one_group_for_each_recipient(
    data: st.DataObject, action: Action, language: str, original: Original
) -> None:
    told = data.draw(st.lists(recipients(action), min_size=1, max_size=4))
    to = data.draw(addresses)
    common = {
        "hostname": "mail.example.org", "to": to, "now": AT, "message_id": "<x@mail.example.org>",
        "boundary": "=_aboundarythatnobodyguesses", "wording": WORDINGS[language],
    }  # fmt: skip
    report = compose_report(recipients=told, original=original, **common)  # type: ignore[arg-type]
    summary = compose_summary(messages=[(original, told)], more=3, **common)  # type: ignore[arg-type]
    for made, number in ((report, 3), (summary, 2)):
        whole = message_from_bytes(made.content)
        assert whole.get_content_type() == "multipart/report"
        parts = whole.get_payload()
        assert isinstance(parts, list)
        assert len(parts) == number
        assert len(groups(made)) == 1 + len(told)
        assert all(f"Action: {action.value}" in group for group in groups(made)[1:])
        if not made.eight_bit:
            assert made.content.isascii()
    lines = summary.content.split(b"\r\n")
    assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in lines)
    assert scan(report.content).digest.in_reply_to == b"<one@example.org>"


def groups(made: Report) -> list[list[str]]:
    """The fields for programs, unfolded, one list for the message and for each recipient."""
    part = made.content.split(b"--=_aboundarythatnobodyguesses")[2].removeprefix(b"\r\n")
    found: list[list[str]] = [[]]
    for line in part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n").split(b"\r\n"):
        text = line.decode()
        if not text:
            found.append([])
        elif text.startswith(" "):
            found[-1][-1] += text
        else:
            assert text.partition(":")[0] in FIELDS
            found[-1].append(text)
    return [group for group in found if group]


@given(st.binary(max_size=400))
def test_any_header_names_languages_or_none(value: bytes) -> None:
    assert choose(listed(value)).language in WORDINGS
