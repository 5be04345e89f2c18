"""Which guess of several dialects comes when, and what its answer settles; the dialects are made up."""

from __future__ import annotations

import pytest

from rpcshell.client.detection import LIMIT, LISTEN, PATIENCE, TLS_GREETING, Detection
from rpcshell.client.dialects.recognition import Guess, Recognition
from tests.rpcshell.client.guessing import next_guess


class Table:
    """One of many that are guessed beside each other."""

    def __init__(self, number: int) -> None:
        self._name = f"table{number}"
        self.guesses = (Guess(self._name.encode(), self._name, rank=1, beside=True),)

    def recognises(self, first: bytes, guess: Guess) -> Recognition | None:
        return Recognition(self._name) if first == self._name.encode()[::-1] else None


def test_guesses_that_are_made_beside_each_other_share_their_time() -> None:
    detection = Detection([*map(Table, range(10)), Generic()], began=0.0)
    times = []
    while detection.outcome is None:
        while next_guess(detection, detection.due) is not None:
            times.append(round(detection.attempts[-1].at / PATIENCE))
    assert times == [0] + 8 * [1] + 2 * [2] + [3]


@pytest.mark.parametrize("number", [0, 4, 9])
def test_any_of_those_beside_each_other_may_be_the_one(number: int) -> None:
    detection = Detection(map(Table, range(10)), began=0.0)
    while len(detection.attempts) <= number + 1:
        assert next_guess(detection, detection.due) is not None
    detection.received(number + 1, f"{number}elbat".encode(), detection.due)
    assert detection.recognition == Recognition(f"table{number}")


def test_once_all_those_beside_each_other_are_answered_others_have_their_turn() -> None:
    detection = Detection([Table(0), Table(1), Generic()], began=0.0)
    for now in (0.0, 1.0, 1.0):
        assert next_guess(detection, now) is not None
    detection.ended(1, 1.0)
    assert next_guess(detection, 1.0) is None
    detection.ended(2, 1.0)
    assert next_guess(detection, 1.0) is Generic.guesses[0]


class Generic:
    """A dialect that others build upon."""

    guesses = (Guess(b"who\n", "who", rank=1),)

    @staticmethod
    def recognises(first: bytes, guess: Guess) -> Recognition | None:
        return Recognition("generic", certain=False) if first else None


class Special:
    """One that is told by what it is asked once it is known to be that."""

    guesses = (Guess(b"special?\n", "special", refines="generic"),)

    @staticmethod
    def recognises(first: bytes, guess: Guess) -> Recognition | None:
        return Recognition("special") if first == b"yes" else None


@pytest.mark.parametrize(("answer", "spoken"), [(b"yes", "special"), (b"no", "generic"), (b"", "generic")])
def test_what_is_common_to_several_dialects_is_refined(answer: bytes, spoken: str) -> None:
    detection = Detection((Generic(), Special()), (TLS_GREETING,), began=0.0)
    assert next_guess(detection, 0.0) is LISTEN
    assert next_guess(detection, 1.0) is Generic.guesses[0]
    detection.received(1, b"me", 1.0)
    assert detection.recognition == Recognition("generic", certain=False)
    assert next_guess(detection, detection.due) is Special.guesses[0]
    detection.received(2, answer, 1.1)
    assert next_guess(detection, LIMIT) is None
    assert detection.recognition is not None
    assert detection.outcome == "recognised"
    assert detection.recognition.spoken == spoken


def test_a_late_answer_that_tells_more_counts() -> None:
    detection = Detection((Generic(), Special()))
    next_guess(detection, 0.0)
    next_guess(detection, detection.due)
    detection.received(1, b"me", detection.due)
    assert next_guess(detection, detection.due) is Special.guesses[0]
    assert next_guess(detection, detection.due) is None
    detection.received(2, b"yes", LIMIT - 0.1)
    assert (detection.outcome, detection.recognition) == ("recognised", Recognition("special"))


class Broken:
    guesses = ()

    @staticmethod
    def recognises(first: bytes, guess: Guess) -> Recognition | None:
        raise KeyError(first[:1])


def test_what_a_dialect_cannot_read_it_does_not_recognise() -> None:
    detection = Detection((Broken(), Generic()), began=0.0)
    next_guess(detection, 0.0)
    detection.received(0, b"me", 0.0)
    assert detection.recognition == Recognition("generic", certain=False)
