"""The one conversation under all models, without sockets: what is to be done next, and until when."""

from __future__ import annotations

from time import monotonic

import pytest

from rpcserver.system.settings import ServerSettings
from rpcserver.workers.conversation import Conversation
from rpcserver.workers.limits import LINGER_BYTES, NEVER, PROGRESS
from rpcserver.workers.next_step import Next
from rpcwire import GOODBYE, ErrorCode, FrameDecoder, decode_reply, frame
from rpcwire.messages import Reply
from tests.rpcserver.workers.test_tls_session import SERVER, Peer

ONE = frame(b'{"in":"ping"}')
REPLY = frame(b'{"out":"pong","result":1}')


def answer_all(conversation: Conversation) -> list[bool]:
    """Answer what has come, and say of each reply whether it is the last."""
    lasts = []
    while (request := conversation.next_request()) is not None:
        lasts.append(request[1])
        conversation.hold(REPLY, last=request[1])
    return lasts


def write_all(conversation: Conversation) -> bytes:
    written = b""
    while conversation.next() is Next.WRITE:
        data = bytes(conversation.outgoing())
        conversation.sent(len(data))
        written += data
    return written


def fault_in(data: bytes) -> tuple[int, bool]:
    decoder = FrameDecoder()
    decoder.feed(data)
    reply = decode_reply(decoder.next_frame() or b"")
    assert isinstance(reply, Reply)
    assert reply.fault is not None
    return reply.fault.code, reply.close


def test_a_batch_is_answered_with_one_write() -> None:
    conversation = Conversation(ServerSettings())
    assert conversation.next() is Next.READ
    conversation.receive(ONE * 3)
    assert conversation.next() is Next.ANSWER
    assert answer_all(conversation) == [False] * 3
    assert conversation.outgoing() == REPLY * 3
    assert write_all(conversation) == REPLY * 3
    assert conversation.next() is Next.READ


def test_of_what_arrived_before_the_end_the_last_reply_is_the_last() -> None:
    conversation = Conversation(ServerSettings())
    conversation.receive(ONE * 3)
    conversation.leave(0.0)
    assert answer_all(conversation) == [False, False, True]
    assert write_all(conversation) == REPLY * 3
    assert conversation.next() is Next.LINGER
    conversation.linger()
    conversation.receive(b"x" * (LINGER_BYTES - 1))
    assert conversation.next() is Next.LINGER
    conversation.receive(b"x")
    assert conversation.next() is Next.CLOSE


@pytest.mark.parametrize("heeds", [True, False])
def test_who_leaves_between_two_requests_says_goodbye_to_those_who_heed_it(heeds: bool) -> None:
    conversation = Conversation(ServerSettings())
    conversation.next()
    conversation.peer.heeds_close = heeds
    conversation.leave(123.0)
    assert conversation.deadline == (0.0 if heeds else 123.0)
    conversation.expire()
    assert write_all(conversation) == (GOODBYE if heeds else b"")
    assert conversation.next() is Next.LINGER


def test_a_slow_request_is_refused_and_its_deadline_does_not_move() -> None:
    conversation = Conversation(ServerSettings(read_timeout=5.0))
    conversation.receive(ONE[:3])
    assert conversation.next() is Next.READ
    deadline = conversation.deadline
    assert conversation.mid_frame
    conversation.receive(ONE[3:5])
    assert conversation.next() is Next.READ
    assert conversation.deadline == deadline
    conversation.expire()
    assert fault_in(write_all(conversation)) == (ErrorCode.TIMED_OUT, True)
    assert conversation.next() is Next.LINGER


def test_silence_is_counted_from_when_it_was_noted_and_ends_with_what_is_heard() -> None:
    conversation = Conversation(ServerSettings(idle_timeout=10.0))
    assert conversation.next() is Next.READ
    conversation.heard = True
    assert conversation.deadline == NEVER
    conversation.note_silence(5.0)
    conversation.note_silence(9.0)
    assert conversation.deadline == 15.0
    conversation.heard = True
    assert conversation.deadline == NEVER


@pytest.mark.parametrize(
    ("idle", "read", "first"), [(100.0, 10.0, 10.0), (10.0, 100.0, 10.0), (100.0, 0.0, 100.0), (0.0, 10.0, NEVER)]
)
def test_before_its_first_request_a_client_is_silent_no_longer_than_within_one(
    idle: float, read: float, first: float
) -> None:
    before = monotonic()
    conversation = Conversation(ServerSettings(idle_timeout=idle, read_timeout=read))
    assert conversation.next() is Next.READ
    assert before + first <= conversation.deadline <= monotonic() + first
    conversation.heard = True
    conversation.note_silence(5.0)
    assert conversation.deadline == (5.0 + idle if idle else NEVER)


