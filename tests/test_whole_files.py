import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from keras_face import files
from keras_face.evaluation.protocols.lines import read_columns

# A program that writes as long as it is let: `python -c PROGRAM PATH`; it says when it has begun.
WRITE_FILE = """
import sys, time
from keras_face import files
with files.opened_whole(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("begun", flush=True)
    time.sleep(60)
"""
WRITE_FOLDER = """
import sys, time
from keras_face import files
with files.new_folder(sys.argv[1]) as folder:
    (folder / "half").write_bytes(b"half")
    print("begun", flush=True)
    time.sleep(60)
"""


def begun(program: str, path: Path) -> subprocess.Popen:
    """Returns a process that is in the middle of writing."""
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.whole_file(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_folders_of_a_file_are_made_and_its_mode_is_that_of_any_file(tmp_path):
    files.write_text(tmp_path / "deep" / "er" / "a.txt", "Zoë\n")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "deep" / "er" / "a.txt").read_bytes() == "Zoë\n".encode()
    assert (tmp_path / "deep" / "er" / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("before", [None, "old"])
def test_an_error_leaves_the_file_that_was_there_and_nothing_else(tmp_path, before):
    path = tmp_path / "a.txt"
    if before:
        path.write_text(before)
    with pytest.raises(ZeroDivisionError), files.opened_whole(path, "w") as file:
        file.write("new" * (1 // 0))
    left = {name: (tmp_path / name).read_text() for name in os.listdir(tmp_path)}
    assert left == ({"a.txt": "old"} if before else {})


def test_what_a_killed_run_left_of_a_file_is_hidden_and_written_over_by_the_next(tmp_path):
    path = tmp_path / "a.npz"
    kill(begun(WRITE_FILE, path))
    assert not path.exists()
    assert all(name.startswith(".") for name in os.listdir(tmp_path))
    files.write_bytes(path, b"new")
    assert os.listdir(tmp_path) == ["a.npz"]
    assert path.read_bytes() == b"new"


def test_a_second_writer_of_a_file_waits_for_the_first(tmp_path):
    path, order = tmp_path / "a.txt", []

    def write() -> None:
        files.write_text(path, "second")
        order.append("second")

    with files.whole_file(path) as part:
        second = threading.Thread(target=write)
        second.start()
        time.sleep(0.1)
        part.write_text("first")
        order.append("first")
    second.join()
    assert order == ["first", "second"]
    assert path.read_text() == "second"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_whole_whenever_it_is_read_while_many_write_it(tmp_path):
    path = tmp_path / "a.bin"
    program = """
import sys
from keras_face import files
for _ in range(200):
    files.write_bytes(sys.argv[1], sys.argv[2].encode() * 20_000)
"""
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), letter]) for letter in "abc"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 20_000
            assert len(set(content)) == 1
            seen.add(content[:1])
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert seen
    assert os.listdir(tmp_path) == ["a.bin"]


def test_the_part_lies_beside_what_it_is_asked_to(tmp_path):
    model = tmp_path / "export" / "7"
    model.mkdir(parents=True)
    with files.whole_file(model / "assets" / "facts.json", beside=model) as part:
        assert part.parent == tmp_path / "export"
        assert [path for path in model.rglob("*") if path.is_file()] == []
        part.write_text("{}")
    assert (model / "assets" / "facts.json").read_text() == "{}"
    assert os.listdir(tmp_path / "export") == ["7"]


def test_a_name_may_be_as_long_as_the_system_lets_it_and_an_error_names_it(tmp_path):
    files.write_bytes(tmp_path / ("a" * 255), b"x")
    with pytest.raises(OSError, match=r"a{256}'$") as raised:
        files.write_bytes(tmp_path / ("a" * 256), b"x")
    assert raised.value.errno == errno.ENAMETOOLONG
    assert os.listdir(tmp_path) == ["a" * 255]


