"""What the property tests of the language draw from: texts that look like lines, JSON values, cursors."""

from typing import Any

from hypothesis import strategies as st

_PIECES = [
    *"{}[]<>:=,\"'\\#$|;!-.0123 \n\t",
    "ping",
    "order.create",
    "a",
    "item",
    "items",
    "color",
    "sku",
    "true",
    "nul",
    "1.5e3",
    "\\u",
    "\\ud83d",
    '"a":',
    "a=",
    "u = ",
    "$u",
    "$_.items[0]",
    "$u['k']",
    '$"',
    "${u.a}",
    " | jq .",
    " > f",
    " >> f",
    ":spawn",
    " --model",
    "é",
    "😀",
    "\u202e",
    "\ud800",
]

line_texts = st.one_of(
    st.text(),
    st.lists(st.sampled_from(_PIECES), max_size=40).map("".join),
    st.lists(st.sampled_from(_PIECES), max_size=40).map(lambda pieces: "order.create " + "".join(pieces)),
    st.lists(st.sampled_from(_PIECES), max_size=40).map(lambda pieces: "u = m $u" + "".join(pieces)),
    st.lists(st.sampled_from(_PIECES), max_size=40).map(lambda pieces: ":spawn " + "".join(pieces)),
)

_characters = st.characters(exclude_categories=["Cs"])
strings = st.text(_characters, max_size=20)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), strings)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(strings, inner, max_size=5)),
    max_leaves=20,
)
