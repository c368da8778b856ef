"""Photos of people are not one `git add` away."""

import subprocess

import pytest


@pytest.fixture
def git(repository):
    if not (repository / ".git").exists():
        pytest.skip("not a clone")

    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False).stdout

    return git


@pytest.mark.parametrize("folder", ["records/mine", "crops/mine/Ann", "inspected", "inspection", "output/run"])
def test_what_the_commands_write_into_a_clone_is_ignored(git, folder):
    assert git("check-ignore", f"{folder}/a.jpg") == f"{folder}/a.jpg\n"


def test_nothing_of_the_package_is_ignored(git):
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard") == ""
    assert git("check-ignore", "keras_face/records/new.py", "tests/records/test_new.py") == ""
