"""The text that all rivals are scored on, and the proof that none of them was trained on it.

Which documents are taken depends on their content and the seed alone (the smallest keyed hashes), not on their order.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unmask.data.corpus import Corpus, documents, load_corpus, normalized
from unmask.data.sources import open_source
from unmask.errors import Error, check_seed
from unmask.training.places import held_out_source, is_there, place_of
from unmask.training.run import Run


@dataclass(frozen=True)
class HeldOut:
    """Held-out documents.

    Attributes:
        texts: The documents.
        source: Where they come from.
        split: ``valid``, or ``all`` for a source that is no run's corpus.
        fingerprint: The corpus's fingerprint; for a source that is no run's corpus, that of the documents taken.
        notes: What the reader has to know about their choice.
    """

    texts: list[str]
    source: str
    split: str
    fingerprint: str
    notes: list[str]


def corpus_of(run: Run, source: str | None = None) -> Corpus:
    """Open the corpus that a run was trained on, from whatever folder.

    Where that text is not, and the run names an embedded one that it was kept from (the model in the box does), it is
    that: what is held out and what controls learn is then found there.

    Args:
        run: The run.
        source: Where its text lies today; default: where it lay when the run was trained.

    Raises:
        Error: the text is not there; the message says where it was and how to give it again.
    """
    data = run.recipe.data
    if run.imported:
        raise Error(f"what {run.name} was trained on before it was imported is not known here. Give --source FILE.")
    if data.format == "chat":
        raise Error(
            f"{run.name} learned the responses of talks, which are no texts to score; its number on held-out ones is "
            "in its run.json (valid_bits_per_byte). Give --source FILE with texts."
        )
    other = held_out_source(run.manifest)
    if other is not None and (source == other or (source is None and not _is_here(run))):
        return load_corpus(other, normalize=data.normalize)
    return _own(run, source)


def _own(run: Run, source: str | None = None) -> Corpus:
    data = run.recipe.data
    return load_corpus(
        source or place_of(run.manifest, "source", data.source, data.binary),
        valid=None if data.valid is None else place_of(run.manifest, "valid", data.valid, data.binary),
        valid_fraction=data.valid_fraction,
        judge_fraction=data.judge_fraction,
        normalize=data.normalize,
        text_field=data.text_field,
        binary=data.binary,
        keep=data.keep,
    )


def _is_here(run: Run) -> bool:
    """Tell whether the files of a run's text are where they were."""
    data = run.recipe.data
    try:
        for key, named in (("source", data.source), ("valid", data.valid)):
            if named is not None:
                place_of(run.manifest, key, named, data.binary)
    except Error:
        return False
    return True


def _own_again(run: Run, source: str) -> Corpus | None:
    """Return the run's corpus where ``source`` is its text in another place; ``None``: it is another text."""
    try:
        found = corpus_of(run, source)
    except Error:
        return None
    return found if found.fingerprint == run.manifest.get("corpus_fingerprint") else None


def _has_text(run: Run) -> bool:
    """Tell whether a run's own text can be read."""
    try:
        corpus_of(run)
    except Error:
        return False
    return True


