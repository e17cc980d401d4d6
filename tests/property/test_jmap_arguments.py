"""Whatever the arguments of a method are, the answer is a result or an error of the client's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postillon.access.jmap.registry import CAPABILITIES, METHODS
from support.accounts import append, message
from support.jmap import ADA, Caller, caller

NAMES = sorted(METHODS)
EXAMPLES = int(os.environ.get("POSTILLON_EXAMPLES", "200"))  # of up to four calls
# Arguments by what a method does; those of others now and then.
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "get": ("ids", "properties"),
    "changes": ("sinceState", "maxChanges"),
    "set": ("ifInState", "create", "update", "destroy"),
    "copy": ("fromAccountId", "create", "blobIds"),
    "import": ("emails", "ifInState"),
    "parse": ("blobIds", "properties"),
    "upload": ("create",),
    "lookup": ("ids", "typeNames"),
    "query": ("filter", "sort", "position", "anchor", "anchorOffset", "limit", "calculateTotal"),
    "queryChanges": ("filter", "sort", "sinceQueryState", "maxChanges", "upToId"),
}
OTHERS = (
    *("collapseThreads", "bodyProperties", "fetchTextBodyValues", "maxBodyValueBytes", "offset"),
    *("onDestroyRemoveEmails", "onSuccessUpdateEmail", "onSuccessDestroyEmail", "identityId"),
    *("length", "onSuccessDestroyOriginal", "sendEmail", "send", "sortAsTree", "filterAsTree"),
)
PROPERTIES = (
    *("id", "name", "parentId", "role", "sortOrder", "isSubscribed", "mailboxIds", "keywords"),
    *("receivedAt", "subject", "from", "to", "bodyStructure", "bodyValues", "textBody", "htmlBody"),
    *("attachments", "header:Subject:asText", "header:X:asURLs:all", "headers", "blobId", "partId"),
    *("emailId", "identityId", "envelope", "undoStatus", "sendAt", "email", "replyTo", "isEnabled"),
    *(
        "deviceClientId",
        "url",
        "keys",
        "types",
        "expires",
        "data",
        "data:asText",
        "type",
        "charset",
    ),
    *("operator", "conditions", "inMailbox", "hasKeyword", "before", "after", "text", "property"),
    *("isAscending", "keyword", "collation", "shareWith", "mdn", "size", "threadId", "preview"),
)
WORDS = (
    *("a1", "M1", "F1", "T1", "Bm1", "Bm1_1", "I1", "S1", "#k", "k", "singleton", "inbox", "$seen"),
    *("2026-11-26T01:02:03Z", "1.1", "AND", "OR", "NOT", "subject", "receivedAt", "text/plain"),
    *("", "ä", "x" * 300, "id", "Email", "urn:x", "a@example.org", "keywords/$seen", "from"),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS), st.sampled_from(PROPERTIES), st.text(max_size=5),
    st.sampled_from([2**53 - 1, 2**53, -(2**63), 2**70]),
)  # fmt: skip
KEYS = st.sampled_from((*PROPERTIES, *WORDS))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=12,
)
IDS = st.sampled_from([word for word in WORDS if word[:1] in "aMFTBIS#k" and word])
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
FILTERS = st.recursive(
    OBJECTS,
    lambda inner: st.fixed_dictionaries(
        {
            "operator": st.sampled_from(["AND", "OR", "NOT"]),
            "conditions": st.lists(inner, max_size=3),
        }
    ),
    max_leaves=4,
)
# What gets past the first look, by argument; anything else now and then.
LIKELY: Mapping[str, st.SearchStrategy[Any]] = {
    "ids": st.none() | st.lists(IDS, max_size=3),
    "blobIds": st.lists(IDS, max_size=3),
    "destroy": st.lists(IDS, max_size=3),
    "properties": st.none() | st.lists(st.sampled_from(PROPERTIES), max_size=4),
    "create": st.dictionaries(st.sampled_from(["k", "l"]), OBJECTS, max_size=2),
    "emails": st.dictionaries(st.sampled_from(["k", "l"]), OBJECTS, max_size=2),
    "update": st.dictionaries(IDS, OBJECTS, max_size=2),
    "filter": st.none() | FILTERS,
    "sort": st.lists(st.fixed_dictionaries({"property": st.sampled_from(PROPERTIES)}), max_size=2),
    "sinceState": st.sampled_from(["0", "1.1", "x"]),
    "sinceQueryState": st.sampled_from(["0", "1.1", "x"]),
    "typeNames": st.lists(st.sampled_from(["Email", "Thread"]), max_size=2),
}


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(NAMES))
    own = ARGUMENTS.get(name.partition("/")[2], OTHERS)
    chosen = draw(st.sets(st.sampled_from(own), max_size=5))
    if draw(st.integers(0, 4)) == 0:
        chosen.add(draw(st.sampled_from(OTHERS)))
    return name, {
        key: draw(LIKELY[key] if key in LIKELY and draw(st.integers(0, 9)) else VALUES)
        for key in sorted(chosen)
    }


GIVEN = _calls()


async def answers(ada: Caller, calls: list[tuple[str, dict[str, Any]]], account: str) -> list[Any]:
    """Most calls name the account that there is, or they would get no further."""
    named = [
        [name, {"accountId": account, **arguments}, str(n)]
        for n, (name, arguments) in enumerate(calls)
    ]
    return list(await ada.call(*named, using=list(CAPABILITIES)))


def test_no_arguments_bring_about_a_fault_of_ours(tmp_path: Path) -> None:
    with asyncio.Runner() as loop:
        opening = caller(tmp_path)
        ada = loop.run(opening.__aenter__())
        try:
            account = loop.run(_furnish(ada))

            taken: set[str] = set()

            @settings(
                max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(st.lists(GIVEN, min_size=1, max_size=4))
            def no_fault(calls: list[tuple[str, dict[str, Any]]]) -> None:
                for name, arguments, call_id in loop.run(answers(ada, calls, account)):
                    fault = name == "error" and arguments["type"] == "serverFail"
                    assert not fault, calls[int(call_id)]
                    taken.add(name)

            no_fault()
            assert len(taken) > len(NAMES) // 4  # or nothing got past the first look
        finally:
            loop.run(opening.__aexit__(None, None, None))


async def _furnish(ada: Caller) -> str:
    owner = await ada.at.directory.by_login(ADA)
    assert owner is not None
    account = ada.at.accounts.open(owner.id)
    for n in range(3):
        await append(account, message(f"letter {n}"))
    return f"a{owner.id}"
