"""QEMU's guest agent (https://www.qemu.org/docs/master/interop/qemu-ga-ref.html), over a socket or a serial port.

Nobody tells either side of a serial port that the other one has changed: what an earlier client has left is told apart
by `guest-sync-delimited`, which both sides begin with a byte that no JSON has. The agent tells the names of its
commands and nothing of their params: what is here of those is from qga/qapi-schema.json of QEMU, for the agents of 1.0
to 10.0. It runs one command after another, and ends none early.
"""

from __future__ import annotations

from random import getrandbits
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.dialects import Ask, Description, Event, HandshakeFailed, Hear, Message, Steps, Tell
from rpcshell.client.dialects.lenient import as_list, as_mapping, as_text
from rpcshell.client.dialects.qmp import Qapi
from rpcshell.client.dialects.recognition import Guess, Recognition, messages_in
from rpcshell.client.dialects.steps import DESCRIPTION_TIMEOUT
from rpcshell.client.errors import CallTimeout
from rpcwire.framings import FRAMINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcwire import Floats, Reply

SYNC_TIMEOUT: Final = 3.0
"""Seconds that an agent has to answer at first."""

_DELIMITER: Final = b"\xff"
_SYNC: Final = "guest-sync-delimited"
_SILENT: Final = frozenset(("guest-shutdown", "guest-suspend-disk", "guest-suspend-ram", "guest-suspend-hybrid"))
"""Commands that answer only where they fail."""

_INTEGER: Final = {"type": "integer"}
_STRING: Final = {"type": "string"}
_BOOLEAN: Final = {"type": "boolean"}
_STRINGS: Final = {"type": "array", "items": _STRING}
_BASE64: Final = {"type": "string", "contentEncoding": "base64", "description": "in base64"}


def _one_of(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


def _switched(number: str) -> dict[str, Any]:
    """A list of what is switched on or off, each by its number."""
    members = {number: _INTEGER, "online": _BOOLEAN, "can-offline": _BOOLEAN}
    return {"type": "array", "items": {"type": "object", "properties": members, "required": [number, "online"]}}


_HANDLE: Final = {"handle": {**_INTEGER, "description": "what guest-file-open has returned"}}
_SUSPEND: Final = "does not answer where it succeeds"

_COMMANDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "guest-sync-delimited": ("Echo a number, behind a byte that no JSON has", {"id": _INTEGER}),
    "guest-sync": ("Echo a number", {"id": _INTEGER}),
    "guest-ping": ("Answer", {}),
    "guest-info": ("Tell the version and the commands of the agent", {}),
    "guest-get-time": ("Tell the guest's clock, in nanoseconds since 1970", {}),
    "guest-set-time": ("Set the guest's clock, to that of the hardware without a time", {"time?": _INTEGER}),
    "guest-shutdown": (f"Shut the guest down; {_SUSPEND}", {"mode?": _one_of("halt", "powerdown", "reboot")}),
    "guest-suspend-disk": (f"Suspend the guest to disk; {_SUSPEND}", {}),
    "guest-suspend-ram": (f"Suspend the guest to memory; {_SUSPEND}", {}),
    "guest-suspend-hybrid": (f"Suspend the guest to both; {_SUSPEND}", {}),
    "guest-file-open": ("Open a file, for reading without a mode", {"path": _STRING, "mode?": _STRING}),
    "guest-file-close": ("Close a file", _HANDLE),
    "guest-file-read": ("Read so many bytes of a file, 4096 without a count", {**_HANDLE, "count?": _INTEGER}),
    "guest-file-write": ("Write to a file", {**_HANDLE, "buf-b64": _BASE64, "count?": _INTEGER}),
    "guest-file-seek": (
        "Go to a place in a file",
        {**_HANDLE, "offset": _INTEGER, "whence": {"anyOf": [_one_of("set", "cur", "end"), _INTEGER]}},
    ),
    "guest-file-flush": ("Have what was written to a file reach the disk", _HANDLE),
    "guest-fsfreeze-status": ("Tell whether filesystems are frozen", {}),
    "guest-fsfreeze-freeze": ("Freeze all filesystems, and say how many", {}),
    "guest-fsfreeze-freeze-list": ("Freeze some filesystems, and say how many", {"mountpoints?": _STRINGS}),
    "guest-fsfreeze-thaw": ("Thaw all filesystems, and say how many", {}),
    "guest-fstrim": ("Discard unused blocks, in ranges of at least so many bytes", {"minimum?": _INTEGER}),
    "guest-network-get-interfaces": ("List network interfaces with their addresses", {}),
    "guest-network-get-route": ("List routes", {}),
    "guest-get-vcpus": ("List processors", {}),
    "guest-set-vcpus": ("Switch processors on and off, and say how many", {"vcpus": _switched("logical-id")}),
    "guest-get-disks": ("List disks", {}),
    "guest-get-diskstats": ("Tell what disks have done", {}),
    "guest-get-fsinfo": ("List mounted filesystems", {}),
    "guest-get-cpustats": ("Tell what processors have done", {}),
    "guest-get-load": ("Tell the load averages", {}),
    "guest-set-user-password": (
        "Set an account's password",
        {"username": _STRING, "password": _BASE64, "crypted": _BOOLEAN},
    ),
    "guest-get-memory-blocks": ("List blocks of memory", {}),
    "guest-set-memory-blocks": ("Switch blocks of memory on and off", {"mem-blks": _switched("phys-index")}),
    "guest-get-memory-block-info": ("Tell how large a block of memory is", {}),
    "guest-exec": (
        "Start a program; guest-exec-status tells what came of it",
        {
            "path": _STRING,
            "arg?": _STRINGS,
            "env?": _STRINGS,
            "input-data?": _BASE64,
            "capture-output?": {"anyOf": [_BOOLEAN, _one_of("none", "stdout", "stderr", "separated", "merged")]},
        },
    ),
    "guest-exec-status": ("Tell what has come of a program", {"pid": _INTEGER}),
    "guest-get-host-name": ("Tell the guest's name", {}),
    "guest-get-users": ("List who is logged in", {}),
    "guest-get-timezone": ("Tell the guest's time zone", {}),
    "guest-get-osinfo": ("Tell the guest's operating system", {}),
    "guest-get-devices": ("List devices and their drivers", {}),
    "guest-ssh-get-authorized-keys": ("List the keys that may log in as a user", {"username": _STRING}),
    "guest-ssh-add-authorized-keys": (
        "Let keys log in as a user, and with reset no others",
        {"username": _STRING, "keys": _STRINGS, "reset?": _BOOLEAN},
    ),
    "guest-ssh-remove-authorized-keys": (
        "Let keys no longer log in as a user",
        {"username": _STRING, "keys": _STRINGS},
    ),
}
"""Of each command a few words, and the schemas of its params; those with a `?` may be left out."""


