"""ZIPs from outside: judged by their table of contents, and not believed while they are read."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aihub.errors import AihubError, InputError, TooLargeError, UnsupportedTypeError
from aihub.jobs.archive import ArchiveLimits, FolderPictures, ZipPictures, is_picture, list_folder
from tests.jobs.films import zip_of

SMALL = ArchiveLimits(entries=50, picture_bytes=10_000, total_bytes=30_000)
FOLDERS = [HealthCheck.function_scoped_fixture]


def opened(folder: Path, data: bytes, limits: ArchiveLimits = SMALL) -> ZipPictures:
    path = folder / "input"
    path.write_bytes(data)
    return ZipPictures(path, limits)


def encrypted() -> bytes:
    data = bytearray(zip_of({"a.jpg": b"x"}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def packed_with(method: int) -> bytes:
    return zip_of({"a.jpg": b"x" * 100}, method)


def with_entry(name: str) -> bytes:
    """A name as no honest archiver writes it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        info = zipfile.ZipInfo("x" * len(name))
        archive.writestr(info, b"x")
    return target.getvalue().replace(b"x" * len(name), name.encode())


def nameless() -> bytes:
    """A table of contents whose only entry has a name of no letters."""
    data = bytearray(zip_of({"q": b"x"}))
    at, end = data.rfind(b"PK\x01\x02"), data.rfind(b"PK\x05\x06")
    struct.pack_into("<I", data, end + 12, end - at - 1)
    data[at + 28 : at + 30] = b"\0\0"
    del data[at + 46]
    return bytes(data)


def liar(real: int, said: int) -> bytes:
    """A picture that unpacks to more than its table of contents says."""
    data = bytearray(zip_of({"a.jpg": b"\0" * real}))
    for magic, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        struct.pack_into("<I", data, data.find(magic) + offset, said)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "kind", "words", "why"),
    [
        (nameless(), InputError, "no name", "an entry without a name"),
        (with_entry("../../etc/a.jpg"), InputError, "leads out", "path traversal"),
        (with_entry("/etc/passwd.jpg"), InputError, "leads out", "absolute"),
        (with_entry("..\\..\\a.jpg"), InputError, "leads out", "traversal for Windows"),
        (with_entry("C:\\windows\\a.jpg"), InputError, "leads out", "a drive"),
        (encrypted(), UnsupportedTypeError, "encrypted", "nobody has the password"),
        (zip_of({"a.jpg": b"x", "in/b.zip": b"y"}), UnsupportedTypeError, "archive within", "a nested bomb"),
        (zip_of({"a.jpg": b"x", "B.TAR.GZ": b"y"}), UnsupportedTypeError, "archive within", "another archive"),
        (packed_with(zipfile.ZIP_BZIP2), UnsupportedTypeError, "packed", "only deflate is bounded well"),
        (packed_with(zipfile.ZIP_LZMA), UnsupportedTypeError, "packed", "its dictionary may be 4 GB"),
        (zip_of({f"{i}.jpg": b"x" for i in range(51)}), TooLargeError, "entries", "too many"),
        (zip_of({"a.jpg": b"\0" * 10_001}), TooLargeError, "too large", "one picture too large, as it says"),
        (zip_of({f"{i}.jpg": b"\0" * 9_000 for i in range(4)}), TooLargeError, "too large", "all together"),
        (zip_of({"readme.txt": b"x", ".hidden.jpg": b"y", "__MACOSX/a.jpg": b"z"}), InputError, "no picture", "none"),
        (zip_of({}), InputError, "no picture", "an empty ZIP"),
        (b"PK\x03\x04 nothing else", InputError, "no end", "no table of contents"),
        (zip_of({"a.jpg": b"x" * 500})[:-30], InputError, "no end", "cut off"),
        (b"", InputError, "no end", "nothing"),
    ],
)  # fmt: skip
def test_bad_zips_are_refused_before_anything_is_read(
    tmp_path: Path, data: bytes, kind: type[AihubError], words: str, why: str
) -> None:
    with pytest.raises(kind, match=words):
        opened(tmp_path, data)


