"""The settings of a server, and reading them from a TOML file.

Which source wins (command line, environment, file, default) is decided in `rpcserver.cli`, and each setting's
option, help text and bounds are in `rpcserver.options`. What reads an option's text raises ValueError where it cannot
be that, with a message for people.
"""

from __future__ import annotations

import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcserver.system.addresses import NATIVE, Bind, TcpBind, is_wildcard, parse_bind
from rpcserver.system.contents import read_contents
from rpcserver.system.errors import ServerError
from rpcserver.system.near_names import near_names
from rpcwire import MAX_REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rpcserver.system.proxy_protocol import TrustedProxies
    from rpcwire.serverset import ServersetAddress

_MIN_WORKERS: Final = 4
_REGISTRY_SETTLE: Final = 0.3
_SMALLEST_FRAME: Final = 2
_LARGEST_FRAME: Final = (1 << 32) - 1
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_IN_WORDS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    str | list[str]: "a text or a list of texts",
    list: "a list",
    dict: "a table",
}
"""The types that settings may have in a file, and what else may be there in their place."""


class SettingsError(ServerError):
    """A configuration that cannot be used."""

    def __init__(self, reason: str, *, source: Path | None = None, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason  # what is wrong and what would be right
        self.source = source  # the file, where one is to blame
        self.line = line  # the line in the file, from 1

    def __str__(self) -> str:
        if self.source is None:
            return self.reason
        place = str(self.source) if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.reason}"


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a server can be told; what each is for, the options of the command say.

    Durations are in seconds, and 0 means without a limit.
    """

    app: str | None = None  # None: the demo
    bind: tuple[Bind, ...] = (TcpBind("127.0.0.1", 8080),)
    workers: int = 1
    model: str = "sync"
    threads: int = 8
    queue: int = 64
    max_children: int = 64
    max_connections: int = 1024  # a sync worker has one
    timeout: float = 60.0
    max_connection_age: float = 0.0
    max_requests: int = 0
    max_requests_jitter: int = 0  # at random, so that workers are not replaced all at once
    reclaim_idle: float = 5.0
    backlog: int = 1024
    unix_mode: int = 0o600
    tls_cert: Path | None = None  # None: TCP addresses are plain
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    max_frame: int = MAX_REQUEST  # bytes
    max_buffered: int = 16 * MAX_REQUEST  # bytes of large requests in each worker
    idle_timeout: float = 300.0
    read_timeout: float = 30.0
    write_timeout: float = 30.0
    start_timeout: float = 60.0
    drain_timeout: float = 30.0  # 0: calls that run are not waited for
    drain_grace: float = 1.0
    drain_settle: float | None = None  # None: no longer than clients of a registry need
    debug: bool = False
    control: str = "auto"  # a path, `auto` or `none`
    proxy_protocol: TrustedProxies | None = None
    metrics: TcpBind | None = None
    health: Bind | None = None
    register: ServersetAddress | None = None
    advertise: TcpBind | None = None  # port 0 is that of the listener
    register_credentials: Path | None = None
    register_session: float = 5.0
    register_ca: Path | None = None
    register_cert: Path | None = None
    register_key: Path | None = None
    reload: bool = False
    preload: bool = False
    access_log: bool = False

    @property
    def settle(self) -> float:
        """For how long the server serves on after it was told to stop gracefully, in seconds."""
        if self.drain_settle is None:
            return 0.0 if self.register is None else _REGISTRY_SETTLE
        return self.drain_settle


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def default_workers(*, concurrent: bool) -> int:
    """How many workers there are unless told: one a processor, where each serves many connections.

    Another one serves one connection at a time, and waits for its client most of that time. It should have as many as
    there are clients; who does not say how many these are has twice the processors and one more, at least four.
    """
    return processors() if concurrent else max(_MIN_WORKERS, 2 * processors() + 1)


def checked_seconds(seconds: float) -> float:
    """Check that a duration is a number: ranges let NaN through, since it compares with nothing."""
    if math.isnan(seconds):
        raise ValueError("NaN is no duration")
    return seconds


def parse_size(text: str) -> int:
    """Read the size of a frame: `1048576`, `64K`, `16M` or `1GiB`."""
    size = parse_budget(text)
    if not _SMALLEST_FRAME <= size <= _LARGEST_FRAME:
        raise ValueError(f"{text!r} is out of range: a frame has 2 bytes to 4 GiB less one")
    return size


def parse_budget(text: str) -> int:
    """Read a number of bytes, of which 0 is no limit, as `parse_size` does."""
    found = re.fullmatch(r"([0-9]+)\s*([kmg]?)(?:i?b)?", text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no size: write bytes, or 64K, 16M, 1G")
    return min(int(found[1]) * _UNITS[found[2]], sys.maxsize)


def parse_control(text: str) -> str:
    """Read where the control socket goes: a path, `auto` or `none`."""
    if not text or "\0" in text or text.startswith("@"):
        # To an abstract name anybody may connect.
        raise ValueError("write a path, as in /run/calc/control.sock, or auto, or none")
    return text


def parse_metrics(text: str) -> TcpBind:
    """Read where metrics are served: `HOST:PORT` or `[IPV6]:PORT`."""
    bind = parse_bind(text)
    if not isinstance(bind, TcpBind) or bind.framing != NATIVE:
        raise ValueError(f"{text!r} is no TCP address: write HOST:PORT, as in 127.0.0.1:9100")
    return bind


def parse_health(text: str) -> Bind:
    """Read where balancers ask how the server is: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`."""
    bind = parse_bind(text)
    if bind.framing != NATIVE:
        raise ValueError(f"{text!r} has a framing, and HTTP has its own: write HOST:PORT or unix:PATH")
    return bind


def parse_registry(text: str) -> ServersetAddress:
    """Read where the server is registered: `zk://HOST:PORT,HOST:PORT/path`, or `zks://` for TLS."""
    # Few servers are registered.
    from rpcwire.serverset import ServersetAddress

    return ServersetAddress.parse(text)


