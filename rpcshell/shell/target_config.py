"""A target with a name, as the configuration and the files of other clients have it.

What it says may be secret: its environment and its headers are never shown and never written.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from rpcshell.client.dialect_names import dialect_name, names_dialect
from rpcshell.client.errors import UsageError
from rpcshell.client.target import ChildTarget, HttpTarget, ServersetTarget, Target, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rpcshell.client.dialects import DialectFactory

_VARIABLE: Final = r"\$\{(?:env:)?(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}"
_HEADER_NAME: Final = r"(?a)[!#$%&'*+.^_`|~\w-]+"
_BELONG: Final = (
    ("env", ChildTarget, "a target with a command"),
    ("cwd", ChildTarget, "a target with a command"),
    ("registry_credentials", ServersetTarget, "an address with zk:// or zks://"),
    ("headers", HttpTarget, "an address with http:// or https://"),
)
"""Keys that one kind of target alone has."""


class TargetProblem(UsageError):
    """A target that makes no sense, and the key that is wrong."""

    def __init__(self, key: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason, hint=hint)
        self.key = key


def _key(meaning: str, *examples: Any) -> Meta:
    return Meta(description=meaning, examples=list(examples))


class TargetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A target with a name."""

    address: Annotated[
        str | None,
        _key(
            "Where the server listens: host:port, port, [v6]:port, unix:/path, unix:@name, tls://host:port "
            "or, in a dialect, https://host/path. Several servers are host:port,host:port, zk://host/path, "
            "srv://_service._tcp.name or dns://name:port.",
            "tls://rpc.example.org:8443",
            "zk://zk1:2181,zk2:2181/services/calc",
            "https://mcp.example.org/mcp",
        ),
    ] = None
    dialect: Annotated[
        str | None,
        _key(
            "What it speaks, if not rpcshell's own protocol, with the framing where that is not the usual.",
            "mcp",
            "lsp",
            "mcp",
        ),
    ] = None
    command: Annotated[
        list[str] | None,
        _key(
            "In place of an address: the program to start, and to talk to over its standard streams.",
            ["npx", "-y", "@modelcontextprotocol/server-everything"],
            ["pylsp"],
        ),
    ] = None
    env: Annotated[
        dict[str, str],
        _key(
            "What is added to its environment. ${NAME} stands for what the shell's own has, ${NAME:-TEXT} "
            "for TEXT where it has none.",
            {"LOG_LEVEL": "info"},
        ),
    ] = {}
    cwd: Annotated[str | None, _key("The folder that it is started in.", "~/project")] = None
    headers: Annotated[
        dict[str, str],
        _key("What goes with every request over HTTP; ${NAME} as above.", {"Authorization": "Bearer ${TOKEN}"}),
    ] = {}
    init: Annotated[
        list[str], _key("Lines to run once it is connected; their results are not shown.", ["subscribe all"])
    ] = []
    openrpc: Annotated[
        str | list[str] | None,
        _key(
            "What it offers, where it cannot say: a file with an OpenRPC document, or a command that prints one.",
            "api.json",
        ),
    ] = None
    sampling: Annotated[
        list[str] | None,
        _key(
            "A command that asks a model for a server of MCP: it reads the params of "
            "sampling/createMessage as JSON, and prints the result. Without one, sampling is declined.",
            ["python3", "ask_model.py"],
        ),
    ] = None
    options: Annotated[
        dict[str, Any],
        _key(
            "What its dialect takes: of lsp `settings`, by section, `initialization-options` and `root`; "
            "of dap `adapter`, the name of the adapter.",
            {"adapter": "python"},
            {"settings": {"pylsp": {"plugins": {"pycodestyle": {"enabled": False}}}}},
        ),
    ] = {}
    tls_ca: Annotated[
        str | None,
        _key(
            "The file with the certificates of the authorities to trust, instead of the system's.",
            "certificates/ca.pem",
        ),
    ] = None
    tls_cert: Annotated[str | None, _key("The file with the client's certificate.", "certificates/me.pem")] = None
    tls_key: Annotated[str | None, _key("The file with its key, where that is another one.", "~/.ssl/me.key")] = None
    registry_credentials: Annotated[
        str | None,
        _key(
            "The file with the user whom ZooKeeper lets read, and the password, where the address is one "
            "of zk:// or zks://; nobody else may read it.",
            "~/zookeeper.toml",
            "zookeeper.toml",
        ),
    ] = None
    plain: Annotated[
        bool,
        _key("Whether the server knows the bare protocol alone: no question for its methods, no optional keys.", True),
    ] = False
    timeout: Annotated[float | None, _key("Seconds for a call.", 5.0)] = None

    def __repr__(self) -> str:
        return f"TargetConfig(address={self.address!r}, dialect={self.dialect!r}, command={self.command!r})"

    def target_among(self, dialects: Mapping[str, DialectFactory]) -> Target:
        """The target, its variables not filled in, where the configuration has these dialects of its own.

        Raises:
            TargetProblem: It makes no sense.
        """
        self._check_spoken(dialects)
        target = self._addressed(dialects) if self.command is None else self._child(self.command)
        for key, kind, where in _BELONG:
            if getattr(self, key) and not isinstance(target, kind):
                name = key.replace("_", "-")
                raise TargetProblem(name, f"has {name}, which is for {where}")
        match target:
            case ChildTarget():
                return replace(target, env=tuple(self.env.items()), cwd=self.cwd)
            case ServersetTarget():
                return replace(target, credentials=self.registry_credentials)
            case HttpTarget():
                return replace(target, headers=checked_headers(self.headers))
        return target

    @property
    def tls(self) -> TlsFiles:
        """The files of TLS."""
        return TlsFiles(self.tls_ca, self.tls_cert, self.tls_key)

    def _addressed(self, dialects: Mapping[str, DialectFactory]) -> Target:
        if self.address is None:
            raise TargetProblem("", "has no address and no command")
        written = self.address if self.dialect is None else f"{self.dialect}:{self.address}"
        try:
            return Target.parse(written, dialects)
        except UsageError as error:
            raise TargetProblem("address", error.message, hint=error.hint) from None

    def _child(self, command: list[str]) -> ChildTarget:
        if self.address is not None:
            raise TargetProblem("command", "has an address and a command: it is the one or the other")
        if not _runs_program(command):
            raise TargetProblem("command", "has a command without a program")
        if self.dialect is None:
            raise TargetProblem("command", "has a command but no dialect", hint='as in dialect = "mcp"')
        return ChildTarget(tuple(command), dialect=self.dialect)

    def _check_spoken(self, dialects: Mapping[str, DialectFactory]) -> None:
        """Refuse a dialect or a framing that there is not, and sampling where it is not for the dialect's servers."""
        spoken, sampling = self.dialect, self.sampling
        # What is not used need not be loaded.
        named = spoken is None or dialect_name(spoken) in dialects or (names_dialect(spoken) and "+" not in spoken)
        if named and sampling is None:
            return
        from rpcshell.client.dialects.registry import dialect_factory, has_trait

        if spoken is not None and not named:
            try:
                dialect_factory(spoken)
            except UsageError as error:
                raise TargetProblem("dialect", error.message, hint=error.hint) from None
        if sampling is None:
            return
        if not _runs_program(sampling):
            raise TargetProblem("sampling", "has a command for sampling without a program")
        if spoken is None and self.address is not None:
            # It may stand before the address.
            spoken = Target.parse(self.address, dialects).dialect
        if not has_trait(spoken or "native", "announces", dialects):
            raise TargetProblem("sampling", "has sampling, which is for a server of MCP")


