"""Arguments from earlier results, and patches (RFC 8620 sections 3.7 and 5.3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postillon.protocol.jmap import patch
from postillon.protocol.jmap.errors import MethodError, SetError
from postillon.protocol.jmap.references import pointed, resolve
from postillon.protocol.jmap.request import Call

EARLIER = [
    Call("Email/query", {"ids": ["M1", "M2"], "total": 2}, "q"),
    Call(
        "Email/get",
        {"list": [{"threadId": "T1", "to": [1]}, {"threadId": "T2", "to": [2, 3]}]},
        "g",
    ),
]


def reference(name: str, path: str, of: str = "q") -> dict[str, str]:
    return {"resultOf": of, "name": name, "path": path}


def test_an_argument_is_taken_from_an_earlier_result() -> None:
    assert resolve({"accountId": "a1", "#ids": reference("Email/query", "/ids")}, EARLIER) == {
        "accountId": "a1",
        "ids": ["M1", "M2"],
    }


def test_a_star_collects_from_each_and_joins_arrays() -> None:
    wanted = reference("Email/get", "/list/*/threadId", "g")
    assert resolve({"#ids": wanted}, EARLIER) == {"ids": ["T1", "T2"]}
    joined = reference("Email/get", "/list/*/to", "g")
    assert resolve({"#ids": joined}, EARLIER) == {"ids": [1, 2, 3]}


@pytest.mark.parametrize(
    "wrong",
    [
        reference("Email/query", "/ids", "x"),
        reference("Email/get", "/ids"),
        reference("Email/query", "/nothing"),
        reference("Email/query", "/ids/2"),
        reference("Email/query", "/ids/-1"),
        reference("Email/query", "/ids/00"),
        reference("Email/query", "ids"),
        reference("Email/query", "/total/x"),
        reference("Email/query", "/*"),
        {"resultOf": "q", "name": "Email/query"},
        {"resultOf": 1, "name": "Email/query", "path": "/ids"},
        "ids",
        None,
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(wrong: Any) -> None:
    with pytest.raises(MethodError) as error:
        resolve({"#ids": wrong}, EARLIER)
    assert error.value.kind == "invalidResultReference"


def test_an_argument_may_not_stand_with_and_without_reference() -> None:
    with pytest.raises(MethodError) as error:
        resolve({"ids": [], "#ids": reference("Email/query", "/ids")}, EARLIER)
    assert error.value.kind == "invalidArguments"


def test_the_first_response_of_a_call_is_meant() -> None:
    two = [Call("Foo/get", {"x": 1}, "c"), Call("Foo/get", {"x": 2}, "c")]
    assert resolve({"#y": reference("Foo/get", "/x", "c")}, two) == {"y": 1}


def test_pointers_are_unescaped() -> None:
    assert pointed({"a/b": {"c~d": 5}}, "/a~1b/c~0d") == 5
    assert pointed({"": 1}, "/") == 1
    assert pointed([1], "") == [1]


def test_a_patch_sets_and_removes() -> None:
    value = {"keywords": {"$seen": True, "$draft": True}, "subject": "x"}
    changed = patch.apply(
        value, {"keywords/$seen": None, "keywords/$flagged": True, "subject": "y"}
    )
    assert changed == {"keywords": {"$draft": True, "$flagged": True}, "subject": "y"}
    assert value == {"keywords": {"$seen": True, "$draft": True}, "subject": "x"}


def test_null_removes_a_property_that_may_be_missing() -> None:
    assert patch.apply({"a": 1}, {"a": None, "b": None}) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"a/b": 1, "a": 2},
        {"a": 2, "a/b/c": 1},
        {"nothing/b": 1},
        {"list/0": 1},
        {"list/x/y": 1},
        {"text/b": 1},
    ],
)
def test_a_patch_that_leads_nowhere_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SetError) as error:
        patch.apply({"a": {"b": 1}, "list": [1], "text": "x"}, changes)
    assert error.value.kind == "invalidPatch"


trees = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.text("ab/~*", max_size=3), inner, max_size=4)
)


@given(trees)
def test_every_value_is_where_its_pointer_says(tree: Any) -> None:
    def walk(value: Any, path: str) -> None:
        assert pointed(tree, path) == value
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, f"{path}/{name.replace('~', '~0').replace('/', '~1')}")

    walk(tree, "")
