"""The dispatcher on an event loop: coroutines awaited, plain handlers in threads, cancellation."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rpcserver import Context, Peer, Service, WorkerInfo
from rpcserver.service.dispatch import Dispatcher
from tests.rpcserver.calling import unframed

WORKER = WorkerInfo(1, 2, 3, "async")
REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("REQUEST", default="")

service = Service("test")


@service.method
async def loop_thread(context: Context) -> list[Any]:
    await asyncio.sleep(0)
    return [threading.get_ident(), context.method]


@service.method
def own_thread(context: Context | None = None) -> int:
    return threading.get_ident() if context is not None else 0


@service.method(blocking=False)
def at_once(value: Any = None) -> list[Any]:
    return [threading.get_ident(), value]


@service.method
async def zeros(count: int) -> list[int]:
    return [0] * count


@service.method(blocking=False)
def zeros_at_once(count: int) -> list[int]:
    return [0] * count


@service.method
async def sums(count: int) -> list[float]:
    return [0.0] * count + [float("nan")]


@service.method
async def page(count: int) -> dict[str, Any]:
    return {"items": [0] * count}


@service.method(blocking=False)
def not_a_number(params: Any) -> Any:
    return [params, float("nan")]


@service.method
def variable() -> str:
    return REQUEST.get()


@service.method
def stops() -> None:
    raise StopIteration


@service.method
def leaves() -> None:
    raise SystemExit(1)


@service.method
def interrupts() -> None:
    raise KeyboardInterrupt


@service.method
async def fails() -> None:
    raise ValueError("x")


@service.method
async def awaits_a_cancelled_task() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


@service.method
async def hangs() -> None:
    await asyncio.Event().wait()


@service.method
def wrapped() -> Any:
    return asyncio.sleep(0, "awaited")


def dispatcher() -> Dispatcher:
    return Dispatcher(service, WORKER)


def body(method: str, params: Any = None, **keys: Any) -> bytes:
    return json.dumps({"in": method, "params": params, **keys}).encode()


def answer(method: str, params: Any = None, **keys: Any) -> dict[str, Any]:
    async def main() -> bytes:
        return await dispatcher().answer_async(body(method, params, **keys), Peer("here"))

    return unframed(asyncio.run(main()))


def test_a_coroutine_handler_runs_on_the_loop() -> None:
    assert answer("loop_thread")["result"] == [threading.get_ident(), "loop_thread"]


def test_a_plain_handler_runs_in_a_thread() -> None:
    assert answer("own_thread")["result"] not in {0, threading.get_ident()}


def test_a_plain_handler_runs_in_the_given_executor() -> None:
    async def main(executor: ThreadPoolExecutor) -> tuple[bytes, int]:
        reply = await dispatcher().answer_async(body("own_thread"), Peer(""), executor=executor)
        return reply, await asyncio.get_running_loop().run_in_executor(executor, threading.get_ident)

    with ThreadPoolExecutor(1) as executor:
        reply, thread = asyncio.run(main(executor))
    assert unframed(reply)["result"] == thread


def test_a_handler_that_does_not_block_is_answered_at_once() -> None:
    begun = dispatcher().begin(body("at_once", [5]), Peer(""))
    assert isinstance(begun, bytes)
    assert unframed(begun)["result"] == [threading.get_ident(), 5]


@pytest.mark.parametrize("bad", [b"{", b"[]", b'{"in":"no"}', b'{"in":"rpc.discover"}'])
def test_errors_and_discovery_are_answered_at_once(bad: bytes) -> None:
    target = dispatcher()
    begun = target.begin(bad, Peer(""), close=True)
    assert isinstance(begun, bytes)
    assert unframed(begun)["close"] is True
    assert target.served == 1


def test_a_plain_handler_sees_the_callers_context_variables() -> None:
    async def main() -> bytes:
        REQUEST.set("mine")
        return await dispatcher().answer_async(body("variable"), Peer(""))

    assert unframed(asyncio.run(main()))["result"] == "mine"


def test_a_coroutine_from_a_plain_handler_is_awaited() -> None:
    assert answer("wrapped")["result"] == "awaited"


@pytest.mark.parametrize(
    ("method", "exception"),
    [
        ("stops", "StopIteration"),
        ("leaves", "SystemExit"),
        ("fails", "ValueError"),
        ("interrupts", "KeyboardInterrupt"),
        ("awaits_a_cancelled_task", "CancelledError"),
    ],
)
def test_whatever_a_handler_raises_is_an_internal_error(method: str, exception: str) -> None:
    reply = answer(method, id=1, meta=True)
    assert (reply["result"]["code"], reply["result"]["data"]["exception"]) == (-32603, exception)
    assert (reply["id"], reply["meta"]["served"]) == (1, 1)


def test_cancelling_the_call_cancels_the_handler_and_passes_through() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(dispatcher().answer_async(body("hangs"), Peer("")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_params_and_keys_mean_the_same_as_in_blocking_models() -> None:
    target = dispatcher()
    peer = Peer("")

    async def main() -> list[bytes]:
        requests = [
            body("own_thread", {"context": 1}),
            body("own_thread", id="a", close=True),
            b'{"in":"own_thread","params":"\\ud800"}',
        ]
        return [await target.answer_async(request, peer) for request in requests]

    wrong, fine, malformed = map(unframed, asyncio.run(main()))
    assert wrong["result"]["code"] == -32602
    assert fine["id"] == "a"
    assert malformed["result"]["code"] == -32700
    assert peer.heeds_close
    assert target.served == 3


def test_calls_on_one_loop_run_side_by_side() -> None:
    both = threading.Barrier(2)
    meeting = Service("meeting")
    meeting.method(name="meet")(lambda: both.wait(30))

    async def main() -> list[bytes]:
        target = Dispatcher(meeting, WORKER)
        return await asyncio.gather(*(target.answer_async(body("meet"), Peer("")) for _ in range(2)))

    assert sorted(unframed(frame)["result"] for frame in asyncio.run(main())) == [0, 1]


def large_threads(*bodies: bytes) -> tuple[list[dict[str, Any]], int]:
    """The replies, one after the other, and how many threads for large values were started."""
    before = set(threading.enumerate())

    async def main() -> tuple[list[bytes], int]:
        target = dispatcher()
        replies = [await target.answer_async(body, Peer("")) for body in bodies]
        started = set(threading.enumerate()) - before
        return replies, sum(thread.name.startswith("rpcserver-large") for thread in started)

    replies, started = asyncio.run(main())
    return list(map(unframed, replies)), started


@pytest.mark.parametrize("method", ["at_once", "own_thread", "zeros"])
def test_what_is_large_is_read_in_a_thread(method: str) -> None:
    small, started = large_threads(body(method, {"surplus": "x"}))
    assert started == 0
    large, started = large_threads(body(method, {"surplus": "x" * 300_000}))
    assert started == 1
    assert large[0]["result"] == small[0]["result"]
    assert large[0]["result"]["code"] == -32602


def test_garbage_is_not_collected_while_what_is_large_is_read() -> None:
    """It would take longer than the reading, with the interpreter's lock held."""
    where: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        where.append(threading.current_thread().name)

    gc.callbacks.append(note)
    try:
        large_threads(body("at_once", [[[]] * 100_000]))
    finally:
        gc.callbacks.remove(note)
    # What is put off is done once for each of what it does there.
    assert sum(name.startswith("rpcserver-large") for name in where) < 10
    assert gc.isenabled()


