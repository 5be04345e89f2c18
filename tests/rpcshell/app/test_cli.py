"""The `rpcshell` command as a process: arguments, streams, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rpcshell.app.cli import main
from tests import forks
from tests.rpcshell.app.conftest import answering
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.peers import Peer, PeerServer, echo, free_port, serving

pytestmark = pytest.mark.usefixtures("state")

RPCSHELL = [sys.executable, "-m", "rpcshell"]


def run(
    *arguments: object, stdin: str | bytes = b"", cwd: Path | None = None, env: dict[str, str] | None = None
) -> tuple[int, str, str]:
    typed = stdin.encode() if isinstance(stdin, str) else stdin
    done = forks.run("rpcshell", arguments, stdin=typed, cwd=cwd, env=env)
    return done.returncode, done.stdout, done.stderr


def test_a_line_is_run_and_its_result_is_one_line_of_json(server: PeerServer) -> None:
    assert run(server.target, "-c", 'ping {"a": [1, "é"]}') == (0, '{"a":[1,"é"]}\n', "")


def test_several_lines_are_run_in_order_over_one_connection(server: PeerServer) -> None:
    assert run(server.target, "-c", "ping 1", "-c", "ping 2") == (0, "1\n2\n", "")
    assert server.accepted == 1


def test_results_are_utf8_whatever_the_locale_says(server: PeerServer) -> None:
    env = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    assert run(server.target, stdin='ping "é"', env=env) == (0, '"é"\n', "")


def test_words_and_names_of_files_are_utf8_where_the_locale_knows_no_letters(
    server: PeerServer, tmp_path: Path
) -> None:
    file = tmp_path / "ü.json"
    command = [*RPCSHELL, str(server.target), "-c", 'ping "é"', "-c", f"ping '日' > {file}"]
    env = {**os.environ, "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, '"é"\n', "")
    assert file.read_text(encoding="utf-8") == '"日"\n'


def test_bytes_that_are_no_text_are_told(server: PeerServer) -> None:
    code, out, err = run(server.target, "ping", os.fsdecode(b'"\xff"'))
    assert (code, out) == (2, "")
    assert err == "rpcshell: column 7: the byte 0xff is no UTF-8 (expected valid Unicode)\n"


def test_an_error_of_the_server_ends_the_run_with_1(server: PeerServer) -> None:
    code, out, err = run(server.target, "-c", "fail {}", "-c", "ping 1")
    assert (code, out) == (1, "")
    assert err == "rpcshell: fail: error -32601: no such method (:methods lists what there is)\n"


def test_an_unknown_method_leads_to_no_list_that_the_server_cannot_give(server: PeerServer) -> None:
    said = "rpcshell: fail: error -32601: no such method (the server does not say what it offers)\n"
    assert run(server.target, "--plain", "-c", "fail {}") == (1, "", said)


@pytest.mark.parametrize("dialect", ["native:", "jsonrpc:", "jsonrpc+line:", "mcp+line:"])
def test_who_is_no_server_of_the_dialect_is_told_once(dialect: str) -> None:
    def say(peer: Peer) -> None:
        peer.sock.sendall(b"220 mail.example ESMTP\r\n")
        peer.wait_for_end()

    with serving(say) as server:
        code, out, err = run(f"{dialect}{server.target}", "-c", "ping")
    assert (code, out) == (3, "")
    assert err.count("a mail or FTP server") == err.count("\n") == 1


def test_keep_going_runs_the_rest_and_ends_with_the_first_error(server: PeerServer) -> None:
    code, out, err = run(server.target, "-k", "-c", "ping 1", "-c", "ping {", "-c", "fail {}", "-c", "ping 2")
    assert (code, out) == (2, "1\n2\n")
    assert err.count("rpcshell: ") == 2


def test_what_is_doubtful_in_a_file_has_its_place(server: PeerServer, tmp_path: Path) -> None:
    script = tmp_path / "calls.rpc"
    script.write_text('ping 1\n\nping a=1 a=2\nping {"x": 1,\n  "b": 2, "b": 3}\n:alias p ping a=1\np a=2\n')
    code, _, err = run("--plain", server.target, script)
    assert code == 0
    assert err.splitlines() == [
        f"{script}:3:10: a is here twice; the last one counts",
        f"{script}:5:11: b is here twice; the last one counts",
        f"{script}:7: column 10 of `ping a=1 a=2`: a is here twice; the last one counts",
    ]


def test_a_file_is_run_and_its_errors_have_their_place(server: PeerServer, tmp_path: Path) -> None:
    file = tmp_path / "calls.rpc"
    file.write_text('# calls\nping {\n  "a": 1\n}\n\nping [1,\n  x]\n')
    code, out, err = run(server.target, file)
    assert (code, out) == (2, '{"a":1}\n')
    assert err.startswith(f"rpcshell: {file}:7:3: ")


def test_a_file_alone_names_its_own_target(server: PeerServer, tmp_path: Path) -> None:
    file = tmp_path / "calls.rpc"
    file.write_text(f":connect {server.target}\nping 1\n")
    code, out, _ = run(file)
    assert (code, out) == (0, "1\n")
    assert run("calls.rpc", cwd=tmp_path)[:2] == (0, "1\n")


@pytest.mark.samples(2)
@pytest.mark.parametrize("name", ["prod", "prod.sh", "unix:prod", "-"])
def test_a_file_of_the_current_folder_is_run_only_where_a_path_is_written(
    server: PeerServer, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(f":connect {server.target}\nping 1\n")
    code, out, err = run("--", name, cwd=tmp_path)
    assert (code in {2, 3}, out) == (True, "")
    if code == 2:
        assert f"./{name} runs the file of that name" in err
    assert run(f"./{name}", cwd=tmp_path)[:2] == (0, "1\n")


def test_a_script_may_come_from_a_named_pipe(server: PeerServer, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_text, args=(f":connect {server.target}\nping 1\n",))
    writer.start()
    assert run(fifo)[:2] == (0, "1\n")
    writer.join()


def test_a_socket_file_alone_is_a_target(tmp_path: Path) -> None:
    with serving(echo, unix=tmp_path / "s"):
        assert run(tmp_path / "s", stdin="ping 1") == (0, "1\n", "")


def test_an_unreadable_script_is_one_line(server: PeerServer, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "latin").write_bytes(b"ping 1\nping '\xe9'\n")
    assert run(server.target, tmp_path / "loop")[0] == 2
    assert run(server.target, tmp_path / "latin") == (
        2,
        "1\n",
        f"rpcshell: {tmp_path / 'latin'}:2: byte 7 of this line is not UTF-8\n",
    )


def test_lines_come_from_a_pipe(server: PeerServer) -> None:
    assert run(server.target, stdin="ping 1\n\n# no\nping [\n2]\n") == (0, "1\n[2]\n", "")


def test_each_line_of_a_pipe_is_answered_before_the_next_one_is_sent(server: PeerServer) -> None:
    with subprocess.Popen(
        [*RPCSHELL, str(server.target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        for number in range(3):
            shell.stdin.write(f"ping {number}\n")
            shell.stdin.flush()
            assert shell.stdout.readline() == f"{number}\n"
        shell.stdin.close()
        assert shell.wait(30) == 0


def test_leaving_ends_a_script_well(server: PeerServer) -> None:
    assert run(server.target, "-c", "ping 1", "-c", ":quit", "-c", "ping 2") == (0, "1\n", "")


@pytest.mark.parametrize(
    ("words", "params"),
    [
        ((), None),
        (('{"a": 1}',), {"a": 1}),
        (("a=1", "b=two", "c=[3, 4]"), {"a": 1, "b": "two", "c": [3, 4]}),
        (
            ("text=it's all | well > b", "empty=", "#=", 's="3"'),
            {"text": "it's all | well > b", "empty": "", "#": "", "s": "3"},
        ),
        (("[1,", "2]"), [1, 2]),
    ],
)
def test_a_call_may_be_words_of_the_command_line(words: tuple[str, ...], params: object, server: PeerServer) -> None:
    assert run(server.target, "--plain", "ping", *words) == (0, json.dumps(params, separators=(",", ":")) + "\n", "")


def test_a_mistake_in_the_configuration_is_told_and_its_other_targets_are_there(
    server: PeerServer, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(
        f"[targets.dev]\naddress = '{server.target}'\nplain = true\ntimout = 5\n[targets.bad]\naddress = 'localhost'\n"
    )
    env = {**os.environ, "RPCSHELL_CONFIG": str(tmp_path / "config.toml")}
    code, out, errors = run("dev", "ping", "a=1", "b:=[2]", env=env)
    typo, lost = errors.splitlines()
    assert (code, out) == (0, '{"a":1,"b":[2]}\n')
    assert typo.endswith("config.toml:4: targets.dev.timout means nothing (did you mean timeout?)")
    assert "config.toml:6: target 'localhost' has no port" in lost
    for name, said in (
        ("bad", "config.toml:6: target 'localhost'"),
        ("dve", "there is no target 'dve' (did you mean dev?)"),
    ):
        code, out, errors = run(name, "ping", env=env)
        assert (code, out, said in errors.splitlines()[-1], typo in errors) == (2, "", True, True)


def test_a_file_of_the_folder_is_run_where_it_looks_like_a_path_alone(server: PeerServer, tmp_path: Path) -> None:
    (tmp_path / "ping").write_text("ping 1\nping 2\n")
    for words, out in ((["ping"], "null\n"), (["./ping"], "1\n2\n"), (["ping", '{"a":1}'], '{"a":1}\n')):
        assert run(server.target, "--plain", *words, cwd=tmp_path) == (0, out, "")


@pytest.mark.samples(6)
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere", "-c", "ping"], "has no port"),
        (["tls://host:1/x", "-c", "ping"], "more than a host and a port"),
        (["--tls-ca", "none.pem", "tls://host:1"], "none.pem"),
        (["--tls-ca", __file__, "8080", "-c", "ping"], "write tls://host:port"),
        (["--config", "none.toml", "-c", "ping"], "none.toml: there is no such file"),
        (["--set", "format", "-c", "ping"], "NAME=VALUE"),
        (["--set", "formt=json", "-c", "ping"], "did you mean format?"),
        (["--format", "xml", "-c", "ping"], "--format"),
        (["--completion", "tcsh"], "bash"),
        (["8080", "none.rpc"], "no such script file: none.rpc"),
        (["none.rpc"], "no such script file: none.rpc"),
        (["./none.rpc"], "no such script file: ./none.rpc"),
        (["n" * 300], "has no port"),
        (["8080", f"{'n' * 300}.rpc"], "file name too long"),
        (["8080", "."], "is a folder"),
        (["--nonesuch"], "No such option"),
        (["8080", "./none"], "no such script file: ./none"),
        (["--timeout", "0", "-c", "ping"], "--timeout"),
        (["--spawn", "0"], "--spawn"),
        (["--spawn", "2", "calc.py"], "--app calc.py serves it"),
        (["8080", "ping", "a=1", "-c", "ping"], "only one of them"),
        (["--app", "a.py", "-c", "ping"], "--spawn"),
        (["8080", __file__, "-c", "ping"], "only one of them"),
    ],
)
def test_wrong_usage_is_one_line_and_ends_with_2(arguments: list[str], says: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert err.startswith("rpcshell: ")
    assert err.count("\n") == 1


def test_no_connection_ends_with_3() -> None:
    code, out, err = run(f"127.0.0.1:{free_port()}", "-c", "ping")
    assert (code, out) == (3, "")
    assert "connection refused" in err
    assert err.count("\n") == 1


def test_a_call_without_a_target_ends_with_3() -> None:
    code, _, err = run("-c", "ping")
    assert code == 3
    assert "no server" in err


def test_a_call_over_its_time_limit_ends_with_3() -> None:
    with serving(lambda peer: peer.wait_for_end()) as server:
        code, _, err = run(server.target, "--timeout", "0.1", "-c", "ping {}")
    assert code == 3
    assert "within 0.1 s" in err


def test_a_plain_run_sends_no_probe_and_no_other_keys() -> None:
    seen: list[object] = []
    with serving(lambda peer: seen.append(peer.answer(1))) as server:
        assert run(server.target, "--plain", "-c", "ping a=1") == (0, "1\n", "")
    assert seen == [{"in": "ping", "params": {"a": 1}}]


def test_json_params_send_no_probe() -> None:
    seen: list[object] = []
    with serving(lambda peer: seen.append(peer.answer(1))) as server:
        assert run(server.target, "-c", "ping {}") == (0, "1\n", "")
    assert seen == [{"in": "ping", "params": {}, "close": True}]


def test_the_version_and_the_help_are_told() -> None:
    assert run("--version") == (0, "rpcshell 0.1.0\n", "")
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    for word in ("TARGET", "-c", "--keep-going", "--spawn", "--plain", "--timeout", "--tls-ca", "tls://host:port"):
        assert word in out
    headings = [line for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [
        *("What to run:", "Connection:", "A server for the run:", "Settings:", "Other:"),
        *("Targets:", "Environment:", "Files:", "Exit codes:", "Examples:"),
    ]
    assert str(Path("config", "rpcshell", "config.toml")) in out
    assert all(len(line) <= 80 for line in out.splitlines() if "/" not in line)


def test_the_configuration_names_targets_and_gives_settings_and_aliases(server: PeerServer, tmp_path: Path) -> None:
    folder = tmp_path / "config" / "rpcshell"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        f"[settings]\nformat = 'raw'\nindnt = 2\n[targets]\nhere = '{server.target}'\n[aliases]\np = 'ping'\n"
    )
    code, out, err = run("here", "-c", 'p "a b"')
    # How results look is for the prompt: a script's output is the same for everybody.
    assert (code, out) == (0, '"a b"\n')
    assert err == f"rpcshell: {folder / 'config.toml'}:3: there is no setting 'indnt' (did you mean indent?)\n"
    assert run("here", "--set", "format=raw", "-c", 'p "a"')[1] == "a\n"
    assert run("here", "--format", "raw", stdin='p "a"')[1] == "a\n"
    code, _, err = run("her", "-c", "p 1")
    assert (code, err.splitlines()[-1]) == (2, "rpcshell: there is no target 'her' (did you mean here?)")


def test_a_bad_configuration_is_one_line_and_the_run_goes_on_without(server: PeerServer, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("\n[settings\n")
    env = {**os.environ, "RPCSHELL_CONFIG": str(file)}
    code, out, err = run(server.target, "-c", "ping 1", env=env)
    assert (code, out) == (0, "1\n")
    assert err.startswith(f"rpcshell: {file}:2: this is not TOML at column 10: ")
    assert err.count("\n") == 1
    assert run(server.target, "-c", "ping 1", "--config", file)[0] == 2
    assert run(server.target, "-c", "ping 1", env={**env, "RPCSHELL_CONFIG": ""}) == (0, "1\n", "")


def test_a_run_over_tls_verifies_the_server_and_says_what_is_wrong(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with serving(answering, tls=certificates.server()) as server:
        assert run(server.target, "--tls-ca", certificates.ca, "-c", "ping 1") == (0, "1\n", "")
        code, out, err = run(server.target, "-c", "ping 1")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert "comes from an unknown issuer (--tls-ca FILE names the authority to trust)" in err


def test_a_server_is_started_for_the_run_and_ended_with_it() -> None:
    code, out, err = run("--spawn", 2, "-c", "ping 1", "-c", "add a=1 b=2", "-c", "whoami")
    assert (code, err) == (0, "")
    assert out.startswith("1\n3.0\n")


def test_an_app_that_does_not_start_shows_its_traceback_and_ends_with_3(tmp_path: Path) -> None:
    app = tmp_path / "broken.py"
    app.write_text("raise RuntimeError('no such luck')\n")
    code, out, err = run("--spawn", 1, "--app", app, "-c", "ping 1")
    assert (code, out) == (3, "")
    assert "RuntimeError: no such luck" in err
    assert "rpcserver" not in err.partition("\n")[2]


def test_a_kept_server_is_told_with_its_address_and_goes_on() -> None:
    code, out, err = run("--spawn", 1, "--keep", "-c", "ping 1")
    assert (code, out) == (0, "1\n")
    words = err.split()
    pid, address = int(words[-1]), words[words.index("at") + 1].rstrip(",")
    try:
        assert run(address, "-c", "ping 2") == (0, "2\n", "")
    finally:
        os.kill(pid, signal.SIGTERM)


def test_ctrl_c_while_modules_are_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "rpcshell.app.program":
                signal.raise_signal(signal.SIGINT)

    monkeypatch.delitem(sys.modules, "rpcshell.app.program", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])
    assert main(["--version"]) == 130
    assert capsys.readouterr().err == "rpcshell: interrupted\n"
    # It has waited: inside of a library's own start it may crash that.
    assert "rpcshell.app.program" in sys.modules
