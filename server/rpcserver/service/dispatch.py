"""From a request's body to its framed reply: the one way from the wire to handlers and back.

Sockets, processes and logs' destinations are elsewhere; so is what error replies say (`faults`).
"""

from __future__ import annotations

import time
from time import monotonic_ns
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from rpcserver.service.context import Peer, WorkerInfo
from rpcserver.service.coroutines import CoroutineRunner
from rpcserver.service.discovery import DISCOVER, endpoints_of
from rpcserver.service.endpoint import ServedEndpoints
from rpcserver.service.envelopes import BatchReplies, read_any, read_members, refuse_body, unread
from rpcserver.service.faults import CALLING, READING, RECEIVING, REPLYING, Faults
from rpcserver.service.hooks import WorkerHooks
from rpcserver.service.large import HOLDERS, LARGE, MANY
from rpcserver.service.long_requests import LONG, LongRequests
from rpcserver.system.errors import QuickStop
from rpcserver.system.method_board import CANCELLED, ERROR, FAILED, INVALID_PARAMS, OTHERS, TOOK, MethodCounts
from rpcserver.system.scoreboard import BEGAN_AT, ENDED_AT, ERRORS, SlotBoard, pack_began, pack_ended
from rpcwire import ErrorCode, Fault, MessageError, Meta, decode_request, read_request
from rpcwire.jsonrpc import JsonRpcRequest

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from concurrent.futures import Executor

    from msgspec import Raw

    from rpcserver.service.endpoint import Endpoint
    from rpcserver.service.envelopes import AnyRequest
    from rpcserver.service.on_loop import OnLoop
    from rpcserver.service.service import Service

_COUNTED_AS: Final[dict[int, int]] = {ErrorCode.INVALID_PARAMS: INVALID_PARAMS, ErrorCode.INTERNAL_ERROR: FAILED}


