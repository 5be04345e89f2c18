import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.line.catalog import EMPTY_CATALOG, Catalog
from rpcshell.line.hint import Hint, hint, problems
from rpcshell.line.language import parse
from rpcshell.line.suggest import Surroundings
from tests.rpcshell.line.language.strategies import line_texts
from tests.rpcshell.line.test_catalog import ODD_METHODS, ODD_OBJECTS
from tests.rpcshell.shop import CATALOG, COMMANDS

ADD = "add(a: number, b: number = 0) -> number"


VARIABLES = {"_": [1, "x"], "user": {"id": 7, "name": "Ada"}}


def surroundings(catalog: Catalog) -> Surroundings:
    return Surroundings(catalog, COMMANDS, variables=VARIABLES)


def hint_at(marked: str, catalog: Catalog = CATALOG) -> Hint:
    """The hint for a line whose cursor is at the `|`, or else at its end."""
    cursor = marked.find("|")
    line = parse(marked.replace("|", "", 1))
    return hint(line, len(line.text) if cursor < 0 else cursor, surroundings(catalog))


def wrong_in(marked: str) -> list[str]:
    """The stretches of a line that are wrong."""
    cursor = marked.index("|")
    text = marked.replace("|", "", 1)
    found = problems(parse(text), cursor, surroundings(CATALOG))
    return [text[one.start : one.end] for one in found]


@pytest.mark.parametrize(
    "marked",
    [
        "add",
        "add ",
        "add a",
        "add a=",
        "add a=1",
        "add b=1",
        "add {",
        'add {"',
        'add {"a',
        'add {"a"',
        'add {"a": ',
        'add {"a": "',
        'add {"a": -',
        'add {"x',
        'add {"b": 1, |}',
        'add {"b": 1|}',
        'add {"b": 1, |',
        "add {|",
        "add [1, ",
        "add [-",
        "add [1, 2|]",
        "add a=-",
        "add a=1e",
        "add a=1 # done",
        "add tru",
        "add [1, '|']",
        "add {'a': 'x|'}",
    ],
)
def test_while_a_call_is_typed_its_signature_is_shown(marked: str) -> None:
    found = hint_at(marked)
    assert (found.text, found.problem, found.column) == (ADD, False, None)


@pytest.mark.parametrize(
    ("marked", "focus"),
    [
        ("add a=1|", "a: number"),
        ("add a=1 b=|", "b: number = 0"),
        ("add {'b|", "b: number = 0"),
        ("add [1, 2|", "b: number = 0"),
        ("add a=1 |", None),
        ("add |", None),
    ],
)
def test_the_parameter_at_the_cursor_is_in_focus(marked: str, focus: str | None) -> None:
    found = hint_at(marked)
    assert (None if found.focus is None else found.text[slice(*found.focus)]) == focus


@pytest.mark.parametrize(
    ("marked", "text", "column"),
    [
        ('add {"a" 1}', "expected `:`", 9),
        ('add {"a": 1]', "expected `}`, not `]`", 11),
        ("add [True]", "write `true`, not `True`", 5),
        ("add a=1 |b", "pairs are written key=value, without blanks: expected `=` and a value", 9),
        ("add |a=1 b", "pairs are written key=value, without blanks: expected `=` and a value", 9),
        ('add "\\x"', 'unknown escape \\x: expected one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u', 5),
        ("add a=1 a=2", "a is here twice; the last one counts", 8),
        ("}", "a line begins with a method or a :command, not with `}`", 0),
    ],
)
def test_a_mistake_is_shown_with_its_column(marked: str, text: str, column: int) -> None:
    assert hint_at(marked) == Hint(text, problem=True, column=column)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("echo a=1 a=2", 9),
        ('echo {"a": 1, "b": {"c": 1, "\\u0063": 2}}', 28),
        ("x = {a: 1, 'a': 2}", 11),
        ("x = echo a=1 a=2", 13),
    ],
)
def test_a_key_that_is_there_twice_is_shown_whatever_is_known_of_the_method(text: str, column: int) -> None:
    found = list(problems(parse(text), len(text), surroundings(EMPTY_CATALOG)))
    assert [(problem.start, problem.message) for problem in found] == [
        (column, f"{'c' if 'u0063' in text else 'a'} is here twice; the last one counts")
    ]


