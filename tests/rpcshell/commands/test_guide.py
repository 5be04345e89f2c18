import pytest

from rpcshell.client.errors import UsageError
from rpcshell.commands import load_commands
from rpcshell.line.catalog import Catalog, Method
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording
from tests.rpcshell.shop import DOCUMENT


class ShopSession(Session):
    """A session whose target has told what it offers."""

    @property
    def catalog(self) -> Catalog:
        return Catalog.from_openrpc(DOCUMENT)

    def method(self, name: str, *, params: bool = True) -> Method | None:
        return self.catalog.methods.get(name)


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        (":help wire", ":wire "),
        (":help wire send", ":wire "),
        (":help :wire send split", ":wire "),
        (":help export pytest", ":export "),
        (":help exit 3", ":quit"),
        (":help drill kill 3", ":drill kill "),
    ],
)
def test_a_line_of_a_command_is_explained_by_its_command(line: str, usage: str) -> None:
    output = Recording()
    Shell(ShopSession(background=False), output, load_commands).execute(line)
    assert output.texts[0].startswith(f"Usage: {usage}")


def test_what_may_be_another_command_is_not_explained_by_the_one_above_it() -> None:
    shell = Shell(ShopSession(background=False), Recording(), load_commands)
    for name, hint in (("drill kil", "did you mean :help drill kill?"), ("wirr", "did you mean :help wire?")):
        with pytest.raises(UsageError, match=f"no help for {name}") as caught:
            shell.execute(f":help {name}")
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("line", "text"),
    [(":edit", None), (":edit add", 'add {"a": 1.5}')],
)
def test_the_editor_begins_with_the_line_before_or_a_call(line: str, text: str | None) -> None:
    composed: list[str | None] = []
    shell = Shell(ShopSession(background=False), Recording(), load_commands, compose=composed.append)
    shell.execute(line)
    assert composed == [text]


def test_the_editor_begins_with_no_method_that_the_server_has_not() -> None:
    composed: list[str | None] = []
    shell = Shell(ShopSession(background=False), Recording(), load_commands, compose=composed.append)
    with pytest.raises(UsageError, match="no method 'ad'") as caught:
        shell.execute(":edit ad")
    assert caught.value.hint == "did you mean add?"
    shell = Shell(Session(background=False), Recording(), load_commands, compose=composed.append)
    shell.execute(":edit unheard")
    assert composed == ["unheard {}"]


def test_without_a_prompt_there_is_nothing_to_edit() -> None:
    with pytest.raises(UsageError, match="prompt"):
        Shell(Session(background=False), Recording(), load_commands).execute(":edit")
