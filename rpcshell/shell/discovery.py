"""What a target offers: its description as a catalog, and what it means for the session where there is none.

A target that cannot describe itself is plain: it gets only a method and params from then on. How it is asked is the
dialect's business; when, the session's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec.structs import replace

from rpcshell.client.diagnosis import gone
from rpcshell.client.dialects import Description
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ProtocolError, ShellError, TlsFailed
from rpcshell.client.target import ChildTarget
from rpcshell.client.trace import CallTrace
from rpcshell.line.catalog import EMPTY_CATALOG, Catalog, CatalogError
from rpcshell.shell.dialect_finder import PATIENCE, SpeaksOtherwise, is_own_server
from rpcshell.view.units import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcshell.client.client import Client
    from rpcshell.client.target import Target
    from rpcshell.client.trace import PendingQuestion
    from rpcshell.servers.target_memory import TargetMemory
    from rpcshell.shell.dialect_finder import DialectFinder

# A server that dies of being asked should not soon be asked again; one that was only slow, perhaps busy, soon may.
_REMEMBERED: Final = {"ended": 7 * 24 * 3600.0, "silent": 3600.0}


class Discovery(msgspec.Struct, frozen=True):
    """What came of asking."""

    catalog: Catalog = EMPTY_CATALOG
    plain: bool = False
    note: str | None = None
    """One line for the user, or None."""
    refused: bool = False
    """Whether the note is what a call would say as well: the target does not let this client in."""
    failed: bool = False
    """Whether that says nothing about what it offers: another time it may be told."""
    found_out: str = ""
    """What it speaks, and with whom, in one line, where nobody had named it and it was found out just now."""
    doubt: Literal["", "silent", "other"] = ""
    """Whether the target may speak another dialect than it was asked in: it has said nothing, or nothing understood."""

    def lines(self, *, at_prompt: bool) -> Iterator[str]:
        """What is to be told: in a script neither what went well nor what its next call tells as well."""
        if self.note and (at_prompt or not self.refused):
            yield self.note
        if self.found_out and at_prompt:
            yield self.found_out


def describe(
    client: Client,
    memory: TargetMemory | None,
    *,
    probe_again: bool = False,
    known: Catalog | None = None,
    trace: CallTrace | None = None,
) -> Discovery:
    """Ask a target what it offers; a `trace` may break that off.

    With `probe_again` even one that the memory knows as plain. What is `known` from before holds where the target fails
    to say so again.
    """
    if known is None or not known.methods:
        return _asked(client, memory, probe_again, trace)
    found = _asked(client, None, probe_again, trace)
    if not found.failed:
        return found
    note = f"{client.target} has not said again what it offers: what it said before is kept"
    return Discovery(known, note=found.note if found.refused else found.note and note, refused=found.refused)


def _asked(client: Client, memory: TargetMemory | None, probe_again: bool, trace: CallTrace | None) -> Discovery:
    if client.plain:
        return Discovery(plain=True)
    target = str(client.target)
    if memory is not None:
        if probe_again:
            memory.forget(target)
        elif memory.remembers(target):
            return Discovery(plain=True)
    try:
        found = client.describe(trace=trace)
    except TlsFailed as error:
        # What a server thinks of a client's certificate it may tell only after the connection is there.
        return Discovery(note=str(error) if client.connections else None, refused=True, failed=True)
    except (ConnectionFailed, ConnectionLost):
        # The call that comes next meets the same failure and tells the user.
        return Discovery(failed=True)
    except CallTimeout as error:
        found = Description(missing="silent", reason=f"it did not say within {error.seconds:g} s what it offers")
    except ProtocolError as error:
        return Discovery(plain=True, note=error.message, refused=True, failed=client.listens, doubt="other")
    match found.missing:
        case None:
            try:
                return Discovery(Catalog.from_openrpc(found.document))
            except CatalogError:
                return _plain(target, "what it says of itself is no OpenRPC document")
        case "busy":
            return Discovery(note=f"{target} is too busy to say what it offers", failed=True)
        case "silent" if trace is not None and not trace.hung:
            return Discovery(doubt="silent", failed=True)
        case "silent" if is_own_server(client.target):
            # Its workers are held by others; when one is free again, it does say what it offers.
            hint = f":connect {target} --refresh asks again"
            return Discovery(note=f"{target} is too busy to say what it offers: {hint}", failed=True)
        case "ended" if isinstance(client.target, ChildTarget):
            # Not remembered: it may have ended for want of something that is there the next time.
            return _plain(target, "its process ended when asked what it offers", found.hint)
        case "silent" | "ended" as missing if memory is not None:
            memory.remember(target, seconds=_REMEMBERED[missing])
    # A native server that ends the connection, or knows no such question, is another one by now.
    failed = client.listens or found.missing == "silent"
    return _plain(target, found.reason, found.hint, failed=failed, doubt="other" if found.missing == "ended" else "")


def _plain(
    target: str, why: str, hint: str | None = None, *, failed: bool = False, doubt: Literal["", "other"] = ""
) -> Discovery:
    note = f"{target} is a plain server: {why}, so its methods cannot be completed or checked"
    return Discovery(plain=True, note=f"{note}; {hint}" if hint else note, failed=failed, doubt=doubt)


def described(
    client: Client,
    memory: TargetMemory | None,
    finder: DialectFinder | None,
    turn_to: Callable[[Target], Client],
    *,
    probe_again: bool,
    known: Catalog | None,
) -> Discovery:
    """Ask a target what it offers, as `describe`; one that seems to speak another dialect, in that one.

    There is a finder where nobody has said what the target speaks; `turn_to` makes the client that speaks otherwise.
    """
    if finder is None or finder.settled:
        found = describe(client, memory, probe_again=probe_again, known=known)
    else:
        found = _unsettled(client, memory, finder, turn_to, probe_again, known)
    if finder is None or not finder.untold or found.note is not None:
        return found
    finder.untold = False
    spoken = ", ".join(introduction(finder.target.dialect or "native", found.catalog))
    return replace(found, found_out=f"{finder.asked}: {spoken}")


def _unsettled(
    client: Client,
    memory: TargetMemory | None,
    finder: DialectFinder,
    turn_to: Callable[[Target], Client],
    probe_again: bool,
    known: Catalog | None,
) -> Discovery:
    trace = CallTrace()
    trace.patience = PATIENCE
    verdict: ShellError | None = None

    def look_closer(question: PendingQuestion | None) -> None:
        nonlocal verdict
        try:
            if question is not None:
                finder.look_beside(question)
        except (ProtocolError, ConnectionFailed) as error:
            verdict = error
            raise

    trace.once_silent(look_closer)
    found = describe(client, memory, probe_again=probe_again, known=known, trace=trace)
    try:
        if isinstance(verdict, SpeaksOtherwise):
            client = turn_to(finder.target)
        elif verdict is not None:
            raise verdict
        elif finder.settled or not found.doubt:
            if (found.catalog.methods or found.note) and not found.refused:
                finder.confirm()
            return found
        # Of the user's own server the control socket tells that it is one, all of whose workers may be held.
        elif not (found.doubt == "silent" and is_own_server(finder.asked)):
            if finder.look():
                client = turn_to(finder.target)
            elif found.doubt == "other":
                return found
    except ConnectionFailed as error:
        return Discovery(note=str(gone(finder.asked, error.reason)), failed=True)
    except ProtocolError as error:
        may_tell_later = finder.finding is not None and finder.finding.busy is not False
        return Discovery(plain=not may_tell_later, note=str(error), refused=True, failed=may_tell_later)
    return describe(client, memory, probe_again=True)


def introduction(spoken: str, catalog: Catalog) -> Iterator[str]:
    """What is spoken, with whom, and what there is to call; as the server has it, for whoever shows it to escape."""
    yield spoken
    if who := f"{catalog.title} {catalog.version}".strip():
        yield who
    if catalog.methods:
        yield count_of(len(catalog.methods), catalog.method_noun)