class Dispatcher:
    """Answers requests with a service's handlers; raises ServiceError where one cannot be served as it is written.

    Requests that have come are `served`, errors included. Under the GIL no count is lost to other threads, since
    nothing between reading and writing one can switch threads.
    """

    def __init__(
        self,
        service: Service,
        worker: WorkerInfo,
        *,
        endpoints: Mapping[str, Endpoint] | None = None,
        debug: bool = False,
        runner: CoroutineRunner | None = None,
        board: SlotBoard | None = None,
    ) -> None:
        self.service = service
        self.worker = worker
        self._runner = CoroutineRunner() if runner is None else runner
        self._guard = self._runner.guard
        self._on_loop: OnLoop | None = None
        self.hooks = WorkerHooks(service, worker, self._runner)
        self.served = self._answered = self._busy = self._bytes_in = self._bytes_out = 0
        self._board = SlotBoard.private() if board is None else board
        self._cells = self._board.cells
        self._noted: Endpoint | None = None
        prepared = endpoints_of(service) if endpoints is None else endpoints
        methods = self._board.methods
        self._others = None if methods is None else MethodCounts(methods.entry(OTHERS))
        entries = {} if methods is None else methods.register(prepared)
        counts = {name: MethodCounts(entry) for name, entry in entries.items()}
        self._endpoints = ServedEndpoints(prepared, worker, lambda name: counts.get(name, self._others))
        self.discovery = self._endpoints[DISCOVER]
        self._long = LongRequests(self._endpoints)
        self._faults = Faults(prepared, debug=debug)

    def answer(
        self, body: bytes | bytearray, connection: Peer, close: bool = False, request: AnyRequest | None = None
    ) -> bytes:
        """Answer a request, whatever it is, with a frame, and a notification with nothing; for models that block.

        The connection heeds `close` from now on where the request says so. The request is given where the body has been
        read already.

        Raises:
            QuickStop: a signal asked for that. Whatever else a handler raises is a failure like any other.
        """
        # Nearly every request takes this way, and each call on it costs a share of the whole. So what is common is
        # written out, and what goes wrong looked at again; slots are not called as methods, which takes longer.
        cells = self._cells
        began = monotonic_ns()
        self.served = started = self.served + 1
        pack_began(cells, BEGAN_AT, began, started)
        stage = RECEIVING
        typed = False
        endpoint = None
        try:
            if request is None:
                if connection.jsonrpc:
                    request = read_any(body, connection)
                elif len(body) < LONG or close:
                    request = read_request(body)
                else:
                    request = self._long.read(body)
                    typed = request.typed
            endpoint = self._endpoints[request.method]
            if endpoint is not self._noted:
                self._note(endpoint)
            if request.close:
                connection.heeds_close = True
            if endpoint.direct and not (close or request.meta or request.id is not UNSET):
                decode, call, encode = endpoint.decode, endpoint.call, endpoint.encode
                stage = READING
                arguments = request.params if typed else decode(request.params)
                stage = CALLING
                result = call(arguments)
                if type(result) is CoroutineType:
                    result = self._runner.run(result)
                stage = REPLYING
                reply = encode(result)
            else:
                reply = self._run_fully(request, endpoint, connection, close)
        except QuickStop:
            raise
        except BaseException as error:  # noqa: BLE001 - a user's handler, types and results may raise anything
            if request is None and (members := read_members(body, connection)):
                return self._answer_batch(members, connection, close)
            if request is None or endpoint is None:
                reply, endpoint = self._recover(body, request, connection, close)
            elif stage == READING and not endpoint.refuses(request.params, error):
                # Params in another form than most callers send.
                reply = self._run_fully(request, endpoint, connection, close)
            else:
                reply = self._reply_fault(stage, error, request, endpoint, 0, close)
        if self._guard.strayed:
            self._guard.end()
        ended = monotonic_ns()
        self._answered = answered = self._answered + 1
        self._busy = busy = self._busy + (took := ended - began)
        self._bytes_in = bytes_in = self._bytes_in + len(body)
        self._bytes_out = bytes_out = self._bytes_out + len(reply)
        pack_ended(cells, ENDED_AT, ended, answered, busy, bytes_in, bytes_out)
        if (counts := self._others if endpoint is None else endpoint.counts) is not None:
            words, tally, bits = counts.words, counts.tally, took.bit_length()
            tally[bits] = words[bits] = tally[bits] + 1
            tally[TOOK] = words[TOOK] = tally[TOOK] + took
        return reply

    def begin(
        self, body: bytes | bytearray, connection: Peer, close: bool = False, executor: Executor | None = None
    ) -> bytes | Coroutine[Any, Any, bytes]:
        """Start to answer a request on an event loop.

        Plain handlers run in the executor, the loop's own unless one is given; what is large is read and written
        in a thread too. The calls of a batch run one after another, as those of a client that pipelines.

        It returns the reply as a frame where that is there at once, which spares a task: errors, and handlers
        registered with `blocking=False`, unless the request or their last reply is large; else a coroutine for it.
        """
        request: AnyRequest
        if LONG <= len(body) <= LARGE and not connection.jsonrpc:
            called = self._long.endpoint_of(body)
            if called is not None and called.at_once and not called.last_was_large:
                reply = Dispatcher.answer(self, body, connection, close)
                called.last_was_large = len(reply) > LARGE
                return reply
        try:
            request = decode_request(body)
        except MessageError:
            if members := read_members(body, connection):
                return self._answer_batch_async(members, connection, close, executor)
            try:
                request = read_any(body, connection)
            except MessageError:
                return Dispatcher.answer(self, body, connection, close)
        endpoint = self._endpoints.get(request.method) or self._endpoints.find(request.method)
        if endpoint is not None and (not endpoint.at_once or endpoint.last_was_large or len(body) > LARGE):
            return self._run_counted(body, request, endpoint, connection, close, executor)
        reply = Dispatcher.answer(self, body, connection, close, request)
        if endpoint is not None and len(reply) > LARGE:
            endpoint.last_was_large = True
        return reply

    async def answer_async(
        self, body: bytes | bytearray, connection: Peer, close: bool = False, executor: Executor | None = None
    ) -> bytes:
        """Answer a request on an event loop; like `answer`, and with `begin`'s parameters.

        Raises:
            CancelledError: the task that awaits was cancelled.
        """
        begun = self.begin(body, connection, close, executor)
        return begun if isinstance(begun, bytes) else await begun

    def refuse_cancelled(self, body: bytes | bytearray, error: BaseException, close: bool) -> bytes:
        """Answer a request whose handler has cancelled its own task."""
        try:
            request = read_any(body, Peer(""))
        except MessageError:
            # A batch: which of its calls it was is not known any more.
            return refuse_body(body, self._faults.of_cancelled_batch(error), close=close)
        return self._reply_fault(CALLING, error, request, self._endpoints[request.method], 0, close)

    def refuse_unfinished(self, body: bytes | bytearray, fault: Fault, started: int, close: bool) -> bytes:
        """Answer a request that nobody waits for any more, and that was begun at a time of perf_counter_ns()."""
        try:
            request = read_any(body, Peer(""))
        except MessageError:
            return refuse_body(body, fault, close=close)
        return request.frame_fault(fault, meta=self._meta(started) if request.meta else None, close=close)

    def note_refusal(self, peer: Peer, body: bytes | bytearray, reply: bytes) -> None:
        """Take note of a call, or a client without one, that was turned away before it came here."""

    def _note(self, endpoint: Endpoint) -> None:
        self._noted = endpoint
        self._board.method_began(endpoint.method.name)

    async def _run_counted(
        self,
        body: bytes | bytearray,
        request: AnyRequest,
        endpoint: Endpoint,
        connection: Peer,
        close: bool,
        executor: Executor | None,
    ) -> bytes:
        began = monotonic_ns()
        self.served += 1
        pack_began(self._cells, BEGAN_AT, began, self.served)
        if endpoint is not self._noted:
            self._note(endpoint)
        reply = b""
        try:
            reply = await self._run_awaiting(request, endpoint, connection, close, executor, len(body) > LARGE)
        finally:
            self._guard.check()
            ended = monotonic_ns()
            self._answered += 1
            self._busy += (took := ended - began)
            self._bytes_in += len(body)
            self._bytes_out += len(reply)
            pack_ended(self._cells, ENDED_AT, ended, self._answered, self._busy, self._bytes_in, self._bytes_out)
            if (counts := endpoint.counts) is not None:
                words, tally, bits = counts.words, counts.tally, took.bit_length()
                tally[bits] = words[bits] = tally[bits] + 1
                tally[TOOK] = words[TOOK] = tally[TOOK] + took
        return reply

    def _recover(
        self, body: bytes | bytearray, request: AnyRequest | None, connection: Peer, close: bool
    ) -> tuple[bytes, Endpoint | None]:
        """Answer what is no request, is one in another envelope or for an unknown method.

        The endpoint is returned too where it was a call of a method after all.
        """
        if request is None:
            try:
                request = read_any(body, connection)
            except MessageError as unreadable:
                return self._refuse(self._faults.of_message(unreadable), unread(unreadable, connection), close), None
        if request.close:
            connection.heeds_close = True
        endpoint = self._endpoints.get(request.method) or self._endpoints.find(request.method)
        if endpoint is None:
            fault = self._faults.of_unknown_method(request.method)
            meta = self._meta(time.perf_counter_ns()) if request.meta else None
            return self._refuse(fault, request, close, meta), None
        if endpoint is not self._noted:
            self._note(endpoint)
        return self._run_fully(request, endpoint, connection, close), endpoint

    def _run_fully(self, request: AnyRequest, endpoint: Endpoint, connection: Peer, close: bool) -> bytes:
        started = time.perf_counter_ns() if request.meta else 0
        stage = READING
        try:
            arguments = endpoint.read(request.params)
            stage = CALLING
            result = endpoint.invoke(arguments, connection)
            if type(result) is CoroutineType:
                result = self._runner.run(result)
            stage = REPLYING
            return self._reply(result, request, endpoint, started, close)
        except QuickStop:
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            return self._reply_fault(stage, error, request, endpoint, started, close)

    def _begin_on_loop(self) -> OnLoop:
        # Models that block need no event loop.
        from rpcserver.service.on_loop import OnLoop

        self._on_loop = OnLoop(self._guard)
        return self._on_loop

    async def _run_awaiting(
        self,
        request: AnyRequest,
        endpoint: Endpoint,
        connection: Peer,
        close: bool,
        executor: Executor | None,
        large: bool,
    ) -> bytes:
        on_loop = self._on_loop or self._begin_on_loop()
        if request.close:
            connection.heeds_close = True
        started = time.perf_counter_ns() if request.meta else 0
        stage = READING
        try:
            if large:
                arguments = await on_loop.run_large(endpoint.read, request.params)
            else:
                arguments = endpoint.read(request.params)
            stage = CALLING
            if endpoint.signature.is_async:
                result = await endpoint.invoke(arguments, connection)
            elif not endpoint.method.blocking:
                result = endpoint.invoke(arguments, connection)
            else:
                result, error = await on_loop.call_in_thread(endpoint, arguments, connection, executor)
                if error is not None:
                    raise error
            if type(result) is CoroutineType:
                result = await result
            stage = REPLYING
            if large or endpoint.last_was_large or (type(result) in HOLDERS and len(result) > MANY):
                reply = await on_loop.run_large(self._reply, result, request, endpoint, started, close)
            else:
                reply = self._reply(result, request, endpoint, started, close)
            endpoint.last_was_large = len(reply) > LARGE
            return reply
        except QuickStop:
            raise
        except BaseException as error:
            from rpcserver.service.on_loop import ended_from_outside

            if ended_from_outside(error):
                if endpoint.counts is not None:
                    endpoint.counts.words[CANCELLED] += 1
                raise
            return self._reply_fault(stage, error, request, endpoint, started, close)

    def _reply(self, result: Any, request: AnyRequest, endpoint: Endpoint, started: int, close: bool) -> bytes:
        meta = self._meta(started) if request.meta else None
        if isinstance(request, JsonRpcRequest):
            return request.frame_result(result, meta=meta, close=close)
        return endpoint.replies.encode_with(result, id=request.id, meta=meta, close=close)

    def _reply_fault(
        self, stage: int, error: BaseException, request: AnyRequest, endpoint: Endpoint, started: int, close: bool
    ) -> bytes:
        if self._guard.strayed:
            self._guard.end(error)
        meta = self._meta(started) if request.meta else None
        try:
            return self._refuse(
                self._faults.of_stage(stage, endpoint, request.params, error), request, close, meta, endpoint
            )
        except QuickStop:
            raise
        except BaseException as failure:  # noqa: BLE001 - a user's exception may fail in every way when it is looked at
            fault = self._faults.of_failed_fault(endpoint, error, failure)
            return self._refuse(fault, request, close, meta, endpoint)

    def _refuse(
        self, fault: Fault, request: AnyRequest, close: bool, meta: Meta | None = None, endpoint: Endpoint | None = None
    ) -> bytes:
        reply = request.frame_fault(fault, meta=meta, close=close)
        self._cells[ERRORS] += 1
        if (counts := self._others if endpoint is None else endpoint.counts) is not None:
            counts.words[_COUNTED_AS.get(fault.code, ERROR)] += 1
        return reply

    def _answer_batch(self, members: list[Raw], connection: Peer, close: bool) -> bytes:
        """Answer the calls of a batch, one after another: each is counted by itself, and the batch is not."""
        self.served -= 1
        pack_began(self._cells, BEGAN_AT, monotonic_ns(), self.served)
        batch = BatchReplies()
        for member in members:
            batch.add(batch.refusal(member) or self.answer(bytes(member), connection, False))
        return batch.frame(close and connection.heeds_close)

    async def _answer_batch_async(
        self, members: list[Raw], connection: Peer, close: bool, executor: Executor | None
    ) -> bytes:
        batch = BatchReplies()
        for member in members:
            batch.add(batch.refusal(member) or await self.answer_async(bytes(member), connection, False, executor))
        return batch.frame(close and connection.heeds_close)

    def _meta(self, started: int) -> Meta:
        worker = self.worker
        microseconds = (time.perf_counter_ns() - started) // 1000
        return Meta(worker.worker, worker.pid, worker.generation, worker.model, microseconds, self.served)