def test_while_others_wait_a_request_must_go_on_coming_and_a_reply_be_taken() -> None:
    settings = ServerSettings(read_timeout=30.0, write_timeout=30.0, reclaim_idle=5.0)
    conversation = Conversation(settings)
    conversation.receive(frame(b" " * (4 * PROGRESS))[:1])
    conversation.next()
    patient = conversation.deadline
    conversation.hurry()
    assert conversation.deadline == pytest.approx(patient - 25)
    conversation.receive(frame(b" " * (4 * PROGRESS))[1 : 2 * PROGRESS])
    assert conversation.deadline == pytest.approx(patient - 15)
    conversation.receive(frame(b" " * (4 * PROGRESS))[2 * PROGRESS :])
    assert answer_all(conversation) == [False]
    assert conversation.next() is Next.WRITE
    patient = conversation.deadline
    conversation.hurry()
    assert conversation.deadline == pytest.approx(patient - 25)
    write_all(conversation)
    # What comes when nobody waits any more may take its time.
    conversation.receive(ONE[:1])
    conversation.next()
    assert conversation.deadline > monotonic() + 25


@pytest.mark.parametrize("reclaim", [0.0, 5.0])
def test_who_is_told_never_to_reclaim_hurries_nobody(reclaim: float) -> None:
    conversation = Conversation(ServerSettings(reclaim_idle=reclaim))
    conversation.hurry()
    conversation.receive(ONE[:1])
    conversation.next()
    assert conversation.deadline > monotonic() + 25
    if not reclaim:
        conversation.hurry()
        assert conversation.deadline > monotonic() + 25


def test_a_client_that_does_not_read_is_given_up_unless_it_takes_enough() -> None:
    conversation = Conversation(ServerSettings(write_timeout=5.0))
    conversation.hold(b"x" * 2 * PROGRESS)
    assert conversation.next() is Next.WRITE
    first = conversation.deadline
    conversation.sent(len(conversation.outgoing()[: PROGRESS - 1]))
    assert conversation.next() is Next.WRITE
    assert conversation.deadline == first
    conversation.sent(len(conversation.outgoing()[:1]))
    assert conversation.next() is Next.WRITE
    assert conversation.deadline > first
    conversation.expire()
    assert conversation.next() is Next.CLOSE
    assert conversation.reset


def test_nothing_is_run_while_the_client_has_not_taken_what_it_was_sent() -> None:
    conversation = Conversation(ServerSettings())
    conversation.receive(ONE * 2)
    conversation.next_request()
    conversation.hold(REPLY)
    conversation.outgoing()
    assert conversation.next() is Next.WRITE
    conversation.sent(len(REPLY))
    assert conversation.next() is Next.ANSWER


def test_a_stream_out_of_step_is_refused_after_what_was_good() -> None:
    conversation = Conversation(ServerSettings())
    conversation.leave(0.0)
    conversation.receive(ONE + b"\xff\xff\xff\xff")
    assert answer_all(conversation) == [False]
    written = write_all(conversation)
    assert written.startswith(REPLY)
    assert fault_in(written[len(REPLY) :]) == (ErrorCode.FRAME_TOO_LARGE, True)


def test_the_end_of_the_client_is_the_end_after_what_it_asked() -> None:
    conversation = Conversation(ServerSettings())
    conversation.receive(ONE)
    conversation.receive(b"")
    assert conversation.next() is Next.ANSWER
    assert answer_all(conversation) == [False]
    assert write_all(conversation) == REPLY
    assert conversation.next() is Next.CLOSE


def exchange(conversation: Conversation, peer: Peer) -> None:
    peer.incoming.write(write_all(conversation))


def secured() -> tuple[Conversation, Peer]:
    conversation, peer = Conversation(ServerSettings(), SERVER), Peer()
    for _ in range(2):
        conversation.receive(peer.shake_hands())
        exchange(conversation, peer)
    return conversation, peer


def test_tls_is_a_filter_of_the_same_conversation() -> None:
    conversation, peer = secured()
    assert conversation.next() is Next.READ
    (record,) = peer.records(ONE)
    assert conversation.sole_request(record) is None
    conversation.receive(record)
    assert answer_all(conversation) == [False]
    exchange(conversation, peer)
    assert peer.tls.read(1000) == REPLY


def test_a_large_reply_is_encrypted_in_pieces() -> None:
    conversation, peer = secured()
    text = bytes(range(256)) * 4000
    conversation.hold(text)
    assert len(conversation.outgoing()) < len(text) / 3
    exchange(conversation, peer)
    received = b""
    while len(received) < len(text):
        received += peer.tls.read(65536)
    assert received == text


def test_a_refusal_waits_for_the_handshake() -> None:
    conversation, peer = Conversation(ServerSettings(), SERVER), Peer()
    conversation.refuse(REPLY)
    assert conversation.next() is Next.READ
    for _ in range(2):
        conversation.receive(peer.shake_hands())
        exchange(conversation, peer)
    assert peer.tls.read(1000) == REPLY
    assert conversation.next() is Next.LINGER
