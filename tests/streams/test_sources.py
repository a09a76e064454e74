"""Addresses: what is read, what is refused, and that a password never comes out again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aihub.errors import AddressError
from aihub.streams.sources import Source, parse_source, redact_address, split_credentials
from tests.streams.fakes import spec

ADDRESSES = [
    # given                                        clean address                          user     password
    ("rtsp://10.0.0.7/live", "rtsp://10.0.0.7/live", "", ""),  # plain
    (
        "RTSP://10.0.0.7:8554/live?channel=1",
        "rtsp://10.0.0.7:8554/live?channel=1",
        "",
        "",
    ),  # scheme in capitals
    ("rtsps://cam.example/1", "rtsps://cam.example/1", "", ""),  # over TLS
    ("rtsp://admin:p%40ss@10.0.0.7/1", "rtsp://10.0.0.7/1", "admin", "p@ss"),  # encoded as it should be
    ("rtsp://admin:p@ss@10.0.0.7/1", "rtsp://10.0.0.7/1", "admin", "p@ss"),  # as people paste it
    ("rtsp://admin@10.0.0.7/1", "rtsp://10.0.0.7/1", "admin", ""),  # user without password
    ("rtsp://[fe80::1]:554/1", "rtsp://[fe80::1]:554/1", "", ""),  # IPv6
    ("rtsp://10.0.0.7/café?x=é", "rtsp://10.0.0.7/caf%C3%A9?x=%C3%A9", "", ""),  # made plain ASCII
    ("rtsp://10.0.0.7/a#b", "rtsp://10.0.0.7/a", "", ""),  # a fragment never goes to a server
]


@pytest.mark.parametrize(("url", "clean", "user", "password"), ADDRESSES)
def test_address_is_taken_apart(url: str, clean: str, user: str, password: str) -> None:
    source = parse_source(spec(url=url))
    assert (source.url, source.username, source.password) == (clean, user, password)


REFUSED = [
    ("http://10.0.0.7/x", "another protocol"),
    ("concat:a|b", "FFmpeg's own pseudo protocols"),
    ("file:/etc/passwd", "files, unless allowed"),
    ("/etc/passwd", "bare paths, unless allowed"),
    ("rtsp://", "no host"),
    ("rtsp:///path", "no host"),
    ("rtsp://h:99999/x", "port out of range"),
    ("rtsp://h:0/x", "port zero"),
    ("rtsp://h:p/x", "port no number"),
    ("rtsp://h/x\r\nTeardown: now", "a second header line"),
    ("rtsp://h/a b", "a blank ends the request line"),
    ("rtsp://h/" + "x" * 1000, "longer than the decoder reads"),
    ("rtsp://u:" + "p" * 130 + "@h/x", "credentials longer than the decoder reads"),
]


@pytest.mark.parametrize(("url", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_address_is_refused(url: str, why: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_source(spec(url=url))
    assert caught.value.field in {"url", "password"}


def test_the_spec_s_own_credentials_win() -> None:
    source = parse_source(spec(url="rtsp://old:old@h/x", username="new", password="secret"))
    assert (source.username, source.password) == ("new", "secret")


def test_control_characters_in_a_password_are_refused() -> None:
    with pytest.raises(AddressError):
        parse_source(spec(username="u", password="a\r\nb"))


@pytest.mark.parametrize(
    ("url", "path", "loop", "paced"),
    [
        ("clip.mp4", "clip.mp4", False, True),
        ("/a/clip.mp4", "/a/clip.mp4", False, True),
        ("file:clip.mp4", "clip.mp4", False, True),
        ("file:///a/my%20clip.mp4?loop=1", "/a/my clip.mp4", True, True),
        ("file:/a/clip.mp4?pace=0&loop=1", "/a/clip.mp4", True, False),
    ],
)
def test_files_where_allowed(url: str, path: str, loop: bool, paced: bool) -> None:
    source = parse_source(spec(url=url), allow_files=True)
    assert (source.path, source.loop, source.paced, source.is_file) == (path, loop, paced, True)


def test_default_ports() -> None:
    assert parse_source(spec(url="rtsp://h/x")).port == 554
    assert parse_source(spec(url="rtsps://h/x")).port == 322
    assert parse_source(spec(url="rtsp://h:8554/x")).port == 8554


PRINTABLE = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", codec="utf-8"), max_size=8)


@given(user=PRINTABLE.filter(bool), password=PRINTABLE)
def test_joined_address_gives_the_credentials_back(user: str, password: str) -> None:
    try:
        source = parse_source(spec(username=user, password=password))
    except AddressError:
        return  # too long once encoded, or a control character
    assert split_credentials(source.joined()) == (source.url, user, password)


@given(password=st.text("abcdefgh0123456789!$&", min_size=12, max_size=20))
def test_nothing_that_is_shown_holds_the_password(password: str) -> None:
    source = parse_source(spec(url="rtsp://h/x", username="admin", password=password))
    for shown in (
        source.redacted(),
        repr(source),
        str(source),
        redact_address(f"open {source.joined()} failed"),
    ):
        assert password not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://u:p@h/x", "rtsp://***@h/x"),
        ("rtsp://h/x?user=a&password=s3cret", "rtsp://h/x?user=a&password=***"),
        ("rtsp://h/user=a_password=s3cret_channel=1.sdp", "rtsp://h/user=a_password=***_channel=1.sdp"),
        ("rtsp://h/x?compass=north", "rtsp://h/x?compass=north"),
    ],
)
def test_redaction(text: str, shown: str) -> None:
    assert redact_address(text) == shown


def test_a_secret_in_a_broken_address_is_not_quoted() -> None:
    with pytest.raises(AddressError) as caught:
        parse_source(spec(url="rtsp://admin:s3c/ret@10.0.0.7/1"))
    assert "s3c" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_source_without_user_is_joined_as_it_is() -> None:
    assert Source("rtsp://h/x").joined() == "rtsp://h/x"
