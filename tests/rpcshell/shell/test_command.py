import click
import pytest

from rpcshell.client.errors import UsageError
from rpcshell.commands import CommandRegistry, load_commands
from rpcshell.line.language import CommandLine, parse
from rpcshell.line.suggest import ArgumentSpec, OptionSpec
from rpcshell.shell.command import METHOD, TARGET, Command, command
from rpcshell.shell.session import Session
from rpcshell.shell.shell import Shell
from tests.rpcshell.commands.recording import Recording


@command("paint", group="Art", aliases=("p",), examples=(":paint wall red",))
@click.argument("thing", type=TARGET)
@click.argument("colours", type=click.Choice(["red", "blue"]), nargs=-1)
@click.option("-c", "--coats", type=click.IntRange(min=1), default=1, help="How many.\n\nMore are better.")
@click.option("--dry/--wet", help="Wait.")
@click.option("--with", "tools", multiple=True, type=METHOD)
def paint(shell: Shell, *, thing: str, colours: tuple[str, ...], coats: int, dry: bool, tools: tuple[str, ...]) -> None:
    """Paint a thing.

    More than once, if need be.
    """
    shell.output.text(f"{thing} {colours} {coats} {dry} {tools}")


@command("prime", group="Art")
@click.argument("coats", type=click.IntRange(min=1), required=False)
def prime(shell: Shell, *, coats: int | None) -> None:
    """Prepare a thing."""
    shell.output.text(f"{coats}")


@command("simple", group="Art")
def simple(shell: Shell) -> None:
    """Do it."""
    shell.output.text("done")


@pytest.fixture
def output() -> Recording:
    return Recording()


@pytest.fixture
def shell(output: Recording) -> Shell:
    return Shell(Session(background=False), output, lambda: CommandRegistry([paint, prime, simple]))


def test_a_command_runs_with_its_params_by_name(shell: Shell, output: Recording) -> None:
    shell.execute(":paint wall red blue --coats 2 --dry --with a --with b")
    assert output.texts == ["wall ('red', 'blue') 2 True ('a', 'b')"]


def test_quotes_keep_a_word_together(shell: Shell, output: Recording) -> None:
    shell.execute(":paint 'the wall'")
    assert output.texts[0].startswith("the wall ()")


def test_an_alias_runs_the_same(shell: Shell, output: Recording) -> None:
    shell.execute(":p wall")
    assert len(output.texts) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (":paint", "missing argument"),
        (":paint wall green", "'green' is not one of"),
        (":paint wall --coats 0", "0 is not in the range"),
        (":paint wall --coats many", "'many' is not a whole number"),
        (":prime high", "invalid value for 'coats': 'high' is not"),
        (":paint wall --coats", "requires an argument"),
        (":paint wall --colour", "no such option"),
        (":simple more", "unexpected extra argument"),
    ],
)
def test_wrong_words_say_what_is_wrong_and_how_it_is_called(shell: Shell, line: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        shell.execute(line)
    assert message in raised.value.message.lower()
    assert raised.value.hint is not None
    assert raised.value.hint.startswith(f"usage: {line.split(maxsplit=1)[0]}")


def test_a_choice_that_is_none_leads_to_the_near_one(shell: Shell) -> None:
    with pytest.raises(UsageError) as raised:
        shell.execute(":paint wall bleu")
    assert raised.value.hint == "did you mean blue?"


def test_to_follow_what_is_shown_once_leads_to_what_does(shell: Shell) -> None:
    line = parse(":workers -f").body
    assert isinstance(line, CommandLine)
    with pytest.raises(UsageError, match=":top shows them"):
        load_commands().resolve("workers").run(shell, line)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_as_an_option_shows_the_help(shell: Shell, output: Recording, flag: str) -> None:
    shell.execute(f":paint {flag}")
    assert output.texts == [paint.help()]


def test_help_has_usage_text_options_aliases_and_examples() -> None:
    shown = paint.help(60)
    assert shown.startswith("Usage: :paint [options] ")
    assert "More than once" in shown
    assert "-c, --coats" in shown
    assert ":p" in shown
    assert "  :paint wall red" in shown
    assert all(len(line) <= 60 for line in shown.splitlines())


def test_help_of_a_command_without_options_speaks_of_none() -> None:
    assert simple.help() == "Usage: :simple\n\n  Do it."


def test_the_spec_is_made_of_the_same_declarations() -> None:
    spec = paint.spec
    assert (spec.name, spec.summary) == ("paint", "Paint a thing.")
    assert spec.arguments == (
        ArgumentSpec("thing", "target"),
        ArgumentSpec("colours", "choice", ("red", "blue"), required=False, many=True),
    )
    assert spec.option("--coats") == OptionSpec(("-c", "--coats"), "How many.", takes_value=True, kind="int")
    assert spec.option("--wet") == OptionSpec(("--dry", "--wet"), "Wait.")
    assert spec.option("--with") == OptionSpec(("--with",), takes_value=True, kind="method", multiple=True)


@pytest.mark.parametrize(
    ("name", "near"), [("piant", ":paint"), ("SIMPLE", ":simple"), ("sim", ":simple"), ("zzz", ":help"), ("", ":help")]
)
def test_an_unknown_name_brings_near_ones(shell: Shell, name: str, near: str) -> None:
    with pytest.raises(UsageError) as raised:
        shell.commands.resolve(name)
    assert near in (raised.value.hint or "")


def test_two_commands_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two commands are called :paint"):
        CommandRegistry([paint, paint])


@pytest.mark.parametrize("found", list(load_commands()), ids=lambda found: found.name)
def test_every_command_has_help_that_fits(found: Command) -> None:
    assert found.summary.endswith(".")
    assert not found.summary.endswith("..")
    assert len(found.summary) <= 56
    assert found.help().startswith(f"Usage: :{found.name}")
    assert found.group


def test_all_commands_are_there() -> None:
    names = {"connect", "disconnect", "doc", "help", "methods", "quit", "spawn", "stop"}
    assert names <= {found.name for found in load_commands()}
    assert load_commands().resolve("exit").name == load_commands().resolve("q").name == "quit"
    assert load_commands().resolve("kill") is load_commands().resolve("drill kill")
