"""What commands show of a fleet: its instances, and the workers of those that run on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rpcshell.commands.worker_table import WORKER_SPARE, worker_row
from rpcshell.servers.directory import LocalServer, SilentServer, servers_at
from rpcshell.servers.silence import silence
from rpcshell.shell.address_book import short_name
from rpcshell.shell.fleet import state_text
from rpcshell.view.escape import visible
from rpcshell.view.table import Figure
from rpcshell.view.units import brief_rate, call_time, count_of, letter, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rpcshell.client.fleet.instances import InstanceState
    from rpcshell.client.target import Target
    from rpcshell.lab.top.fleet_feed import InstanceLine
    from rpcshell.shell.fleet import Fleet
    from rpcshell.shell.shell import Shell

_INSTANCE_SPARE: Final = ("gen", "version", "model", "workers", "offers", "under way")
"""What a row of an instance can do without on a narrow screen, in this order."""

_MOST_PROBLEMS: Final = 8


def show_instances(shell: Shell, fleet: Fleet) -> None:
    """Show the instances of a fleet, and how they are to this shell."""
    instances = fleet.instances
    shell.show_table(list(_instance_rows(shell, fleet)), spare=_INSTANCE_SPARE)
    ejected = [instance for instance in instances if instance.problem]
    for instance in ejected[:_MOST_PROBLEMS]:
        shell.output.note(f"{instance.target}: {instance.problem}")
    if len(ejected) > _MOST_PROBLEMS:
        shell.output.note(f"and {len(ejected) - _MOST_PROBLEMS} more that fail")
    shell.output.note(_fleet_line(shell, instances))


def _fleet_line(shell: Shell, instances: Sequence[InstanceState]) -> str:
    """A fleet in one line: how many instances there are, and how many of them get calls."""
    target = shell.session.target
    name = "" if target is None else short_name(shell.session.name, target)
    ready = sum(not instance.ejected for instance in instances)
    return f"{name}: {count_of(len(instances), 'instance')}, {ready} ready"


def fleet_title(shell: Shell, lines: Sequence[InstanceLine]) -> str:
    """What is said of all instances, in a line."""
    rates = [line.rates.calls for line in lines if line.rates is not None]
    rate = f" · {brief_rate(sum(rates))} calls/s" if rates else ""
    return visible(f"{_fleet_line(shell, [line.state for line in lines])}{rate}")


def instances_as_json(shell: Shell, fleet: Fleet) -> list[dict[str, Any]]:
    """The same for programs; times in seconds."""
    offers = fleet.offers
    return [
        {
            "address": str(one.target),
            "state": "ejected" if one.ejected else "ready",
            "due": round(one.due, 3) if one.ejected else None,
            "problem": one.problem or None,
            "latency": _latency(shell, one.target),
            "calls": one.calls,
            "failed": one.failed,
            "outstanding": one.outstanding,
            **{name: getattr(one, name) for name in ("service", "version", "model", "workers", "generation", "weight")},
            "offers": offers.get(one.target),
        }
        for one in fleet.instances
    ]


def _instance_rows(shell: Shell, fleet: Fleet) -> Iterable[dict[str, Any]]:
    instances, offers = fleet.instances, fleet.offers
    kinds = list(dict.fromkeys(offers[one.target] for one in instances if one.target in offers))
    under_way, models, versions, generations = (
        any(getattr(one, name) for one in instances) for name in ("outstanding", "model", "version", "generation")
    )
    for one in instances:
        row: dict[str, Any] = {"instance": str(one.target), "state": state_text(one)}
        if under_way:
            row["under way"] = one.outstanding
        latency = _latency(shell, one.target)
        row |= {
            "latency": Figure("-") if latency is None else Figure(call_time(latency)),
            "calls": one.calls,
            "failed": one.failed,
        }
        if models:
            row |= {"workers": one.workers or "-", "model": one.model or "-"}
        if versions:
            row["version"] = one.version or "-"
        if generations:
            row["gen"] = one.generation
        if len(kinds) > 1:
            row["offers"] = letter(kinds.index(offers[one.target])) if one.target in offers else "-"
        yield row


def _latency(shell: Shell, instance: Target) -> float | None:
    """What half of the session's calls took at most that an instance answered, in seconds."""
    times = shell.journal.statistics.times_of(str(instance))
    return times.percentile(50) if times.count else None


def show_workers(shell: Shell, fleet: Fleet) -> None:
    """Show the workers of the instances that are the user's own on this machine, and say what is known of others."""
    instances = fleet.instances
    here = servers_at(instance.target for instance in instances)
    statuses = {target: server.status for target, server in here.items() if isinstance(server, LocalServer)}
    rows = [
        {"instance": str(target), **worker_row(worker, status)}
        for target, status in statuses.items()
        for worker in status.workers
    ]
    if rows or shell.for_programs:
        data = [{"instance": str(target), "workers": status.workers} for target, status in statuses.items()]
        shell.show_table(rows, data, spare=WORKER_SPARE)
    if rows:
        shell.output.note(f"{count_of(len(rows), 'worker')} of {count_of(len(statuses), 'instance')}; :top has more")
    for instance in instances:
        if instance.target not in statuses:
            kind = f"{instance.workers} {instance.model} {plural(instance.workers, 'worker')}, as the registry says"
            told = kind if instance.model and instance.workers else "what its workers do is not seen from here"
            found = here.get(instance.target)
            mute = silence(found) if isinstance(found, SilentServer) else ""
            about = mute or f"not one of yours on this machine; {told}"
            shell.output.note(f"{instance.target}: {about}")