def test_a_huge_table_of_contents_is_refused_by_its_size(tmp_path: Path) -> None:
    """Before its million entries become objects."""
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, 0x7FFFFFFF, 0, 0)
    with pytest.raises(TooLargeError):
        opened(tmp_path, b"\0" * 1000 + end)
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**9, 10**9, 46 * 10**9, 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0, 0)
    with pytest.raises(TooLargeError):
        opened(tmp_path, end64 + locator + end)


@pytest.mark.parametrize("said", [5, 100])
def test_what_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path: Path, said: int) -> None:
    with opened(tmp_path, liar(2_000_000, said)) as pictures, pytest.raises(InputError):
        pictures.read(0)


def test_bytes_are_counted_over_all_pictures(tmp_path: Path) -> None:
    limits = ArchiveLimits(entries=50, picture_bytes=10_000, total_bytes=20_000)
    with opened(tmp_path, zip_of({"a.jpg": b"x" * 9_000, "b.jpg": b"y" * 9_000}), limits) as pictures:
        assert pictures.read(0) == b"x" * 9_000
        assert pictures.read(1) == b"y" * 9_000
        with pytest.raises(TooLargeError):
            pictures.read(0)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\:"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..") and not name.startswith(".")
)


@settings(max_examples=60, deadline=None, suppress_health_check=FOLDERS)
@given(
    files=st.dictionaries(
        NAMES.map(lambda name: f"{name}.jpg"), st.binary(max_size=200), min_size=1, max_size=8
    ),
    others=st.dictionaries(NAMES.map(lambda name: f"{name}.txt"), st.binary(max_size=50), max_size=3),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
def test_what_was_put_in_comes_out(
    tmp_path: Path, files: dict[str, bytes], others: dict[str, bytes], method: int
) -> None:
    """Law: every picture of a sound ZIP, in its order, byte for byte; all else is counted as skipped."""
    with opened(tmp_path, zip_of(others | files, method), ArchiveLimits()) as pictures:
        assert [(name, pictures.read(i)) for i, name in enumerate(pictures.names)] == list(files.items())
        assert pictures.skipped == len(others)


@settings(max_examples=150, deadline=None, suppress_health_check=FOLDERS)
@given(seed=st.integers(0, 2**32), flips=st.integers(1, 6), cut=st.integers(0, 60))
def test_damaged_zips_never_do_more_than_raise(tmp_path: Path, seed: int, flips: int, cut: int) -> None:
    """Law: whatever bytes come, the outcome is pictures within the limits or an error of ours."""
    draw = random.Random(seed)
    data = bytearray(zip_of({"a.jpg": bytes(range(256)) * 8, "b/c.png": b"\0" * 3000}))
    for _ in range(flips):
        data[draw.randrange(len(data))] = draw.randrange(256)
    try:
        with opened(tmp_path, bytes(data[: len(data) - cut])) as pictures:
            for index in range(len(pictures.names)):
                try:
                    assert len(pictures.read(index)) <= SMALL.picture_bytes
                except InputError:
                    continue
    except InputError:
        pass


def test_folders_follow_no_link_out_of_themselves(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "b.jpg").write_bytes(b"b")
    assert list_folder(folder, SMALL) == ["a.jpg"]
    pictures = FolderPictures(folder, ["a.jpg", "link.jpg", "../secret.jpg", "gone.jpg"], SMALL)
    assert pictures.read(0) == b"a"
    for index in (1, 2, 3):
        with pytest.raises(InputError):
            pictures.read(index)


@pytest.mark.parametrize(("entries", "error"), [(0, InputError), (51, TooLargeError)])
def test_folders_with_none_or_too_many_are_refused(
    tmp_path: Path, entries: int, error: type[AihubError]
) -> None:
    for index in range(entries):
        (tmp_path / f"{index}.jpg").write_bytes(b"x")
    with pytest.raises(error):
        list_folder(tmp_path, SMALL)
    with pytest.raises(InputError):
        list_folder(tmp_path / "nowhere", SMALL)


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("a.jpg", True),
        ("A.JPEG", True),
        ("x/y.webp", True),
        (".a.jpg", False),
        ("__MACOSX/a.jpg", False),
        ("a.gif", False),
    ],
)
def test_what_is_a_picture_by_its_name(name: str, yes: bool) -> None:
    assert is_picture(name) is yes
