"""What a person sees of a connection: where it leads, when it is lost, when it is back, and what was cancelled."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from rpcshell import TcpTarget, TlsTarget
from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, ENTER, PATIENCE, SHELL, TAB, Terminal
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.describing import document
from tests.rpcshell.peers import Peer, free_port, serving

arrived = threading.Event()


def answer(peer: Peer) -> None:
    """Echo; `lose` ends the connection and `hang` is never answered."""
    while (request := peer.read()) is not None:
        match request["in"]:
            case "rpc.discover":
                peer.send({"out": "openrpc", "result": document("ping", "lose", "hang")})
            case "lose":
                return
            case "hang":
                arrived.set()
                peer.wait_for_end()
                return
            case _:
                peer.send({"out": "pong", "result": request["params"]})


def test_a_server_that_is_lost_and_returns_costs_one_line_and_no_command(tmp_path: Path) -> None:
    port = free_port()
    prompt = f"^127\\.0\\.0\\.1:{port}"
    with Terminal(tmp_path, (*SHELL, f"127.0.0.1:{port}"), columns=200) as terminal:
        terminal.wait_for(rf"^error: cannot connect to 127\.0\.0\.1:{port}: connection refused — is the server running")
        terminal.wait_for(rf"{prompt} \(lost\)> $")
        with serving(answer, port=port):
            terminal.send(f"ping 1{ENTER}")
            terminal.wait_for("^pong 1$")
            terminal.wait_for(rf"{prompt}> $")
        with serving(answer, port=port):
            terminal.send(f"ping 2{ENTER}")
            terminal.wait_for("^pong 2$")
            terminal.wait_for(rf"{prompt}> $")
            terminal.mark()
            terminal.send(f"lose a=1{ENTER}")
            terminal.wait_for(
                rf"^error: lost the connection to 127\.0\.0\.1:{port}: the server closed it without a reply; "
                r"the request may have run$"
            )
            terminal.wait_for(rf"{prompt} \(lost\)> $")
            terminal.mark()
            terminal.send(f"hang a=1{ENTER}")
            assert arrived.wait(PATIENCE)
            terminal.wait_until_signals()
            terminal.send(CTRL_C)
            terminal.wait_for(r"^error: cancelled: the connection was closed, but the server may still be running it$")
            terminal.send(f"ping 3{ENTER}")
            terminal.wait_for("^pong 3$")
        terminal.mark()
        terminal.send(f"ping 4{ENTER}")
        terminal.wait_for(rf"(?s)connection refused.*\n127\.0\.0\.1:{port} \(lost\)> $")
        terminal.send(f":set timeout 5{ENTER}:disconnect{ENTER}")
        terminal.wait_for("^disconnected from")
        assert leave(terminal) == 0


def test_targets_have_names_are_completed_and_speak_tls(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    config = tmp_path / "config" / "rpcshell"
    config.mkdir(parents=True)
    with (
        serving(answer) as near,
        serving(answer, tls=certificates.server()) as far,
        Terminal(tmp_path, columns=200) as terminal,
    ):
        assert isinstance(near.target, TcpTarget)
        assert isinstance(far.target, TlsTarget)
        terminal.wait_for("^rpcshell> ")
        terminal.send(f":connect {far.target}{ENTER}")
        terminal.wait_for(
            rf"^error: cannot connect to {far.target}: the server's certificate \(of calc, issued by .*\)"
        )
        terminal.wait_for(r"comes from an unknown issuer")
        terminal.send(f":connect {near.target}{ENTER}")
        terminal.wait_for(rf"^connected to {near.target}\b")
        terminal.send(f":connect {far.target} --tls-ca ca.pem{ENTER}")
        terminal.wait_for(rf"^connected to {far.target}\b")
        terminal.send(f"ping a=1{ENTER}")
        terminal.wait_for(r'^pong \{"a": 1\}$')
        assert leave(terminal) == 0
    recent = tmp_path / "state" / "rpcshell" / "targets.json"
    assert recent.stat().st_mode & 0o777 == 0o600

    (config / "config.toml").write_text(f"[targets.prod]\naddress = '{far.target}'\ntls-ca = '{certificates.ca}'\n")
    with serving(answer, tls=certificates.server(), port=far.target.port), Terminal(tmp_path) as terminal:
        terminal.wait_for("^rpcshell> ")
        terminal.send(":connect ")
        terminal.wait_for(rf"^ +prod\b(?s:.*)\n +{re.escape(str(far.target))}\b(?s:.*)\n +{near.target}\b")
        terminal.send(f"pr{TAB}{ENTER}")
        terminal.press_until(ENTER, rf"^connected to prod \({far.target}\)")
        terminal.wait_for("^prod> ")
        terminal.send(f"ping 1{ENTER}")
        terminal.wait_for("^pong 1$")
