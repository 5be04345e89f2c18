"""Kodi: what Kodi 20 has said, its Introspect as methods, and what a hostile one might say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import CallError, CallTimeout, detect
from rpcshell import connect as connect_blocking
from rpcshell.client.dialects import Event
from rpcshell.client.dialects.kodi import Kodi, described
from rpcshell.line.catalog import Catalog
from rpcshell.line.hint import problems
from rpcshell.line.language import parse
from rpcshell.line.suggest import Surroundings, suggest
from rpcshell.shell.session import Session
from rpcwire import ERROR_OUT, MAX_REPLY, Reply
from tests.rpcshell.describing import Told
from tests.rpcshell.faces import Connect
from tests.rpcshell.feeding import said
from tests.rpcshell.http_peer import SayingHandler
from tests.rpcshell.jsonrpc_peer import taken_from
from tests.rpcshell.kodi_peer import INTROSPECT
from tests.rpcshell.kodi_peer import Kodi as KodiPeer
from tests.rpcshell.peers import DEADLINE, Peer, serving
from tests.rpcwire.feeding import cut, single_bytes

RECORDED = (
    b'{"id":1,"jsonrpc":"2.0","result":"pong"}'
    b'{"id":2,"jsonrpc":"2.0","result":{"version":{"major":13,"minor":0,"patch":0}}}'
    b'{"error":{"code":-32601,"message":"Method not found."},"id":3,"jsonrpc":"2.0"}'
    b'{"jsonrpc":"2.0","method":"Application.OnVolumeChanged",'
    b'"params":{"data":{"muted":false,"volume":33},"sender":"xbmc"}}{"id":7,"jsonrpc":"2.0","result":33}'
    b'{"error":{"code":-32700,"message":"Parse error."},"id":null,"jsonrpc":"2.0"}'
)
MEANT = [
    Reply("result", "pong", 1),
    Reply("result", {"version": {"major": 13, "minor": 0, "patch": 0}}, 2),
    Reply(ERROR_OUT, {"code": -32601, "message": "Method not found."}, 3),
    Event("Application.OnVolumeChanged", {"data": {"muted": False, "volume": 33}, "sender": "xbmc"}),
    Reply("result", 33, 7),
    Reply(ERROR_OUT, {"code": -32700, "message": "Parse error."}),
]


def heard(pieces: Iterable[bytes]) -> list[Any]:
    return said(Kodi(MAX_REPLY), *pieces)


@given(st.lists(st.integers(0, len(RECORDED))))
def test_what_kodi_says_means_the_same_however_it_is_cut(places: list[int]) -> None:
    assert heard(cut(RECORDED + b'{"id', places)) == MEANT


def test_what_kodi_says_means_the_same_byte_by_byte() -> None:
    assert heard(single_bytes(RECORDED + b'{"id')) == MEANT


CATALOG = Catalog.from_openrpc(described(INTROSPECT).document)


def offered(marked: str) -> list[str]:
    cursor = marked.index("|")
    line = parse(marked.replace("|", "", 1))
    return [found.display for found in suggest(line, cursor, Surroundings(CATALOG, ()))]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("Player.Seek |", ["playerid", "value"]),
        ("Player.Seek value={|", ["percentage", "step"]),
        ('Player.Seek value={"step": |', ['"smallforward"', '"smallbackward"']),
        ("VideoLibrary.Scan properties=[|", ['"title"', '"genre"', '"year"']),
        ("VideoLibrary.Scan options={|", ["deep", "language"]),
        ("JSONRPC.SetConfiguration notifications={|", ["Player", "Playlist", "GUI", "Application", "Other"]),
        ("Application.SetVolume volume=|", ["increment", "decrement"]),
    ],
)
def test_what_may_stand_at_a_place_is_offered(marked: str, expected: list[str]) -> None:
    assert offered(marked)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('Player.Seek {"playerid": 1, "value": {"step": "smallforward"}}', None),
        ('Player.Seek [1, {"percentage": 50}]', None),
        ('Player.Seek {"playerid": 3, "value": {"percentage": 5}}', "at most 2"),
        ('Player.Seek {"playerid": 1}', "missing value"),
        ('Application.SetVolume {"volume": 101}', "at most 100"),
        ('VideoLibrary.Scan {"options": {"language": "en"}}', "missing deep"),
        ('VideoLibrary.Scan {"options": {"deep": true, "language": "e"}}', "at least 2 characters"),
        ('JSONRPC.SetConfiguration {"notifications": {"Player": null}}', None),
        ('JSONRPC.SetConfiguration {"notifications": {"Players": true}}', "did you mean Player"),
    ],
)
def test_what_does_not_fit_is_wrong(text: str, message: str | None) -> None:
    found = [found.message for found in problems(parse(text), len(text), Surroundings(CATALOG, ()))]
    assert found == [] if message is None else message in found[0]


def test_methods_and_notifications_come_with_what_is_said_of_them() -> None:
    assert CATALOG.version == "13.0.0"
    assert CATALOG.methods["JSONRPC.Ping"].signature == "JSONRPC.Ping() -> string"
    assert CATALOG.methods["Player.Seek"].summary == "Seek through the playing item"
    assert CATALOG.events["Player.OnPlay"] == "Playback of a media item has been started."


WORDS = ["string", "any", "null", "object", "A", "type", "$ref", "properties", "items", "extends", "required", "enums"]
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {
            "methods": st.dictionaries(
                st.text(min_size=1, max_size=2),
                st.fixed_dictionaries({"params": ODD, "returns": ODD}) | ODD,
                max_size=2,
            )
        },
        optional={"types": st.dictionaries(st.just("A"), ODD), "notifications": ODD, "version": ODD},
    )
    | ODD
)
def test_whatever_introspect_says_it_makes_a_catalog_or_none(told: Any) -> None:
    found = described(told)
    if found.missing is None:
        for method in Catalog.from_openrpc(found.document).methods.values():
            assert method.signature
            assert method.resolve(method.params_schema) is not None


def test_a_schema_without_end_is_cut() -> None:
    deep: Any = {}
    for _ in range(5_000):
        deep = {"type": "array", "items": deep}
    told = {"methods": {"a": {"params": [{"name": "b", **deep}], "returns": deep}}}
    assert Catalog.from_openrpc(described(told).document).methods["a"].params[0].name == "b"


def test_calls_errors_events_and_a_call_given_up(connect: Connect) -> None:
    kodi = KodiPeer()
    with serving(kodi) as server, connect(f"kodi:{server.target}") as client:
        assert client.call("JSONRPC.Ping") == "pong"
        assert client.call("Application.SetVolume", {"volume": 33}) == 33
        with pytest.raises(CallError, match="Invalid params") as caught:
            client.call("Application.SetVolume", {"volume": "abc"})
        assert caught.value.data["stack"]["name"] == "volume"
        with pytest.raises(CallTimeout):
            client.call("VideoLibrary.Scan", timeout=0.05)
        assert client.call("JSONRPC.Ping") == "pong"
        assert server.accepted == 1


def test_notifications_are_events() -> None:
    with serving(KodiPeer()) as server, connect_blocking(f"kodi:{server.target}") as client:
        client.call("Application.SetVolume", {"volume": 33})
        event = next(iter(client.events(timeout=DEADLINE)))
        assert (event.name, event.params["data"]["volume"]) == ("Application.OnVolumeChanged", 33)


def test_kodi_is_found_out() -> None:
    with serving(KodiPeer()) as server:
        assert str(detect(str(server.target))) == f"kodi:{server.target}"


def test_kodi_over_http_is_described_and_called() -> None:
    class Handler(SayingHandler):
        def do_POST(self) -> None:  # noqa: N802 - as http.server names it
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.say(json.dumps({"jsonrpc": "2.0", **KodiPeer().answers(request)[-1]}).encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        serving_it = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        serving_it.start()
        with connect_blocking(f"kodi:http://127.0.0.1:{server.server_port}/jsonrpc") as client:
            assert "Player.Seek" in Catalog.from_openrpc(client.describe().document).methods
            assert client.call("JSONRPC.Ping") == "pong"
        server.shutdown()
        serving_it.join()


def served(introspect: Callable[[Peer, Any], object]) -> Callable[[Peer], None]:
    """A Kodi that is asked what it offers."""

    def serve(peer: Peer) -> None:
        kodi = KodiPeer()
        for request in taken_from("stream", lambda: peer.sock.recv(65536)):
            if request.get("method") == "JSONRPC.Introspect":
                introspect(peer, request)
            elif "method" in request:
                say(peer, *kodi.answers(request))

    return serve


def say(peer: Peer, *messages: dict[str, Any]) -> None:
    peer.sock.sendall(b"".join(json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages))


def forever(**message: Any) -> Callable[[Peer, Any], object]:
    data = json.dumps({"jsonrpc": "2.0", **message}).encode() * 100

    def pour(peer: Peer, request: Any) -> None:
        with suppress(OSError):
            while True:
                peer.sock.sendall(data)

    return pour


@pytest.mark.parametrize(
    ("introspect", "reason"),
    [
        (lambda peer, request: None, "it did not say within 0.2 s what it offers"),
        (forever(method="Player.OnPlay", params={}), "it did not say within 0.2 s what it offers"),
        (forever(method="who.are.you", id=0), "it did not say within 0.2 s what it offers"),
        (lambda peer, request: say(peer, {"id": request["id"], "result": []}), "tells no methods"),
        (
            lambda peer, request: say(peer, {"id": request["id"], "error": {"code": -32601, "message": "no"}}),
            "it refuses JSONRPC.Introspect: no",
        ),
    ],
)
def test_a_kodi_that_does_not_tell_what_it_offers_is_said_in_a_line_and_called_all_the_same(
    session: Session, monkeypatch: pytest.MonkeyPatch, introspect: Callable[[Peer, Any], object], reason: str
) -> None:
    if "0.2 s" in reason:
        monkeypatch.setattr("rpcshell.client.dialects.kodi.DESCRIPTION_TIMEOUT", 0.2)
    told = Told(session)
    with serving(served(introspect), KodiPeer()) as server:
        session.connect(f"kodi:{server.target}")
        assert session.method("JSONRPC.Ping") is None
        told.wait_until(lambda: told.notes)
        assert [reason in note and "\n" not in note for note in told.notes] == [True]
        session.hang_up(wait=True)
        assert session.call("JSONRPC.Ping").result == "pong"
        session.close()


@pytest.mark.parametrize(
    ("first", "known"),
    [
        (b'{"id":1,"jsonrpc":"2.0","result":{"version":{"major":13,"minor":0,"patch":0}}}', True),
        (b'{"error":{"code":-32601,"message":"Method not found."},"id":1,"jsonrpc":"2.0"}', False),
        (b'{"id":1,"jsonrpc":"2.0","result":{"version"', False),
        (b"[]", False),
    ],
)
def test_kodi_is_told_by_the_version_of_its_protocol(first: bytes, known: bool) -> None:
    assert (Kodi.recognises(first, Kodi.guesses[0]) is not None) == known
