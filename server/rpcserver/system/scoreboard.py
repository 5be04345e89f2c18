"""The scoreboard: what every worker does, in memory that all processes of the server share.

Each word has one writer, so nothing is locked: of a worker's slot, the worker itself writes what it counts, and
the arbiter who it is. Readers may see a request begun a moment before its method's name changes; all else is
exact. What is concluded from it, and who is told, is decided elsewhere. Times are nanoseconds of
CLOCK_MONOTONIC, which all processes share and which stands still while the machine is suspended.
"""

from __future__ import annotations

import enum
import errno
import mmap
import os
import struct
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

import msgspec

from rpcserver.system.method_board import ChildMethodBoard, MethodBoards

if TYPE_CHECKING:
    from rpcserver.system.method_board import MethodBoard, MethodReadings

_SLOT_SIZE: Final = 256  # bytes of a slot: four cache lines, so that no two workers write to the same

# Words written by the worker.
TICK: Final = 0
CONNECTIONS: Final = 1
ACCEPTS: Final = 2
BEGAN: Final = 3
STARTED: Final = 4
ACTIVE: Final = 5
ANSWERED: Final = 6
BUSY: Final = 7
_BYTES_IN: Final = 8
_BYTES_OUT: Final = 9
ERRORS: Final = 10
LOST: Final = 11
_METHOD: Final = 12
_METHOD_SIZE: Final = 64
ABSORBED: Final = 20
BUFFERED: Final = 21
# Words written by the arbiter, in a cache line of their own.
_PID: Final = 24
_GENERATION: Final = 25
_STATE: Final = 26
_NUMBER: Final = 27
_BORN: Final = 28
_DIED: Final = 29

_MOST_READS: Final = 100

_COUNTED: Final = {
    "accepts": ACCEPTS,
    "requests": ANSWERED,
    "errors": ERRORS,
    "busy_ns": BUSY,
    "bytes_in": _BYTES_IN,
    "bytes_out": _BYTES_OUT,
    "lost": LOST,
}
"""The fields of readings and totals that only grow, with their words."""

_COUNTERS: Final = (STARTED, *_COUNTED.values())

_pack_name: Final = struct.Struct(f"{_METHOD_SIZE}s").pack_into
pack_began: Final = struct.Struct("2q").pack_into  # writes BEGAN and STARTED, in this order

BEGAN_AT: Final = BEGAN * 8

pack_ended: Final = struct.Struct("5q").pack_into
"""Writes ACTIVE, ANSWERED, BUSY, BYTES_IN and BYTES_OUT, which follow each other."""

ENDED_AT: Final = ACTIVE * 8


class SlotState(enum.IntEnum):
    """What a worker is about."""

    DEAD = 0
    STARTING = 1
    READY = 2
    DRAINING = 3
    ABORTING = 4