@pytest.mark.parametrize(
    ("marked", "text", "column"),
    [
        ('add {"b": 1}', "missing a", 11),
        ("add {}", "missing a", 5),
        ("add |b=1", "missing a", 6),
        ("ad|d", "missing a", 3),
        ('add {"a": "x"}', "expected number, not a string", 10),
        ("add a='1'| ", "expected number, not a string", 6),
        ("add a=x b=1", "expected number, not a string", 6),
        # What is typed can no longer become what it has to be.
        ("add a=x", "expected number, not a string", 6),
        ("add [1, nul", "expected number, not a string", 8),
        ("order.create color=rod", 'expected "red" | "dark green"', 19),
        ("add a=1 c=2 ", "unknown parameter c", 8),
        ('order.create {"itm": {"sku": "x"}}', "unknown parameter itm; did you mean item?", 14),
        ('order.create item={"sku": 1} ', "expected string, not an integer", 26),
        ('order.create item={"sku": "x", "qty": 0} ', "at least 1", 38),
        ('order.create item={"sku": "x", "qty": 1.5} ', "expected integer, not a number", 38),
        ('order.create items=[{"sku": "x"}, {}] ', "missing sku", 35),
        ('order.create item={"sku":"x"} color=blue ', 'expected "red" | "dark green"', 36),
        ('order.create {"item": {"sku": "x"}, "zip": 12}', "expected string | null", 43),
        ('order.create {"item": {"sku": "x"}, "pet": {"type": "cat"}}', "missing lives", 57),
        ('order.create {"item": {"sku": "x"}, "pet": {"type": "cow"}}', "expected Pet", 43),
        ("add [1, 2, 3]", "at most 2 items", 11),
        ("add []", "at least 1 item", 4),
        ("add 1 ", "did you mean `add a=1`?", 4),
        ("add 1 2", "did you mean `add a=1 b=2` or `add [1, 2]`?", 4),
        ("add(1, 2)", "did you mean `add a=1 b=2` or `add [1, 2]`?", 0),
        ("spawn 2", "unknown method spawn; :spawn is a command", 0),
        ('mood "ugly"', 'expected "good" | "bad"', 5),
        ("ad 1", "unknown method ad; did you mean add?", 0),
        ("order.craete {", "unknown method order.craete; did you mean order.create, order.cancel?", 0),
        ("zzz ", "unknown method zzz", 0),
    ],
)
def test_what_the_schema_does_not_allow_is_shown_with_its_column(marked: str, text: str, column: int) -> None:
    assert hint_at(marked) == Hint(text, problem=True, column=column)


@pytest.mark.parametrize(
    "marked",
    [
        'order.create {"item": {"sku": "x", "qty": 2.0, "color": "red"}, "zip": null, "loop": [1]}',
        'order.create {"item": {"sku": "x"}, "pet": {"type": "dog", "other": 1}, "tree": {"kids": [{"kids": []}]}}',
        'order.create [{"sku": "x"}, [], true]',
        'order.create item={"sku": "x"} zip=12 ',
        'ping {"anything": [1]}',
        "mood 'good'",
        "order.create item=|",
    ],
)
def test_what_the_schema_allows_is_no_problem(marked: str) -> None:
    assert not hint_at(marked).problem


@pytest.mark.parametrize(
    ("marked", "text", "column"),
    [
        ("add a=$user.id b=$_[0] ", None, None),
        ("add a=$user ", "expected number, not an object", 6),
        ("add {a: $user.name, b: 1}", "expected number, not a string", 8),
        ("add a=$nope ", "no variable is called $nope; `nope = METHOD …` makes it", 6),
        ("add a=$user.nam ", "$user has no key nam", 6),
        ("add a=$nop|", None, None),
        ('order.create item={sku: $"${user.name}"} ', None, None),
        ('add a=$"x" ', "expected number, not a string", 6),
        ("$nope ", "no variable is called $nope; `nope = METHOD …` makes it", 0),
        ("add $user ", None, None),
        (":watch 2 add a=x b=1 ", "expected number, not a string", 15),
        (":w 2 add a=1 ", None, None),
    ],
)
def test_variables_are_looked_up(marked: str, text: str | None, column: int | None) -> None:
    found = hint_at(marked)
    assert (found.text if found.problem else None, found.column) == (text, column)


