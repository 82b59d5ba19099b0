"""The resumable protocol: whatever connections do, what arrives is what was sent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.resumable import Endpoint, KeptInMemory

SESSION = b"0123456789abcdef"
SIDES = (0, 1)


class Sessions(RuleBasedStateMachine):
    """Two ends, and a wire that delays, cuts, repeats and loses frames."""

    def __init__(self):
        super().__init__()
        self.kept = [KeptInMemory(), KeptInMemory()]
        self.ends = [Endpoint(SESSION, kept, piece_bytes=4) for kept in self.kept]
        self.wires = [[], []]  # what is on its way from each end
        self.sent = [[], []]
        self.arrived = [[], []]
        self.count = 0

    def cut(self):
        """End the connection; what is on its way is lost."""
        for side in SIDES:
            self.wires[side] = []
            self.ends[side].disconnect()

    @rule(side=st.sampled_from(SIDES), size=st.integers(0, 13))
    def send(self, side, size):
        self.count += 1
        message = f"{self.count}:".encode() + b"x" * size
        self.sent[side].append(message)
        self.wires[side] += self.ends[side].send(message)

    @rule()
    def send_nothing(self):
        self.sent[0].append(b"")
        self.wires[0] += self.ends[0].send(b"")

    @rule()
    def connect(self):
        self.cut()
        for side in SIDES:
            self.wires[side].append(self.ends[side].connect())

    @rule()
    def lose_the_connection(self):
        self.cut()

    @rule(side=st.sampled_from(SIDES), count=st.integers(1, 6))
    def deliver(self, side, count):
        for _ in range(count):
            if self.wires[side]:
                self.hand_over(side, self.wires[side].pop(0))

    @rule(side=st.sampled_from(SIDES), index=st.integers(0, 5))
    def repeat(self, side, index):
        if index < len(self.wires[side]):
            self.wires[side].insert(index, self.wires[side][index])

    @rule(side=st.sampled_from(SIDES), index=st.integers(0, 5))
    def lose_a_frame(self, side, index):
        if index < len(self.wires[side]):
            del self.wires[side][index]

    @rule(side=st.sampled_from(SIDES))
    def acknowledge(self, side):
        self.wires[side] += self.ends[side].acknowledge()

    def hand_over(self, side, frame):
        other = 1 - side
        try:
            outcome = self.ends[other].receive(frame)
        except InvalidInput:
            self.cut()  # as whoever reads from a wire has to
            return
        self.arrived[side] += outcome.messages
        self.wires[other] += outcome.replies

    @invariant()
    def what_has_arrived_is_what_was_sent_so_far(self):
        for side in SIDES:
            assert self.arrived[side] == self.sent[side][: len(self.arrived[side])]

    def teardown(self):
        """One connection that lasts brings everything, and then nothing is kept any more."""
        self.connect()
        while any(self.wires):
            for side in SIDES:
                self.deliver(side, 1)
        assert self.arrived == self.sent
        for side in SIDES:
            self.acknowledge(side)
        for side in SIDES:
            self.deliver(side, 6)
        assert [kept.size_bytes for kept in self.kept] == [0, 0]


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def connected():
    """Two ends that have greeted each other."""
    ends = [Endpoint(SESSION, piece_bytes=4) for _ in SIDES]
    greetings = [end.connect() for end in ends]
    for end, greeting in zip(ends, reversed(greetings), strict=True):
        assert end.receive(greeting).replies == []
    return ends


@given(st.binary(max_size=64))
def test_message_of_any_size_is_split_and_joined(message):
    left, right = connected()
    frames = left.send(message)
    assert len(frames) == max(1, -(-len(message) // 4))
    assert [m for frame in frames for m in right.receive(frame).messages] == [message]


def test_nothing_is_sent_before_the_greeting_and_all_of_it_after():
    left, right = Endpoint(SESSION), Endpoint(SESSION)
    assert left.send(b"one") == []
    greeting = left.connect()
    assert left.send(b"two") == []
    assert not left.is_ready
    right.receive(greeting)
    replies = left.receive(right.connect()).replies
    assert left.is_ready
    assert len(replies) == 2


def test_acknowledgement_comes_by_itself_after_so_many_bytes():
    left, right = connected()
    assert right.acknowledge() == []
    outcome = None
    for frame in left.send(b"x" * 300_000):
        outcome = right.receive(frame)
        for reply in outcome.replies:
            left.receive(reply)
    assert 0 < left.acknowledged < left.sent
    for reply in right.acknowledge():
        left.receive(reply)
    assert left.acknowledged == left.sent == right.received


@pytest.mark.parametrize(
    "frame, reason",
    [
        (b"", "bad_frame"),
        (b"Z" + bytes(8), "bad_frame"),
        (b"M123", "bad_frame"),
        (b"A" + bytes(9), "bad_frame"),
        (b"A" + (99).to_bytes(8, "little"), "bad_frame"),
        (b"G" + bytes(3), "bad_frame"),
        (b"G" + b"another-session!" + bytes(8), "other_session"),
        (b"G" + SESSION + (99).to_bytes(8, "little"), "bad_frame"),
        (b"M" + (5).to_bytes(8, "little") + b"x", "frame_missing"),
    ],
)
def test_what_is_no_frame(frame, reason):
    _, right = connected()
    with pytest.raises(InvalidInput) as caught:
        right.receive(frame)
    assert caught.value.reason == reason


def test_frame_before_the_greeting():
    end = Endpoint(SESSION)
    end.connect()
    with pytest.raises(InvalidInput) as caught:
        end.receive(b"M" + (1).to_bytes(8, "little"))
    assert caught.value.reason == "not_greeted"


def test_session_has_a_length():
    with pytest.raises(InvalidInput):
        Endpoint(b"short")
