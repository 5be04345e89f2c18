"""The languages of the lesson: which one somebody reads, and its texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rpcshell.lab.lesson.texts import Texts

__all__ = ["LANGUAGES", "choose_language", "load_texts"]

LANGUAGES: Final = ("en", "zh")

_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")
"""Variables that say the language of messages, the strongest first (locale(7))."""


def choose_language(environment: Mapping[str, str]) -> str:
    """The language of somebody's locale, if there are texts in it, or else English.

    Args:
        environment: Their environment.
    """
    locale = next((environment[name] for name in _LOCALE if environment.get(name)), "")
    return "zh" if locale.lower().startswith(("zh", "chinese")) else "en"


def load_texts(language: str) -> Texts:
    """The texts in one of the languages.

    Args:
        language: Its code.
    """
    if language == "zh":
        from rpcshell.lab.lesson.chinese import TEXTS

        return TEXTS
    from rpcshell.lab.lesson import english

    return english.TEXTS
