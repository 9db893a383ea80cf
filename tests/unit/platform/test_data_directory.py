"""Who may hold the data directory, and the key that lies in it."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zentry.platform.data_directory import DataDirectoryInUse, DataDirectoryUnusable, hold_data_directory
from zentry.platform.keys import KEY_FILE, SigningKeyUnusable, load_or_create_signing_key


def test_one_process_holds_a_directory_alone(tmp_path: Path) -> None:
    with (
        hold_data_directory(tmp_path, shared=False),
        pytest.raises(DataDirectoryInUse),
        hold_data_directory(tmp_path, shared=True),
    ):
        pass


def test_several_processes_hold_a_shared_directory_and_keep_a_single_one_out(tmp_path: Path) -> None:
    with (
        hold_data_directory(tmp_path, shared=True),
        hold_data_directory(tmp_path, shared=True),
        pytest.raises(DataDirectoryInUse),
        hold_data_directory(tmp_path, shared=False),
    ):
        pass


def test_a_directory_is_free_again_when_its_holder_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from zentry.platform.data_directory import hold_data_directory\n"
        "with hold_data_directory(pathlib.Path(sys.argv[1]), shared=False): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=False)

    with hold_data_directory(tmp_path, shared=False):
        pass


def test_a_file_in_the_place_of_the_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    with pytest.raises(DataDirectoryUnusable, match="--data-dir"), hold_data_directory(tmp_path / "data", shared=True):
        pass


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = load_or_create_signing_key(tmp_path)
    second = load_or_create_signing_key(tmp_path)

    assert first == second
    assert len(first) >= 64
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from zentry.platform.keys import load_or_create_signing_key\n"
        "print(load_or_create_signing_key(pathlib.Path(sys.argv[1])))"
    )

    def start(_: int) -> str:
        return subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(6) as pool:
        keys = set(pool.map(start, range(6)))

    assert len(keys) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_or_create_signing_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(mode)

    with pytest.raises(SigningKeyUnusable, match=f"mode {mode:04o}"):
        load_or_create_signing_key(tmp_path)


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    load_or_create_signing_key(tmp_path)
    (tmp_path / KEY_FILE).write_text("short")

    with pytest.raises(SigningKeyUnusable, match="fewer than 32"):
        load_or_create_signing_key(tmp_path)
