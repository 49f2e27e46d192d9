"""A corpus is split by content, without duplicates, and cached whole or not at all."""

from __future__ import annotations

import errno
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unmask.data import sources
from unmask.data.corpus import SPLITS, Corpus, documents, load_corpus
from unmask.errors import Error


def _splits(corpus: Corpus) -> dict[str, set[str]]:
    return {name: set(documents(corpus.split(name))) for name in SPLITS}


def test_the_split_of_a_document_depends_on_its_text_alone(lines: Callable[..., str], stories: list[str]) -> None:
    first = _splits(load_corpus(lines(stories, "a.jsonl")))
    random.Random(0).shuffle(stories)
    extra = [f"More text, number {n}, for the same corpus." for n in range(50)]
    second = _splits(load_corpus(lines([*extra, *stories], "b.jsonl")))
    assert sum(map(len, first.values())) == 200
    for name in SPLITS:
        assert first[name] == second[name] - set(extra)
        assert first[name]


def test_documents_come_back_exactly_once_and_are_counted(lines: Callable[..., str], stories: list[str]) -> None:
    odd = [" kept spaces \u200d\n", "\u0928\u092e\u0938\u094d\u0924\u0947"]
    corpus = load_corpus(lines([*stories, *odd, stories[3], f"  {stories[4]}\n", "", " \n"]))
    found = [text for name in SPLITS for text in documents(corpus.split(name))]
    assert sorted(found) == sorted([*stories, *odd])
    stats = corpus.stats()
    assert stats["documents"] == 202
    assert stats["dropped"] == {"duplicates": 2, "empty": 2}
    assert stats["bytes"] == sum(len(text.encode()) for text in found)
    assert stats["characters"] == sum(map(len, found))
    assert stats["splits"]["train"]["documents"] == len(corpus.split("train"))


def test_a_named_valid_source_is_the_valid_split_and_leaves_train(
    lines: Callable[..., str], stories: list[str]
) -> None:
    alone = _splits(load_corpus(lines(stories, "train.jsonl")))
    held_out = [*stories[:5], "Only in valid."]
    corpus = _splits(load_corpus(lines(stories, "train.jsonl"), valid=lines(held_out, "valid.jsonl")))
    assert corpus["valid"] == set(held_out)
    assert not (corpus["train"] | corpus["judge"]) & set(held_out)
    assert corpus["judge"] == alone["judge"] - set(held_out)


def test_nfc_is_the_only_change_and_only_when_asked(lines: Callable[..., str], stories: list[str]) -> None:
    path = lines([*stories, "cafe\u0301 \u200d x", "caf\u00e9 \u200d x"])
    kept, composed = load_corpus(path), load_corpus(path, normalize="NFC")
    assert kept.stats()["documents"] == 202 and composed.stats()["documents"] == 201
    assert kept.fingerprint != composed.fingerprint
    assert "caf\u00e9 \u200d x" in set().union(*_splits(composed).values())


def test_the_fingerprint_is_of_the_content_not_of_the_path(lines: Callable[..., str], stories: list[str]) -> None:
    one = load_corpus(lines(stories, "one.jsonl"))
    assert load_corpus(lines(stories, "two.jsonl.gz")).fingerprint == one.fingerprint
    assert len(one.fingerprint) == 12
    assert load_corpus(lines(stories[1:], "three.jsonl")).fingerprint != one.fingerprint
    assert load_corpus(lines([f"{stories[0]} ", *stories[1:]], "four.jsonl")).fingerprint != one.fingerprint
    assert load_corpus(lines(stories, "one.jsonl"), valid_fraction=0.2).fingerprint != one.fingerprint


