"""A log is read in pieces that make up the whole, at a cost that does not depend on its length."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.jobs.logs import LogWriter, read_log, readable

# What logs are made of, so that every rule meets every other: colours, rewritten lines, halves of characters.
_BYTES = [
    b"a",
    b"line",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x1b[31m",
    b"\x1b]0;t\x07",
    b"\x1b",
    b"\x00",
    b"\xff",
    b"50%|#",
    b" ",
]
_CHARACTERS = ["é".encode(), "学".encode(), "🎭".encode(), b"\xe5\xad", b"\xf0\x9f"]
PIECES = st.sampled_from(_BYTES + _CHARACTERS)
LOGS = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=60).map(b"".join))
PLAIN = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n"), max_size=300)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "log.txt"


def pieces(path: Path, most: int) -> list[str]:
    """Read a whole log from its start, and check that the pieces cover it."""
    found, place = [], 0
    while True:
        part = read_log(path, place, most)
        assert part.start == place and part.end - part.start <= most
        assert part.end > place or part.size == place, "it gets on"
        found.append(part.text)
        place = part.end
        if place == part.size:
            return found


@given(LOGS, st.integers(1, 80))
def test_pieces_cover_any_log_and_none_is_longer_than_asked(path: Path, content: bytes, most: int) -> None:
    path.write_bytes(content)
    pieces(path, most)
    end = read_log(path, None, most)
    assert end.end == end.size == len(content) and 0 <= end.end - end.start <= most


@given(PLAIN, st.integers(4, 80))
def test_pieces_of_a_text_joined_are_the_text(path: Path, text: str, most: int) -> None:
    path.write_bytes(text.encode())
    assert "".join(pieces(path, most)) == text
    assert text.endswith(read_log(path, None, most).text)


@given(st.lists(LOGS.map(lambda one: one.replace(b"\n", b"").replace(b"\x1b]", b"")[:60]), max_size=10))
def test_pieces_of_lines_are_what_the_whole_is(path: Path, lines: list[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    path.write_bytes(content)
    assert "".join(pieces(path, 64)) == readable(content)


@given(LOGS)
def test_what_is_shown_has_no_control_characters(content: bytes) -> None:
    text = readable(content)
    assert not [one for one in text if (ord(one) < 32 and one not in "\n\t") or 127 <= ord(one) < 160]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"10%\r50%\r100%\n", "100%\n"),
        (b"\r10%\r50%", "50%"),
        (b"10%\r50%\r", "50%"),
        (b"one\r\ntwo\r\n", "one\ntwo\n"),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07on\x1b(B", "red on(B"),
        (b"\x00\x01a\x7f\tb", "a\tb"),
    ],
)
def test_a_terminal_would_show_the_same(content: bytes, text: str) -> None:
    assert readable(content) == text


@pytest.mark.parametrize(
    "piece", [b"x", b"\r", b"x\r", b"\x1b", b"\x1b[", b"\x1b]", b"\x1b[0", b"9", b"\xff", b"1%|"]
)
def test_a_long_line_takes_no_longer_than_a_short_one(piece: bytes) -> None:
    content = piece * (262_144 // len(piece))
    began = time.perf_counter()
    readable(content)
    assert time.perf_counter() - began < 1


def test_the_end_of_a_gigabyte_is_read_in_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"first\n")
    os.truncate(path, 2**30)
    with path.open("ab") as file:
        file.write(b"\nlast\n")
    began = time.perf_counter()
    part = read_log(path)
    middle = read_log(path, 2**29)
    assert time.perf_counter() - began < 0.25
    assert (part.text, part.size, part.end) == ("last\n", 2**30 + 6, 2**30 + 6)
    assert middle.end - middle.start == 65_536


def test_a_line_that_is_longer_than_the_piece_is_shown_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 1_000 + b"\n")
    assert read_log(path, None, 100).text == "x" * 99 + "\n"


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    part = read_log(tmp_path / "log.txt")
    assert (part.text, part.start, part.end, part.size) == ("", 0, 0, 0)


def test_a_start_behind_the_end_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"one\n")
    assert read_log(path, 99) == read_log(path, 4)


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(0, 300))
def test_a_log_keeps_its_limit_and_the_first_of_it(path: Path, writes: list[bytes], most: int) -> None:
    path.unlink(missing_ok=True)
    writer = LogWriter(path, most)
    for one in writes:
        writer.write(one)
    writer.close()
    whole, kept = b"".join(writes), path.read_bytes()
    if len(whole) <= most:
        assert kept == whole
    else:
        assert kept == whole[:most] + b"\n[greenroom: the log is full; what follows is not kept]\n"


def test_the_last_line_that_says_something_is_quoted_without_passwords(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log.txt", 1000)
    writer.write(b"one\nopens postgresql://me:secret@host/db\n   \n\x1b[0m\n")
    assert writer.last_line() == "opens postgresql://me:***@host/db"
    writer.write(b"\xff" * 5000)
    assert len(writer.last_line()) == 300
    writer.close()


def test_a_percentage_of_a_progress_bar_is_noticed(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log.txt", 1000)
    writer.write(b"\r 10%|# | 1/10")
    writer.write(b"\r250%|##| 2/10")
    assert writer.percent == 100
    writer.close()
