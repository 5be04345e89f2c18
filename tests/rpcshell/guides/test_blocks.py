"""Each block of README and the guides does what it says.

What `own-dialect` shows is run in `rpcshell/client/test_guide`, and the files that the pages on deployments show in
`rpcserver/test_deployments`. What pages say beside their blocks is in `test_claims`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rpcserver.testing import serve
from rpcshell.client.client import Client as ShellClient
from rpcshell.client.fleet_client import FleetClient
from tests.rpcshell.guides.pages import BLOCKS, EXAMPLES, Block, blocks
from tests.servers import PATIENCE

RUN_ELSEWHERE = "rpcshell/guides/own-dialect.md"


class Places(NamedTuple):
    """Where a server of `tests/examples/calc.py` listens: at the ports that pages name, and at those it really has."""

    native: str
    second: str
    line: str

    def here(self, text: str) -> str:
        """A text with real addresses."""
        text = text.replace("127.0.0.1:8080", self.native).replace("127.0.0.1 8081", self.line.replace(":", " "))
        return text.replace('("127.0.0.1", 8080)', repr(self.address)).replace("127.0.0.1:8081", self.second)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.native.rpartition(":")
        return host, int(port)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    with contextlib.ExitStack() as running:
        app = str(EXAMPLES / "calc.py")
        native, second, line = (
            running.enter_context(serve(app, model="thread", workers=1, bind=f"{framing}127.0.0.1:0")).address
            for framing in ("", "", "line+tcp://")
        )
        yield Places(native, second, line.removeprefix("line+tcp://"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for example in EXAMPLES.glob("*.py"):
        shutil.copy(example, tmp_path)
    return tmp_path


def test_every_block_says_its_language() -> None:
    known = {"console", "dockerfile", "ini", "json", "python", "rpcshell", "sh", "text", "toml", "yaml"}
    assert [str(block) for block in BLOCKS if block.language not in known] == []


def as_installed(command: str) -> str:
    """A command without what fetches a program first."""
    return command.replace("npx -y @modelcontextprotocol/server-everything", "mcp-server-everything")


def missing_program(command: str) -> str:
    """The program that a command starts and that is not installed; empty where all is there."""
    found = re.search(r" -- (\S+)|\| (nc) ", command)
    name = (found[1] or found[2]) if found else ""
    return "" if not name or shutil.which(name, path=search_path()) else name


def search_path() -> str:
    node = Path(os.environ.get("RPCSHELL_NODE_MODULES", "node_modules"), ".bin")
    return os.pathsep.join([str(Path(sys.executable).parent), str(node), os.environ["PATH"]])


CONSOLE = [
    # Each starts programs; README's have to do for every run.
    pytest.param(block, id=str(block), marks=() if block.page == "README.md" else pytest.mark.thorough)
    for block in blocks("console")
]


@pytest.mark.parametrize("block", CONSOLE)
def test_each_command_prints_what_stands_below_it(block: Block, folder: Path, places: Places) -> None:
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PATH": search_path()}
    with contextlib.ExitStack() as running:
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            command = places.here(as_installed(command))
            if missing := missing_program(command):
                pytest.skip(f"{missing} is not installed")
            if command.endswith(" &"):
                arguments = command.removesuffix(" &").split()
                running.enter_context(in_background(arguments, folder, environment))
                continue
            done = subprocess.run(  # noqa: S602 - a line of a shell, whose errors are part of the example
                command,
                shell=True,
                cwd=folder,
                env=environment,
                text=True,
                timeout=100,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert timeless(done.stdout) == timeless(expected)


def timeless(text: str) -> str:
    return re.sub(r"in \d+\.\d+s", "in 0.1s", text)


@contextlib.contextmanager
def in_background(arguments: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A server, as long as the block runs."""
    assert arguments[0] == "rpcserver"
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", *arguments], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert server.stderr is not None
    try:
        assert "listening on" in server.stderr.readline()
        yield
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE)


def as_asserts(code: str) -> str:
    """Code in which each expression that a comment gives the value of is asserted to have it."""
    return re.sub(r"^( *)(\S.*?)  # ([\[({\"\d].*|[A-Z]\w+\(.*\))$", r"\1assert (\2) == (\3)", code, flags=re.MULTILINE)


def run(code: str, name: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, name, "exec", dont_inherit=True), namespace)  # noqa: S102 - that is what is tested
    return namespace


@pytest.mark.parametrize("block", [block for block in blocks("python") if block.page != RUN_ELSEWHERE], ids=str)
def test_each_python_block_runs(block: Block, places: Places, rpc_server: Callable[..., Any]) -> None:
    for example in EXAMPLES.glob("*.py"):
        if block.text.startswith(example.read_text().partition("\n")[0]):
            assert block.text == example.read_text()
    code = as_asserts(places.here(block.text))
    if "def test_" in code:
        namespace = run(code, str(block))
        for name, test in namespace.items():
            if name.startswith("test_"):
                test(*[rpc_server] * test.__code__.co_argcount)
    elif re.search(r"connect(_async)?\(\"(zk|\w+\+\w+):", code):
        # Nobody is there to be called, so that the names have to do.
        compile(code, str(block), "exec")
        kind = FleetClient if "zk:" in code else ShellClient
        assert [name for name in re.findall(r"client\.(\w+)", code) if not hasattr(kind, name)] == []
    else:
        run(code, str(block))


@pytest.mark.parametrize("block", blocks("text"), ids=str)
def test_the_frames_are_those_that_a_server_takes_and_gives(block: Block, places: Places) -> None:
    request, reply = (
        bytes.fromhex(length) + body.encode()
        for length, body in re.findall(r"^((?:[0-9a-f]{2} ){4}) +(.*)$", block.text, re.MULTILINE)
    )
    with socket.create_connection(places.address, PATIENCE) as server, server.makefile("rb") as replies:
        server.sendall(request)
        assert replies.read(len(reply)) == reply
