import ast
import shutil
import subprocess

import pytest

from rpcshell.client.errors import ShellError
from rpcshell.client.target import TlsFiles
from rpcshell.commands.export import Kind, export_text, leave_out
from tests.rpcshell.commands.export.calls import TARGET, answered, export, kept, refused

KINDS: list[Kind] = ["python", "shell", "pytest"]


def valid(kind: Kind, text: str) -> bool:
    if kind != "shell":
        ast.parse(text)
        return True
    shell = shutil.which("dash") or "sh"
    return subprocess.run([shell, "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    [
        "it's",
        '"""',
        "\\",
        "$(reboot) `reboot` ${X}",
        "a\nb\tc",
        "\x1b[2J\u202e",
        "END\n",
        "ünï 😀",
        "\x00PASSWORD\x00",
        "#",
    ],
)
def test_any_text_makes_a_file_that_can_be_read(kind: Kind, text: str) -> None:
    records = [
        answered("m", {text: [text]}, {text: text}, target=f"unix:/tmp/{text.strip()}/x"),
        answered(text, text, text),
        refused("m", text, message=text * 100),
        answered("login", {"password": "hunter22", "n": text}),
    ]
    written = export_text(kind, export(records, exact=True, file=text.strip()))
    assert valid(kind, written)
    assert "\u202e" not in written.replace(f"unix:/tmp/{text.strip()}", "")


@pytest.mark.parametrize("kind", KINDS)
def test_how_a_target_is_reached_is_written_down(kind: Kind) -> None:
    written = export_text(
        kind,
        export(
            [answered("m", target="tls://h:1"), answered("m")],
            plain=frozenset({TARGET}),
            tls={"tls://h:1": TlsFiles("/ca.pem", "/my cert.pem")},
        ),
    )
    assert valid(kind, written)
    if kind == "shell":
        assert "rpcshell --tls-ca /ca.pem --tls-cert '/my cert.pem' \"$target\" -c" in written
        assert 'rpcshell --plain "$target_2" -c' in written
    else:
        assert 'connect(TARGET, tls=TlsFiles(ca="/ca.pem", cert="/my cert.pem")) as client' in written
        assert "connect(TARGET_2, plain=True) as client_2" in written
        assert "from rpcshell import TlsFiles, connect" in written


def test_a_call_without_params_has_none_in_a_script() -> None:
    written = export_text("shell", export([answered("list_dbs"), refused("a b")]))
    assert "-c list_dbs\n" in written
    assert """-c '"a b"' ||""" in written


def test_calls_that_took_long_get_the_time() -> None:
    import msgspec

    slow = msgspec.structs.replace(answered("m"), elapsed=80.0)
    assert "connect(TARGET, timeout=240)" in export_text("python", export([slow]))


def test_what_cannot_be_made_again_is_left_out() -> None:
    import msgspec

    deep: object = 1
    for _ in range(60):
        deep = [deep]
    lost = msgspec.structs.replace(answered("m"), error=ShellError("gone"), reply=None)
    records = kept(answered("a"), lost, answered("m", deep), answered("m", "x" * (1 << 21)), refused("b"))
    left, count = leave_out(records)
    assert [record.method for record in left] == ["a", "b"]
    assert count == 3


def test_the_same_call_over_and_over_is_one_test() -> None:
    written = export_text(
        "pytest", export([answered("m", 1, 5), answered("m", 1, 5), answered("m", 2), answered("m", 1, 5)])
    )
    assert written.count("def test_") == 3


def test_a_result_that_was_not_kept_is_not_expected() -> None:
    written = export_text("pytest", export([answered("m", 1, "x" * (1 << 21))]))
    assert 'client.call("m", 1)  # the result was too large, or nested too deeply, to be kept' in written
