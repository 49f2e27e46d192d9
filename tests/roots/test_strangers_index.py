"""An index, and an encoder, from somebody else: names that lead out of the folder, and code beside the weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from unmask.api.index_search import search_index
from unmask.errors import Error
from unmask.roots.embed.hub import HubReader
from unmask.roots.index import open_index
from unmask.roots.manifest import FILE, read_manifest

pytestmark = pytest.mark.strangers
GOLDEN = Path(__file__).parents[1] / "fixtures" / "index-v1"


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../secret": 6}},
        {"files": {"/etc/passwd": 1}},
        {"files": {"a/../../secret": 6}},
        {"files": []},
        {"files": {"core-2.safetensors": "x"}},
        {"segments": [{"folder": "..", "texts": 1, "documents": 1, "bytes": 1}]},
        {"segments": [{"folder": "../segment", "texts": 1, "documents": 1, "bytes": 1}]},
        {"segments": [7]},
        {"segments": 7},
        {"fingerprint": 7},
        {"width": "x"},
        {"shelves": None},
        {"sources": [7]},
        {"sources": 7},
        {"embedder": 7},
        {"generation": []},
    ],
)
def test_a_manifest_that_names_what_is_not_its_own_is_one_line(change: dict[str, Any], tmp_path: Path):
    (tmp_path / "secret").write_text("secret")
    folder = shutil.copytree(GOLDEN, tmp_path / "index")
    told = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(told | change))
    with pytest.raises(Error) as found:
        read_manifest(folder)
    assert FILE in str(found.value) or "is damaged" in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("content", [b"[" * 99999, b"\xff", b"[]", b"7"])
def test_a_manifest_that_is_none_is_one_line(content: bytes, tmp_path: Path):
    folder = shutil.copytree(GOLDEN, tmp_path / "index")
    (folder / FILE).write_bytes(content)
    with pytest.raises(Error, match="damaged"):
        read_manifest(folder)


def test_more_results_than_there_is_memory_for_are_as_many_as_there_are():
    index = open_index(GOLDEN)
    found = search_index(index, "ship", k=2**62)
    assert (
        len(found.results) == len(index)
        and found.note == f"{len(index)} of {2**62} found; the index holds {len(index)} texts."
    )
    with pytest.raises(Error, match="k is 9223372036854775808; it must fit into 64 bits"):
        search_index(index, "ship", k=2**63)


def test_the_golden_index_is_read():
    assert read_manifest(GOLDEN).texts


def test_an_encoder_with_code_of_its_own_is_refused_and_nobody_is_asked(tmp_path: Path, monkeypatch: Any):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write('ran')\n")
    names = {"AutoConfig": "evil.C", "AutoModel": "evil.M"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": names}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["evil.T", None]}}))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(Error, match="cannot be loaded as an encoder") as found:
        HubReader(str(tmp_path))
    assert not (tmp_path / "ran").exists() and "\n" not in str(found.value)


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "quantization_config"])
def test_an_encoder_that_asks_for_code_from_elsewhere_is_refused(key: str, tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", key: "nobody/kernel"}))
    with pytest.raises(Error, match=f"asks for {key}"):
        HubReader(str(tmp_path))
