"""The resumable protocol: whatever connections do, what arrives is what was sent."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol import resumable
from jupyter_remote_kernels.protocol.resumable import Endpoint

SESSION = b"0123456789abcdef"
SIDES = (0, 1)
SMALL = {"piece_bytes": 24, "window_bytes": 60}


def read(frame):
    return b"".join(map(bytes, frame))


class Sessions(RuleBasedStateMachine):
    """Two ends, a wire that delays, cuts, repeats and loses frames, and an end that is replaced."""

    def __init__(self):
        super().__init__()
        self.ends = [Endpoint(SESSION, **SMALL) for _ in SIDES]
        self.wires = [[], []]  # what is on its way from each end
        self.sent = [[], []]
        self.arrived = [[], []]
        self.finished = [[], []]  # what was dealt with for good
        self.numbers = [[0], [0]]
        self.count = 0

    def cut(self):
        """End the connection; what is on its way is lost."""
        for side in SIDES:
            self.wires[side] = []
            self.ends[side].disconnect()

    def flush(self, side):
        self.wires[side] += map(read, self.ends[side].outgoing())

    @rule(side=st.sampled_from(SIDES), size=st.integers(0, 120))
    def send(self, side, size):
        self.count += 1
        message = f"{self.count}:".encode() + b"x" * size
        self.sent[side].append(message)
        self.ends[side].send([message[:3], message[3:]])
        self.flush(side)

    @rule()
    def send_nothing(self):
        self.sent[0].append(b"")
        self.ends[0].send([])
        self.flush(0)

    @rule(greetings=st.integers(0, 2))
    def connect(self, greetings=0):
        """Begin a connection; mostly both ends get as far as the greeting."""
        self.cut()
        for side in SIDES:
            self.wires[side].append(self.ends[side].connect({"side": side}))
        for side in SIDES[:greetings]:
            self.hand_over(side, self.wires[side].pop(0))

    @precondition(lambda self: not all(end.is_ready for end in self.ends))
    @rule()
    def connect_well(self):
        self.connect(2)

    @precondition(lambda self: self.count % 4 == 3)
    @rule()
    def lose_the_connection(self):
        self.cut()

    @rule(side=st.sampled_from(SIDES), count=st.integers(1, 6))
    def deliver(self, side, count):
        for _ in range(count):
            if self.wires[side]:
                self.hand_over(side, self.wires[side].pop(0))

    @rule(side=st.sampled_from(SIDES), index=st.integers(0, 2))
    def repeat(self, side, index):
        if index < len(self.wires[side]):
            self.wires[side].insert(index, self.wires[side][index])

    @precondition(lambda self: self.count % 4 == 2)
    @rule(side=st.sampled_from(SIDES), index=st.integers(0, 5))
    def lose_a_frame(self, side, index):
        if index < len(self.wires[side]):
            del self.wires[side][index]

    @rule(side=st.sampled_from(SIDES))
    def acknowledge(self, side):
        if (frame := self.ends[side].acknowledge()) is not None:
            self.wires[side].append(frame)

    @rule(side=st.sampled_from(SIDES))
    def finish(self, side):
        self.ends[side].finish()
        self.finished[1 - side] = list(self.arrived[1 - side])

    @precondition(lambda self: self.count % 4 == 1)
    @rule()
    def replace(self):
        """Another process takes the first end over, which knows only what was finished.

        What the earlier one had not sent is lost with it, so it is taken back here.
        """
        self.cut()
        finished = self.ends[0].receiver.finished
        self.ends[0] = Endpoint(SESSION, finished=finished, **SMALL)
        self.arrived[1] = list(self.finished[1])
        self.numbers[1] = [0]
        self.sent[0] = list(self.arrived[0])

    def hand_over(self, side, frame):
        other = 1 - side
        try:
            messages = self.ends[other].receive(frame)
        except InvalidInput:
            self.cut()  # as whoever reads from a wire has to
            return
        for number, message in messages:
            self.numbers[side].append(number)
            self.arrived[side].append(bytes(message))
        self.flush(other)

    @invariant()
    def what_has_arrived_is_what_was_sent_so_far(self):
        for side in SIDES:
            assert self.arrived[side] == self.sent[side][: len(self.arrived[side])]
            assert self.numbers[side] == sorted(set(self.numbers[side]))
            sender = self.ends[side].sender
            assert sender._on_its_way_bytes < SMALL["window_bytes"] + SMALL["piece_bytes"]

    def teardown(self):
        """One connection that lasts brings everything, and then nothing is kept any more."""
        self.connect()
        while any(self.wires):
            for side in SIDES:
                self.deliver(side, 1)
                self.finish(1 - side)
                self.acknowledge(1 - side)
        assert self.arrived == self.sent
        assert [end.sender.waiting for end in self.ends] == [0, 0]
        assert [end.sender._kept for end in self.ends] == [{}, {}]


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


def connected(**sizes):
    """Two ends that have greeted each other."""
    ends = [Endpoint(SESSION, **sizes) for _ in SIDES]
    greetings = [end.connect() for end in ends]
    for end, greeting in zip(ends, reversed(greetings), strict=True):
        assert end.receive(greeting) == []
    return ends


@given(st.lists(st.binary(max_size=64), max_size=8))
def test_messages_of_any_size_are_joined_and_split(messages):
    left, right = connected(piece_bytes=20)
    for message in messages:
        left.send([message])
    frames = [read(frame) for frame in left.outgoing()]
    assert all(len(frame) <= 20 + 9 for frame in frames)
    arrived = [bytes(m) for frame in frames for _, m in right.receive(frame)]
    assert arrived == messages


def test_small_messages_travel_together():
    left, right = connected()
    for index in range(100):
        left.send([b"%d" % index])
    (frame,) = left.outgoing()
    assert [bytes(message) for _, message in right.receive(read(frame))] == [
        b"%d" % index for index in range(100)
    ]


def test_nothing_is_sent_before_the_greeting_and_all_of_it_after():
    left, right = Endpoint(SESSION), Endpoint(SESSION)
    left.send([b"one"])
    greeting = left.connect({"kernel": 1})
    left.send([b"two"])
    assert list(left.outgoing()) == []
    assert not left.is_ready
    right.receive(greeting)
    assert right.details["kernel"] == 1
    left.receive(right.connect())
    assert left.is_ready
    assert left.sender.waiting == 2
    assert len(list(left.outgoing())) == 1


def test_window_closes_and_opens():
    left, right = connected(piece_bytes=10, window_bytes=30)
    left.send([b"x" * 92])
    first = [read(frame) for frame in left.outgoing()]
    assert len(first) == 3
    for frame in first:
        right.receive(frame)
    # Half a message cannot be finished, but more of it has to come.
    right.finish()
    left.receive(right.acknowledge())
    assert right.acknowledge() is None
    assert right.receiver.finished == 0
    assert left.sender.waiting == 1
    assert len(left.sender._kept) == 3
    assert len(list(left.outgoing())) == 3


def test_much_is_acknowledged_at_once():
    left, right = connected()
    left.send([b"x" * resumable.ACKNOWLEDGE_BYTES])
    assert not right.is_acknowledgement_due
    for frame in left.outgoing():
        right.receive(read(frame))
    assert right.is_acknowledgement_due
    right.finish()
    left.receive(right.acknowledge())
    assert not right.is_acknowledgement_due
    assert left.sender._kept == {}


@pytest.mark.parametrize(
    "frame, reason",
    [
        (b"", "bad_frame"),
        (b"Z" + bytes(8), "bad_frame"),
        (b"M123", "bad_frame"),
        (b"A" + bytes(17), "bad_frame"),
        (b"A" + (99).to_bytes(8, "little") * 2, "bad_frame"),
        (b"A" + (0).to_bytes(8, "little") + (1).to_bytes(8, "little"), "bad_frame"),
        (b"G" + bytes(3), "bad_frame"),
        (b"G" + b"another-session!" + bytes(8) + b"{}", "other_session"),
        (b"G" + SESSION + (99).to_bytes(8, "little") + b"{}", "bad_frame"),
        (b"G" + SESSION + bytes(8) + b"[]", "bad_frame"),
        (b"G" + SESSION + bytes(8) + b"{", "bad_frame"),
        (b"M" + (5).to_bytes(8, "little") + b"x", "frame_missing"),
        (b"M" + (1).to_bytes(8, "little") + b"x", "bad_frame"),
        (b"M" + (1).to_bytes(8, "little") + (2).to_bytes(8, "little") + b"x", "bad_frame"),
        (b"M" + (1).to_bytes(8, "little") + b"\xff" * 8, "bad_frame"),
    ],
)
def test_what_is_no_frame(frame, reason):
    _, right = connected()
    right.send([b"something"])
    assert len(list(right.outgoing())) == 1
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


def test_end_that_forgot_what_was_finished_is_told():
    left, right = connected()
    left.send([b"one"])
    for frame in left.outgoing():
        right.receive(read(frame))
    right.finish()
    left.receive(right.acknowledge())
    with pytest.raises(InvalidInput):
        left.receive(Endpoint(SESSION).connect())
