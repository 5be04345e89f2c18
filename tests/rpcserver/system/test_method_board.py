"""What is counted by method: whose it is, and that it is kept when a worker has left."""

from __future__ import annotations

import os

from rpcserver.system.method_board import (
    ERROR,
    MOST_METHODS,
    OTHERS,
    OUTCOMES,
    TOOK,
    WAITS,
    ChildMethodBoard,
    MethodBoards,
)
from rpcserver.system.scoreboard import Scoreboard


def count(entry: memoryview, took: int) -> None:
    entry[took.bit_length()] += 1
    entry[TOOK] += took


def told(boards: MethodBoards, *indexes: int) -> dict[str, tuple[dict[int, int], int, tuple[int, ...]]]:
    return {found.name: (found.lengths, found.nanoseconds, found.outcomes) for found in boards.read(indexes).methods}


def test_workers_are_added_up_by_the_names_of_methods() -> None:
    boards = MethodBoards(3)
    first, second = boards.board(0), boards.board(2)
    mine, theirs = first.register(["add", "ping"]), second.register(["ping"])
    count(mine["ping"], 1000)
    count(theirs["ping"], 1100)
    count(second.entry(OTHERS), 5)
    second.entry(OTHERS)[ERROR] += 1
    second.note_wait(3)
    assert told(boards, 0, 2) == {
        "": ({3: 1}, 5, (1, 0, 0, 0)),
        "add": ({}, 0, (0, 0, 0, 0)),
        "ping": ({10: 1, 11: 1}, 2100, (0, 0, 0, 0)),
    }
    assert boards.read([0, 2]).waits.lengths == {2: 1}
    assert second.entry(WAITS)[TOOK] == 3
    assert len(OUTCOMES) == 4


def test_what_a_worker_has_counted_is_kept_and_its_place_given_to_another_one() -> None:
    board = Scoreboard(1, methods=True)
    for name in ("old", "new"):
        index = board.take(number=1, generation=0)
        methods = board.slot(index).methods
        assert methods is not None
        count(methods.register([name, f"{name} and never called"])[name], 8)
        methods.note_wait(1)
        board.vacate(index)
    readings = board.methods()
    assert readings is not None
    assert {found.name: found.lengths for found in readings.methods} == {"": {}, "new": {4: 1}, "old": {4: 1}}
    assert readings.waits.lengths == {1: 2}


def test_processes_of_a_worker_add_what_they_have_counted_without_loss() -> None:
    boards = MethodBoards(1)
    board = boards.board(0)
    board.register(["ping"])
    pids = []
    for _ in range(4):
        if not (pid := os.fork()):
            child = ChildMethodBoard(board)
            entry = child.register(["ping"])["ping"]
            for _ in range(50):
                count(entry, 8)
                child.hand_in()
            os._exit(0)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 4
    assert told(boards, 0)["ping"] == ({4: 200}, 1600, (0, 0, 0, 0))


def test_names_beyond_the_last_place_are_counted_with_the_unregistered_ones() -> None:
    board = MethodBoards(1).board(0)
    names = [f"method{number}" for number in range(MOST_METHODS + 5)]
    assert list(board.register(names)) == names[:MOST_METHODS]


def test_nothing_is_counted_by_method_unless_asked_for() -> None:
    board = Scoreboard(1)
    assert board.methods() is None
    assert board.slot(0).methods is None