@pytest.mark.parametrize("bodies", [[body("zeros", [300_000])], [body("page", [300_000]), body("page", [300_000])]])
def test_a_result_that_is_or_may_be_large_is_written_in_a_thread(bodies: list[bytes]) -> None:
    replies, started = large_threads(*bodies)
    assert started == 1
    assert all(reply["result"] in ([0] * 300_000, {"items": [0] * 300_000}) for reply in replies)
    assert large_threads(body("zeros", [3]), body("page", [3]))[1] == 0


def test_the_next_result_of_a_handler_that_does_not_block_is_written_in_a_thread_after_a_large_one() -> None:
    replies, started = large_threads(body("zeros_at_once", [300_000]), body("zeros_at_once", [3]))
    assert started == 1
    assert [len(reply["result"]) for reply in replies] == [300_000, 3]
    assert large_threads(body("zeros_at_once", [3]), body("zeros_at_once", [3]))[1] == 0


@pytest.mark.parametrize("request_", [body("sums", [300_000]), body("not_a_number", "x" * 300_000)])
def test_what_json_cannot_carry_is_an_error_in_a_thread_too(request_: bytes) -> None:
    (reply,), started = large_threads(request_)
    assert started == 1
    assert reply["result"]["code"] == -32603
    assert "NaN" in reply["result"]["message"]
