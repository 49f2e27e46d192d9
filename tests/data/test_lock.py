"""One at a time in a folder: who holds it is told, a killed holder's lock is taken over, and locks are not needed."""

from __future__ import annotations

import errno
import json
import os
import signal

import pytest

from unmask.data import lock
from unmask.data.lock import LOCK, held_by, only_one
from unmask.errors import Error

pytestmark = pytest.mark.strangers


def holding(folder, **more):
    return only_one(folder, "testing", f"somebody is in {folder}", "wait", **more)


def killed_while_holding(folder):
    """Kill a process that holds a folder, and return its number."""
    child = os.fork()
    if not child:
        with holding(folder):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return child


def left(folder, **changes):
    """Write the lock's file of a holder that is gone."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    holder = {"pid": child, "host": lock.socket.gethostname(), "doing": "testing", "since": "2026-11-30 08:00:00"}
    (folder / LOCK).write_text(json.dumps(holder | changes))


@pytest.fixture
def lockless(monkeypatch):
    """A file system without locks."""

    def refuse(handle):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(lock, "_flock", refuse)


def test_a_second_one_is_refused_with_the_holders_name_and_the_file_goes_in_the_end(tmp_path):
    with holding(tmp_path):
        told = rf"^somebody is in .* \(testing, process {os.getpid()} on .*, since 2.*\); wait\.$"
        with pytest.raises(Error, match=told), holding(tmp_path):
            pass
        assert held_by(tmp_path).pid == os.getpid()
    assert held_by(tmp_path) is None and not list(tmp_path.iterdir())
    with holding(tmp_path):
        pass


def test_a_folder_made_for_the_lock_goes_with_it_unless_something_was_put_there(tmp_path):
    for name, put in (("empty", False), ("full", True)):
        with holding(tmp_path / name, make=True):
            if put:
                (tmp_path / name / "file").touch()
        assert (tmp_path / name).exists() == put


def test_the_lock_of_a_killed_process_is_taken_over_and_told(tmp_path):
    child, told = killed_while_holding(tmp_path), []
    assert (tmp_path / LOCK).exists() and held_by(tmp_path) is None
    with holding(tmp_path, say=told.append):
        pass
    assert len(told) == 1 and f"was killed (testing, process {child} on " in told[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_the_file_itself_keeps_others_out(tmp_path, monkeypatch, number):
    def refuse(handle):
        raise OSError(number, "no locks")

    monkeypatch.setattr(lock, "_flock", refuse)
    told = []
    with holding(tmp_path, say=told.append):
        assert "a file system without locks" in told[0]
        with pytest.raises(Error, match=rf"process {os.getpid()} on .*; if that has ended, remove .*{LOCK}"):
            with holding(tmp_path, say=told.append):
                pass
        assert held_by(tmp_path).pid == os.getpid()
    assert len(told) == 1 and not list(tmp_path.iterdir())


def test_without_locks_a_dead_process_of_this_machine_is_taken_over_and_another_machines_is_not(tmp_path, lockless):
    left(tmp_path)
    told = []
    with holding(tmp_path, say=told.append):
        pass
    assert "was killed" in told[0] and not list(tmp_path.iterdir())
    left(tmp_path, host="elsewhere")
    with pytest.raises(Error, match="on elsewhere, since .*; if that has ended, remove"), holding(tmp_path):
        pass
    (tmp_path / LOCK).write_text("")  # killed before it had said who it was
    with pytest.raises(Error, match="it does not say which; if that has ended, remove"), holding(tmp_path):
        pass


def test_of_two_who_take_over_without_locks_the_slower_one_does_not_take_the_faster_ones_file(tmp_path, lockless):
    left(tmp_path)
    dead = lock._read(tmp_path / LOCK)
    left(tmp_path, since="now", pid=os.getpid())  # the faster one's
    lock._move_away(tmp_path / LOCK, dead, print)
    assert held_by(tmp_path).since == "now"


@pytest.mark.parametrize("theirs", ["a user's own notes", '{"pid": "x"}', "[" * 9999])
def test_a_file_of_that_name_that_is_not_ours_is_refused_and_stays(tmp_path, theirs):
    (tmp_path / LOCK).write_text(theirs)
    with pytest.raises(Error, match="in the way"), holding(tmp_path):
        pass
    assert (tmp_path / LOCK).read_text() == theirs


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / LOCK).symlink_to(tmp_path / "mine")
    with pytest.raises(Error, match="in the way"), holding(tmp_path / "there"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_folder_that_may_not_be_written_to_is_one_line(tmp_path, monkeypatch):
    def refuse(path, *args):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(lock.os, "open", refuse)
    with pytest.raises(Error, match=r"cannot write to .* \(Permission denied\)"), holding(tmp_path):
        pass
