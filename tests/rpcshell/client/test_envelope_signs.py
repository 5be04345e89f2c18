"""Finding out that a server speaks what a table describes, from what it says first."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import Envelope, ProtocolError, UsageError, detect
from rpcshell.client.dialects.envelope_signs import EnvelopeSigns
from rpcshell.client.dialects.recognition import Recognition
from rpcshell.client.dialects.steps import OTHER_FORM
from rpcwire import encode_value
from tests.rpcshell.client.test_envelope import MINE, answering, mine, suricata
from tests.rpcshell.enveloped import JSON, KEA, SOUND_TABLES, SURICATA, TABLES, WATCHMAN
from tests.rpcshell.peers import Handler, Peer, serving


def leaving(serve: Handler) -> Handler:
    """A server that leaves at what it does not understand."""

    def handle(peer: Peer) -> None:
        with suppress(*OTHER_FORM):
            serve(peer)

    return handle


@pytest.mark.parametrize(("answers", "name"), [(mine, "mine"), (suricata, "suricata")])
@pytest.mark.usefixtures("unhurried")
def test_a_server_is_found_by_its_table(answers: Callable[[Any], list[object]], name: str) -> None:
    tables = {"kea": KEA, "mine": MINE, "watchman": WATCHMAN, "suricata": SURICATA}
    with serving(leaving(answering(answers))) as server:
        assert str(detect(server.target, dialects=tables)) == f"{name}:{server.target}"


def test_a_server_of_something_else_is_not_found_by_a_table() -> None:
    loose = Envelope.from_table({"request": {"do": "$method"}, "names": {"method": "list"}, "framing": "line"})
    refuses = leaving(answering(lambda said: [{"status": "bad request", "about": said}]))
    with serving(refuses) as server, pytest.raises(ProtocolError):
        detect(server.target, dialects={"loose": loose, "kea": KEA, "mine": MINE})


def lines_of(said: list[Any]) -> bytes:
    return b"".join(encode_value(one) + b"\n" for one in said)


ASKING = SOUND_TABLES.map(lambda table: {**table, "names": {"method": "a"}})


@given(TABLES | ASKING, st.binary() | st.lists(JSON).map(lines_of))
def test_any_table_has_signs_and_any_bytes_can_be_looked_at(table: dict[str, Any], first: bytes) -> None:
    try:
        envelope = Envelope.from_table(table)
    except UsageError:
        return
    signs = EnvelopeSigns("mine", envelope)
    for guess in signs.guesses:
        assert guess.said
        with suppress(*OTHER_FORM):
            assert signs.recognises(first, guess) in {None, Recognition("mine")}
