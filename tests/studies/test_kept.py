"""A study goes on with runs that are not finished, however they ended."""

import json

import pytest

from benchmarks.lib.kept import begun, finished


@pytest.mark.parametrize(("status", "whole"), [("running", False), ("interrupted", False), ("finished", True)])
def test_a_run_that_was_killed_before_its_first_weights_is_begun_and_not_finished(status, whole, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"format": 1, "status": status}))
    assert begun(tmp_path) and finished(tmp_path) is whole
    assert not begun(tmp_path / "none") and not finished(tmp_path / "none")
