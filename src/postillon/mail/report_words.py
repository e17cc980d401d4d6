"""What people read of a delivery report, in the words of a catalogue.

First what it is about, then for each class of failure what happened and what the sender can do, then
the history of each recipient in three lines: the first try, how many there were, the last answer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from postillon.mail.compose import WIDTH
from postillon.mail.report_facts import MAX_WORDS, Action, Original, Reported
from postillon.mail.wording.catalogue import Cause, Plural, Wording
from postillon.mail.words import clean

MAX_SHOWN = 200  # characters of a subject
MAX_LISTED = 50  # messages a summary tells of one by one
MAX_NAMED = 3  # recipients of each that it names
GAP = "  "

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 24 * 3_600_000  # ms


def subject_of(wording: Wording, recipients: Sequence[Reported]) -> str:
    """The Subject of a report on recipients that share an action."""
    text = {
        Action.FAILED: wording.subject_failed,
        Action.DELAYED: wording.subject_delayed,
        Action.DELIVERED: wording.subject_delivered,
        Action.RELAYED: wording.subject_relayed,
        Action.EXPANDED: wording.subject_expanded,
    }[recipients[0].action]
    return text.format(whom=_whom(wording, [one.shown for one in recipients], named=1))


def summary_subject(wording: Wording, count: int) -> str:
    return wording.count(wording.subject_summary, count)


def words_of(
    wording: Wording, hostname: str, recipients: Sequence[Reported], original: Original
) -> str:
    """The first part of a report: lines of at most WIDTH characters where words allow."""
    lines = [*_wrap(_opening(wording, recipients)), ""]
    if about := _about(wording, original):
        lines += [*about, ""]
    if recipients[0].action in (Action.FAILED, Action.DELAYED):
        groups: dict[tuple[object, str], list[Reported]] = {}
        for one in recipients:
            groups.setdefault((one.cause, one.note), []).append(one)
        for group in groups.values():
            lines += _explained(wording, group, original.offset, named=len(groups) > 1)
    elif len(recipients) > 1:
        lines += [*(f"{GAP}{one.shown}" for one in recipients), ""]
    return _signed(wording, hostname, lines)


def summary_words(
    wording: Wording,
    hostname: str,
    messages: Sequence[tuple[Original, Sequence[Reported]]],
    more: int,
) -> str:
    """The first part of a report on several messages. more: how many it does not name."""
    opening = wording.count(wording.opening_summary, len(messages) + more)
    lines = [*_wrap(opening), ""]
    for original, recipients in messages[:MAX_LISTED]:
        to = _whom(wording, [one.shown for one in recipients], named=MAX_NAMED)
        lines += _about(wording, original, (wording.label_to, to))
        for text in dict.fromkeys(_what(wording, one) for one in recipients):
            lines += _wrap(text, GAP)
        for text in list(dict.fromkeys(_said(wording, one) for one in recipients))[:MAX_NAMED]:
            lines += _wrap(text, GAP)
        lines.append("")
    left = max(0, len(messages) - MAX_LISTED) + more
    if left:
        lines += [*_wrap(wording.count(wording.summary_left_out, left)), ""]
    return _signed(wording, hostname, lines)


# Parts of the text ---------------------------------------------------------------------------------


def _opening(wording: Wording, recipients: Sequence[Reported]) -> str:
    first = recipients[0]
    forms: Plural = {
        Action.FAILED: wording.opening_failed,
        Action.DELAYED: wording.opening_delayed,
        Action.DELIVERED: wording.opening_delivered,
        Action.RELAYED: wording.opening_relayed,
        Action.EXPANDED: wording.opening_expanded,
    }[first.action]
    span = ""
    if first.action is Action.FAILED and all(one.expired_after for one in recipients):
        forms = wording.opening_expired
        span = _span(wording, max(one.expired_after or 0 for one in recipients))
    if len(recipients) > 1:
        return wording.count(forms, len(recipients), span=span)
    return forms[0].format(whom=first.shown, span=span)


def _about(wording: Wording, original: Original, *others: tuple[str, str]) -> list[str]:
    facts = [
        (wording.label_subject, clean(original.subject)[:MAX_SHOWN]),
        *others,
        (
            wording.label_sent,
            _when(wording, original.arrived_at, original.offset) if original.arrived_at else "",
        ),
    ]
    return _labelled([(label, value) for label, value in facts if value], GAP)


def _explained(
    wording: Wording, group: Sequence[Reported], offset: int, *, named: bool
) -> list[str]:
    """All about the recipients whose failure has one cause. named: their addresses come first."""
    first = group[0]
    lines = [f"{one.shown}" for one in group] + [""] if named else []
    lines += [wording.what_happened, *_wrap(_what(wording, first), GAP), ""]
    if first.action is Action.FAILED:
        advice = wording.causes[first.cause].advice
        lines += [wording.what_to_do, *_wrap(advice, GAP), ""]
    histories: dict[tuple[str, ...], list[str]] = {}
    for one in group:
        histories.setdefault(tuple(_history(wording, one, offset)), []).append(one.shown)
    if any(histories):
        lines.append(wording.what_was_tried)
    for history, addresses in histories.items():
        if not history:
            continue
        lines += [f"{GAP}{address}" for address in addresses]
        lines += [*history, ""]
    return lines


def _what(wording: Wording, one: Reported) -> str:
    text = wording.causes[one.cause].what
    if one.note:
        note = wording.administrator.format(text=clean(one.note)[:MAX_WORDS])
        return f"{text} {note}"
    return text


def _history(wording: Wording, one: Reported, offset: int) -> list[str]:
    """The first try, how many there were, the last answer; for one that waits, what comes next."""
    facts = []
    began = one.first_try_at if one.down_since is None else one.down_since
    if began is not None and one.last_try_at is not None and one.tries:
        label = wording.label_first_try if one.down_since is None else wording.label_down_since
        facts.append((label, _when(wording, began, offset)))
        span = max(0, one.last_try_at - began)  # the clock may have been set back
        forms = wording.tries_over if one.down_since is None else wording.tries_for_all
        if one.down_since is None and (one.tries == 1 or span < _MINUTE):
            forms = wording.tries
        tries = wording.count(forms, one.tries, span=_span(wording, span))
        facts.append((wording.label_tries, tries))
        moment = _when(wording, one.last_try_at, offset)
        facts.append((_answer_label(wording, one), f"{moment}\n{_said(wording, one)}"))
    elif said := _said(wording, one):
        facts.append((_answer_label(wording, one), said))
    if one.status.remote is None and one.status.text and one.cause is not Cause.ADMINISTRATOR:
        detail = f"{clean(one.status.text).rstrip('.')[:MAX_WORDS]} ({one.status.code})"
        facts.append((wording.label_detail, detail))
    if one.action is Action.DELAYED:
        if one.next_try_at is not None:
            facts.append((wording.label_next_try, _when(wording, one.next_try_at, offset)))
        if one.give_up_at is not None:
            facts.append((wording.label_give_up, _when(wording, one.give_up_at, offset)))
    return _labelled(facts, GAP * 2)


def _said(wording: Wording, one: Reported) -> str:
    """Who answered what at last, or was asked in vain; "" when nobody was asked."""
    host = clean(one.status.host)
    if one.answer:
        return wording.said.format(host=host or "?", words=one.answer)
    if one.cause is Cause.UNREACHABLE and host:
        return wording.no_words.format(host=host)
    return host  # it did answer, but we cannot or must not send: the technical detail says why


def _answer_label(wording: Wording, one: Reported) -> str:
    return wording.label_last_answer if one.answer else wording.label_last_try


def _signed(wording: Wording, hostname: str, lines: list[str]) -> str:
    while lines and not lines[-1]:
        lines.pop()
    name = wording.sender_name.format(host=hostname)
    return "\n".join([*lines, "", "-- ", name]) + "\n"


# Small parts ---------------------------------------------------------------------------------------


def _whom(wording: Wording, addresses: Sequence[str], *, named: int) -> str:
    first, rest = ", ".join(addresses[:named]), len(addresses) - named
    return wording.count(wording.and_more, rest, first=first) if rest > 0 else first


def _span(wording: Wording, span: int) -> str:
    """A duration in ms in the largest unit that tells it well."""
    for unit, forms, least in (
        (_DAY, wording.days, 2 * _DAY),
        (_HOUR, wording.hours, 2 * _HOUR),
        (_MINUTE, wording.minutes, 0),
    ):
        if span >= least:
            return wording.count(forms, max(1, round(span / unit)))
    raise AssertionError("a span is not negative")


def _when(wording: Wording, at: int, offset: int) -> str:
    """A moment in the sender's own time, whose zone is named. offset: minutes east of UTC."""
    moment = datetime.fromtimestamp(at / 1000, UTC) + timedelta(minutes=offset)
    hours, minutes = divmod(abs(offset), 60)
    zone = "UTC"
    if offset:
        zone += f"{'-' if offset < 0 else '+'}{hours}" + (f":{minutes:02}" if minutes else "")
    return wording.date.format(
        weekday=wording.weekdays[moment.weekday()],
        day=wording.first_of_month if moment.day == 1 else moment.day,
        month=wording.months[moment.month - 1],
        year=moment.year,
        hour=f"{moment.hour:02}",
        minute=f"{moment.minute:02}",
        zone=zone,
    )


def _labelled(facts: Sequence[tuple[str, str]], indent: str) -> list[str]:
    """Labels in one column and values in the next; a value may have several lines."""
    if not facts:
        return []
    width = max(len(label) for label, _ in facts) + len(GAP)
    lines: list[str] = []
    for label, value in facts:
        column = indent + " " * width
        parts = [line for part in value.split("\n") for line in _wrap(part, column)]
        lines.append(f"{indent}{label:<{width}}{parts[0][len(column) :]}" if parts else label)
        lines += parts[1:]
    return lines


def _wrap(text: str, indent: str = "") -> Iterable[str]:
    return textwrap.wrap(
        text, WIDTH - 2, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
