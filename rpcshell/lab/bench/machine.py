"""What came of a benchmark as JSON for programs, with numbers that need no explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.line.masking import mask_text, mask_value
from rpcshell.view.histogram import Histogram

if TYPE_CHECKING:
    from rpcshell.lab.bench.plan import Measurement

__all__ = ["as_json"]

_PERCENTILES: Final = (50, 75, 90, 95, 99, 99.9)


def as_json(measured: Measurement) -> dict[str, Any]:
    """A measurement as an object of JSON; times are in seconds, sizes in bytes. Secrets in the params are left out.

    Args:
        measured: The measurement.
    """
    histogram = Histogram(measured.latency)
    plan = msgspec.to_builtins(measured.plan)
    del plan["tls"]
    plan["params"] = mask_value(plan["params"])
    latency: dict[str, Any] = {f"p{percent:g}": histogram.percentile(percent) for percent in _PERCENTILES}
    return {
        "plan": plan,
        "began": measured.began,
        "seconds": measured.seconds,
        "calls": measured.calls,
        "rate": measured.rate,
        "failed": measured.failed,
        "problems": measured.problems,
        "examples": {kind: mask_text(said, measured.plan.params) for kind, said in measured.examples.items()},
        "unsent": measured.unsent,
        "interrupted": measured.interrupted,
        "latency": {**latency, "max": histogram.largest, "mean": histogram.mean},
        "histogram": [list(step) for step in histogram],
        "timeline": msgspec.to_builtins(measured.timeline),
        "workers": {str(worker): calls for worker, calls in measured.workers.items()},
        "bytes_in": measured.bytes_in,
        "bytes_out": measured.bytes_out,
        "client_cpu": measured.client_cpu,
        "processes": measured.processes,
        "server": msgspec.to_builtins(measured.server),
    }
