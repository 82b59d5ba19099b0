"""Frames, messages, signatures and settings: round trips, and garbage that harms nobody."""

from __future__ import annotations

import array
import hashlib
import hmac
import json
import struct
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.frames import decode, encode, encode_head
from jupyter_remote_kernels.protocol.messages import Composer, message_type, pack, unpack
from jupyter_remote_kernels.protocol.settings import AgentSettings, KernelLimits
from jupyter_remote_kernels.protocol.signing import Signer
from jupyter_remote_kernels.protocol.websocket_frames import LARGE_BYTES, coalesce, frame_head

channels = st.sampled_from(["shell", "control", "stdin", "iopub", "agent"])
parts_lists = st.lists(st.binary(max_size=200), min_size=4, max_size=9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


class TestFrames:
    @given(channels, parts_lists)
    def test_round_trip(self, channel, parts):
        found, views = decode(encode(channel, parts))
        assert found == channel
        assert [bytes(view) for view in views] == parts

    @given(channels, parts_lists)
    def test_format_is_jupyter_servers(self, channel, parts):
        assert encode(channel, parts) == bytes(serialize_msg_to_ws_v1(parts, channel))
        found, theirs = deserialize_msg_from_ws_v1(encode(channel, parts))
        assert (found, theirs) == (channel, parts)

    def test_head_is_everything_before_the_parts(self):
        parts = [b"a", b"", b"ccc", b"d"]
        assert encode_head("iopub", parts) + b"".join(parts) == encode("iopub", parts)

    def test_views_of_other_formats_count_in_bytes(self):
        numbers = memoryview(array.array("d", [1.0, 2.0]))
        head = encode_head("shell", [numbers, b"", b"", b"tail"])
        _, views = decode(head + numbers.tobytes() + b"tail")
        assert [view.nbytes for view in views] == [16, 0, 0, 4]

    def test_decoding_copies_nothing(self):
        data = bytearray(encode("iopub", [b"one", b"two", b"three", b"four"]))
        _, views = decode(data)
        position = bytes(data).index(b"two")
        data[position : position + 3] = b"TWO"
        assert bytes(views[1]) == b"TWO"

    @given(st.binary(max_size=300))
    def test_garbage_is_refused_or_harmless(self, data):
        _decode_or_refuse(data)

    @given(parts_lists, st.data())
    def test_one_changed_byte(self, parts, data):
        frame = bytearray(encode("shell", parts))
        index = data.draw(st.integers(0, len(frame) - 1))
        frame[index] = data.draw(st.integers(0, 255))
        _decode_or_refuse(bytes(frame))

    @given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8), st.binary(max_size=40))
    def test_wild_offsets(self, numbers, rest):
        _decode_or_refuse(struct.pack(f"<{len(numbers)}Q", *numbers) + rest)

    @given(parts_lists, st.data())
    def test_cut_short(self, parts, data):
        frame = encode("shell", parts)
        size = data.draw(st.integers(0, len(frame) - 1))
        # Only the last part can be missing without a trace, when it is empty.
        if size < len(frame) - len(parts[-1]) or parts[-1]:
            with pytest.raises(InvalidInput):
                decode(frame[:size])

    @pytest.mark.parametrize("count", [0, 1, 2**40, 2**64 - 1])
    def test_count_is_checked_before_memory_is_taken(self, count):
        with pytest.raises(InvalidInput) as caught:
            decode(struct.pack("<Q", count) + b"\0" * 64)
        assert caught.value.reason == "bad_frame"


def _decode_or_refuse(data):
    try:
        channel, views = decode(data)
    except InvalidInput:
        return
    assert isinstance(channel, str)
    assert sum(view.nbytes for view in views) <= len(data)


