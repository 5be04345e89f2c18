"""What each method of the service has answered, and how fast: a part of the scoreboard, made where metrics are served.

As on the rest of it, each word has one writer, and nothing is locked. A worker writes the names of its methods, as the
arbiter knows none, and counts; the processes of the fork model count for themselves, and add that to their worker's in
turn. Times are counted by their length in bits, in nanoseconds: a count for each power of two.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_METHODS: Final = 1022
"""As many are counted by themselves; those beyond count as one with names that are not registered."""

OTHERS: Final = 0  # the entry where calls are counted of names that are not registered
WAITS: Final = 1  # the entry where it is counted how long connections waited to be accepted

TOOK: Final = 64
"""Of an entry's words, after those for lengths in bits, the one for all its times added up, in nanoseconds."""

OUTCOMES: Final = ("error", "invalid_params", "failed", "cancelled")
"""How calls end that have no result: the words after that, in this order. "error" is what a handler answers with,
"failed" what it did not mean to; a call is cancelled on an event loop."""

ERROR, INVALID_PARAMS, FAILED, CANCELLED = range(TOOK + 1, TOOK + 1 + len(OUTCOMES))

_ENTRY: Final = 72
_NAME: Final = 64
_MOST: Final = 2 + MOST_METHODS
_NAMES: Final = 8
_CELLS: Final = _NAMES + _MOST * _NAME
_SIZE: Final = _CELLS + _MOST * _ENTRY * 8


class MethodReading(msgspec.Struct, frozen=True, array_like=True):
    """What was counted of one method."""

    name: str  # cut after 64 bytes; empty for all names that are no method's
    lengths: dict[int, int]  # how many calls took a time of so many bits, in nanoseconds
    nanoseconds: int  # their times, added up
    outcomes: tuple[int, ...]  # how many of them ended how, in the order of `OUTCOMES`; the others with a result


class MethodReadings(msgspec.Struct, frozen=True, array_like=True):
    """What was counted of all methods, and how long connections waited to be accepted."""

    methods: tuple[MethodReading, ...]
    waits: MethodReading


class MethodCounts:
    """An entry's words as the one who counts in it has them.

    Calls read of them what counts times in the `tally`, since that costs less than from shared memory.
    """

    __slots__ = ("tally", "words")

    def __init__(self, words: memoryview) -> None:
        self.words = words
        self.tally = words.tolist()[: TOOK + 1]


class MethodBoard:
    """One worker's part of the board.

    `rpcserver.service.dispatch` counts calls straight in the entries, as a call for each would cost more than counting:
    an entry has a word for each length of a time in bits, then `TOOK`, then one for each of `OUTCOMES`. Processes lock
    a file, `lock`, to add to it.
    """

    __slots__ = ("_cells", "_lock", "_memory")

    def __init__(self, memory: memoryview, lock: int) -> None:
        self._memory = memory
        self._lock = lock
        self._cells = memory[_CELLS:].cast("q")

    def entry(self, index: int) -> memoryview:
        """Return the words of an entry."""
        return self._cells[index * _ENTRY : (index + 1) * _ENTRY]

    def register(self, names: Iterable[str]) -> dict[str, memoryview]:
        """Write the names of the service's methods, and return the words of each one's entry."""
        entries: dict[str, memoryview] = {}
        for index, name in enumerate(names, 2):
            if index == _MOST:
                break
            at = _NAMES + index * _NAME
            self._memory[at : at + _NAME] = name.encode("utf-8", "replace")[:_NAME].ljust(_NAME, b"\0")
            entries[name] = self.entry(index)
        self._memory[:_NAMES].cast("q")[0] = len(entries)
        return entries

    def note_wait(self, nanoseconds: int) -> None:
        """Count how long a connection has waited to be accepted."""
        waits = self.entry(WAITS)
        waits[nanoseconds.bit_length()] += 1
        waits[TOOK] += nanoseconds

    def read(self) -> list[tuple[str, list[int]]]:
        """Read the words of every entry, with the names; those of the first two are empty."""
        memory = self._memory
        found: list[tuple[str, list[int]]] = []
        for index in range(min(_MOST, 2 + memory[:_NAMES].cast("q")[0])):
            at = _NAMES + index * _NAME
            name = bytes(memory[at : at + _NAME]).rstrip(b"\0").decode("utf-8", "ignore")
            found.append((name, self.entry(index).tolist()))
        return found

    def clear(self) -> None:
        """Forget all methods and what was counted."""
        used = 2 + self._memory[:_NAMES].cast("q")[0]
        self._memory[: _NAMES + used * _NAME] = bytes(_NAMES + used * _NAME)
        self._memory[_CELLS : _CELLS + used * _ENTRY * 8] = bytes(used * _ENTRY * 8)