def _runs_program(command: list[str]) -> bool:
    return bool(command and command[0]) and not any("\0" in word for word in command)


def checked_headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers of HTTP as a target has them; raises `TargetProblem` where one is none."""
    for name, value in headers.items():
        if not re.fullmatch(_HEADER_NAME, name) or not value.isprintable():
            raise TargetProblem("headers", f"{name!r} is no header of HTTP, or its value has a line's end in it")
    return tuple(headers.items())


def filled(target: Target, environment: Mapping[str, str] = os.environ) -> Target:
    """A target with the values of the variables in its environment and its headers.

    Raises:
        UsageError: One is not set, and has no default.
    """
    match target:
        case ChildTarget(env=env) if env:
            return replace(target, env=tuple((name, fill(value, environment)) for name, value in env))
        case HttpTarget(headers=headers) if headers:
            return replace(target, headers=tuple((name, fill(value, environment)) for name, value in headers))
    return target


def fill(text: str, environment: Mapping[str, str]) -> str:
    """A text with the values of its variables, `${NAME}` and `${NAME:-DEFAULT}`.

    Raises:
        UsageError: One is not set, and has no default.
    """

    def value(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        known = environment.get(name)
        if known is None and default is None:
            raise UsageError(f"the environment variable {name} is not set", hint="the target's configuration names it")
        # As in the shell of POSIX, the default is for what is empty too.
        return known or default or ""

    return re.sub(_VARIABLE, value, text)
