"""The matcher against a model that reads like the explanation in the manual."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postillon.mail.rules import COMPARISONS, Condition, Facts, Rule, matched

WORDS = ("tea", "Tea", "TEAPOT", "ée", "ÉE", "x", "")
ADDRESSES = ("ada@a.example", "Ada@A.example", "bob@b.example")
NAMES = {"from": ["from"], "to": ["to", "cc"], "subject": ["subject"], "header": ["x-mark"]}


@st.composite
def letters(draw: st.DrawFn) -> dict[str, list[str]]:
    def some(choices: tuple[str, ...]) -> list[str]:
        return draw(st.lists(st.sampled_from(choices), max_size=2))

    return {
        "from": some(ADDRESSES), "to": some(ADDRESSES), "cc": some(ADDRESSES),
        "subject": some(WORDS), "x-mark": some(WORDS),
    }  # fmt: skip


texts = st.builds(
    Condition,
    st.sampled_from(list(NAMES)),
    st.sampled_from(COMPARISONS),
    st.sampled_from([item for item in (*WORDS, *ADDRESSES) if item]),
    st.just("X-Mark"),
)
sizes = st.builds(
    lambda how, size: Condition("size", how, size=size),
    st.sampled_from(["over", "under"]),
    st.integers(0, 5),
)
attachments = st.builds(lambda how: Condition("attachment", how), st.sampled_from(["is", "isNot"]))
rules = st.builds(
    lambda conditions, enabled, every, stop: Rule(
        0, "", tuple(conditions), enabled=enabled, every=every, stop=stop
    ),
    st.lists(texts | sizes | attachments, max_size=4),
    st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip


def model(rule: Rule, letter: dict[str, list[str]], size: int, attached: bool) -> bool:
    said = []
    for condition in rule.conditions:
        if condition.kind == "size":
            said.append(
                size > condition.size if condition.comparison == "over" else size < condition.size
            )
        elif condition.kind == "attachment":
            said.append(attached == (condition.comparison == "is"))
        else:
            wanted = condition.text.casefold()
            values = [one.casefold() for name in NAMES[condition.kind] for one in letter[name]]
            if condition.comparison == "contains":
                said.append(any(wanted in one for one in values))
            elif condition.comparison == "notContains":
                said.append(not any(wanted in one for one in values))
            elif condition.comparison == "is":
                said.append(wanted in values)
            else:
                said.append(wanted not in values)
    return bool(said) and (all(said) if rule.every else any(said))


@given(st.lists(rules, max_size=6), letters(), st.integers(0, 5), st.booleans())
def test_rules_match_as_the_model_says(
    several: list[Rule], letter: dict[str, list[str]], size: int, attached: bool
) -> None:
    fields = [(name.encode(), one.encode()) for name, values in letter.items() for one in values]
    expected = []
    for rule in several:
        if rule.enabled and model(rule, letter, size, attached):
            expected.append(rule)
            if rule.stop:
                break
    found = matched(several, Facts(lambda: fields, size, lambda: attached))
    assert list(found) == expected
