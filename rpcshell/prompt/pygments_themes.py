"""Styles of pygments as themes: which there are, and the colours that each gives to a line and to JSON."""

from pygments.styles import get_all_styles, get_style_by_name
from pygments.token import Comment, Error, Generic, Keyword, Literal, Name, _TokenType
from pygments.util import ClassNotFound

from rpcshell.client.errors import UsageError
from rpcshell.prompt.palettes import Palette


def style_names() -> tuple[str, ...]:
    """The styles, in alphabetical order."""
    return tuple(sorted(get_all_styles()))


def style_colours(name: str) -> Palette:
    """The colours of a style by what has them; raises `UsageError` where there is no such style."""
    try:
        style = get_style_by_name(name)
    except ClassNotFound:
        raise UsageError(f"there is no theme {name!r}", hint=":set theme with Tab lists them") from None

    def look(*tokens: _TokenType) -> str:
        """That of the first token which has a colour of its own."""
        for token in tokens:
            rule = style.style_for_token(token)
            if rule["color"]:
                marks = [mark for mark in ("bold", "italic") if rule[mark]]
                return " ".join([*marks, f"#{rule['color']}"])
        return ""

    # What is suggested has to differ from what is typed.
    comment = look(Comment) or "#808080"
    return Palette(
        key=look(Name.Tag, Name.Attribute, Keyword),
        string=look(Literal.String.Double, Literal.String),
        number=look(Literal.Number),
        constant=look(Keyword.Constant, Keyword),
        comment=comment,
        method=f"bold {look(Name.Function)}".strip(),
        command=f"bold {look(Keyword)}".strip(),
        option=look(Name.Attribute, Name.Builtin),
        variable=look(Name.Variable, Name.Builtin, Keyword.Type),
        faint=comment,
        problem=look(Name.Exception, Generic.Error, Keyword),
        # Many styles mark what is wrong by a frame or a background, with a colour that cannot be read without it.
        error=look(Generic.Error, Generic.Deleted) if not style.style_for_token(Error)["bgcolor"] else "#ff0000",
    )