def held_out(runs: Sequence[Run], source: str | None = None, count: int = 200, seed: int = 0) -> HeldOut:
    """Choose the documents that the runs are scored on.

    Args:
        runs: The rivals. The first one's corpus is the default.
        source: Another source of text; all of its documents are held out.
        count: How many documents at most.
        seed: Of the choice.

    Raises:
        Error: no documents, or every one of them was trained on by a rival.
    """
    if count < 1:
        raise Error(f"documents is {count}; it must be at least 1.")
    check_seed(seed)
    data = runs[0].recipe.data
    if len({run.recipe.data.binary for run in runs}) > 1:
        binary = ", ".join(run.name for run in runs if run.recipe.data.binary)
        raise Error(
            f"runs of bytes ({binary}) and runs of text cannot be scored together: text is no sample of what the "
            "former learned. Score them apart: unmask evaluate RUN, each on a --source of its own kind."
        )
    notes: list[str] = []
    corpora: dict[str, Corpus] = {}
    kept_from = held_out_source(runs[0].manifest)
    named = source in (None, kept_from) or (source == data.source and is_there(runs[0].manifest, "source", source))
    again = None if named or source is None else _own_again(runs[0], source)
    if again is not None:
        notes.append(
            f"{source} is the text that {runs[0].name} was trained on ({again.fingerprint}), in another place."
        )
    elif not named and not runs[0].imported and not _has_text(runs[0]):
        was = runs[0].manifest.get("corpus_fingerprint")
        notes.append(f"{source} is another text than {runs[0].name} was trained on (fingerprint {was}), which is gone.")
    if named or source is None or again is not None:
        corpus = again or corpus_of(runs[0])
        trained = runs[0].manifest.get("corpus_fingerprint")
        if corpus.source == kept_from:
            notes.append(f"{runs[0].name} is scored on {kept_from}, which it was kept from in training.")
        elif corpus.fingerprint != trained:
            notes.append(
                f"the corpus {corpus.source} has changed since {runs[0].name} was trained "
                f"({trained} then, {corpus.fingerprint} now)."
            )
        corpora[corpus.fingerprint] = corpus
        name, split, fingerprint = corpus.source, "valid", corpus.fingerprint
        chosen = _smallest(documents(corpus.split("valid")), count, seed)
    else:
        name, split = source, "all"
        opened = open_source(source, data.text_field, data.binary)
        notes.extend(opened.notes)
        chosen = _smallest((normalized(text, data.normalize) for text in opened.documents()), count, seed)
        fingerprint = hashlib.sha256(b"".join(sorted(chosen))).hexdigest()[:12]
    if not chosen:
        raise Error(f"{name} holds no documents to score. Give a source with text in it.")
    for run in runs[1:]:
        if (other := run.recipe.data.normalize) != data.normalize:
            notes.append(
                f"the text is scored with data.normalize={data.normalize or 'null'}, as {runs[0].name} was trained; "
                f"{run.name} was trained with {other or 'null'}."
            )
    others = [run for run in runs if held_out_source(run.manifest) != name]
    kept = _drop_trained(chosen, others, fingerprint if split == "valid" else None, notes)
    return HeldOut(kept, name, split, fingerprint, notes)


def in_order(texts: Iterable[str], seed: int = 0) -> list[str]:
    """Return each text once, in the order in which :func:`held_out` would put them; blank ones, which it drops, last.

    A bound's noise derives from a document's place, so who scores in this order finds the same numbers.
    """
    return sorted(dict.fromkeys(texts), key=lambda text: (not text.strip(), _digest(text, seed), text))


def _digest(text: str, seed: int | None = None) -> bytes:
    """Hash a text as the corpus does (blank ends do not matter), keyed by the seed for the choice."""
    key = b"" if seed is None else str(seed).encode()
    return hashlib.blake2b(text.strip().encode(), digest_size=16, key=key).digest()


def _plain(text: str) -> bytes:
    """Hash what a text says, whatever its Unicode form, its case, its white space and its line ends."""
    return _digest(" ".join(normalized(text.casefold(), "NFC").split()))


def _smallest(texts: Iterable[str], count: int, seed: int) -> dict[bytes, str]:
    """Return ``count`` documents, each once, by the smallest keyed hash; the keys are their plain hashes."""
    seen: set[bytes] = set()

    def fresh() -> Iterable[tuple[bytes, str]]:
        for text in texts:
            key = _digest(text, seed)
            if text.strip() and key not in seen:
                seen.add(key)
                yield key, text

    return {_digest(text): text for _, text in heapq.nsmallest(count, fresh(), key=lambda pair: pair[0])}


def _drop_trained(chosen: dict[bytes, str], runs: Sequence[Run], safe: str | None, notes: list[str]) -> list[str]:
    """Drop documents that a rival trained on. The corpus ``safe`` is split by content: its parts do not overlap.

    Texts are the same if they differ in Unicode form, case, white space and line ends alone: a copy is no other text.
    """
    forms = {digest: _plain(text) for digest, text in chosen.items()}
    wanted = set(forms.values())
    checked: set[tuple[str, str]] = set()
    for run in runs:
        key = (str(run.manifest.get("corpus_fingerprint")), run.recipe.data.split)
        if key in checked or key[0] == safe:
            continue
        checked.add(key)
        try:
            corpus = corpus_of(run) if held_out_source(run.manifest) is None else _own(run)
        except Error as error:
            notes.append(f"could not check whether {run.name} was trained on the held-out text: {error}")
            continue
        if corpus.fingerprint != key[0]:
            notes.append(
                f"the corpus {corpus.source} has changed since {run.name} was trained; "
                "the check for overlap uses today's."
            )
        found = {form for text in documents(corpus.split(run.recipe.data.split)) if (form := _plain(text)) in wanted}
        known = {digest for digest in chosen if forms[digest] in found}
        if known:
            notes.append(
                f"{len(known)} of {len(chosen)} held-out documents were dropped: {run.name} was trained on them."
            )
            chosen = {digest: text for digest, text in chosen.items() if digest not in known}
        if not chosen:
            raise Error(f"{run.name} was trained on every held-out document. Give another text with --source.")
    return list(chosen.values())
