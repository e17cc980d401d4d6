"""Requests and the arguments of the standard methods, read strictly (RFC 8620 sections 3.3 and 5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from postillon.protocol.jmap.errors import MethodError, RequestError
from postillon.protocol.jmap.kinds import boolean
from postillon.protocol.jmap.request import Call, Limits, parse
from postillon.protocol.jmap.standard import (
    ChangesArguments,
    Comparator,
    Condition,
    CopyArguments,
    GetArguments,
    Operator,
    QueryArguments,
    QueryChangesArguments,
    SetArguments,
    window,
)

KNOWN = {"urn:core", "urn:mail"}
LIMITS = Limits(
    max_calls_in_request=2, max_objects_in_get=2, max_objects_in_set=2, max_size_request=500
)


def request(**more: Any) -> bytes:
    whole = {"using": ["urn:core"], "methodCalls": [["Core/echo", {"a": 1}, "c1"]], **more}
    return json.dumps(whole).encode()


def test_a_request_is_read() -> None:
    found = parse(request(createdIds={"k": "M1"}), KNOWN, LIMITS)

    assert found.using == {"urn:core"}
    assert found.calls == (Call("Core/echo", {"a": 1}, "c1"),)
    assert found.created_ids == {"k": "M1"}
    assert parse(request(), KNOWN, LIMITS).created_ids is None


@pytest.mark.parametrize(
    ("octets", "kind", "limit"),
    [
        (b"{", "notJSON", None),
        (b'{"using": [], "using": []}', "notJSON", None),
        (b"[]", "notRequest", None),
        (b'{"using": []}', "notRequest", None),
        (request(using="urn:core"), "notRequest", None),
        (request(using=[5]), "notRequest", None),
        (request(using=["urn:other"]), "unknownCapability", None),
        (request(methodCalls={}), "notRequest", None),
        (request(methodCalls=[["Core/echo", {}]]), "notRequest", None),
        (request(methodCalls=[["Core/echo", [], "c"]]), "notRequest", None),
        (request(methodCalls=[["Core/echo", {}, 1]]), "notRequest", None),
        (request(createdIds=["x"]), "notRequest", None),
        (request(createdIds={"k": 1}), "notRequest", None),
        (request(methodCalls=[["Core/echo", {}, "c"]] * 3), "limit", "maxCallsInRequest"),
        (b" " * 501, "limit", "maxSizeRequest"),
    ],
)
def test_what_is_no_request_is_refused(octets: bytes, kind: str, limit: str | None) -> None:
    with pytest.raises(RequestError) as error:
        parse(octets, KNOWN, LIMITS)
    assert (error.value.kind, error.value.limit) == (kind, limit)
    assert error.value.as_json()["type"] == f"urn:ietf:params:jmap:error:{kind}"


def get(**given: Any) -> GetArguments:
    return GetArguments.parse({"accountId": "a1", **given}, LIMITS, {"fetchAll": (boolean, False)})


def test_arguments_of_a_get_have_their_defaults() -> None:
    found = get()
    assert (found.account_id, found.ids, found.properties, found.more) == (
        "a1",
        None,
        None,
        {"fetchAll": False},
    )
    assert get(ids=["x"], properties=["id"], fetchAll=True).more == {"fetchAll": True}


def change(**given: Any) -> SetArguments:
    return SetArguments.parse({"accountId": "a1", **given}, LIMITS)


def query(**given: Any) -> QueryArguments:
    return QueryArguments.parse({"accountId": "a1", **given})


def changes(**given: Any) -> ChangesArguments:
    return ChangesArguments.parse({"accountId": "a1", "sinceState": "1.5", **given})


def copy(**given: Any) -> CopyArguments:
    return CopyArguments.parse(
        {"accountId": "a1", "fromAccountId": "a2", "create": {}, **given}, LIMITS
    )


def query_changes(**given: Any) -> QueryChangesArguments:
    return QueryChangesArguments.parse({"accountId": "a1", "sinceQueryState": "5", **given})


@pytest.mark.parametrize(
    ("read", "given", "kind"),
    [
        (get, {"ids": "x"}, "invalidArguments"),
        (get, {"ids": ["not an id"]}, "invalidArguments"),
        (get, {"ids": ["x"] * 3}, "requestTooLarge"),
        (get, {"colour": "red"}, "invalidArguments"),
        (get, {"accountId": None}, "invalidArguments"),
        (get, {"fetchAll": 1}, "invalidArguments"),
        (change, {"create": []}, "invalidArguments"),
        (change, {"create": {"a b": {}}}, "invalidArguments"),
        (change, {"create": {"k": 5}}, "invalidArguments"),
        (change, {"create": {"k": {}}, "destroy": ["x", "y"]}, "requestTooLarge"),
        (change, {"ifInState": 5}, "invalidArguments"),
        (changes, {"maxChanges": 0}, "invalidArguments"),
        (changes, {"maxChanges": -1}, "invalidArguments"),
        (changes, {"maxChanges": 1.5}, "invalidArguments"),
        (changes, {"sinceState": None}, "invalidArguments"),
        (copy, {"fromAccountId": "a1"}, "invalidArguments"),
        (copy, {"create": None}, "invalidArguments"),
        (query, {"position": True}, "invalidArguments"),
        (query, {"limit": -1}, "invalidArguments"),
        (query, {"filter": []}, "invalidArguments"),
        (query, {"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        (query, {"filter": {"operator": "AND"}}, "invalidArguments"),
        (query, {"filter": {"operator": "AND", "conditions": [5]}}, "invalidArguments"),
        (query, {"filter": {"operator": "OR", "conditions": [{}] * 100}}, "unsupportedFilter"),
        (query, {"sort": [{}]}, "invalidArguments"),
        (query, {"sort": [{"property": "x", "isAscending": "yes"}]}, "invalidArguments"),
        (query_changes, {"upToId": 7}, "invalidArguments"),
    ],
)
def test_what_does_not_fit_is_refused(
    read: Callable[..., object], given: dict[str, Any], kind: str
) -> None:
    with pytest.raises(MethodError) as error:
        read(**given)
    assert error.value.kind == kind


def test_the_names_of_wrong_arguments_are_told() -> None:
    with pytest.raises(MethodError) as error:
        get(colour="red", size=3)
    assert error.value.as_json()["arguments"] == ["colour", "size"]


def test_a_whole_number_may_be_written_with_a_fraction_of_nothing() -> None:
    assert query(position=3.0).position == 3


def test_filters_and_sorts_are_read_as_trees() -> None:
    found = query(
        filter={"operator": "NOT", "conditions": [{"inMailbox": "F1"}]},
        sort=[{"property": "hasKeyword", "keyword": "$seen", "isAscending": False}],
    )
    assert found.filter == Operator("NOT", (Condition({"inMailbox": "F1"}),))
    assert found.sort == (Comparator("hasKeyword", False, None, {"keyword": "$seen"}),)


def test_a_filter_that_is_too_deep_is_not_supported() -> None:
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = {"operator": "AND", "conditions": [deep]}
    with pytest.raises(MethodError) as error:
        query(filter=deep)
    assert error.value.kind == "unsupportedFilter"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((0, None, 0, None), (0, "abcde")),
        ((1, None, 0, 2), (1, "bc")),
        ((-2, None, 0, None), (3, "de")),
        ((-9, None, 0, 1), (0, "a")),
        ((9, None, 0, None), (9, "")),
        ((0, "c", 0, 2), (2, "cd")),
        ((4, "c", -1, 2), (1, "bc")),
        ((0, "c", -9, 1), (0, "a")),
        ((0, "c", 9, 1), (11, "")),
        ((0, None, 0, 0), (0, "")),
    ],
)
def test_a_window_begins_where_it_is_asked_to(asked: Any, found: Any) -> None:
    assert window("abcde", *asked) == found


def test_an_anchor_that_is_not_there_is_told() -> None:
    with pytest.raises(MethodError) as error:
        window(["a"], 0, "x", 0, None)
    assert error.value.kind == "anchorNotFound"
