"""Tar files: the same bytes every time, and nothing hostile gets through."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from mildbench.dataset.storage import Storage
from mildbench.dataset.tarfiles import read_index, writing
from mildbench.errors import UserError


def archive(path: Path, **members: bytes) -> Path:
    with writing(path) as tar:
        for name, data in members.items():
            tar.add(name, data)
    return path


def test_bytes_depend_on_names_and_contents_alone(tmp_path: Path) -> None:
    one = archive(tmp_path / "one.tar", a=b"x" * 700, b=b"").read_bytes()
    assert one == archive(tmp_path / "two.tar", a=b"x" * 700, b=b"").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            assert member.mode == 0o644


def test_what_was_written_is_read(tmp_path: Path) -> None:
    contents = {"a.png": b"x" * 512, "b.png": b"", "c.json": b"y" * 513}
    archive(tmp_path / "t.tar", **contents)
    (tmp_path / "loose.png").write_bytes(b"loose")
    storage = Storage(tmp_path)
    assert {name: storage.read(f"t.tar!{name}") for name in contents} == contents
    assert storage.read("loose.png") == b"loose"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../outside.png", "leaves the folder"),
        ("/etc/passwd", "leaves the folder"),
        ("link.png", "leaves the folder .* through a link: copy there"),
        ("behind/a.png", "leaves the folder .* through a link: copy there"),
        ("../outside.tar!a", "leaves the folder"),
        ("absent.png", "absent.png is missing"),
        (".", "is missing"),
        ("t.tar!absent", "t.tar!absent is missing"),
        ("absent.tar!a", "absent.tar is missing"),
    ],
)
def test_names_that_leave_the_folder_or_lead_nowhere_are_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "behind").symlink_to(tmp_path)
    archive(tmp_path / "outside.tar", a=b"secret")
    archive(root / "t.tar", a=b"")
    with pytest.raises(UserError, match=message):
        Storage(root).read(name)


def test_a_snapshot_of_the_hub_is_links_to_its_blobs(tmp_path: Path) -> None:
    root = tmp_path / "datasets--lab--set" / "snapshots" / "abc"
    (root / "test").mkdir(parents=True)
    (root.parents[1] / "blobs").mkdir()
    (root.parents[1] / "blobs" / "1f").write_bytes(b"pixels")
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "test" / "a.png").symlink_to("../../../blobs/1f")
    (root / "test" / "b.png").symlink_to(tmp_path / "secret")
    assert Storage(root).read("test/a.png") == b"pixels"
    with pytest.raises(UserError, match="leaves the folder"):
        Storage(root).read("test/b.png")
    with pytest.raises(UserError, match="leaves the folder"):
        Storage(root).read("../../blobs/1f")


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, target
    return member.tobuf(tarfile.GNU_FORMAT)


END = bytes(1024)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header("../a"), "leaves the archive"),
        (header("/a"), "leaves the archive"),
        (header("a/../../b"), "leaves the archive"),
        (header("a\\..\\b"), "leaves the archive"),
        (header("a", kind=tarfile.SYMTYPE, target="/etc/passwd"), "not a plain file"),
        (header("a", kind=tarfile.LNKTYPE, target="b"), "not a plain file"),
        (header("a", kind=tarfile.DIRTYPE), "not a plain file"),
        (header("a", kind=tarfile.FIFOTYPE), "not a plain file"),
        (header("a", kind=tarfile.GNUTYPE_SPARSE), "not a plain file"),
        (header("a", kind=tarfile.XHDTYPE, size=512), "not a plain file"),
        (header("a", size=2**62), "claims"),
        (header("a", size=-1), "claims"),
        (header("a", size=4096), "cut off"),
        (header("a") + header("a"), "comes twice"),
        (b"x" * 512, "broken"),
        (header("a")[:300], "broken"),
        (header("a", size=3) + b"abc" + bytes(509), "broken"),  # no end
        (b"", "broken"),
    ],
)
def test_hostile_and_broken_archives_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "bad.tar"
    path.write_bytes(data + (b"" if message == "broken" else END))
    with pytest.raises(UserError, match=message):
        read_index(path)


def test_names_that_a_reader_would_refuse_are_not_written(tmp_path: Path) -> None:
    for name, message in (("../a", "leaves the tar file"), ("a" * 101, "too long")):
        with pytest.raises(UserError, match=message):
            archive(tmp_path / "t.tar", **{name: b""})


def test_archives_of_others_are_read(tmp_path: Path) -> None:
    """Plain files as GNU tar writes them."""
    with tarfile.open(tmp_path / "gnu.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo("x.png")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"12345"))
    assert Storage(tmp_path).read("gnu.tar!x.png") == b"12345"
