"""Infilling: the same holes for all, the removed text as the upper end, and fillings that are wrong score low."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unmask.data.tokenizers import Tokenizer, make_tokenizer
from unmask.diffusion.causal import Causal, CausalOptions
from unmask.diffusion.masked import Masked, MaskedOptions
from unmask.diffusion.state import Prediction
from unmask.errors import Error
from unmask.evaluation.holes import Hole, make_holes, other_fills, unigram_fills
from unmask.evaluation.infilling import fill_holes, infilling, infilling_controls, score_fills
from unmask.evaluation.overlap import self_bleu
from unmask.evaluation.text import words
from unmask.models.transformer import Transformer
from unmask.sampling import SAMPLERS, Settings

TEXTS = [
    "The old lighthouse keeper climbed the narrow stairs each evening and lit the lamp before the ships came home.",
    "A boat with red sails passed the grey rocks while its captain waved at the small bright window far above.",
    "यह छोटी सी कहानी एक पुराने गाँव की है जहाँ हर शाम बच्चे नदी के किनारे खेलते थे और गीत गाते थे।",
    "Numbers like 12 and 1,300 were written on the board, and nobody in the whole class could read them aloud.",
]


def test_holes_depend_on_the_text_and_the_seed_alone() -> None:
    holes = make_holes(TEXTS, window=400)
    again = make_holes(TEXTS[::-1], window=400)
    plain = {(h.left, h.removed, h.right) for h in holes}
    assert plain == {(h.left, h.removed, h.right) for h in again}
    assert {h.left + h.removed + h.right for h in holes} == set(TEXTS)
    assert plain != {(h.left, h.removed, h.right) for h in make_holes(TEXTS, window=400, seed=1)}
    assert [TEXTS[h.document] for h in holes] == [h.left + h.removed + h.right for h in holes]
    assert make_holes(TEXTS, window=400, count=2) == holes[:2]


def test_holes_are_whole_words_of_every_length_with_words_around_them() -> None:
    text = " ".join(f"w{i}" for i in range(3000))
    holes = make_holes([text], window=120, count=200)
    lengths = np.bincount([h.words for h in holes], minlength=9)
    assert lengths[0] == 0 and len(lengths) == 9 and min(lengths[1:]) > 3, lengths
    for hole in holes:
        assert len(hole.removed.split()) == hole.words
        assert hole.left.endswith(" ") and hole.right.startswith(" ") and hole.left.split() and hole.right.split()
    with pytest.raises(Error, match="larger window"):
        make_holes(["two words"], window=100)


class Reciter(torch.nn.Module):
    """A denoiser that knows a text by heart and writes it where it is asked, whatever it sees."""

    device = torch.device("cpu")

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        super().__init__()
        self.config = type("Config", (), {"max_position_embeddings": 512, "vocab_size": tokenizer.vocab_size})
        self.ids = torch.tensor([tokenizer.bos_id, *tokenizer.encode(text)])

    def forward(self, state, at):
        out = torch.zeros(*state.tokens.shape, self.config.vocab_size)
        out.scatter_(2, self.ids[: state.tokens.shape[1]].expand_as(state.tokens)[..., None], 50.0)
        return Prediction(out[at])


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@pytest.mark.parametrize("sampler", ["ancestral", "confidence"])
@pytest.mark.parametrize("text", TEXTS)
def test_who_knows_the_text_fills_every_hole_with_it(kind: str, sampler: str, text: str) -> None:
    """Lengths, places and spaces are handled so that the removed text can be written at all."""
    tokenizer = make_tokenizer(kind, TEXTS * 3, 320)
    process = Masked(MaskedOptions(), tokenizer.vocabulary)
    for seed in range(4):
        holes = make_holes([text], window=400, seed=seed)
        model = Reciter(tokenizer, text)
        found = infilling(
            model, process, tokenizer, SAMPLERS.get(sampler)(), SAMPLERS.facts("ancestral")(steps=4), holes
        )
        assert found.examples[0][1] == holes[0].removed
        assert found.score.exact == 1 and found.score.rouge_l == 1 and found.reason is None


def test_scores_know_right_from_nearly_right_from_wrong() -> None:
    holes = [Hole(i, "so ", text, " it is", 6) for i, text in enumerate(["one two three four five six"] * 4)]
    right = score_fills(holes, [h.removed for h in holes])
    near = score_fills(holes, ["one two three four five ten"] * 4)
    wrong = score_fills(holes, ["alpha beta gamma delta epsilon zeta"] * 4)
    for name in ("bleu", "sentence_bleu", "chrf", "rouge_l"):
        assert getattr(right, name) > getattr(near, name) > 5 * getattr(wrong, name), name
    assert right.exact == 1 and near.exact == wrong.exact == 0
    assert near.rouge_l == pytest.approx(5 / 6) and wrong.rouge_l == 0
    assert right.bleu == pytest.approx(100) and right.chrf == pytest.approx(100)
    assert score_fills(holes, [f" {h.removed} " for h in holes]).exact == 1, "blanks at the ends aside"
    assert "tok:intl" in right.signature and "each" not in right.to_dict() and len(right.each) == 4


def test_other_scripts_are_scored_too() -> None:
    """rouge-score by itself would throw every Devanagari word away and score 0."""
    holes = [Hole(0, "यह ", "छोटी सी कहानी", " है।", 3), Hole(1, "वह ", "गाँव की नदी", " है।", 3)]
    half = score_fills(holes, ["छोटी सी नदी", "गाँव की कहानी"])
    assert half.rouge_l == pytest.approx(2 / 3) and half.chrf > 30


def test_controls_stand_where_they_belong() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"d{d}w{i}" for i in rng.integers(0, 30, 80)) + " the end of the text" for d in range(6)]
    holes = make_holes(texts, window=120, count=40)
    controls = infilling_controls(holes, texts)
    assert list(controls) == ["unigram", "other document", "removed text"]
    assert controls["removed text"].exact == 1 and controls["removed text"].rouge_l == 1
    assert controls["unigram"].rouge_l < 0.2 and controls["other document"].rouge_l < 0.2, "words of other documents"
    assert controls == infilling_controls(holes, texts)
    with pytest.raises(Error, match="another document"):
        infilling_controls(make_holes(texts[:1], window=120), texts[:1])


def test_a_filling_from_another_document_has_as_many_words() -> None:
    holes = make_holes(TEXTS, window=400)
    for fill in (unigram_fills, other_fills):
        assert [len(text.split()) for text in fill(holes, TEXTS)] == [hole.words for hole in holes]
    for hole, text in zip(holes, other_fills(holes, TEXTS), strict=True):
        assert text not in TEXTS[hole.document] and any(text in other for other in TEXTS), "as it stands elsewhere"


def test_a_run_that_writes_left_to_right_says_why_it_has_no_score(tiny: Transformer, byte_tokenizer: Tokenizer) -> None:
    process = Causal(CausalOptions(), byte_tokenizer.vocabulary)
    holes = make_holes(TEXTS, window=60)
    found = infilling(tiny, process, byte_tokenizer, SAMPLERS.get("autoregressive")(), Settings(), holes)
    assert found.score is None and "left to right" in found.reason
    assert found.to_dict() == {"score": None, "reason": found.reason, "examples": []}


def test_an_untrained_network_scores_no_better_than_words_by_chance(
    tiny: Transformer, byte_tokenizer: Tokenizer
) -> None:
    holes = make_holes(TEXTS, window=60)
    fills = fill_holes(tiny, byte_tokenizer, SAMPLERS.get("ancestral")(), SAMPLERS.facts("ancestral")(steps=2), holes)
    score = score_fills(holes, fills)
    assert score.exact == 0 and score.rouge_l < 0.1
    assert fills == fill_holes(
        tiny, byte_tokenizer, SAMPLERS.get("ancestral")(), SAMPLERS.facts("ancestral")(steps=2), holes, batch_size=1
    )


def test_self_bleu_knows_sameness() -> None:
    same, different = ["a b c d e f g h"] * 6, [" ".join(f"{c}{i}" for i in range(8)) for c in "abcdef"]
    assert self_bleu(same) == pytest.approx(100)
    assert self_bleu(different) < 5 < self_bleu(TEXTS + [TEXTS[0]])
    assert self_bleu(["one"]) is None and self_bleu([]) is None
    many = [f"text number {i} says {i * i}" for i in range(200)]
    assert self_bleu(many, most=8, seed=1) == self_bleu(many, most=8, seed=1), "a fixed subset"
    assert self_bleu(many, most=200) > self_bleu(many, most=8), "why it is only compared at equal size"


def test_self_bleu_takes_all_when_they_are_few() -> None:
    texts = ["a b c d e", "a b c d f", "x y z v w"]
    each = [self_bleu([t, *(o for o in texts if o != t)], most=3) for t in texts]
    assert each == pytest.approx([each[0]] * 3) and len(words(texts[0])) == 5
