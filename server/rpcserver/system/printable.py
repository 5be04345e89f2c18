"""Texts for messages, whatever is in names of files, which need not be UTF-8, and in what users' code says."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text that UTF-8 can carry: lone surrogates become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