def test_a_call_inside_a_command_has_its_signature() -> None:
    assert hint_at(":watch 2 add a=1").text == ADD
    assert hint_at(":watch 2").text.startswith(":watch [--count INT] SECONDS CALL")


@pytest.mark.parametrize(
    ("marked", "wrong"),
    [
        ('order.create {"item": {"sku": 1, "qty": 0}, "itm": 1}|', ["1", "0", '"itm"']),
        ("add a='1' c=2 b=x |", ["'1'", "c", "x"]),
        ("add a=1 c|", []),
        ("add {}|", ["}"]),
        ("ad a=1|", ["ad"]),
        ("add [1, True]|", ["True"]),
        (":watch 2 add a='x' |", ["'x'"]),
        (":spwn x|", [":spwn"]),
        ("add a=1|", []),
    ],
)
def test_everything_that_is_wrong_is_found_at_its_place(marked: str, wrong: list[str]) -> None:
    assert wrong_in(marked) == wrong


def test_a_deprecated_method_says_so() -> None:
    assert hint_at("order.cancel").text == "order.cancel()  deprecated"


def test_without_a_catalog_no_method_is_unknown() -> None:
    assert hint_at("zzz {}", EMPTY_CATALOG) == Hint("")


def test_the_first_word_of_a_name_with_blanks_is_told_how_the_name_is_typed() -> None:
    catalog = Catalog.from_openrpc({"methods": [{"name": name, "params": []} for name in ("dynamics", "dynamic blob")]})

    assert hint_at("dynamic b", catalog).text.endswith('unknown method dynamic; did you mean "dynamic blob", dynamics?')


@pytest.mark.parametrize("text", ["order.create color=re", "order.create zip=nu", "order.create express=fa"])
def test_a_word_that_may_become_what_it_has_to_be_is_no_mistake(text: str) -> None:
    assert not hint_at(text).problem


@pytest.mark.parametrize(("text", "wrong"), [("m p=5", False), ("m p=1", False), ("m p=a", False), ("m p=2 ", True)])
def test_where_texts_and_numbers_are_allowed_a_word_may_become_any(text: str, wrong: bool) -> None:
    schema = {"enum": ["ab", 5, "10"]}
    known = Catalog.from_openrpc({"methods": [{"name": "m", "params": [{"name": "p", "schema": schema}]}]})
    assert hint_at(text, known).problem == wrong


def test_what_is_typed_by_habit_is_told_what_it_is() -> None:
    assert hint_at("ls -l") == Hint("ls is no method; :methods lists the methods, !ls -l the files")
    assert not hint_at("exit").problem


def test_a_method_that_is_still_typed_is_not_unknown() -> None:
    assert hint_at("ad") == Hint("")
    assert hint_at("adf") == Hint("unknown method adf; did you mean add?", problem=True, column=0)


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (
            ":spawn -w 3",
            Hint(":spawn [--workers INT] [--model sync|thread] [--keep] [APP]  Start a server."),
        ),
        (":describe", Hint(":describe METHOD…  Describe methods.")),
        (":spwn x", Hint("unknown command :spwn; did you mean :spawn?", problem=True, column=0)),
        (":zzz x", Hint("unknown command :zzz; :help lists the commands", problem=True, column=0)),
        (":sp", Hint("")),
        (":", Hint("")),
        ("", Hint("")),
        ("# note", Hint("")),
        (": x", Hint("a command has a name: expected the name of a command, without a blank", problem=True, column=1)),
    ],
)
def test_commands(marked: str, expected: Hint) -> None:
    line = parse(marked)
    assert hint(line, len(marked), surroundings(CATALOG)) == expected


@given(line_texts, st.integers(-2, 60))
def test_no_line_makes_it_raise(text: str, cursor: int) -> None:
    for catalog in (CATALOG, EMPTY_CATALOG):
        found = hint(parse(text), cursor, surroundings(catalog))
        assert found.column is None or 0 <= found.column <= len(text)
        assert found.problem or found.column is None


@given(ODD_METHODS, ODD_OBJECTS, st.sampled_from(['m {"a": 1}', "m a=1 ", "m [1, {}]", "m [{}]", "m 1 ", "m [[1]]"]))
def test_no_schema_makes_it_raise(methods: list[object], schemas: object, marked: str) -> None:
    catalog = Catalog.from_openrpc({"methods": methods, "components": {"schemas": {"A": schemas}}})
    hint_at(marked, catalog)
