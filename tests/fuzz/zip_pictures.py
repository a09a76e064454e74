"""ZIP files with pictures, as jobs take them."""

from __future__ import annotations

import io
import zipfile

from aihub.jobs.archive import ArchiveLimits, ZipPictures, is_picture
from tests.fuzz.files import on_disk
from tests.fuzz.law import read_or_refused

LONGEST = 2048
LIMITS = ArchiveLimits(entries=8, picture_bytes=4096, total_bytes=8192)
WORDS = (
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"a.jpg", b"../a.png", b"a.zip", b"\\..\\a.bmp", b"C:a.png", b"\xff\xff\xff\xff",
    b"\x01\0\x18\0", b"\x08\0", b"\x63\0", b"\0\x08",
)  # fmt: skip


def check(data: bytes) -> bool:
    """Pictures within the bounds, under names that stay inside, or a refusal; also picture by picture."""
    path = on_disk(data)
    opened = read_or_refused(lambda: ZipPictures(path, LIMITS), named=True)
    if opened is None:
        return False
    with opened as pictures:
        assert 1 <= len(pictures.names) <= LIMITS.entries
        total = 0
        for index, name in enumerate(pictures.names):
            assert is_picture(name)
            assert ".." not in name.replace("\\", "/").split("/")
            file = read_or_refused(lambda index=index: pictures.read(index), named=False)  # type: ignore[misc]
            total += len(file or b"")
        assert total <= LIMITS.total_bytes
    return True


def seeds() -> list[bytes]:
    """Stored, deflated, with a folder, with what is no picture, and a bomb."""
    made = []
    for files in (
        {"a.jpg": b"\xff\xd8\xff", "b/c.png": bytes(200)},
        {"folder/": b"", "readme.txt": b"x", "__MACOSX/a.jpg": b"x", "ä.bmp": b"BM"},
        {"bomb.png": bytes(4000), "second.png": bytes(4000), "third.png": bytes(100)},
    ):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(
                    zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED if len(data) > 9 else zipfile.ZIP_STORED
                )
        made.append(file.getvalue())
    return made
