"""Views of several sessions on one mailbox, against what each client must believe."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st

from postillon.access.imap.uids import Uids
from postillon.access.imap.view import View
from postillon.account.changes import MailboxChanges, Placement
from postillon.account.ids import EmailId, MailboxId, ModSeq, Uid


@dataclass
class Mailbox:
    """The truth, kept as simply as can be: what there is, and when it came, changed and went."""

    modseq: int = 1
    uid_next: int = 1
    there: dict[int, Placement] = field(default_factory=dict)
    came: dict[int, int] = field(default_factory=dict)
    went: dict[int, int] = field(default_factory=dict)

    def add(self) -> None:
        self.modseq += 1
        uid = self.uid_next
        self.uid_next += 1
        self.came[uid] = self.modseq
        self.there[uid] = placement(uid, 0, self.modseq)

    def flag(self, uid: int) -> Placement:
        self.modseq += 1
        self.there[uid] = placement(uid, self.there[uid].flags ^ 1, self.modseq)
        return self.there[uid]

    def remove(self, uid: int) -> None:
        self.modseq += 1
        del self.there[uid]
        self.went[uid] = self.modseq

    def since(self, modseq: int, complete: bool) -> MailboxChanges:
        new = [item for item in self.there.values() if item.modseq > modseq]
        went = [u for u, m in self.went.items() if m > modseq >= self.came[u]]
        return MailboxChanges(
            sorted((i for i in new if self.came[i.uid] > modseq), key=lambda i: i.uid),
            sorted((i for i in new if self.came[i.uid] <= modseq), key=lambda i: i.uid),
            [Uid(uid) for uid in sorted(went)] if complete else [],
            ModSeq(self.modseq),
            Uid(self.uid_next),
            complete,
        )


def placement(uid: int, flags: int, modseq: int) -> Placement:
    return Placement(Uid(uid), EmailId(uid), flags, None, ModSeq(modseq))


class Client:
    """What one client believes, from the responses alone."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.view = View(
            MailboxId(1), sorted(mailbox.there), modseq=mailbox.modseq, uid_next=mailbox.uid_next,
            uid_validity=1,
        )  # fmt: skip
        self.uids: list[int | None] = list(self.view.uids)  # None: it has not asked yet
        self.flags = {uid: item.flags for uid, item in mailbox.there.items()}

    def hear(self, mailbox: Mailbox, *, expunge: bool, complete: bool) -> None:
        changes = mailbox.since(self.view.modseq, complete)
        self.view.learn(changes, None if complete else sorted(mailbox.there))
        news = self.view.tell(expunge=expunge)
        assert expunge or not news.expunged
        for number in news.expunged:
            assert 1 <= number <= len(self.uids)
            del self.uids[number - 1]
        if news.exists is not None:
            assert news.exists >= len(self.uids)
            self.uids += [None] * (news.exists - len(self.uids))
        for number, item in news.changed:
            assert self.uids[number - 1] in (None, item.uid)
            self.flags[item.uid] = item.flags
        self.check(mailbox, whole=expunge)

    def check(self, mailbox: Mailbox, *, whole: bool) -> None:
        """Its numbers mean what the server's numbers mean."""
        assert len(self.uids) == self.view.exists
        for number, uid in enumerate(self.uids, 1):
            assert uid in (None, self.view.uids[number - 1])
            assert self.view.number(self.view.uids[number - 1]) == number
            self.uids[number - 1] = self.view.uids[number - 1]
        assert list(self.view.uids) == sorted(set(self.view.uids))
        assert set(mailbox.there) <= set(self.view.uids)
        if whole:
            assert list(self.view.uids) == sorted(mailbox.there)
        for uid, item in mailbox.there.items():
            assert self.flags.setdefault(uid, item.flags) == item.flags


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "flag", "silent", "remove", "learn", "hear", "fetch", "cut", "open"]
        ),
        st.integers(0, 2),
        st.integers(0, 9),
    ),
    max_size=60,
)


@given(steps)
@example([("add", 0, 0), ("learn", 0, 0), ("remove", 0, 0), ("hear", 0, 0)])
def test_sequence_numbers_are_right_under_any_interleaving(
    script: list[tuple[str, int, int]],
) -> None:
    mailbox = Mailbox()
    clients = [Client(mailbox) for _ in range(3)]
    for what, which, place in script:
        client = clients[which]
        there = sorted(mailbox.there)
        if what == "add":
            mailbox.add()
        elif what in ("flag", "silent") and there:
            uid = there[place % len(there)]
            if uid in client.view.uids:  # one's own STORE, its answer read or not wanted
                before = client.view.modseq
                client.view.learn(mailbox.since(before, True))
                item = mailbox.flag(uid)
                client.view.own([item], told=what == "flag")
                client.flags[uid] = item.flags
                client.hear(mailbox, expunge=False, complete=True)
            else:
                mailbox.flag(uid)
        elif what == "remove" and there:
            mailbox.remove(there[place % len(there)])
        elif what == "learn":  # a command has looked, and is not answered yet
            client.view.learn(mailbox.since(client.view.modseq, True))
        elif what == "hear":
            client.hear(mailbox, expunge=True, complete=True)
        elif what == "cut":
            client.hear(mailbox, expunge=True, complete=False)
        elif what == "fetch":
            client.hear(mailbox, expunge=False, complete=True)
        elif what == "open":
            clients[which] = Client(mailbox)
    for client in clients:
        client.hear(mailbox, expunge=True, complete=True)


@given(
    st.lists(st.integers(1, 40), unique=True, max_size=20),
    st.lists(st.tuples(st.integers(0, 45), st.integers(0, 45)), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_portions_hold_what_is_picked(
    uids: list[int], ranges: list[tuple[int, int]], size: int
) -> None:
    view = View(MailboxId(1), sorted(uids), modseq=1, uid_next=41, uid_validity=1)
    largest = max(uids, default=0)
    wanted = set()
    for low, high in ranges:
        low, high = low or largest, high or largest
        wanted |= {uid for uid in uids if min(low, high) <= uid <= max(low, high)}
    picked, count = view.pick(tuple(ranges), uid=True)
    assert count == len(wanted)
    found: list[int] = []
    for portion, start, held in view.portions(picked, size):
        some = [uid for uid in view.uids if any(a <= uid <= b for a, b in portion)]
        assert len(some) == held <= size
        assert view.uids[start] == some[0]
        found += some
    assert found == sorted(wanted)


@given(
    st.lists(st.integers(1, 60), unique=True, max_size=40).map(sorted),
    st.sets(st.integers(1, 60), max_size=20),
    st.lists(st.integers(61, 90), unique=True, max_size=10).map(sorted),
)
def test_runs_are_what_a_list_is(start: list[int], gone: set[int], more: list[int]) -> None:
    runs, plain = Uids(start), list(start)
    for _ in range(2):
        assert list(runs) == plain
        assert [runs[n] for n in range(len(runs))] == plain
        for start_at in range(0, len(plain) + 1, 3):
            assert runs.part(start_at, len(plain)) == plain[start_at:]
            assert runs.part(0, start_at) == plain[:start_at]
        assert runs.last == (plain[-1] if plain else 0)
        for uid in range(95):
            assert runs.below(uid) == sum(1 for each in plain if each < uid)
            assert runs.number(uid) == (plain.index(uid) + 1 if uid in plain else 0)
        runs, plain = runs.without(gone), [uid for uid in plain if uid not in gone]
        runs.extend(more)
        plain += more
        gone, more = gone | {more[0]} if more else gone, []
