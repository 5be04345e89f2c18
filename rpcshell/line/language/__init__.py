"""The language of a line: `parse` reads it, `call_params` gives it a meaning, `unparse` writes it.

Pure functions over immutable values: nothing here reads a file, a socket or a terminal.
"""

from rpcshell.line.language.assembler import Assembler
from rpcshell.line.language.evaluate import Lookup, call_params, line_value, node_value, typed_word, word_value
from rpcshell.line.language.nodes import (
    ArrayNode,
    Assignment,
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
    Pipe,
    Redirect,
    Sink,
    Step,
    StringNode,
    TemplateNode,
    ValueLine,
    VariableNode,
    Word,
    WordNode,
    leading_word,
)
from rpcshell.line.language.parser import parse
from rpcshell.line.language.statements import statements
from rpcshell.line.language.tokens import LineError, Problem, Severity, Token, TokenKind
from rpcshell.line.language.unparse import key_text, method_text, quote, unparse
from rpcshell.line.language.variables import walk

__all__ = [
    "ArrayNode",
    "Assembler",
    "Assignment",
    "Body",
    "CallLine",
    "CommandLine",
    "Empty",
    "Form",
    "KeywordNode",
    "Line",
    "LineError",
    "Lookup",
    "Member",
    "MissingNode",
    "Node",
    "NumberNode",
    "ObjectNode",
    "Pipe",
    "Problem",
    "Redirect",
    "Severity",
    "Sink",
    "Step",
    "StringNode",
    "TemplateNode",
    "Token",
    "TokenKind",
    "ValueLine",
    "VariableNode",
    "Word",
    "WordNode",
    "call_params",
    "key_text",
    "leading_word",
    "line_value",
    "method_text",
    "node_value",
    "parse",
    "quote",
    "statements",
    "typed_word",
    "unparse",
    "walk",
    "word_value",
]