@pytest.fixture
def small_files():
    """No file can be larger than 10,000 bytes, as on a disk that is full then."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("size", [10_001, 10_000_000])
def test_a_full_disk_ends_in_an_error_that_names_the_file(tmp_path, small_files, size):
    path = tmp_path / "a.npz"
    with pytest.raises(OSError, match=rf"File too large: '{path}'"):
        files.write_bytes(path, bytes(size))
    with pytest.raises(OSError, match=rf"File too large: '{path}'"), files.opened_whole(path) as file:
        np.savez(file, zeros=np.zeros(size, np.uint8))
    with (
        pytest.raises(OSError, match=rf"File too large: '{tmp_path / 'new'}"),
        files.new_folder(tmp_path / "new") as new,
    ):
        (new / "a").write_bytes(bytes(size))
    assert os.listdir(tmp_path) == []


def test_a_folder_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "new"
    with files.new_folder(path) as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b").write_text("x")
        assert not path.exists()
    assert os.listdir(path.parent) == ["new"]
    assert (path / "a" / "b").read_text() == "x"
    (tmp_path / "plain").mkdir()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_that_failed_is_gone(tmp_path):
    with pytest.raises(ZeroDivisionError), files.new_folder(tmp_path / "new") as folder:
        (folder / "a").write_text("x" * (1 // 0))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_folder_that_exists_is_refused_at_the_start_and_at_the_end(tmp_path, kind):
    def make(path: Path) -> None:
        {"file": path.touch, "folder": path.mkdir, "dangling link": lambda: path.symlink_to("nowhere")}[kind]()

    make(tmp_path / "before")
    with pytest.raises(ValueError, match="output_dir must not exist yet"), files.new_folder(tmp_path / "before"):
        pytest.fail("the folder was begun")
    with pytest.raises(ValueError, match="output_dir must not exist yet"), files.new_folder(tmp_path / "meanwhile"):
        make(tmp_path / "meanwhile")
    assert sorted(os.listdir(tmp_path)) == ["before", "meanwhile"]


def test_a_folder_is_written_by_one_process_and_what_it_leaves_when_killed_is_removed_by_the_next(tmp_path):
    path = tmp_path / "new"
    process = begun(WRITE_FOLDER, path)
    with pytest.raises(ValueError, match=f"another process is writing {path}"), files.new_folder(path):
        pytest.fail("both were let in")
    kill(process)
    assert os.listdir(tmp_path) == ["new.incomplete"]
    with files.new_folder(path) as folder:
        assert os.listdir(folder) == []
    assert os.listdir(tmp_path) == ["new"]


def test_a_scratch_folder_goes_with_all_that_is_in_it_and_links_are_not_followed(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("x")
    for _ in range(2):
        with files.scratch_folder(tmp_path / "new") as scratch:
            (scratch / "folder").mkdir()
            (scratch / "folder" / "b").write_text("x")
            (scratch / "link").symlink_to(tmp_path / "kept")
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["a"]


# Names as text


ODD_NAMES = [
    "plain/a b.jpg",
    "Zoë/1.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    "a\nb\r\t.jpg",
    "\x1b[31mred\x9b.jpg",
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3",
    "@x",
    " blanks ",
    "\u202etxt.exe",
    "C:\\x41\\u0041\\new",
    "\\x5cx41",
    "-12.5",
    "q\"q,'",
    "",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_is_shown_on_one_line_of_utf_8_and_read_back_the_same(name):
    shown = files.escaped(name)
    assert shown.isprintable()
    assert files.printable(shown) == shown  # shown once more it stays the same
    assert files.unescaped(shown.encode("utf-8").decode("utf-8")) == name


def test_what_does_not_print_and_how_it_is_shown():
    assert files.printable(os.fsdecode(b"caf\xe9\n\x1b[0m")) == r"caf\xe9\x0a\x1b[0m"
    assert files.printable("a\u202e\U000e0041") == r"a\u202e\U000e0041"
    assert [files.escaped(name) for name in (r"ann\1.jpg", r"a\x4", r"a\x41")] == [r"ann\1.jpg", r"a\x4", r"a\x5cx41"]


def test_tables_hold_no_formula_and_no_line_feed_and_give_the_names_back(tmp_path):
    files.write_csv(tmp_path / "names.csv", ("name", "number"), [(name, -1.5) for name in ODD_NAMES if name])
    lines = (tmp_path / "names.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(ODD_NAMES)
    assert not any(line.lstrip('"').startswith(("=", "+", "@", "-2")) for line in lines)
    assert "-12.5,-1.5" in lines  # a number is none
    read = [fields for _, fields in read_columns(tmp_path / "names.csv", {"name": ("name",), "number": ("number",)})]
    assert read == [[name, "-1.5"] for name in ODD_NAMES if name]
