"""Every input of REST is checked before anything is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.jupyter import requests

if TYPE_CHECKING:
    from collections.abc import Callable

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def attempt(call: Callable[..., Any], *arguments: Any) -> tuple[Any, InvalidInput | None]:
    """Return what a call returned, or with which refusal it ended."""
    try:
        return call(*arguments), None
    except InvalidInput as error:
        return None, error


def reason_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Return the reason of the refusal."""
    with pytest.raises(InvalidInput) as caught:
        call(*arguments, **options)
    return caught.value.reason


class TestBody:
    @pytest.mark.parametrize("raw", [b"", b"{}"])
    def test_empty_is_an_empty_object(self, raw):
        assert requests.parse_body(raw) == {}

    def test_blanks_are_no_json(self):
        assert reason_of(requests.parse_body, b"  \n") == "not_json"

    def test_limit_is_exact(self):
        padding = b" " * (requests.BODY_LIMIT_BYTES - 2)
        assert requests.parse_body(b"{}" + padding) == {}
        assert reason_of(requests.parse_body, b"{}" + padding + b" ") == "body_too_large"

    @given(st.binary(max_size=100))
    def test_garbage_is_refused_or_an_object(self, raw):
        body, error = attempt(requests.parse_body, raw)
        if error is None:
            assert isinstance(body, dict)
        else:
            assert error.reason in ("not_json", "not_an_object")

    @given(anything)
    def test_only_objects_pass(self, value):
        raw = json.dumps(value).encode()
        if isinstance(value, dict):
            requests.parse_body(raw)
        else:
            assert reason_of(requests.parse_body, raw) == "not_an_object"

    def test_unknown_key_is_named_with_the_known_ones(self):
        with pytest.raises(InvalidInput, match="'nmae'") as caught:
            requests.check_keys({"name": 1, "nmae": 2}, {"name", "tag"})
        assert caught.value.hint == "Allowed: name, tag."
        requests.check_keys({"name": 1}, {"name", "tag"})


class TestText:
    @given(anything)
    def test_what_passes_is_short_and_printable(self, value):
        text, error = attempt(requests.read_text, {"k": value}, "k")
        if error is not None:
            assert error.message.startswith("k: ")
        else:
            assert text is None or (text.strip() and len(text) <= 200 and "\n" not in text)

    @pytest.mark.parametrize("text", ["a", "x" * 200, "Ünïcode 名 🙂", "a\u3000b", "👩\u200d🔬"])
    def test_ordinary_names_pass(self, text):
        assert requests.read_text({"k": text}, "k") == text

    def test_absent_and_required(self):
        assert requests.read_text({}, "k") is None
        assert reason_of(requests.read_text, {}, "k", required=True) == "missing_key"


class TestClientToken:
    @pytest.mark.parametrize("token", ["abcd", "a-b1", "x" * 64, "0000"])
    def test_good(self, token):
        assert requests.read_client_token({"client_token": token}) == token

    @given(anything)
    def test_what_passes_has_the_form(self, value):
        token, error = attempt(requests.read_client_token, {"client_token": value})
        if error is not None:
            assert error.reason == "bad_client_token"
        elif token is not None:
            assert token.isascii()
            assert 4 <= len(token) <= 64
            assert token.replace("-", "").isalnum()

    def test_absent(self):
        assert requests.read_client_token({}) is None


class TestPath:
    @pytest.mark.parametrize("path", ["", "a", "a/b c/ü", "a..b/..c", "."])
    def test_good(self, path):
        assert requests.read_path({"path": path}) == path

    @pytest.mark.parametrize("path", ["..", "a/..", "../a", "a\0", 1, ["a"], "x" * 4097])
    def test_bad(self, path):
        assert reason_of(requests.read_path, {"path": path}) == "invalid_input"

    def test_absent(self):
        assert requests.read_path({}) is None


class TestNumber:
    @given(st.text(max_size=25))
    def test_what_passes_is_in_range(self, text):
        number, error = attempt(requests.read_number, text, "n", 1000)
        if error is None:
            assert 0 <= number <= 1000
        else:
            assert error.message.startswith("n: ")

    @given(st.integers(0, 10**6))
    def test_numbers_in_range_pass(self, number):
        assert requests.read_number(str(number), "n", 10**6) == number

    @pytest.mark.parametrize(
        "text", ["", "-1", "1.0", "\u00b2", "\u0661", " 1", "1_0", "1001", "9" * 5000]
    )
    def test_bad(self, text):
        assert reason_of(requests.read_number, text, "n", 1000) == "invalid_input"
