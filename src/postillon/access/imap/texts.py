"""What the text index says in a search: which messages it settles, and how well a fuzzy one fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postillon.access.imap.matching import Answers, TextKey, question
from postillon.access.imap.view import View
from postillon.account.account import Account
from postillon.account.ids import MailboxId
from postillon.protocol.imap import commands, numbers
from postillon.store.textindex import Hits

MAX_QUESTIONS = 50  # of one search; further keys are answered by the messages
BEST = 100  # RFC 6203 section 4

Found = list[tuple[int, int]]  # sequence number and UID, ascending


async def ask(account: Account, key: commands.SearchKey) -> Answers:
    """The index's answers for all keys about texts; no entry or None where it has none."""
    asked = {item: question(item) for item in _texts(key)}
    wanted = [(item, one) for item, one in asked.items() if one is not None][:MAX_QUESTIONS]
    if not wanted:
        return {}
    answers = await account.hits([one for _, one in wanted])
    return dict(zip((item for item, _ in wanted), answers, strict=True))


def _texts(key: commands.SearchKey) -> Iterator[TextKey]:
    match key:
        case commands.HeaderHas() | commands.ContentHas():
            if key.text:
                yield key
        case commands.Not(inner):
            yield from _texts(inner)
        case commands.Either(keys) | commands.All(keys):
            for item in keys:
                yield from _texts(item)


async def narrow(
    account: Account, view: View, found: Found, hits: Sequence[Hits]
) -> tuple[Found, Found]:
    """Of `found`, those that answer all these questions, and those of which that is not known."""
    fewest = min(hits, key=lambda one: len(one.emails))
    whole = len(found) == view.exists
    allowed = {} if whole else {uid: number for number, uid in found}
    sure: Found = []
    open_: Found = []
    for uid, email in await account.places(view.mailbox, fewest):
        number = view.number(uid) if whole else allowed.get(uid, 0)
        if not number:
            continue
        said = [one.says(email) for one in hits]
        if False not in said:
            (open_ if None in said else sure).append((number, uid))
    return sure, open_


async def fit(
    account: Account, mailbox: MailboxId, found: Found, key: commands.SearchKey, answers: Answers
) -> dict[int, int]:
    """How well each fits a fuzzy search, 1 to 100 by UID; empty where nothing is fuzzy.

    What the index does not know yet counts as the average of what it knows.
    """
    fuzzy = [item for item in _texts(key) if item.fuzzy]
    if not fuzzy or not found:
        return {}
    tables = [
        hits.scores for item in fuzzy if (hits := answers.get(item)) is not None and hits.scores
    ]
    emails: dict[int, int] = {
        item.uid: item.email
        for item in await account.placements(mailbox, numbers.join(uid for _, uid in found))
    }
    sums = dict.fromkeys((uid for _, uid in found), 0.0)
    for scores in tables:
        top = max(scores.values())
        average = sum(scores.values()) / len(scores)
        for uid in sums:
            sums[uid] += scores.get(emails.get(uid, 0), average) / top
    most = max(sums.values())
    if not most > 0:
        return dict.fromkeys(sums, BEST)
    return {uid: max(round(BEST * value / most), 1) for uid, value in sums.items()}
