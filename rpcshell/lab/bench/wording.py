"""What was measured, in words: the call, the load on it, the server. All texts are safe for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.line.masking import mask_text, mask_value
from rpcshell.view.escape import visible, visible_json
from rpcshell.view.units import count_of, per_second
from rpcwire import encode_value

if TYPE_CHECKING:
    from rpcshell.lab.bench.plan import Measurement, Plan

__all__ = ["call_text", "examples_of", "length_text", "load_text", "name_of", "server_text", "target_text"]

_LONGEST_PARAMS: Final = 200


def call_text(plan: Plan) -> str:
    """The method and its params on one line, without secrets; long params are cut.

    Args:
        plan: What was asked for.
    """
    if plan.params is None:
        return visible(plan.method)
    params = visible_json(encode_value(mask_value(plan.params)).decode())
    if len(params) > _LONGEST_PARAMS:
        params = f"{params[:_LONGEST_PARAMS]}…"
    return f"{visible(plan.method)} {params}"


def load_text(plan: Plan) -> str:
    """How the call was made: on how many connections, and when the next one.

    Args:
        plan: What was asked for.
    """
    parts = [count_of(plan.connections, "connection")]
    if plan.pipeline > 1:
        parts.append(f"up to {plan.pipeline} calls at once on each")
    parts.append(f"{per_second(plan.rate)} calls/s (open loop)" if plan.rate else "closed loop")
    return ", ".join(parts)


def length_text(measurement: Measurement) -> str:
    """How much of it there was."""
    return f"{count_of(measurement.calls, 'call')} in {measurement.seconds:.1f} s"


def server_text(measurement: Measurement) -> str:
    """The workers that answered, or nothing where that is not known."""
    server = measurement.server
    return "" if server is None else count_of(server.workers, f"{visible(server.model)} worker")


def target_text(plan: Plan) -> str:
    """Where the calls went."""
    return visible(plan.target)


def name_of(measurement: Measurement) -> str:
    """What tells a measurement from those beside it: the worker model, or else the target."""
    return target_text(measurement.plan) if measurement.server is None else visible(measurement.server.model)


def examples_of(measurement: Measurement) -> list[tuple[str, int, str]]:
    """What went wrong, the most frequent first: its kind, how often, and what the first one said.

    Args:
        measurement: What came of a benchmark.
    """
    return [
        (visible(kind), count, visible(mask_text(measurement.examples.get(kind, ""), measurement.plan.params)))
        for kind, count in sorted(measurement.problems.items(), key=lambda item: -item[1])
    ]
