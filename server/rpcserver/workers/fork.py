"""The fork model: each connection has a process of its own, made when it is accepted.

The worker is to its children what the arbiter is to workers: it forks, signals and reaps them, and runs none of
the service's code itself. So start hooks run in each child, where what they open is shared with nobody.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from rpcserver.system.at_exit import AtExit
from rpcserver.system.errors import AppFailed, QuickStop
from rpcserver.system.process import Forker
from rpcserver.system.scoreboard import ACTIVE, ANSWERED, BEGAN, STARTED
from rpcserver.workers.app_process import reseed
from rpcserver.workers.base import ABORT, GRACEFUL, RECLAIM, REOPEN, Worker
from rpcserver.workers.blocking_connection import BlockingConnection
from rpcserver.workers.frame_budget import FrameBudget
from rpcserver.workers.limits import LINGER_SECONDS, tick_for
from rpcserver.workers.refusals import refuse_connection, refuse_service
from rpcserver.workers.socket_drivers import Lingering, NonBlockingConnection, admit

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from rpcserver.service.dispatch import Dispatcher
    from rpcserver.system.process import ChildProcess, Exit
    from rpcserver.system.scoreboard import SlotBoard
    from rpcserver.workers.base import WorkerSetup

logger = logging.getLogger(__name__)

_LOOK: Final = 0.02
"""Seconds between two looks at clients that wait while all processes are taken, or that were turned away."""

_LOOKS: Final = 25
"""A client that waits at so many looks in a row is turned away: no other worker takes it, and no process ends.