class ChildMethodBoard(MethodBoard):
    """A private one, of a process of the fork model, and how what it has counted comes to its worker's."""

    __slots__ = ("_handed_in", "_shared")

    def __init__(self, shared: MethodBoard) -> None:
        super().__init__(memoryview(bytearray(_SIZE)), shared._lock)
        self._shared = shared
        self._handed_in: dict[int, list[int]] = {}

    def hand_in(self) -> None:
        """Add what was counted since the last time to the worker's; others that do so wait for their turn."""
        used = 2 + self._memory[:_NAMES].cast("q")[0]
        with _locked(self._lock):
            for index in range(used):
                words = self.entry(index).tolist()
                before = self._handed_in.get(index)
                if words[TOOK] == (0 if before is None else before[TOOK]):
                    continue
                theirs = self._shared.entry(index)
                for word, count in enumerate(words):
                    theirs[word] += count if before is None else count - before[word]
                self._handed_in[index] = words


class MethodBoards:
    """The boards of all workers, in anonymous shared memory, and what workers that have left have counted."""

    def __init__(self, slots: int) -> None:
        # What was never written takes no memory.
        self._memory = memoryview(mmap.mmap(-1, slots * _SIZE))
        self._departed: dict[str, list[int]] = {}
        self._departed_waits = [0] * _ENTRY
        self._lock = os.memfd_create("rpcserver-methods")

    def board(self, index: int) -> MethodBoard:
        """The board of the worker in a slot, from 0."""
        return MethodBoard(self._memory[index * _SIZE : (index + 1) * _SIZE], self._lock)

    def vacate(self, index: int) -> None:
        """Keep what a worker counted before it ended, and make its board free."""
        board = self.board(index)
        self._add(board, self._departed, self._departed_waits)
        # What a reload has taken away, and nobody has called, is gone. Every call takes some time.
        self._departed = {name: words for name, words in self._departed.items() if words[TOOK] or not name}
        board.clear()

    def read(self, indexes: Iterable[int]) -> MethodReadings:
        """Add up what the workers in some slots, and those that have left, have counted."""
        counted = {name: list(words) for name, words in self._departed.items()}
        waits = list(self._departed_waits)
        for index in indexes:
            self._add(self.board(index), counted, waits)
        methods = tuple(_reading(name, words) for name, words in sorted(counted.items()))
        return MethodReadings(methods, _reading("", waits))

    @staticmethod
    def _add(board: MethodBoard, counted: dict[str, list[int]], waits: list[int]) -> None:
        for number, (name, words) in enumerate(board.read()):
            sums = waits if number == 1 else counted.setdefault(name, [0] * _ENTRY)
            for word, count in enumerate(words):
                sums[word] += count


def _reading(name: str, words: list[int]) -> MethodReading:
    lengths = {bits: count for bits, count in enumerate(words[:TOOK]) if count}
    return MethodReading(name, lengths, words[TOOK], tuple(words[TOOK + 1 : TOOK + 1 + len(OUTCOMES)]))


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Hold a lock that ends with its process: lockf(3)."""
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(descriptor, fcntl.LOCK_UN)
