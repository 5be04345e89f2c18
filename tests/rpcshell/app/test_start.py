"""What the start of the `rpcshell` command loads, and what it leaves until that is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.rpcshell.peers import echo, serving

pytestmark = pytest.mark.usefixtures("state")


@pytest.mark.samples(1)
@pytest.mark.parametrize("lines", [["-c", 'ping {"a":1}'], ["-c", "ping a=1", "-c", "ping"], ["ping", "a=1"]])
def test_single_lines_load_nothing_of_the_prompt(lines: list[str]) -> None:
    code = "import sys; from rpcshell.app.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    with serving(echo) as server:
        done = subprocess.run(
            [sys.executable, "-c", code, str(server.target), *lines],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "rpcshell" in loaded
    assert not loaded & {"prompt_toolkit", "pygments", "asyncio", "rich", "rpcserver", "subprocess"}
    assert not loaded & {"click", "dataclasses", "difflib", "gettext", "json", "platformdirs", "shlex"}
    assert not {"rpcshell.commands", "rpcshell.line.masking"} & set(done.stderr.split())


def test_the_first_prompt_loads_neither_the_protocol_nor_the_language() -> None:
    code = "import sys, rpcshell.app.program, rpcshell.app.repl, rpcshell.prompt.session; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = set(done.stdout.split())
    assert "rpcshell.prompt.session" in loaded
    unneeded = {
        "rpcwire",
        "click",
        "pygments",
        "platformdirs",
        "tomllib",
        "rpcshell.line.language",
        "rpcshell.commands",
    }
    assert not loaded & unneeded


def test_patterns_of_secrets_in_commands_are_compiled_for_lines_that_may_have_some() -> None:
    code = """
import re
compiled, compile = [], re.compile
re.compile = lambda pattern, flags=0: compiled.append(str(pattern)) or compile(pattern, flags)
from rpcshell.line.masking import mask_line
mask_line('user.get {"id": 1, "tags": [{"name": "x"}]} # the first')
usual = len(compiled)
mask_line("!mysql -pXYZ")
print([any(word in pattern for pattern in part for word in ("mysql", "PRIVATE"))
       for part in (compiled[:usual], compiled[usual:])])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[False, True]"


def test_the_first_key_loads_nothing_that_single_commands_need() -> None:
    code = "import sys, rpcshell.prompt.reading, rpcshell.line.hint, rpcshell.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = set(done.stdout.split())
    assert {"rpcshell.prompt.reading", "rpcshell.commands.why"} <= loaded
    unneeded = {
        "dataclasses",
        "difflib",
        "http",
        "importlib.resources",
        "rpcshell.guides.markdown",
        "rpcshell.shell.why.evidence",
        "rpcwire.framings",
    }
    assert not loaded & unneeded
