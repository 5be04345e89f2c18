"""The service that is served when no app is named: something to show for every feature of a client.

It is written as a user's service would be, from the public API alone.
"""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from rpcserver import Context, Example, RpcError, Service
from rpcserver.testing.demo.orders import orders

LONGEST_SLEEP = 60.0
"""Seconds."""

LARGEST_BLOB = 64 * 1024 * 1024
"""Bytes."""

service = Service("demo", version="1.0", description="Methods to try a client or a server with.")
service.include(orders, prefix="order.")


class Whoami(Struct, frozen=True):
    """Who answered a call.

    Attributes:
        worker: number of the worker.
        pid: its process id.
        generation: how many times the server had been reloaded when it started.
        model: the worker model.
        peer: the address you called from.
    """

    worker: int
    pid: int
    generation: int
    model: str
    peer: str


@service.method(
    out="pong", idempotent=True, blocking=False, examples=[Example({"a": 1}, {"a": 1}, "anything comes back")]
)
def ping(params: Any = None) -> Any:
    """Answer with the params, whatever they are.

    The shortest way through a server: use it to see whether it is there and how long a call takes.
    """
    return params


@service.method(idempotent=True, blocking=False, examples=[Example({"text": "hello", "times": 2}, "hellohello")])
def echo(
    text: Annotated[str, Meta(max_length=100_000)],
    times: Annotated[int, Meta(ge=1, le=100)] = 1,
    *,
    upper: bool = False,
) -> str:
    """Repeat a text.

    Args:
        text: what to say.
        times: how often to say it.
        upper: whether to shout.
    """
    return (text.upper() if upper else text) * times


@service.method(
    idempotent=True,
    blocking=False,
    examples=[Example({"a": 1, "b": 2}, 3, "by name"), Example([0.5, 0.25], 0.75, "by position")],
)
def add(a: float, b: float = 0) -> float:
    """Add two numbers.

    Args:
        a: the first number.
        b: the second number.
    """
    return a + b


@service.method(idempotent=True, examples=[{"seconds": 0.5}])
def sleep(seconds: Annotated[float, Meta(ge=0, le=LONGEST_SLEEP)] = 1.0) -> float:
    """Keep a worker busy without using the processor.

    Call it while other calls are running to see what waits and what does not.

    Args:
        seconds: how long, up to a minute.

    Returns:
        how long it really took, in seconds.
    """
    started = time.monotonic()
    time.sleep(seconds)
    return round(time.monotonic() - started, 6)


@service.method(idempotent=True, examples=[Example({"n": 100}, 354224848179261915075, "more than 64 bits")])
def fib(n: Annotated[int, Meta(ge=0, le=20_000)]) -> int:
    """The n-th Fibonacci number, in full.

    Args:
        n: which one; the 20,000th has 4,180 digits.
    """
    current, following = 0, 1
    for _ in range(n):
        current, following = following, current + following
    return current


@service.method(idempotent=True, blocking=False)
def now(offset_hours: Annotated[float, Meta(ge=-24, le=24)] = 0) -> datetime:
    """The server's date and time.

    Args:
        offset_hours: difference to UTC, in hours.
    """
    if abs(offset_hours) == 24:
        raise RpcError("an offset is less than a day; give -23.5 to 23.5 hours", data={"offset_hours": offset_hours})
    zone = UTC if offset_hours == 0 else timezone(timedelta(hours=offset_hours))
    return datetime.now(zone)


@service.method(idempotent=True, blocking=False)
def whoami(context: Context) -> Whoami:
    """Which worker answers, and from where it was called.

    Call it on several connections to see how they are shared out among the workers.
    """
    worker = context.worker
    return Whoami(worker.worker, worker.pid, worker.generation, worker.model, context.peer.address)


@service.method(examples=[{"how": "error"}, {"how": "exception", "message": "on purpose"}])
def fail(
    how: Literal["error", "exception", "result"] = "error",
    message: Annotated[str, Meta(max_length=1000)] = "failed as asked",
    code: int = -32000,
) -> None:
    """Fail, to see what a failure looks like.

    Args:
        how: "error" answers with an error of the application's own, "exception" with an exception nobody caught,
            "result" with a result that JSON cannot carry.
        message: what the error says.
        code: the code of an application's own error.
    """
    if how == "error":
        raise RpcError(message, code, data={"asked": how})
    if how == "exception":
        raise ValueError(message)
    return float("nan")  # type: ignore[return-value]  # the wrong result is the point


@service.method(idempotent=True, examples=[{"size": 1024}])
def blob(size: Annotated[int, Meta(ge=0, le=LARGEST_BLOB)] = 1024) -> str:
    """A text of a given size, to try large replies with.

    Args:
        size: its length in bytes, up to 64 MiB.
    """
    line = "0123456789abcdef" * 4
    return (line * (size // len(line) + 1))[:size]


@service.method(deprecated=True, idempotent=True, blocking=False, summary="Use `add`.")
def plus(a: float, b: float) -> float:
    """Add two numbers, as `add` does.

    Args:
        a: the first number.
        b: the second number.
    """
    return a + b
