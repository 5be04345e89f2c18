"""Targets by name: how sessions find them, and what they remember of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpcshell import CallTimeout, ConnectionFailed, TcpTarget, TlsFiles, UsageError
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.address_book import AddressBook
from rpcshell.shell.config import Config
from rpcshell.shell.session import Session
from rpcshell.shell.target_config import TargetConfig
from tests.rpcshell.certificates import Certificates
from tests.rpcshell.describing import offering
from tests.rpcshell.enveloped import KEA
from tests.rpcshell.peers import Peer, free_port, serving


def test_names_go_before_addresses_and_a_wrong_one_has_a_hint() -> None:
    book = AddressBook(Config({"local": TargetConfig("8080"), "prod": TargetConfig("rpc.example.org:1", timeout=5)}))
    assert book.find("local").target == TcpTarget("localhost", 8080)
    assert (book.find("prod").name, book.find("prod").config.timeout) == ("prod", 5)
    assert book.find("other:1").name == "other:1"
    with pytest.raises(UsageError, match=r"no target 'prd' \(did you mean prod\?\)"):
        book.find("prd")
    with pytest.raises(UsageError, match="names local, prod"):
        book.find("zzzzzz")
    with pytest.raises(UsageError, match="not a port"):
        book.find("host:x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mpc", r"^there is no dialect 'mpc' \(there are .*, mcp, "),
        ("jsonrcp:127.0.0.1:80", r"^there is no dialect 'jsonrcp' \(there are .*, jsonrpc, "),
        ("kae:[::1]:80", r"^there is no dialect 'kae' \(there are .*, kea, "),
        ("jsonrpc:127.0.0.1:80:81", "several colons"),
        ("example:127.0.0.1:80", "several colons"),
        ("tls:127.0.0.1:80", "several colons"),
        ("ftp://127.0.0.1:80", "not supported"),
        ("example.org", "no port"),
    ],
)
def test_a_misspelt_dialect_leads_to_those_that_there_are(text: str, said: str) -> None:
    config = Config(dialects={"kea": KEA})
    with pytest.raises(UsageError, match=said):
        AddressBook(config).find(text)


def test_a_session_knows_what_its_target_is_called_and_remembers_it(memory: TargetMemory) -> None:
    with serving(offering("ping")) as server:
        named = {"here": TargetConfig(str(server.target)), "slow": TargetConfig(str(server.target), plain=True)}
        session = Session(memory=lambda: memory, config=Config(named))
        assert session.book.names() == ("here", "slow")
        session.connect("here")
        assert (session.name, session.target, session.plain) == ("here", server.target, False)
        session.connect("slow")
        assert session.plain
        session.connect(server.target)
        assert session.name == str(server.target)
        assert session.book.names() == ("here", "slow", str(server.target))
        with pytest.raises(ConnectionFailed):
            session.connect(f"127.0.0.1:{free_port()}")
        session.close()
        assert session.name is None
    assert memory.recent() == (str(server.target),)


def test_a_run_without_a_prompt_remembers_nothing(memory: TargetMemory) -> None:
    with serving(offering("ping")) as server:
        session = Session(memory=lambda: memory, background=False)
        session.connect(server.target)
        session.close()
    assert memory.recent() == ()


def test_the_time_limit_of_a_named_target_holds_unless_the_session_has_one() -> None:
    def silent(peer: Peer) -> None:
        peer.wait_for_end()

    with serving(silent) as server:
        session = Session(config=Config({"slow": TargetConfig(str(server.target), plain=True, timeout=0.05)}))
        session.connect("slow")
        with pytest.raises(CallTimeout, match=r"within 0\.05 s"):
            session.call("ping")
        session.settings.timeout = 0.06
        with pytest.raises(CallTimeout, match=r"within 0\.06 s"):
            session.call("ping")
        session.close()


def test_the_files_of_tls_come_from_the_command_then_the_run_then_the_configuration(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with serving(offering("ping"), tls=certificates.server(client_ca=True)) as server:
        named = TargetConfig(str(server.target), tls_ca=certificates.ca, tls_cert="none.pem")
        session = Session(config=Config({"prod": named}), tls=TlsFiles(None, certificates.client.cert, "none.key"))
        with pytest.raises(ConnectionFailed, match=r"client key none\.key cannot be read"):
            session.connect("prod")
        session.connect("prod", tls=TlsFiles(None, certificates.client.cert, certificates.client.key))
        assert session.call("ping", 1).result == 1
        session.close()
