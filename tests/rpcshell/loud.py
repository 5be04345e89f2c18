"""A dialect that has everything a server may say, as a package of somebody else's, and servers of it.

It is JSON-RPC by lines where the notifications `part` and `progress` belong to a call, and a request `fill` has a form.
As a program it serves its standard streams.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rpcshell.client.dialects import Form, FormAction, Message, Partial, Progress, ServerRequest
from rpcshell.client.dialects.jsonrpc import JsonRpc
from rpcwire import Fault

if TYPE_CHECKING:
    from tests.rpcshell.peers import Peer

ROOT = Path(__file__).parent.parent.parent

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "description": "as on the badge"},
        "size": {"type": "string", "enum": ["small", "medium", "large"], "default": "medium"},
        "age": {"type": "integer", "minimum": 18},
        "news": {"type": "boolean"},
    },
    "required": ["name"],
}

DOCUMENT = {
    "openrpc": "1.3.2",
    "info": {"title": "Loud", "version": "7.2", "x-method-noun": "command"},
    "x-events": [{"name": "DONE", "summary": "a job is done"}, {"name": "TICK"}],
    "methods": [
        {"name": name, "params": [{"name": "n", "schema": {"type": "integer"}}]}
        for name in ("tell", "parts", "ask", "hang", "flood", "requests", "endless")
    ],
}


QUESTION = (
    json.dumps({"jsonrpc": "2.0", "id": "q", "method": "fill", "params": {"message": "Who?", "schema": SCHEMA}}) + "\n"
).encode()


class Loud(JsonRpc):
    """The client's side."""

    framings: ClassVar[tuple[str, ...]] = ("line",)

    def _read(self, message: dict[str, Any]) -> Iterable[Message]:
        params: Any = message.get("params")
        match message.get("method"):
            case "part":
                return (Partial(params["value"], params["id"]),)
            case "progress":
                return (Partial(Progress(params.get("done"), params.get("total"), params["text"]), params["id"]),)
            case "fill":
                form = Form(self._filled, params.get("message", ""), params.get("schema", {}), "Badge")
                return (ServerRequest("fill", params, message["id"], form),)
        return super()._read(message)

    def cancel(self, number: int) -> bytes | None:
        return self.encode(self.envelope("cancel", {"id": number}))

    def default_answer(self, request: ServerRequest) -> Any | Fault:
        return {"action": "decline"} if request.form is not None else super().default_answer(request)

    @staticmethod
    def _filled(action: FormAction, fields: dict[str, Any]) -> Any:
        return {"action": action} | ({"content": fields} if action == "accept" else {})


class Mute(Loud):
    """One whose server has to greet first, and has no way to be asked to end a call."""

    def hello(self) -> Any:
        from rpcshell.client.dialects import Hear

        yield Hear(timeout=0.5)

    def cancel(self, number: int) -> bytes | None:
        return b""


def install(folder: Path) -> None:
    """Have programs that are run with `folder` among their paths find the dialects `loud` and `mute`."""
    info = folder / "loud-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    lines = [f"loud = {__name__}:Loud", f"mute = {__name__}:Mute"]
    (info / "entry_points.txt").write_text("\n".join(["[rpcshell.dialects]", *lines, ""]))


class Server:
    """Its conversations, as functions of what comes.

    Attributes:
        received: What has come, by method.
        answers: What its requests were answered.
    """

    def __init__(self) -> None:
        self.received: list[str] = []
        self.answers: list[Any] = []
        self.answered = threading.Event()
        self.cancelled = threading.Event()

    def __call__(self, peer: Peer) -> None:
        self.serve(peer.sock.makefile("rb"), peer.sock.sendall)

    def serve(self, lines: Iterable[bytes], write: Callable[[bytes], object]) -> None:
        def send(**message: Any) -> None:
            write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

        for line in lines:
            message = json.loads(line)
            if "method" not in message:
                self.answers.append(message.get("result", message.get("error")))
                self.answered.set()
                if str(message["id"]).startswith("call "):
                    send(id=int(message["id"].removeprefix("call ")), result=self.answers[-1])
                continue
            self.received.append(message["method"])
            self._take(message["method"], message.get("params") or {}, message.get("id"), send, write)

    def _take(
        self, method: str, params: Any, id: Any, send: Callable[..., None], write: Callable[[bytes], Any]
    ) -> None:
        match method:
            case "rpc.discover":
                send(id=id, result=DOCUMENT)
            case "tell":
                for number in range(params.get("n", 3)):
                    send(method="TICK", params={"number": number})
                send(method="DONE", params={"id": "job0", "evil": "\x1b[2J"})
                send(id=id, result="told")
            case "parts":
                for number in range(params.get("n", 3)):
                    send(method="progress", params={"id": id, "done": number, "total": 4, "text": "reading\x1b[2J"})
                    send(method="part", params={"id": id, "value": {"number": number}})
                send(id=id, result="all")
            case "ask":
                asked = {"message": "Who are you?\x1b[2J", "schema": SCHEMA}
                send(id=f"call {id}", method="fill", params=asked)
            case "later":
                send(id=id, result="asked")
                send(id="later", method="fill", params={"message": "Who are you?", "schema": SCHEMA})
            case "cancel":
                self.cancelled.set()
            case "flood":
                send(id=id, result="flooding")
                self._forever(write, {"method": "TICK", "params": {"number": 1}})
            case "requests":
                send(id=id, result="asking")
                self._forever(write, {"id": "r", "method": "fill", "params": {"message": "Again?"}})
            case "nag":
                send(id=id, result="nagging")
                self._forever(write, {"id": "n", "method": "roots", "params": {}})
            case "leave":
                send(id=id, result="leaving")
                sys.stderr.write("the last line\n")
                sys.stderr.flush()
                sys.exit(3)
            case "endless":
                self._forever(write, {"method": "part", "params": {"id": id, "value": 1}})
            case "die":
                sys.stderr.write("the last line\n")
                sys.stderr.flush()
                sys.exit(params.get("n", 3))
            case "print":
                sys.stderr.write("to stderr \x1b[2J\n")
                sys.stderr.flush()
                write(b"not JSON\n")
                send(id=id, result="printed")
            case "hang":
                pass
            case _:
                send(id=id, error={"code": -32601, "message": f"no {method}"})

    @staticmethod
    def _forever(write: Callable[[bytes], object], message: dict[str, Any]) -> None:
        data = (json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n") * 100

        def go() -> None:
            try:
                while True:
                    write(data)
            except OSError:
                return

        threading.Thread(target=go, daemon=True).start()


if __name__ == "__main__":

    def write_out(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    Server().serve(sys.stdin.buffer, write_out)