def test_a_cached_corpus_is_not_read_again_and_an_edited_file_is(
    lines: Callable[..., str], stories: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lines(stories)
    first = load_corpus(path)
    with monkeypatch.context() as patch:
        patch.setattr(sources.readers, "read_documents", lambda *_: pytest.fail("read again"))
        assert load_corpus(path).fingerprint == first.fingerprint
    lines([*stories, "One more document."])
    assert load_corpus(path).stats()["documents"] == 201


def test_datasets_carry_the_fingerprint_so_that_blocks_can_be_cached(
    lines: Callable[..., str], stories: list[str]
) -> None:
    corpus = load_corpus(lines(stories))
    train = corpus.split("train")
    assert train._fingerprint == f"{corpus.fingerprint}-train"
    assert train.column_names == ["text"]
    assert train.select(range(3))._fingerprint != train._fingerprint


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), OSError(errno.EROFS, "ro")])
def test_an_interrupted_build_leaves_nothing_behind(
    failure: BaseException,
    cache: Path,
    lines: Callable[..., str],
    stories: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = lines(stories)

    def broken(*_: object) -> Iterator[tuple[str, int]]:
        yield from ((story, 0) for story in stories[:50])
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(sources.readers, "read_located", broken)
        expected = Error if isinstance(failure, OSError) else KeyboardInterrupt
        with pytest.raises(expected) as caught:
            load_corpus(path)
    if isinstance(failure, OSError):
        assert "UNMASK_CACHE" in str(caught.value)
    assert list((cache / "corpora").iterdir()) == []
    assert load_corpus(path).stats()["documents"] == 200


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_arrow_reports_a_full_disk_as_the_error_we_catch(tmp_path: Path) -> None:
    import pyarrow as pa

    from unmask.data.cache import writing
    from unmask.data.corpus import _SplitWriter

    with pytest.raises(Error, match="no disk space left"), writing(tmp_path):
        writer = _SplitWriter(Path("/dev/full"))
        writer.add("x" * 100, 100)
        try:
            writer.close()
        except pa.ArrowInvalid:
            pytest.fail("a full disk must stay an OSError")


def test_unusable_corpora_are_answered_with_a_fix(
    lines: Callable[..., str], stories: list[str], tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(Error, match="holds no documents"):
        load_corpus(lines(["", "  "]))
    with pytest.raises(Error, match=r"the (train|valid) split of .* is empty \(of 1 document\)"):
        one = load_corpus(lines(["just one"]))
        one.split("train"), one.split("valid")
    with pytest.raises(Error, match="in all below 1"):
        load_corpus(lines(stories), valid_fraction=0.6, judge_fraction=0.4)
    with pytest.raises(Error, match="Did you mean 'valid'"):
        load_corpus(lines(stories)).split("val")
    with pytest.raises(Error, match="judge_fraction"):
        load_corpus(lines(stories), judge_fraction=0).split("judge")
    with pytest.raises(Error, match="Use NFC"):
        load_corpus(lines(stories), normalize="NFKC")  # type: ignore[arg-type]


def test_a_cache_that_cannot_be_made_is_named(
    lines: Callable[..., str], stories: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UNMASK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(Error, match="UNMASK_CACHE"):
        load_corpus(lines(stories))


def test_documents_below_a_least_share_are_left_out_whole_and_no_other_is_changed(tmp_path):
    hindi, mixed, english = (
        "\u0915\u093c\u094d\u200d\u0937 \u0939\u0948\u0964",
        "\u0915\u0964 plain words",
        "plain words",
    )
    rows = [hindi, mixed, english, "1234 ----"]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    parts = {"valid_fraction": 0.0, "judge_fraction": 0.0}
    found = load_corpus(tmp_path / "texts.jsonl", keep={"devanagari": 0.3, "letters": 0.4}, **parts)
    assert list(found.split("train")["text"]) == [hindi]
    assert found.stats()["dropped"] == {"duplicates": 0, "empty": 0, "left out": 3}
    every = load_corpus(tmp_path / "texts.jsonl", **parts)
    assert every.stats()["documents"] == 4 and "left out" not in every.stats()["dropped"]
    assert every.fingerprint != found.fingerprint