They are counted, and not the time they take: where others take the processor, both may need long to be seen.
"""

_ABORT_SECONDS: Final = 1.0
_ASK_AGAIN: Final = 3 * LINGER_SECONDS


class _Child(msgspec.Struct):
    """A process that serves a connection, since `began`; `index` is its slot on the scoreboard.

    By `kill_at` it must have died of `ABORT`, and it is asked to let go no more before `ask_at`, in monotonic seconds.
    """

    index: int
    process: ChildProcess
    board: SlotBoard
    began: float
    kill_at: float | None = None
    ask_at: float = 0.0


class _Place(NamedTuple):
    """What whichever child has a slot on the scoreboard needs: made here, once, and not in each child anew."""

    board: SlotBoard
    dispatcher: Dispatcher
    budget: FrameBudget


class ForkWorker(Worker):
    """Serves each connection in a process of its own, at most `max_children` at once.

    A client that is one too many is answered -32001 (busy), unless another worker has room for it.
    """

    model = "fork"

    def __init__(self, setup: WorkerSetup) -> None:
        super().__init__(setup)
        self._children: dict[int, _Child] = {}
        self._child_ended = False
        self._looks = 0
        self._reopened = 0

    def prepare(self) -> None:
        """Import what conversations and handlers need, which each child would do anew."""
        super().prepare()
        if self.terms.tls is not None:
            import_module("rpcserver.workers.tls_session")
        if self.settings.proxy_protocol is not None:
            import_module("rpcserver.workers.proxied")

    def start_service(self) -> None:
        """Do nothing: hooks run in children."""

    def stop_service(self) -> None:
        """Do nothing: hooks run in children."""

    def run(self) -> None:
        """Serve connections until asked to drain, then those that the arbiter still hands over."""
        self._forker = Forker()
        self._places: dict[int, _Place] = {}
        self._siblings = [self.board.child(index) for index in range(self.settings.max_children)]
        self._turned_away = Lingering()
        self._tick = tick_for(self.settings.timeout)
        self.signals.handle(signal.SIGCHLD, self._on_child)
        while not self.draining:
            self._accept()
            self._look_after()
        self.acceptor.close()
        for child in self._children.values():
            child.process.send_signal(GRACEFUL)
        more = True
        while more or self._children:
            if more and self._has_room():
                waiting = self.channel.next_connection()
                more = waiting is not None
                if waiting is not None:
                    self._start(waiting)
            else:
                self.acceptor.wait(self._tick)
            self._look_after()
        self._turned_away.wait()

    def _accept(self) -> None:
        if self._has_room():
            self._looks = 0
            connection = self.acceptor.accept(_LOOK if self._turned_away else self._tick)
            if connection is not None:
                self._start(connection)
            return
        self.acceptor.wait(_LOOK)
        self._looks = self._looks + 1 if self.acceptor.has_waiting() and not self._child_ended else 0
        if self._looks == 1 and self.settings.reclaim_idle:
            self._reclaim_idlest()
        if self._looks < _LOOKS or self.draining:
            return
        self._looks = 0
        while (connection := self.acceptor.take()) is not None:
            self._turn_away(connection)

    def _reclaim_idlest(self) -> None:
        """Ask children to let go whose connection is idle, or slow, or else in use for long; as many as wait."""
        now = time.monotonic()
        since = now - self.settings.reclaim_idle
        idle: list[_Child] = []
        in_use: list[_Child] = []
        for child in self._children.values():
            cells = child.board.cells
            if now < child.ask_at:
                continue
            if cells[STARTED] == cells[ANSWERED] and cells[ACTIVE] <= since * 1e9:
                idle.append(child)
            elif child.began <= since:
                in_use.append(child)
        idle.sort(key=lambda child: child.board.cells[ACTIVE])
        in_use.sort(key=lambda child: child.began)
        for child in (idle + in_use)[: self.acceptor.count_waiting()]:
            # A signal begins the wait that it interrupts anew, so that the end of one asked too often would not come.
            child.ask_at = now + _ASK_AGAIN
            child.process.send_signal(RECLAIM)

    def _has_room(self) -> bool:
        return len(self._children) < self.settings.max_children

    def _start(self, connection: socket.socket) -> None:
        index = next(index for index in range(self.settings.max_children) if index not in self._children)
        place = self._places.get(index) or self._make_place(index)
        place.board.connection_opened()
        reopened = self._reopened
        try:
            with self.offspring.server_forks():
                process = self._forker.fork(lambda: self._be_child(connection, place))
        except OSError as error:
            if self._full.allows():
                logger.error("no process can be made, and clients are turned away: %s", error.strerror)
            self.board.absorb(index)
            self._turn_away(connection)
            return
        self._children[index] = _Child(index, process, place.board, time.monotonic())
        if self._reopened != reopened:
            # It was made with the old file, and was not yet among those that are told of the new one.
            process.send_signal(REOPEN)
        connection.close()

    def _make_place(self, index: int) -> _Place:
        board = self.board.child(index, by_method=True)
        dispatcher = self.make_dispatcher(self.app, board)
        self._places[index] = place = _Place(board, dispatcher, FrameBudget(self.settings, board, self._siblings))
        return place

    def _turn_away(self, connection: socket.socket) -> None:
        """Say busy, and close later: what the client may have sent would else reset the connection."""
        if self._full.allows():
            logger.warning(
                "a client was turned away: all %d processes are taken; more --max-children or --workers would help",
                self.settings.max_children,
            )
        conversation = admit(connection, msgspec.structs.replace(self.terms, budget=None))
        if conversation is None:
            return
        reply = refuse_connection(self.settings.max_children, conversation.peer)
        self.dispatcher.note_refusal(conversation.peer, b"", reply)
        conversation.refuse(reply)
        self._turned_away.add(NonBlockingConnection(connection, conversation))

    def _look_after(self) -> None:
        self.tick()
        if self._child_ended:
            self._child_ended = False
            for child in list(self._children.values()):
                if (end := child.process.reap()) is not None:
                    self._bury(child, end)
        now = time.monotonic()
        if self.settings.timeout:
            for child in self._children.values():
                self._look_at(child, now)
        if self._turned_away:
            self._turned_away.sweep()
        if self._request_limit:
            boards = [self.board, *(child.board for child in self._children.values())]
            self.check_requests(sum(board.cells[ANSWERED] for board in boards))

    def _look_at(self, child: _Child, now: float) -> None:
        """See to a request that runs too long."""
        cells = child.board.cells
        if child.kill_at is not None:
            if now >= child.kill_at:
                child.process.send_signal(signal.SIGKILL)
        elif cells[STARTED] > cells[ANSWERED] and now - cells[BEGAN] / 1e9 >= self.settings.timeout:
            logger.error(
                "process %d runs a request for longer than %g s, and is killed",
                child.process.pid,
                self.settings.timeout,
            )
            child.kill_at = now + _ABORT_SECONDS
            child.process.send_signal(ABORT)

    def _bury(self, child: _Child, end: Exit) -> None:
        level = logging.DEBUG if end.clean else logging.WARNING
        logger.log(level, "process %d %s", child.process.pid, end)
        # In this order: a signal may have something sent to all of them in between.
        del self._children[child.index]
        child.process.close()
        self.board.absorb(child.index)

    def _on_child(self, _number: int, _frame: FrameType | None) -> None:
        self._child_ended = True

    def _on_reopen(self, number: int, frame: FrameType | None) -> None:
        super()._on_reopen(number, frame)
        self._reopened += 1
        for child in list(self._children.values()):
            child.process.send_signal(REOPEN)

    def _on_tick(self) -> None:
        """In a child, whose worker's slot on the scoreboard is not its to write."""
        self.budget.tick()
        if self._look_at_signals.allows():
            self.keep_signals()
        self.calls.hand_in()

    def _be_child(self, connection: socket.socket, place: _Place) -> int:
        """Serve one connection, in a process made for it."""
        # What was made before is not looked at any more, by the garbage collector or at the end: that would copy pages.
        gc.freeze()
        self.signals.become_child()
        self.at_exit = AtExit(self.at_exit)
        self.acceptor.release()
        self.channel.close()
        self.calls = place.board
        for child in self._children.values():
            child.process.close()
        self._children = {}
        self._turned_away.release()
        reseed()
        dispatcher = place.dispatcher
        # Frozen for all who share it, but in this process nobody has seen it yet.
        msgspec.structs.force_setattr(dispatcher.worker, "pid", os.getpid())
        self.budget = place.budget
        terms = msgspec.structs.replace(self.terms, budget=self.budget)
        self._current = BlockingConnection(connection, dispatcher.answer, terms, self._on_tick)
        if self.draining:
            self._current.drain()
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            try:
                dispatcher.hooks.start_worker()
                self._current.serve()
            except AppFailed as error:
                logger.error("%s", error, extra={"traceback": error.traceback})
                self._current.refuse(refuse_service(self._current.conversation.peer))
                return 1
            finally:
                self._quitting = True
                self.calls.hand_in()
                dispatcher.hooks.stop_worker()
                self.at_exit.run(lambda: self._leave_by, threads_within=self.settings.drain_timeout)
        except QuickStop:
            return 0
        return 0
