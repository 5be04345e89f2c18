"""Files that calls of LSP name: opened, told of when they change, and filled in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rpcshell import UsageError
from rpcshell.client.dialects.lsp import Lsp
from rpcwire import MAX_REPLY, EncodeError, Reply
from tests.rpcshell.client.test_lsp import sent, serve
from tests.rpcshell.content_length_peer import speaking
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import serving


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    found = tmp_path / "a b.py"
    found.write_text("x = 1\n")
    return found


def test_a_file_that_a_call_names_is_opened_and_told_of_when_it_has_changed(file: Path) -> None:
    dialect = Lsp(MAX_REPLY)
    place = {"file": "a b.py", "line": 0, "character": 4}
    uri = file.as_uri()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": "x = 1\n"}
    hover = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "textDocument/hover",
        "params": {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 4}},
    }
    opened, asked = sent(dialect, "textDocument/hover", place)
    assert (opened["method"], opened["params"]) == ("textDocument/didOpen", {"textDocument": document})
    assert "id" not in opened
    assert asked == hover
    assert sent(dialect, "textDocument/hover", place) == [hover]
    file.write_text("x = 12\n")
    changed, _ = sent(dialect, "workspace/symbol")
    assert changed["params"]["textDocument"] == {"uri": uri, "version": 2}
    assert changed["params"]["contentChanges"] == [{"text": "x = 12\n"}]
    file.unlink()
    assert sent(dialect, "workspace/symbol")[0]["method"] == "workspace/symbol"
    assert [one["method"] for one in sent(dialect, "textDocument/didClose", {"file": uri})] == ["textDocument/didClose"]
    assert dialect.next_event() == Reply("sent", None, 7)


def test_what_cannot_be_sent_loses_no_change_of_a_file(file: Path) -> None:
    dialect = Lsp(MAX_REPLY)
    sent(dialect, "textDocument/didOpen", {"file": "a b.py"})
    file.write_text("x = 12\n")
    for method in ("its/own", "textDocument/hover"):
        with pytest.raises(EncodeError):
            sent(dialect, method, {"x": float("nan")})
    assert [one["method"] for one in sent(dialect, "its/own")] == ["textDocument/didChange", "its/own"]
    assert "id" not in sent(dialect, "textDocument/didSave", [1])[0]


def test_what_cannot_be_read_is_not_opened(file: Path, connect: Connect) -> None:
    (file.parent / "bytes").write_bytes(b"\xff")
    os.mkfifo(file.parent / "pipe")
    with (file.parent / "huge").open("wb") as huge:
        huge.truncate(2**30)
    for params, says in (
        ({"file": "nope.py", "line": 0, "character": 0}, "nope.py: No such file"),
        ({"file": "bytes", "line": 0, "character": 0}, "bytes is no text in UTF-8"),
        ({"file": "pipe", "line": 0, "character": 0}, "pipe is no file with a text"),
        ({"file": "huge", "line": 0, "character": 0}, "huge has more than 16 MiB"),
        ({"file": "a b.py"}, "a line and a character"),
    ):
        with serving(speaking(serve)) as server, connect(f"lsp:{server.target}") as client:
            with pytest.raises(UsageError, match=says):
                client.call("textDocument/hover", params)
            with pytest.raises(UsageError, match="is not open"):
                client.call("textDocument/didClose", {"file": "a b.py"})


def test_what_the_protocol_needs_and_nobody_typed_is_filled_in(file: Path) -> None:
    dialect = Lsp(MAX_REPLY)
    place = {"file": str(file), "line": 0, "character": 0}
    references = sent(dialect, "textDocument/references", place)[-1]["params"]
    assert references["context"] == {"includeDeclaration": True}
    assert sent(dialect, "textDocument/references", {**place, "context": {}})[-1]["params"]["context"] == {}
    assert sent(dialect, "workspace/symbol")[-1]["params"] == {"query": ""}
    own = {"textDocument": {"uri": "file:///x"}, "position": {"line": 1, "character": 2}}
    assert sent(dialect, "textDocument/hover", own)[-1]["params"] == own
    assert sent(dialect, "completionItem/resolve", {"label": "a"})[-1]["params"] == {"label": "a"}
    assert sent(dialect, "its/own", [1])[-1]["params"] == [1]