class GuestAgent(Qapi):
    """An agent in a machine."""

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """An error about what another dialect has asked; a monitor would have greeted before it."""
        answer = next(messages_in(first, "stream"), None)
        error = answer.get("error") if isinstance(answer, dict) else None
        return Recognition("qga") if isinstance(error, dict) and {"class", "desc"} <= error.keys() else None

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        super().__init__(max_reply, floats, framing)
        self._max_reply = max_reply
        self._delimited = False
        self._synced = False

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A command; one that may not answer is followed by a ping, whose reply then stands for its own."""
        call = super().encode_call(method, params, meta=meta, plain=plain, number=number)
        return call + self.encode(self.command("guest-ping", None, id=number)) if method in _SILENT else call

    def receive(self, data: bytes) -> None:
        """Add what a read brought; what comes before a delimiter is for an earlier client."""
        _, delimiter, rest = data.rpartition(_DELIMITER)
        if delimiter:
            self._delimited = True
            self._decoder = FRAMINGS[self.framing].decoder(self._max_reply)
        if self._delimited:
            super().receive(rest)

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says; before both sides are in step only what an agent is asked for that may be heard."""
        if self._synced:
            yield from super().read(message)
        elif "return" in message:
            yield Event(_SYNC, message["return"])

    def hello(self) -> Steps[None]:
        """Get in step with the agent."""
        token = getrandbits(31)
        yield Tell(_DELIMITER + self.encode(self.command(_SYNC, {"id": token})))
        try:
            while True:
                heard: Event = yield Hear(timeout=SYNC_TIMEOUT)
                if heard.params == token:
                    break
        except CallTimeout:
            raise HandshakeFailed(
                f"the agent did not answer within {SYNC_TIMEOUT:g} s",
                "does qemu-ga run in the guest? another client, libvirt perhaps, may hold the connection",
            ) from None
        self._synced = True

    def describe(self) -> Steps[Description]:
        """Ask for the names of the commands; those that are switched off are said to be."""
        reply: Reply = yield Ask("guest-info", timeout=DESCRIPTION_TIMEOUT)
        if (refusal := reply.fault) is not None:
            return Description.refused("guest-info", refusal)
        told = as_mapping(reply.result)
        methods = [_method(one) for one in as_list(told.get("supported_commands")) if isinstance(one, dict)]
        return Description.of_methods(methods, "QEMU guest agent", as_text(told.get("version")), "command")


def _method(command: dict[str, Any]) -> dict[str, Any]:
    name = command.get("name")
    method = {**_known_of(name), "name": name, "paramStructure": "by-name", "x-out": "return"}
    return {**method, "summary": "switched off in the guest"} if command.get("enabled") is False else method


def _known_of(command: object) -> dict[str, Any]:
    """What is known of a command, as a method of an OpenRPC document has it; a newer agent may take more params."""
    found = _COMMANDS.get(command) if isinstance(command, str) else None
    if found is None:
        return {"summary": "", "params": [], "x-params-schema": {"type": "object"}}
    summary, taken = found
    params = [
        {"name": name.removesuffix("?"), "schema": schema, "required": not name.endswith("?")}
        for name, schema in taken.items()
    ]
    schema = {
        "type": "object",
        "properties": {param["name"]: param["schema"] for param in params},
        "required": [param["name"] for param in params if param["required"]],
    }
    return {"summary": summary, "params": params, "x-params-schema": schema}