def parse_advertised(text: str) -> TcpBind:
    """Read as what the server is registered: `HOST:PORT`, or `HOST` for the port that it listens on."""
    from rpcwire.serverset import is_host

    whole = text if re.search(r"[^:\]]:[0-9]+$|\]:[0-9]+$", text) else f"{text}:0"
    bind = parse_bind(whole)
    if not isinstance(bind, TcpBind) or bind.framing != NATIVE or not is_host(bind.host):
        raise ValueError(f"{text!r} is no address of a machine: write HOST:PORT, as in 10.0.0.1:8080, or HOST")
    if is_wildcard(bind.host):
        raise ValueError(f"{text!r} is every address of this machine: name the one that clients connect to")
    return bind


def parse_proxies(text: str) -> TrustedProxies:
    """Read whose PROXY headers are taken; see `parse_trusted`."""
    # What knows networks takes a while to import, and few servers stand behind a proxy.
    from rpcserver.system.proxy_protocol import parse_trusted

    return parse_trusted(text)


def parse_mode(text: str) -> int:
    """Read the permissions of a file: `600` or `0o600`."""
    if not re.fullmatch(r"(0o?)?[0-7]{3}", text):
        raise ValueError(f"{text!r} is no file mode: write three octal digits, as in 660")
    return int(text.removeprefix("0o"), 8)


def read_file(path: Path, known: Mapping[str, Any]) -> dict[str, object]:
    """Read settings from a TOML file whose keys are the names of the options: `drain-timeout = 10`.

    Args:
        path: the file.
        known: the type of each setting by the name of its field, with underscores, which the result has too.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or holds what is no setting.
    """
    import tomllib

    try:
        # Editors on Windows begin files with a mark of their encoding, which is no TOML.
        text = read_contents(path).decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"it cannot be read: {(error.strerror or str(error)).lower()}", source=path) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError("it is not UTF-8", source=path, line=line) from error
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Beside those of tomllib, that a number has too many digits for Python, or brackets are nested too deeply.
        found = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        what = str(error)[: found.start()] if found else str(error)
        if what.endswith(r"character '\n'"):
            what = "the quote is not closed on its line"
        if path.suffix == ".py":
            what += "; settings are TOML here, no Python (--config-reference prints what there is)"
        reason = f"this is not TOML{f' at column {found[2]}' if found else ''}: {what[:1].lower()}{what[1:]}"
        raise SettingsError(reason, source=path, line=int(found[1]) if found else None) from error
    settings: dict[str, object] = {}
    for key, value in document.items():
        name = key.replace("-", "_")
        if name not in known:
            near = near_names(name, known, limit=1)
            hint = f"did you mean {near[0].replace('_', '-')}?" if near else "--config-reference prints what there is"
            raise SettingsError(f"{key} means nothing ({hint})", source=path, line=line_of(text, key))
        try:
            settings[name] = msgspec.convert(value, known[name])
        except msgspec.ValidationError:
            wanted, there = _IN_WORDS[known[name]], _IN_WORDS.get(type(value), "that")
            reason = f"what is in {key} is a text" if isinstance(value, list) else f"{key} is {wanted}, not {there}"
            raise SettingsError(reason, source=path, line=line_of(text, key)) from None
    return settings


def line_of(text: str, key: str) -> int | None:
    """Return the number of the line on which a TOML document sets a top-level key, from 1, if it can be told."""
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)