class SlotReading(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What a slot says."""

    number: int  # the worker's, from 1
    pid: int
    generation: int
    state: SlotState
    born: int
    tick: int  # when its accept loop last went round; 0 before it did
    running: int  # how many requests are in its handlers' hands
    request_began: int  # when the request that it runs began, the latest where it runs several; 0 if none runs
    method: str  # of that request, cut after 64 bytes; empty if none runs
    active: int  # when it last opened or closed a connection or ended a request
    connections: int
    accepts: int
    requests: int  # answered ones, errors included
    errors: int
    busy_ns: int  # how long requests took, added up; more than the time itself where several run at once
    bytes_in: int
    bytes_out: int
    lost: int  # requests lost to crashes of the worker's own children


class Totals(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What all workers have done, those that have left included."""

    accepts: int
    requests: int
    errors: int
    busy_ns: int
    bytes_in: int
    bytes_out: int
    died: int
    lost: int


class SlotBoard:
    """A slot as its worker writes it.

    What a request costs is written by `rpcserver.service.dispatch` straight into `cells`: a call each would cost more
    than the writing. Counting is exact in threads too, since under the GIL no other thread runs within it.

    The memory has the slot's bytes, and after them those of the slots for its children. Calls are counted by method
    too, on `methods`, where there is such a board.
    """

    __slots__ = ("_children", "_memory", "cells", "methods")

    def __init__(self, memory: memoryview, children: int = 0, methods: MethodBoard | None = None) -> None:
        self._memory = memory
        self._children = children
        self.methods = methods
        self.cells = memory[:_SLOT_SIZE].cast("q")

    @classmethod
    def private(cls) -> SlotBoard:
        """Make a slot that nobody else sees, where there is no arbiter."""
        return cls(memoryview(bytearray(_SLOT_SIZE)))

    @property
    def leaving(self) -> bool:
        """Whether the arbiter has asked the worker to leave, however that was told."""
        return self.cells[_STATE] == SlotState.DRAINING

    def tick(self) -> None:
        """Note that the accept loop turns."""
        self.cells[TICK] = monotonic_ns()

    def connection_opened(self) -> None:
        """Note a connection that was accepted, or handed over."""
        cells = self.cells
        cells[ACTIVE] = monotonic_ns()
        cells[ACCEPTS] += 1
        cells[CONNECTIONS] += 1

    def connection_closed(self) -> None:
        """Note that a connection has ended."""
        cells = self.cells
        cells[ACTIVE] = monotonic_ns()
        cells[CONNECTIONS] -= 1

    def method_began(self, name: str) -> None:
        """Write the name of the method that runs."""
        _pack_name(self.cells, _METHOD * 8, name.encode("utf-8", "replace"))

    def child(self, index: int, *, by_method: bool = False) -> SlotBoard:
        """Return the slot of a child process, from 0, for that child to write and `absorb` to take in.

        With `by_method` it counts calls by method too, where they are counted so; that takes memory of its own.
        """
        if not 0 <= index < self._children:
            raise IndexError(f"there is room for {self._children} children, not for number {index}")
        start = (1 + index) * _SLOT_SIZE
        methods = ChildMethodBoard(self.methods) if by_method and self.methods is not None else None
        return SlotBoard(self._memory[start : start + _SLOT_SIZE], methods=methods)

    def hand_in(self) -> None:
        """Add what a child has counted by method to its worker's, where calls are counted so."""
        if isinstance(self.methods, ChildMethodBoard):
            self.methods.hand_in()

    def absorb(self, index: int) -> None:
        """Add what a child has counted, now that it has ended, and make its slot free for another one.

        Requests that it had not answered are counted as lost, connections that it had open as closed.
        """
        child = self.child(index).cells
        mine = self.cells
        # Odd while counts are in neither place or in both: who reads then reads again.
        mine[ABSORBED] += 1
        counted = [child[word] for word in _COUNTERS]
        lost = child[STARTED] - child[ANSWERED]
        active = child[ACTIVE]
        child[:] = _EMPTY
        for word, count in zip(_COUNTERS, counted, strict=True):
            mine[word] += count
        mine[STARTED] -= lost
        mine[LOST] += lost
        mine[ACTIVE] = max(mine[ACTIVE], active)
        mine[ABSORBED] += 1


class Scoreboard:
    """The slots of all workers, in anonymous shared memory; made before the first fork.

    Args:
        slots: for so many workers at once.
        children: for so many children of each.
        methods: whether calls are counted by method too.
    """

    def __init__(self, slots: int, children: int = 0, *, methods: bool = False) -> None:
        self.slots = slots
        self._methods = MethodBoards(slots) if methods else None
        self._children = children
        self._stride = (1 + children) * _SLOT_SIZE
        # What was never written takes no memory, so there may be many slots. The first is for the departed.
        self._memory = memoryview(mmap.mmap(-1, _SLOT_SIZE + slots * self._stride))
        self._departed = self._memory[:_SLOT_SIZE].cast("q")
        self._taken: set[int] = set()
        self._last: dict[int, SlotReading] = {}

    def slot(self, index: int) -> SlotBoard:
        """Return a slot for its worker, from 0."""
        start = self._start(index)
        methods = None if self._methods is None else self._methods.board(index)
        return SlotBoard(self._memory[start : start + self._stride], self._children, methods)

    def take(self, *, number: int, generation: int) -> int:
        """Find a free slot for a worker that is about to be forked, and return its index.

        Raises:
            BlockingIOError: every slot is taken, until a worker has left.
        """
        index = next((index for index in range(self.slots) if index not in self._taken), None)
        if index is None:
            raise BlockingIOError(errno.EAGAIN, "there is no room for another worker until one has left")
        self._taken.add(index)
        self._last.pop(index, None)
        cells = self._cells(index)
        cells[:] = _EMPTY
        cells[_GENERATION] = generation
        cells[_BORN] = monotonic_ns()
        cells[_STATE] = SlotState.STARTING
        cells[_NUMBER] = number
        return index

    def set_pid(self, index: int, pid: int) -> None:
        """Note a worker's process."""
        self._cells(index)[_PID] = pid

    def set_state(self, index: int, state: SlotState) -> None:
        """Note what a worker is about."""
        self._cells(index)[_STATE] = state

    def vacate(self, index: int) -> SlotReading:
        """Add what a worker that has ended had counted to the totals, and free its slot; return its last reading."""
        last = self.read(index)
        departed = self._departed
        for child in range(1 + self._children):
            cells = self._cells(index, child)
            if any(cells[word] for word in _COUNTERS):
                for word in _COUNTERS:
                    departed[word] += cells[word]
                cells[:] = _EMPTY
        self._cells(index)[:] = _EMPTY
        if self._methods is not None:
            self._methods.vacate(index)
        self._taken.discard(index)
        return last

    def count_death(self, lost: int) -> None:
        """Count a worker that died, and the requests that it had in hand."""
        self._departed[_DIED] += 1
        self._departed[LOST] += lost

    def read(self, index: int) -> SlotReading:
        """Read a slot; what its children have counted is added."""
        if not self._children:
            return self._read(index)
        cells = self._cells(index)
        for _ in range(_MOST_READS):
            absorbed = cells[ABSORBED]
            if absorbed % 2:
                os.sched_yield()
                continue
            reading = self._read(index)
            if cells[ABSORBED] == absorbed:
                self._last[index] = reading
                return reading
        # The worker does not run just now, or was killed just there.
        return self._last.get(index) or self._read(index)

    def _read(self, index: int) -> SlotReading:
        cells = self._cells(index)
        parts = [cells]
        for child in range(1, 1 + self._children):
            theirs = self._cells(index, child)
            if theirs[ACTIVE]:
                parts.append(theirs)
        running = 0
        began, oldest = 0, cells
        for part in parts:
            # Opposite to the order in which the worker writes them: otherwise a call that begins meanwhile would
            # seem to have begun when the one before it did, and be taken for stuck.
            started = part[STARTED]
            in_hand = started - part[ANSWERED]
            since = part[BEGAN]
            if in_hand > 0:
                running += in_hand
                if not began or since < began:
                    began, oldest = since, part
        return SlotReading(
            number=cells[_NUMBER],
            pid=cells[_PID],
            generation=cells[_GENERATION],
            state=SlotState(cells[_STATE]),
            born=cells[_BORN],
            tick=cells[TICK],
            running=running,
            request_began=began,
            method=_name(oldest) if running else "",
            active=max(part[ACTIVE] for part in parts),
            connections=sum(part[CONNECTIONS] for part in parts),
            **{name: sum(part[word] for part in parts) for name, word in _COUNTED.items()},
        )

    def readings(self) -> list[SlotReading]:
        """Read every slot that a worker has, by the workers' numbers."""
        taken = [self.read(index) for index in self._taken]
        return sorted(taken, key=lambda reading: (reading.number, reading.born))

    def totals(self) -> Totals:
        """Add up what all workers have done."""
        live = self.readings()
        sums = {
            name: self._departed[word] + sum(getattr(reading, name) for reading in live)
            for name, word in _COUNTED.items()
        }
        return Totals(died=self._departed[_DIED], **sums)

    def methods(self) -> MethodReadings | None:
        """Add up what all workers have done by method; None where that is not counted."""
        return None if self._methods is None else self._methods.read(self._taken)

    def _start(self, index: int) -> int:
        if not 0 <= index < self.slots:
            raise IndexError(f"the scoreboard has {self.slots} slots, and none with number {index}")
        return _SLOT_SIZE + index * self._stride

    def _cells(self, index: int, child: int = 0) -> memoryview:
        """The words of a worker, or of one of its children, from 1."""
        start = self._start(index) + child * _SLOT_SIZE
        return self._memory[start : start + _SLOT_SIZE].cast("q")


def _name(cells: memoryview) -> str:
    name = bytes(cells[_METHOD : _METHOD + _METHOD_SIZE // 8])
    return name.partition(b"\0")[0].decode("utf-8", "ignore")


_EMPTY: Final = memoryview(bytes(_SLOT_SIZE)).cast("q")
