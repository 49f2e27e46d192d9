"""A run that is made of another learns its text, or one that is given, which brings its own held-out part."""

from __future__ import annotations

from pathlib import Path

import pytest

from unmask.errors import Error
from unmask.training.places import own_text
from unmask.training.recipe import load_recipe


def test_a_text_that_is_given_is_not_held_against_the_other_runs_held_out_text(tmp_path: Path) -> None:
    (tmp_path / "kept.jsonl").write_text('{"text": "A text."}\n')
    kept = str(tmp_path / "kept.jsonl")
    data = load_recipe("box", ["data.source=gone.jsonl", f"data.valid={kept}"]).data
    assert own_text({}, data, ("data.source",)) == {"data.valid": None}
    assert own_text({}, data, ("data.source", "data.valid")) == {}
    here = load_recipe("box", [f"data.source={kept}", f"data.valid={kept}"]).data
    assert own_text({}, here, ()) == {"data.source": kept, "data.valid": kept}


def test_a_text_that_is_gone_is_asked_for_as_adapt_and_distill_take_it() -> None:
    data = load_recipe("box", ["data.source=gone.jsonl"]).data
    with pytest.raises(Error, match="no more at gone.jsonl. Give it again with -o data.source=FILE"):
        own_text({}, data, ())
