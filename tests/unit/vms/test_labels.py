"""The grammar of labels and of the selectors that find them."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from zentry.platform.errors import InvalidInput
from zentry.vms.labels import Match, Requirement, parse_selector
from zentry.vms.schemas import Labels

LABELS: TypeAdapter[dict[str, str]] = TypeAdapter(Labels)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("env=prod", [Requirement("env", Match.IN, ("prod",))]),
        ("env == prod", [Requirement("env", Match.IN, ("prod",))]),
        ("env=", [Requirement("env", Match.IN, ("",))]),
        ("env!=prod", [Requirement("env", Match.NOT_IN, ("prod",))]),
        ("env in (a, b,a)", [Requirement("env", Match.IN, ("a", "b"))]),
        ("env notin (a)", [Requirement("env", Match.NOT_IN, ("a",))]),
        ("env", [Requirement("env", Match.EXISTS)]),
        ("in", [Requirement("in", Match.EXISTS)]),
        ("!example.com/env", [Requirement("example.com/env", Match.ABSENT)]),
        (" a=1 , b ", [Requirement("a", Match.IN, ("1",)), Requirement("b", Match.EXISTS)]),
        ("a in (x,y),b", [Requirement("a", Match.IN, ("x", "y")), Requirement("b", Match.EXISTS)]),
    ],
)
def test_a_selector_is_read_as_its_requirements(text: str, wanted: list[Requirement]) -> None:
    assert list(parse_selector(text)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            ",",
            "a,",
            ",a",
            "a,,b",
            "=a",
            "a=b=c",
            "a b",
            "a in",
            "a in b",
            "a in (b",
            "a in (b))",
            "!",
            "!a=b",
        ),
        *("a==b==c", "-a", "a-", "a=-b", "a in (b c)", "A/b", "a/b/c", "x" * 64, "a=" + "x" * 64, "a=é", "a\x00b"),
        ",".join(f"k{number}" for number in range(17)),
        "envin (a)",
        "a\tin (b)",
        "a=b\n",
        "." * 1000,
        "a." * 500,
    ],
)
def test_what_is_no_selector_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_selector(text)

    assert refused.value.details["validation_errors"][0]["field"] == "label_selector"


@pytest.mark.parametrize("labels", [{}, {"env": ""}, {"example.com/a_b.c-d": "1.2_3-4"}, {"x" * 63: "y" * 63}])
def test_good_labels_are_accepted(labels: dict[str, str]) -> None:
    assert LABELS.validate_python(labels) == labels


@pytest.mark.parametrize(
    "labels",
    [
        *({"": "a"}, {"-a": ""}, {"a-": ""}, {"a b": ""}, {"/a": ""}, {"A.com/a": ""}, {"a..b/c": ""}, {"a": "-"}),
        *({"a": "b c"}, {"a": "b\n"}, {"a\n": "b"}, {"x" * 64: ""}, {"a": "x" * 64}, {"a": 1}, {"é": ""}),
        {f"k{number}": "" for number in range(33)},
        {".".join(["a" * 60] * 5) + "/a": ""},
    ],
)
def test_bad_labels_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        LABELS.validate_python(labels)
