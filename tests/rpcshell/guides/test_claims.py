"""What README and the guides name is there: options, commands, files; and what they configure is read.

That their blocks do what they say is in `test_blocks`.
"""

from __future__ import annotations

import configparser
import importlib.util
import io
import json
import re
import shlex
import tomllib
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import rpcserver.testing
import rpcshell
from rpcserver.cli import parse as parse_server
from rpcserver.options import command as server_command
from rpcshell.app.arguments import read_arguments
from rpcshell.app.bench_arguments import read_bench_arguments
from rpcshell.commands import load_commands
from rpcshell.guides import GUIDES, guide_files, read_guide
from rpcshell.line.language import CommandLine, parse
from tests.rpcshell.guides.pages import PAGES, ROOT, Block, blocks, prose

NAMED = [pytest.param(page, id=name) for name, page in PAGES.items()]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
OTHER_PROGRAM = re.compile(
    r"(?m)^(?!rpcs)\S*(?:pip|python|kubectl|systemctl|uv) .*$|`(?:systemctl|python -m tests|uv|pytest) [^`]*`"
)
PROMPTED = re.compile(r"(?m)^(?:rpcshell|\S+:\S+(?: [\d/]+)?)?> (.*)$")
NO_COMMANDS = {"more", "oneway"}
"""What stands behind a method of varlink."""


@cache
def known_options() -> frozenset[str]:
    shown = io.StringIO()
    with redirect_stdout(shown):
        read_arguments(["--help"])
        read_bench_arguments(["--help"])
    texts = [shown.getvalue(), *(command.help() for command in load_commands())]
    named = {name for text in texts for name in OPTION.findall(text)}
    return frozenset(
        named | {name for option in server_command.params for name in (*option.opts, *option.secondary_opts)}
    )


@pytest.mark.parametrize("page", NAMED)
def test_every_option_exists(page: Path) -> None:
    assert set(OPTION.findall(OTHER_PROGRAM.sub("", page.read_text()))) - known_options() == set()


@pytest.mark.parametrize("page", NAMED)
def test_every_command_exists(page: Path) -> None:
    named = set(re.findall(r"`:([a-z][a-z-]*)", prose(page))) - NO_COMMANDS
    commands = load_commands()
    # Names of former times stand there once, to say that they go on to work.
    named -= {"all", "kill"} if page.stem == "language" else set()
    assert {name for name in named if (found := commands.find(name)) is None or found.name != name} == set()


@pytest.mark.parametrize("page", NAMED)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in link or (page.parent / link).exists(), link
    for file in re.findall(r"`(tests/[\w/]+\.py)`", page.read_text()):
        assert (ROOT / file).exists(), file
    for module in re.findall(r"python -m (tests[\w.]*)", page.read_text()):
        assert importlib.util.find_spec(module) is not None


def test_every_guide_is_a_file_and_every_file_a_guide() -> None:
    assert {f"# {name}" for name in GUIDES if not read_guide(name).startswith("# ")} == set()
    assert {Path(name).stem for name in PAGES if name != "README.md"} == set(GUIDES)
    with pytest.raises(KeyError):
        read_guide("../language")


@pytest.mark.parametrize("guide", GUIDES)
def test_the_files_that_a_guide_links_are_told_where_it_has_no_links(guide: str) -> None:
    linked = re.findall(r"(?<!!)\[[^\]]*\]\((?!\w+://)([^)#]+)", read_guide(guide))
    files = [Path(file) for file in guide_files(guide)]
    assert {file.name for file in files} == {link for link in linked if not link.endswith(".md")}
    assert all(file.is_file() for file in files)


@pytest.mark.parametrize("package", [rpcserver, rpcserver.testing, rpcshell], ids=lambda package: package.__name__)
def test_the_reference_names_all_that_a_package_offers(package: ModuleType) -> None:
    reference = read_guide("api")
    assert [name for name in package.__all__ if not re.search(rf"\b{name}\b", reference)] in ([], ["__version__"])


def test_the_readme_has_its_two_commands_and_a_page_of_text() -> None:
    readme = PAGES["README.md"].read_text()
    assert "\npip install . && rpcshell --spawn 10\n" in readme
    assert "\npip install -e '.[test]' && pytest\n" in readme
    assert len(readme.splitlines()) <= 180


@pytest.mark.parametrize("block", blocks("rpcshell"), ids=str)
def test_the_lines_of_a_session_are_lines_of_the_shell(block: Block) -> None:
    commands = load_commands()
    typed = PROMPTED.findall(block.text) or block.text.splitlines()
    for line in typed:
        parsed = parse(line)
        assert not parsed.problems, line
        if isinstance(parsed.body, CommandLine):
            commands.resolve(line.partition(" ")[0].removeprefix(":"))


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_the_programs_take_the_command_lines_of_a_page(block: Block) -> None:
    for line in block.text.replace("\\\n", "").splitlines():
        words = shlex.split(line.replace("&& ", ";").rpartition(";")[2], comments=True)
        files = [word for word in words if word.endswith(".pem")]
        words = [str(ROOT / "README.md") if word in files else word for word in words]
        match words[0] if words and ">" not in words else "":
            case "rpcserver":
                assert parse_server(words[1:], None) is not None
            case "rpcshell" if words[1] == "bench":
                assert read_bench_arguments(words[2:]) is not None
            case "rpcshell":
                assert read_arguments(words[1:]) is not None


@pytest.mark.parametrize("block", blocks("toml", "json", "yaml", "ini"), ids=str)
def test_what_is_configured_can_be_read(block: Block, tmp_path: Path) -> None:
    match block.language:
        case "toml" if block.text.startswith("# rpcserver.toml"):
            (tmp_path / "rpcserver.toml").write_text(block.text)
            invocation = parse_server(["--config", str(tmp_path / "rpcserver.toml")], tmp_path / "rpcserver.toml")
            assert invocation is not None
            assert invocation.settings.workers == 10
        case "toml":
            tomllib.loads(block.text)
        case "json":
            json.loads(block.text)
        case "yaml":
            assert yaml.safe_load(block.text)
        case _:
            unit = configparser.ConfigParser(interpolation=None)
            unit.read_string(block.text)
            if unit.has_option("Service", "ExecStart"):
                assert parse_server(shlex.split(unit["Service"]["ExecStart"])[1:], None) is not None
