"""What a key press costs with thousands of methods: to compute, and at a terminal from the key to what it changes.

    python -m tests.bench.keys [--methods 10000] [--keys 40]

The first table is processor time of everything that runs at a key press: parsing, completion, toolbar, colours and
documentation. The second is at a pseudo-terminal, beside a bare prompt_toolkit session with a JSON lexer: the time
until a key is on the screen, and the processor time of the program for all that it draws at a key.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from rpcshell.commands import load_commands
from rpcshell.line.catalog import Catalog
from rpcshell.line.language import CallLine, parse
from rpcshell.prompt.completer import LineCompleter
from rpcshell.prompt.context import LineContext
from rpcshell.prompt.lexer import LineLexer
from rpcshell.prompt.synopsis import method_synopsis
from rpcshell.prompt.toolbar import Toolbar
from rpcshell.shell.session import Session
from tests.bench.startup import BARE_SESSION
from tests.e2e.terminal import Terminal

RUNS = 9
ROUNDS = 4
QUIET = 0.05
"""Seconds without output after which a program has drawn all that a key changes."""

CTRL_U = "\x15"
BUDGET = 10.0
"""Milliseconds."""

AREAS = ("user", "order", "item", "report", "audit", "billing", "cart", "index", "stock", "mail")
VERBS = ("get", "list", "create", "update", "delete")
APP = """
from rpcserver import Service

service = Service("big")


def handler(first: int, second: str = "x") -> int:
    "Do something with it."
    return first


for name in open({names!r}).read().split():
    service.method(handler, name=name)
"""


def names(count: int) -> list[str]:
    """Dotted names as a large service has them."""
    return [f"{AREAS[i % 10]}.{AREAS[i // 10 % 10]}{i // 50}.{VERBS[i % 5]}" for i in range(count)]


def catalog(count: int) -> Catalog:
    params = [
        {"name": "first", "required": True, "schema": {"type": "integer"}},
        {"name": "second", "schema": {"type": "string", "default": "x"}},
    ]
    methods = [{"name": name, "summary": "Do something with it.", "params": params} for name in names(count)]
    return Catalog.from_openrpc({"openrpc": "1.3.2", "methods": methods})


class _Known(Session):
    known: Catalog

    @property
    def catalog(self) -> Catalog:
        return self.known


def key_press(known: Catalog) -> Callable[[str], None]:
    """What is done for a text at a key press."""
    session = _Known(background=False)
    session.known = known
    commands = load_commands()
    context = LineContext(session, lambda: commands, read=parse)
    completer = LineCompleter(context)

    def press(text: str) -> None:
        document = Document(text, len(text))
        list(completer.get_completions(document, CompleteEvent(text_inserted=True)))
        # One without a memory: each text is new to it.
        Toolbar(context)(text, len(text), 79)
        LineLexer(parse, known).lex_document(document)(0)
        body = parse(text).body
        if isinstance(body, CallLine) and (method := known.methods.get(body.method)) is not None:
            method_synopsis(method, body, len(text), 8, 79)

    return press


def texts(known: Catalog) -> Iterator[str]:
    full = sorted(known.methods)[len(known.methods) // 2]
    for line in (f"{full} first=1 second=", f'{full} {{"first": 1, "second": "x"}}'):
        yield from (line[:end] for end in range(1, len(line) + 1))
    yield from ("g", "ge", "get", "o.g", "uog", "item99", "teg", "tsil", "aeiou", "zzz", "user.ge t", "usre.item1.get ")


def computed(count: int) -> None:
    known = catalog(count)
    press = key_press(known)
    costs: dict[str, float] = {}
    for text in texts(known):
        best = []
        for _ in range(RUNS):
            # `near` remembers what it was asked last.
            known.index.near("-")
            began = time.process_time()
            press(text)
            best.append((time.process_time() - began) * 1000)
        costs[text] = statistics.median(best)
    worst = max(costs, key=lambda text: costs[text])
    print(f"{len(costs)} texts typed with {count} methods, milliseconds of processor time a key\n")
    print("| median | 95 of 100 | worst | the worst is |\n|--:|--:|--:|---|")
    ordered = sorted(costs.values())
    nearly = ordered[int(len(ordered) * 0.95)]
    print(f"| {statistics.median(ordered):.1f} | {nearly:.1f} | {costs[worst]:.1f} | `{worst}` |\n")
    if costs[worst] > BUDGET:
        print(f"over the budget of {BUDGET:g} ms")


def echoes(terminal: Terminal, line: str) -> list[tuple[float, float]]:
    """Milliseconds from each key until it is on the screen, and of the program's processor time until it is idle."""
    taken = []
    for _ in range(ROUNDS):
        for end in range(1, len(line) + 1):
            worked = processor_time(terminal.pid)
            began = time.perf_counter()
            terminal.send(line[end - 1])
            terminal.wait_for(rf"> {re.escape(line[:end])}")
            shown = time.perf_counter() - began
            terminal.wait_until_quiet(QUIET)
            taken.append((shown * 1000, (processor_time(terminal.pid) - worked) * 1000))
        terminal.send(CTRL_U)
        terminal.wait_until_gone(rf"> {line[0]}")
        terminal.wait_until_quiet(QUIET)
    return taken


def processor_time(pid: int) -> float:
    """Seconds that the main thread of a process has run (proc(5))."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def at_a_terminal(count: int, keys: int) -> None:
    line = names(count)[count // 2][:keys]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "names").write_text("\n".join(names(count)))
        (home / "big.py").write_text(APP.format(names=str(home / "names")))
        taken: dict[str, list[tuple[float, float]]] = {}
        with Terminal(home, (sys.executable, "-c", BARE_SESSION), columns=100) as bare:
            bare.wait_for("^bare> ")
            taken["bare PromptSession with a JSON lexer"] = echoes(bare, line)
        with Terminal(home, columns=100) as shell:
            shell.wait_for("^rpcshell> ")
            shell.send(":spawn 1 big.py\r")
            shell.wait_for(r"worker \(sync\) on .*\n.*> $", 60)
            shell.wait_for("^Tab completes", 60)
            taken[f"rpcshell, {count} methods"] = echoes(shell, line)
    print("Milliseconds a key at a terminal\n\n| what | on the screen: median | max | processor: median | max |")
    print("|---|--:|--:|--:|--:|")
    for what, values in taken.items():
        columns = [f"{measure(part):.1f}" for part in zip(*values, strict=True) for measure in (statistics.median, max)]
        print(f"| {what} | {' | '.join(columns)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", type=int, default=10_000)
    parser.add_argument("--keys", type=int, default=40, help="the greatest number of keys typed at the terminal")
    options = parser.parse_args()
    computed(options.methods)
    at_a_terminal(options.methods, options.keys)


if __name__ == "__main__":
    main()