class TestWebsocketFrames:
    @pytest.mark.parametrize(
        "size,head",
        [
            (0, b"\x82\x00"),
            (125, b"\x82\x7d"),
            (126, b"\x82\x7e\x00\x7e"),
            (65535, b"\x82\x7e\xff\xff"),
            (65536, b"\x82\x7f\0\0\0\0\0\1\0\0"),
        ],
    )
    def test_head_has_the_shortest_form(self, size, head):
        assert frame_head(size) == head

    @given(st.lists(st.integers(0, 4).map(lambda n: b"x" * (n * LARGE_BYTES // 2)), max_size=8))
    def test_joining_changes_no_byte(self, chunks):
        joined = coalesce(chunks)
        assert b"".join(joined) == b"".join(chunks)
        small = [len(chunk) < LARGE_BYTES for chunk in chunks]
        assert len(joined) <= len(chunks)
        assert len(joined) >= small.count(False)

    def test_large_chunks_are_not_copied(self):
        large = bytearray(LARGE_BYTES)
        (view,) = coalesce([large])
        assert view.obj is large


class TestMessages:
    @given(st.dictionaries(st.text(), json_values, max_size=4))
    def test_pack_and_unpack(self, value):
        assert unpack(pack(value)) == value

    @pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
    def test_halves_of_surrogate_pairs_pass(self, text):
        assert unpack(pack({"text": text})) == {"text": text}

    @given(st.binary(max_size=100))
    def test_garbage_is_refused(self, data):
        try:
            value = unpack(data)
        except InvalidInput:
            return
        assert isinstance(value, dict)

    @pytest.mark.parametrize(
        "data", [b"", b"[]", b"1", b"null", b"\xff", b"{", b"[" * 100_000, b'{"a":' * 100_000]
    )
    def test_what_is_no_object_is_refused(self, data):
        with pytest.raises(InvalidInput):
            unpack(data)

    def test_composed_message_is_one_that_jupyter_client_takes(self):
        composer = Composer()
        parts = composer.compose("status", {"execution_state": "busy"}, b'{"msg_id": "m1"}')
        session = Session(key=b"")
        message = session.deserialize([b"", *parts])
        assert message["msg_type"] == "status"
        assert message["parent_header"] == {"msg_id": "m1"}
        assert message["content"] == {"execution_state": "busy"}
        assert isinstance(message["header"]["date"], datetime)
        assert message["header"]["date"].tzinfo is not None
        assert message_type(parts) == "status"

    def test_message_ids_are_unique_over_composers(self):
        composers = [Composer(), Composer()]
        ids = [composer.header("x")["msg_id"] for composer in composers for _ in range(3)]
        assert len(set(ids)) == 6
        assert Composer("given").session == "given"

    def test_message_type_of_a_header_without_one(self):
        assert message_type([b"{}"]) == ""


class TestSigning:
    @given(st.binary(min_size=1, max_size=40), parts_lists)
    def test_signature_is_the_protocols(self, key, parts):
        expected = hmac.new(key, b"".join(parts[:4]), hashlib.sha256).hexdigest().encode()
        signer = Signer(key)
        assert signer.sign(parts) == expected
        assert signer.verify(expected, parts)
        assert signer.sign(parts) == expected

    def test_jupyter_client_agrees(self):
        session = Session(key=b"secret")
        parts = Composer().compose("status", {})
        assert Signer(b"secret").sign(parts) == session.sign(parts)

    @given(parts_lists, st.binary(max_size=80))
    def test_wrong_signatures_are_refused(self, parts, signature):
        signer = Signer(b"key")
        assert signer.verify(signature, parts) == (signature == signer.sign(parts))

    def test_buffers_are_not_signed(self):
        signer = Signer(b"key")
        parts = [b"h", b"p", b"m", b"c"]
        assert signer.sign([*parts, b"buffer"]) == signer.sign(parts)

    def test_empty_key_switches_signing_off(self):
        signer = Signer(b"")
        assert signer.sign([b""] * 4) == b""
        assert signer.verify(b"anything", [b""] * 4)

    @pytest.mark.parametrize("scheme", ["", "sha256", "hmac-", "hmac-nothing", "hmac", "md5-hmac"])
    def test_unknown_schemes(self, scheme):
        with pytest.raises(InvalidInput) as caught:
            Signer(b"key", scheme)
        assert caught.value.reason == "bad_signature_scheme"

    @pytest.mark.parametrize("name", sorted(hashlib.algorithms_available))
    def test_every_hash_of_this_python_works_or_is_refused(self, name):
        try:
            signer = Signer(b"key", f"hmac-{name}")
        except InvalidInput:
            return
        assert signer.verify(signer.sign([b"a"] * 4), [b"a"] * 4)


class TestSettings:
    def settings(self, **changes: Any):
        values = {
            "version": "1",
            "runtime_id": "r",
            "token": "geheim",
            "argv": ["kernel", "{connection_file}"],
            "directory": "/somewhere",
            **changes,
        }
        return AgentSettings(**values)

    def test_round_trip_as_json(self):
        limits = KernelLimits(["/cgroup/procs"], 12)
        settings = self.settings(env={"A": "b"}, limits=limits, cgroup={"version": 2}, cwd="/w")
        assert AgentSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings

    def test_unknown_keys_are_ignored(self):
        data = {**self.settings().to_json(), "later": 1}
        assert AgentSettings.from_json(data) == self.settings()

    @pytest.mark.parametrize("key", ["version", "runtime_id", "token", "argv", "directory"])
    def test_missing_keys_are_named(self, key):
        data = self.settings().to_json()
        del data[key]
        with pytest.raises(InvalidInput, match=key):
            AgentSettings.from_json(data)

    def test_secret_is_not_shown(self):
        assert "geheim" not in repr(self.settings(env={"PASSWORD": "geheim"}))
