"""The language of a line: `parse` reads it, `call_params` gives it a meaning, `unparse` writes it.

Pure functions over immutable values: nothing here reads a file, a socket or a terminal.
"""

from rpcshell.language.assembler import Assembler
from rpcshell.language.evaluate import call_params
from rpcshell.language.nodes import (
    ArrayNode,
    Body,
    CallLine,
    CommandLine,
    Empty,
    Form,
    KeywordNode,
    Line,
    Member,
    MissingNode,
    Node,
    NumberNode,
    ObjectNode,
    StringNode,
    Word,
    WordNode,
)
from rpcshell.language.parser import parse
from rpcshell.language.statements import statements
from rpcshell.language.tokens import LineError, Problem, Severity, Token, TokenKind
from rpcshell.language.unparse import key_text, method_text, quote, unparse

__all__ = [
    "ArrayNode",
    "Assembler",
    "Body",
    "CallLine",
    "CommandLine",
    "Empty",
    "Form",
    "KeywordNode",
    "Line",
    "LineError",
    "Member",
    "MissingNode",
    "Node",
    "NumberNode",
    "ObjectNode",
    "Problem",
    "Severity",
    "StringNode",
    "Token",
    "TokenKind",
    "Word",
    "WordNode",
    "call_params",
    "key_text",
    "method_text",
    "parse",
    "quote",
    "statements",
    "unparse",
]
