"""The calls that would have worked in the place of one that does not: its words, as the method's schema takes them.

It may be a call as other tools have them: `add 1 2`, `add(1, 2)`, `add --a 1` or `add a:=1`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from rpcshell.line.catalog import Method
from rpcshell.line.check import check
from rpcshell.line.language import (
    ArrayNode,
    CallLine,
    MissingNode,
    Node,
    Problem,
    json_word,
    key_text,
    method_text,
    parse,
    quote,
    typed_word,
)
from rpcshell.line.properties import property_schema
from rpcshell.line.schema import Schema, allowed_types

_LONGEST = 2_000
"""Characters of the longest line that is looked at, and of one that is advised: nobody types a longer one."""

_MOST_DOTTED_STEPS = 16
_MOST_RETYPED_VALUES = 8
_CALL = re.compile(r"""\s*(?P<method>[^\s()\[\]{}<>"',;=|]+)(?P<rest>.*)""", re.DOTALL)
_PIECE = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')
    |(?P<open>[\[{(<])
    |(?P<close>[\]})>])
    |(?P<between>[\s,]+)
    |(?P<plain>[^\s,"'\[\]{}()<>]+)""",
    re.DOTALL | re.VERBOSE,
)
_OPTION = re.compile(r"--?(?P<name>[^\W\d][\w.-]*)(?:=(?P<value>.*))?", re.DOTALL)
_PAIR = re.compile(r"(?P<name>[^\W\d][\w.-]*)(?P<mark>:=|[:=])(?P<value>.*)", re.DOTALL)
_SCALAR = r"""(?P<mark>["'])(?P<inside>[\w.+-]+)(?P=mark)|[\w.+-]+"""

_Argument = tuple[str | None, str]
"""The name of an argument, where it has one, and its value as it was typed."""


def advice(text: str, find: Callable[[str], Method | None]) -> list[str]:
    """Calls that can be made, and that a line was probably meant as, the best first; none where that is not plain.

    `find` gives the method of a name.
    """
    call = _CALL.match(text) if len(text) <= _LONGEST else None
    method = None if call is None else find(call["method"])
    if call is None or method is None:
        return []
    arguments = _read_arguments(call["rest"], {param.name for param in method.params})
    candidates = [_retyped(text.strip(), method), *(() if arguments is None else _candidates(arguments, method))]
    found = dict.fromkeys(candidate for candidate in candidates if candidate != text.strip())
    return [candidate for candidate in found if len(candidate) <= _LONGEST and _is_plain(candidate, method)]


def _is_plain(text: str, method: Method) -> bool:
    """Whether a call can be made, and nothing about it is said to be odd, such as a name that is there twice."""
    return can_be_made(text, method) and not parse(text).problems


def _read_arguments(rest: str, names: Collection[str]) -> list[_Argument] | None:
    """Read what follows a method whose parameters have these names; None where no tool writes a call so."""
    rest = rest.strip().removesuffix(";").rstrip()
    if rest.startswith("(") and rest.endswith(")"):
        rest = rest[1:-1]
    words = _words(rest)
    if words is None:
        return None
    if len(words) % 2 == 0 and words and all(word in names for word in words[::2]):
        return list(zip(words[::2], words[1::2], strict=True))
    found: list[_Argument] = []
    left = iter(words)
    for word in left:
        name: str | None = None
        value: str | None = word
        if (option := _OPTION.fullmatch(word)) is not None:
            name, value = option["name"], option["value"] or None
        elif (pair := _PAIR.fullmatch(word)) is not None and (pair["mark"] != ":" or pair["name"] in names):
            name, value = pair["name"], pair["value"] or None
        if value is None:
            value = next(left, None)
        elif value == "=" and found and found[-1][0] is None:
            # What comes before is a name then, as in `a = 1`.
            name, value = found.pop()[1], next(left, None)
        if value is None:
            return None
        found.append((name, value))
    return found


def _words(text: str) -> list[str] | None:
    """What stands between blanks and commas outside of quotes and brackets, or None where these are not closed."""
    words: list[str] = []
    word, depth, position = "", 0, 0
    while position < len(text):
        piece = _PIECE.match(text, position)
        if piece is None:
            return None
        position = piece.end()
        depth += (piece["open"] is not None) - (piece["close"] is not None)
        if depth == 0 and piece["between"] is not None:
            words += [word] if word else []
            word = ""
        else:
            word += piece[0]
    words += [word] if word else []
    return words if depth == 0 else None


def _retyped(text: str, method: Method) -> str:
    """A call whose values are as the schema has them, where a text was typed as a number or the other way around."""
    for _ in range(_MOST_RETYPED_VALUES):
        params = _params(text, method)
        problem = None if params is None else next(_problems(params, method), None)
        value = None if problem is None else re.fullmatch(_SCALAR, text[problem.start : problem.end])
        if problem is None or value is None:
            break
        other = quote(value[0]) if value["inside"] is None else value["inside"]
        text = text[: problem.start] + other + text[problem.end :]
    return text


def _candidates(arguments: list[_Argument], method: Method) -> Iterator[str]:
    name, values = method_text(method.name), [value for _, value in arguments]
    given = {key: value for key, value in arguments if key is not None}
    free = [param.name for param in method.params if param.name not in given]
    if not values:
        yield name
    elif len(given) == len(values):
        yield _with_pairs(name, _folded(given, method), method)
    elif method.whole:
        texts = [_value(value, method.params_schema, method) for value in values]
        yield f"{name} {texts[0]}" if len(texts) == 1 else f"{name} [{', '.join(texts)}]"
        if _are_words(values):
            yield f"{name} {quote(' '.join(values))}"
    elif len(values) - len(given) <= len(free):
        named = [(free.pop(0) if key is None else key, value) for key, value in arguments]
        yield _with_pairs(name, named, method)
        if len(values) > 1 and not given:
            yield f"{name} [{', '.join(_of_param(key, value, method) for key, value in named)}]"
    if len(values) > 1 and not given and not method.whole and method.params and _are_words(values):
        # The words of one text.
        yield f"{name} {key_text(method.params[0].name)}={quote(' '.join(values))}"


def _are_words(values: Iterable[str]) -> bool:
    """Whether values may be the words of a text, and not JSON with a mistake in it."""
    return not any(value[0] in "{[<" for value in values)


def _with_pairs(name: str, named: Iterable[tuple[str, str]], method: Method) -> str:
    return " ".join([name, *(f"{key_text(key)}={_of_param(key, value, method)}" for key, value in named)])


def _folded(named: dict[str, str], method: Method) -> Iterable[tuple[str, str]]:
    """Names with dots, `file.driver=nbd`, as the objects that they lead into."""
    params = {param.name for param in method.params}
    tree: dict[str, Any] = {}
    for key, value in named.items():
        steps = [key] if key in params else key.split(".")
        inside = tree
        for step in steps[:-1]:
            inside = inside.setdefault(step, {})
            if not isinstance(inside, dict):
                return named.items()
        if len(steps) > _MOST_DOTTED_STEPS or steps[-1] in inside:
            return named.items()
        inside[steps[-1]] = value
    return [(key, _object_text(value, method.params_schema, key, tree, method)) for key, value in tree.items()]


def _object_text(value: str | dict[str, Any], outer: Schema, key: str, beside: dict[str, Any], method: Method) -> str:
    """The value of one member, whose others may tell of what kind the object is."""
    present = {name: text for name, text in beside.items() if isinstance(text, str)}
    schema = property_schema(outer, key, method.resolve, present) or {}
    if isinstance(value, str):
        return _value(value, schema, method)
    members = (f"{quote(name)}: {_object_text(inner, schema, name, value, method)}" for name, inner in value.items())
    return f"{{{', '.join(members)}}}"


def _of_param(key: str, value: str, method: Method) -> str:
    return _value(value, property_schema(method.params_schema, key, method.resolve) or {}, method)


def _value(text: str, schema: Schema, method: Method) -> str:
    """A value as JSON has it; of what was typed without quotes, as what the schema wants there."""
    if text[0] in "\"'{[<$":
        return text
    text = json_word(text)
    return quote(text) if isinstance(typed_word(text, allowed_types(schema, method.resolve)), str) else text


def can_be_made(text: str, method: Method) -> bool:
    """Whether a line is a call of a method, and its params are what the method's schema wants."""
    params = _params(text, method)
    if params is None:
        return False
    if isinstance(params, MissingNode):
        return method.whole or not any(param.required for param in method.params)
    if isinstance(params, ArrayNode) and method.by_name:
        return False
    return next(_problems(params, method), None) is None


def _params(text: str, method: Method) -> Node | None:
    """What a line has as params of a method; None where it is no call of it, or cannot be read."""
    line = parse(text)
    if line.blocking is not None or not isinstance(line.body, CallLine) or line.body.method != method.name:
        return None
    return line.body.params or MissingNode(len(text), len(text))


def _problems(params: Node, method: Method) -> Iterator[Problem]:
    schema = method.positional_schema if isinstance(params, ArrayNode) else method.params_schema
    return check(params, schema, method.resolve)
