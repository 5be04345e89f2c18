"""The README's examples do what it says they do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (service,) = (block for block in blocks("python") if block.startswith("# calc.py\n"))
    (tmp_path / "calc.py").write_text(service)
    return tmp_path


def run(command: str, folder: Path) -> str:
    """What a command prints, on both streams."""
    environment = {**os.environ, "HOME": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(  # noqa: PLW1510, S602 - lines of a shell, whose errors are part of the example
        command,
        shell=True,
        cwd=folder,
        env=environment,
        text=True,
        timeout=100,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ).stdout


def test_the_two_commands_are_there() -> None:
    assert "pip install . && rpcshell --spawn 10\n" in README
    assert "pip install -e '.[test]' && pytest\n" in README


def test_each_command_prints_what_stands_below_it(folder: Path) -> None:
    examples = [
        part.partition("\n")
        for block in blocks("console")
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)
        if part
    ]
    assert examples
    for command, _, expected in examples:
        assert run(command, folder) == expected


def test_the_library_example_runs(folder: Path) -> None:
    (example,) = (block for block in blocks("python") if block.startswith("from rpcshell"))
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "rpcserver", "calc.py", "-w", "1", "-b", "unix:calc.sock"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    try:
        assert "listening on" in server.stderr.readline()
        script = example.replace('"127.0.0.1:8080"', '"unix:calc.sock"')
        script = re.sub(
            r"^( *)(client\.call|error\.code)(.*?)  # (.*)$", r"\1assert (\2\3) == (\4)", script, flags=re.MULTILINE
        )
        assert script.count("assert") == 2
        subprocess.run([sys.executable, "-c", script], cwd=folder, check=True, timeout=100)
    finally:
        server.terminate()
        server.communicate()


def test_the_test_example_passes(folder: Path) -> None:
    (example,) = (block for block in blocks("python") if block.startswith("# test_calc.py\n"))
    (folder / "test_calc.py").write_text(example)
    assert "1 passed" in run("python -m pytest -q test_calc.py", folder)


def test_the_recording_is_of_this_version() -> None:
    from rpcshell import __version__

    assert f"rpcshell {__version__} · :spawn 10 starts a server" in README


def test_every_option_that_the_guide_names_exists(folder: Path) -> None:
    known = set(
        re.findall(
            r"--[a-z-]+",
            run("rpcshell --help; rpcserver --help; rpcshell bench --help", folder)
            + run("rpcshell -c ':help spawn' -c ':help connect' -c ':help logs'", folder),
        )
    )
    ours = re.sub(r"`python -m tests[^`]*`", "", README)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours)) - {"--extra"}
    assert named <= known
