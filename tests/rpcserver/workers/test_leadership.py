"""Who of a pool's threads waits for clients: one leads, another where that is held up, all of them where calls wait."""

from __future__ import annotations

import threading

import pytest

from rpcserver.system.scoreboard import ANSWERED, BUSY, SlotBoard
from rpcserver.workers.leadership import Leadership, PoolThread
from tests.servers import PATIENCE, until

FOLLOWERS = 3


class Crew:
    """A thread that leads, and others that follow until they are called."""

    def __init__(self) -> None:
        self.board = SlotBoard.private()
        self.leadership = Leadership(self.board)
        self.first = PoolThread()
        self.leadership.threads.append(self.first)
        self.leadership.follow(self.first)
        self._sleepers = [threading.Thread(target=self._follow, daemon=True) for _ in range(FOLLOWERS)]
        for sleeper in self._sleepers:
            sleeper.start()
        until(lambda: len(self.leadership._followers) == FOLLOWERS)

    def _follow(self) -> None:
        me = PoolThread()
        self.leadership.threads.append(me)
        self.leadership.follow(me)

    def leader(self) -> PoolThread:
        assert self.leadership.leader is not None
        return self.leadership.leader

    def asleep(self) -> int:
        """How many have not been called."""
        return len(self.leadership._followers)

    def end(self) -> None:
        while self.leadership.call_next():
            pass
        for sleeper in self._sleepers:
            sleeper.join(PATIENCE)
            assert not sleeper.is_alive()

    def calls(self, waited: int) -> None:
        """Have calls ended that have taken so many nanoseconds each, and look."""
        self.board.cells[ANSWERED] += 100
        self.board.cells[BUSY] += 100 * waited
        self.leadership.look()


@pytest.fixture
def crew() -> Crew:
    return Crew()


def test_one_leads_for_as_long_as_it_moves(crew: Crew) -> None:
    crew.first.waits = False
    for _ in range(20):
        crew.first.turns += 1
        crew.calls(0)
    assert crew.leader() is crew.first
    crew.first.waits = True
    for _ in range(20):
        crew.leadership.look()
    assert crew.leader() is crew.first
    assert crew.asleep() == FOLLOWERS
    crew.end()


def test_a_leader_that_moves_is_looked_at_less_often_until_it_does_not(crew: Crew) -> None:
    leadership = crew.leadership
    often = leadership.next_look
    for _ in range(100):
        crew.first.turns += 1
        leadership.look()
    assert leadership.next_look > often
    crew.first.waits = False
    leadership.look()
    assert crew.leader() is not crew.first
    assert leadership.next_look == often
    crew.end()


def test_another_leads_where_the_leader_is_held_up_and_all_do_where_that_is_too(crew: Crew) -> None:
    crew.first.waits = False
    crew.first.turns += 1
    crew.leadership.look()
    assert crew.leader() is crew.first
    crew.leadership.look()
    second = crew.leader()
    assert second is not crew.first
    assert not crew.leadership.shared
    second.turns += 1
    second.waits = False
    crew.leadership.look()
    assert crew.leadership.shared
    assert crew.asleep() == 0
    crew.end()


def test_all_wait_for_clients_while_calls_wait_and_one_leads_again_afterwards(crew: Crew) -> None:
    leadership = crew.leadership
    for _ in range(3):
        crew.calls(1_000_000)
    assert leadership.shared
    assert crew.asleep() == 0
    leadership.look()
    assert leadership.shared
    for _ in range(100):
        crew.calls(0)
    assert not leadership.shared
    leadership.follow(crew.first)
    assert crew.leader() is crew.first
    crew.end()


def test_a_few_calls_that_wait_long_do_not_make_all_wait(crew: Crew) -> None:
    for _ in range(100):
        crew.board.cells[BUSY] += 1_000_000
        crew.calls(0)
    assert not crew.leadership.shared
    crew.end()


def test_the_first_that_is_free_leads_where_all_are_held_up(crew: Crew) -> None:
    while crew.leadership.call_next():
        pass
    crew.leadership.look()
    assert crew.leadership.leader is None
    crew.leadership.follow(crew.first)
    assert crew.leader() is crew.first
    crew.end()


def test_who_comes_to_follow_as_the_last_leader_leaves_is_not_left_asleep(crew: Crew) -> None:
    crew.end()
    leadership, late = crew.leadership, PoolThread()

    class ComesLate(list[PoolThread]):
        def pop(self, *_: object) -> PoolThread:
            if leadership.leader is None:
                return super().pop()
            self.append(late)
            raise IndexError

    leadership.leader = crew.first
    leadership._followers = ComesLate()
    assert leadership.call_next()
    assert crew.leader() is late
    assert not late.called.locked()
