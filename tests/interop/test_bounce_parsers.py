"""Other people's bounce parsers read our reports as they are, whatever language people read in them.

flufl.bounce is what Mailman uses; flanker is Mailgun's; Sisimai and Mail::DeliveryStatus::BounceParser
are the two in Perl. One that is not installed is skipped with its name; CI installs them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest

from postillon.mail.address import parse_address
from postillon.mail.cause import cause_of
from postillon.mail.outcome import Reply, Status
from postillon.mail.report import Action, Original, Reported, compose_report, compose_summary
from postillon.mail.wording.languages import WORDINGS

AT = 1_764_000_000_000  # ms
HOUR = 3_600_000  # ms
HOST = "mx.example.net"
ORIGINAL = Original(
    b"From: Ada <ada@example.org>\r\nTo: bob@example.net\r\nSubject: Hello\r\n"
    b"Message-ID: <one@example.org>\r\nDate: Mon, 24 Nov 2025 16:00:00 +0000\r\n\r\n",
    message_id="<one@example.org>",
    subject="Hello",
    arrived_at=AT,
)


@dataclass(frozen=True)
class Example:
    """A recipient of a report, and what Sisimai and BounceParser call what happened to it."""

    address: str
    action: Action
    status: Status
    sisimai: str
    bounceparser: str


def said(code: int, enhanced: str, text: str) -> Status:
    return Status(enhanced, "the server refused", Reply(code, enhanced, (text,)), HOST)


UNKNOWN = Example(
    "bob@example.net", Action.FAILED, said(550, "5.1.1", "<bob@example.net>: User unknown"),
    "userunknown", "user_unknown",
)  # fmt: skip
FULL = Example(
    "full@example.net", Action.FAILED, said(452, "4.2.2", "mailbox full"),
    "mailboxfull", "over_quota",
)  # fmt: skip
GONE = Example(
    "c@gone.example", Action.FAILED, Status("5.1.2", "the domain gone.example does not exist"),
    "hostunknown", "domain_error",
)  # fmt: skip
DELAYED = Example(
    "bob@example.net", Action.DELAYED,
    Status("4.4.1", "no answer to the connection", host=HOST), "expired", "",
)  # fmt: skip
DELIVERED = Example("bob@example.net", Action.DELIVERED, Status("2.0.0", "done"), "delivered", "")
CASES = {
    "one failure": (UNKNOWN,),
    "many failures": (UNKNOWN, FULL, GONE),
    "a delay": (DELAYED,),
    "a success": (DELIVERED,),
}
languages = pytest.mark.parametrize("language", WORDINGS)
cases = pytest.mark.parametrize("case", CASES)


def reported(example: Example) -> Reported:
    delayed = example.action is Action.DELAYED
    return Reported(
        parse_address(example.address),
        example.action,
        example.status,
        cause=cause_of(example.status),
        tries=3,
        first_try_at=AT,
        last_try_at=AT + 4 * HOUR,
        next_try_at=AT + 5 * HOUR if delayed else None,
        give_up_at=AT + 120 * HOUR if delayed else None,
    )


def report(case: str, language: str) -> bytes:
    return compose_report(
        hostname="mail.example.org",
        to=parse_address("ada@example.org"),
        recipients=[reported(example) for example in CASES[case]],
        original=ORIGINAL,
        now=AT + 4 * HOUR,
        message_id="<two@mail.example.org>",
        boundary="=_boundary",
        wording=WORDINGS[language],
    ).content


def addresses(case: str, action: Action) -> set[str]:
    return {example.address for example in CASES[case] if example.action is action}


@languages
@cases
def test_flufl_bounce_tells_failures_from_delays(case: str, language: str) -> None:
    from flufl.bounce import all_failures

    temporary, permanent = all_failures(message_from_bytes(report(case, language)))
    assert {address.decode() for address in permanent} == addresses(case, Action.FAILED)
    assert {address.decode() for address in temporary} == addresses(case, Action.DELAYED)


@languages
def test_flufl_bounce_finds_every_recipient_of_a_summary(language: str) -> None:
    from flufl.bounce import all_failures

    summary = compose_summary(
        hostname="mail.example.org",
        to=parse_address("ada@example.org"),
        messages=[(ORIGINAL, [reported(UNKNOWN)]), (ORIGINAL, [reported(FULL), reported(GONE)])],
        more=7,
        now=AT,
        message_id="<two@mail.example.org>",
        boundary="=_boundary",
        wording=WORDINGS[language],
    )
    _, permanent = all_failures(message_from_bytes(summary.content))
    assert permanent == {b"bob@example.net", b"full@example.net", b"c@gone.example"}


@languages
@cases
def test_flanker_finds_status_and_words_of_the_server(case: str, language: str) -> None:
    mime = pytest.importorskip("flanker.mime", reason="flanker is not installed")
    bounce = mime.from_string(report(case, language)).bounce
    assert bounce is not None
    assert bounce.is_bounce()
    # It has room for one status and one diagnostic code, and takes them from any recipient.
    statuses = [example.status for example in CASES[case]]
    assert bounce.status in [status.code for status in statuses]
    answers = [f"smtp; {status.remote}" for status in statuses if status.remote is not None]
    assert not answers or bounce.diagnostic_code in answers


@languages
def test_sisimai_names_each_recipient_and_its_reason(language: str, tmp_path: Path) -> None:
    found = perl(
        "Sisimai",
        "[map { [$_->recipient->address, $_->action, $_->deliverystatus, $_->reason] }"
        " @{Sisimai->make($_, delivered => 1) || []}]",
        {case: report(case, language) for case in CASES},
        tmp_path,
    )
    assert found == {
        case: [
            [example.address, example.action.value, example.status.code, example.sisimai]
            for example in examples
        ]
        for case, examples in CASES.items()
    }


@languages
def test_bounceparser_names_each_failure_and_takes_nothing_else_for_one(
    language: str, tmp_path: Path
) -> None:
    found = perl(
        "Mail::DeliveryStatus::BounceParser",
        "do { open my $file, '<', $_; my $it = Mail::DeliveryStatus::BounceParser->new($file);"
        " [map { [$_->get('email'), $_->get('std_reason')] } $it->is_bounce ? $it->reports : ()] }",
        # Line ends as in a mailbox file, which is what it reads.
        {case: report(case, language).replace(b"\r\n", b"\n") for case in CASES},
        tmp_path,
    )
    assert found == {
        case: [
            [example.address, example.bounceparser]
            for example in examples
            if example.action is Action.FAILED
        ]
        for case, examples in CASES.items()
    }


def perl(module: str, expression: str, files: dict[str, bytes], folder: Path) -> dict[str, object]:
    """What an expression over a file's name gives for each file; or a skip without the module."""
    if shutil.which("perl") is None:
        pytest.skip("perl is not installed")
    if subprocess.run(["perl", f"-M{module}", "-e1"], capture_output=True).returncode:
        pytest.skip(f"{module} is not installed")
    places = [folder / f"{number}.eml" for number in range(len(files))]
    for place, content in zip(places, files.values(), strict=True):
        place.write_bytes(content)
    program = f"print JSON::PP::encode_json([map {{ {expression} }} @ARGV])"
    command = ["perl", "-MJSON::PP", f"-M{module}", "-e", program, *map(str, places)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return dict(zip(files, json.loads(done.stdout), strict=True))
