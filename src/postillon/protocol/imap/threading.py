"""Threads of messages as THREAD answers with them (RFC 5256 section 3). Pure, linear but for sorting.

Chains may be as long as a mailbox, so nothing here calls itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple


class Message(NamedTuple):
    """What decides where a message belongs. Times in ms."""

    number: int  # as the answer names it; ascending order is the order of ties
    sent: int
    received: int
    id: bytes  # without brackets; b"": none
    references: tuple[bytes, ...]  # oldest first
    subject: str  # base subject, as it is compared
    reply: bool  # the subject says so


class Node:
    """A message, or None where only its place is known, and what answers it."""

    __slots__ = ("children", "message", "parent")

    def __init__(self, message: Message | None = None) -> None:
        self.message = message
        self.parent: Node | None = None
        self.children: list[Node] = []

    def adopt(self, child: Node) -> None:
        """Make a node ours, wherever it hung before."""
        if child.parent is not None:
            child.parent.children.remove(child)
        child.parent = self
        self.children.append(child)


Threads = list[Node]


def ordered_subject(messages: Iterable[Message]) -> Threads:
    """ORDEREDSUBJECT: all of one base subject, the first above the others."""
    groups: dict[str, list[Message]] = {}
    for message in sorted(messages, key=_by_date):
        groups.setdefault(message.subject, []).append(message)
    threads: Threads = []
    for first, *others in groups.values():
        root = Node(first)
        for other in others:
            root.adopt(Node(other))
        threads.append(root)
    return threads


def references(messages: Iterable[Message]) -> Threads:
    """REFERENCES: by who answers whom, then roots of one subject together."""
    roots = _in_order(_linked(messages), _first_date)
    return _in_order(_by_subject(roots), _first_date)


def refs(messages: Iterable[Message]) -> Threads:
    """REFS: by who answers whom alone; the thread with the newest message comes last."""
    roots = _in_order(_linked(messages), _first_date)
    newest = {
        id(root): max(
            (node.message.received for node in _walk(root) if node.message is not None), default=0
        )
        for root in roots
    }
    return sorted(roots, key=lambda root: newest[id(root)])


ALGORITHMS: dict[str, Callable[[Iterable[Message]], Threads]] = {
    "ORDEREDSUBJECT": ordered_subject,
    "REFERENCES": references,
    "REFS": refs,
}


def write(threads: Threads, names: Mapping[int, int] | None = None) -> bytes:
    """`(2)(3 6 (4 23)(44 7 96))`: RFC 5256 section 4. names: what to call each number."""
    words: list[str] = []
    for root in threads:
        if root.message is not None and not root.children:  # most are alone
            words.append(f"({_name(root.message, names)})")
        else:
            _write(root, names, words)
    return "".join(words).encode()


def _name(message: Message, names: Mapping[int, int] | None) -> int:
    return message.number if names is None else names[message.number]


def _write(root: Node, names: Mapping[int, int] | None, words: list[str]) -> None:
    # What is left to say: nodes, and the words between them.
    left: list[Node | str] = [")", root, "("]
    space = False
    while left:
        item = left.pop()
        if isinstance(item, str):
            if item == "(" and space:
                words.append(" ")
            words.append(item)
            space = False
            continue
        if item.message is not None:
            name = _name(item.message, names)
            words.append(f" {name}" if space else str(name))
            space = True
        if len(item.children) == 1:
            left.append(item.children[0])
        else:
            for child in reversed(item.children):
                left += (")", child, "(")


def _by_date(message: Message) -> tuple[int, int]:
    return message.sent, message.number


def _linked(messages: Iterable[Message]) -> Threads:
    """Steps 1 to 3: the roots, without places of unknown messages that hold nothing together."""
    known: dict[bytes, Node] = {}
    nodes: list[Node] = []
    for message in messages:
        node = known.get(message.id) if message.id else None
        if node is None or node.message is not None:  # no id, or one that is taken already
            node = Node()
            if message.id and message.id not in known:
                known[message.id] = node
        node.message = message
        nodes.append(node)
        last: Node | None = None
        for reference in message.references:
            place = known.get(reference)
            if place is None:
                place = known[reference] = Node()
            if last is not None and place.parent is None and not _holds(place, last):
                last.adopt(place)
            last = place
        if last is not None and not _holds(node, last):
            last.adopt(node)
    everything = list(known.values())
    everything += [node for node in nodes if known.get(node.message.id) is not node]  # type: ignore[union-attr]
    roots = [node for node in everything if node.parent is None]
    return _pruned(roots)


def _holds(node: Node, other: Node) -> bool:
    """Whether `other` is the node or lies below it."""
    if not node.children:
        return node is other
    above: Node | None = other
    while above is not None:
        if above is node:
            return True
        above = above.parent
    return False


def _pruned(roots: Threads) -> Threads:
    kept: Threads = []
    for root in roots:
        if not root.children:
            if root.message is not None:
                kept.append(root)
            continue
        for node in reversed(list(_walk(root))):  # from below
            if node.message is not None or node is root:
                continue
            parent = node.parent
            assert parent is not None
            at = parent.children.index(node)
            parent.children[at : at + 1] = node.children
            for child in node.children:
                child.parent = parent
        if root.message is not None or len(root.children) > 1:
            kept.append(root)
        elif root.children:
            child = root.children[0]
            child.parent = None
            kept.append(child)
    return kept


def _walk(root: Node) -> Iterator[Node]:
    """The node and all below it, each before its children."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def _first_date(node: Node) -> tuple[int, int]:
    """When its message was sent; of the first below where there is none."""
    while node.message is None:
        node = node.children[0]
    return _by_date(node.message)


def _in_order(roots: Threads, key: Callable[[Node], tuple[int, int]]) -> Threads:
    """Siblings sorted, from below."""
    for root in roots:
        for node in reversed(list(_walk(root))) if root.children else ():
            if len(node.children) > 1:
                node.children.sort(key=key)
    return sorted(roots, key=key)


def _subject_of(node: Node) -> tuple[str, bool]:
    message = node.message if node.message is not None else node.children[0].message
    assert message is not None  # a root without a message has children with one
    return message.subject, message.reply


def _by_subject(roots: Threads) -> Threads:
    """Step 5: roots whose base subjects are the same become one thread."""
    table: dict[str, Node] = {}
    for root in roots:
        subject, reply = _subject_of(root)
        if not subject:
            continue
        other = table.get(subject)
        if (
            other is None
            or (root.message is None and other.message is not None)
            or (other.message is not None and _subject_of(other)[1] and not reply)
        ):
            table[subject] = root
    merged: dict[int, Node] = {id(root): root for root in roots}
    for root in roots:
        subject, reply = _subject_of(root)
        other = table.get(subject) if subject else None
        if other is None or other is root:
            continue
        if other.message is None and root.message is None:
            for child in list(root.children):
                other.adopt(child)
            del merged[id(root)]
        elif other.message is None or (reply and not _subject_of(other)[1]):
            other.adopt(root)
            del merged[id(root)]
        else:
            both = Node()
            both.adopt(other)
            both.adopt(root)
            del merged[id(root)], merged[id(other)]
            merged[id(both)] = table[subject] = both
    return list(merged.values())
