"""The harness's model ``unmask``: log-likelihoods that say whether they are exact or a bound, and generation."""

from __future__ import annotations

import inspect
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs
from tqdm import tqdm

from unmask import __version__
from unmask.api.harness.options import settings_among, texts_a_call
from unmask.api.writing import resolve, vocabulary_of
from unmask.data.batch import Batch
from unmask.errors import Error, nearest
from unmask.evaluation.bits import bits_per_byte, scorer
from unmask.evaluation.continuation import encode_pairs, fit, noise_key, score_continuations
from unmask.evaluation.windows import common_window
from unmask.models.cost import parameter_count
from unmask.sampling import Request, canvas
from unmask.sampling.infill import hand_over_space
from unmask.sampling.until import generate_until
from unmask.training.held_out import in_order
from unmask.training.own_text import own_text, shown

log = logging.getLogger("lm_eval.unmask")  # a child of the harness's own, which it sets up

MOST_TOKENS = 256
"""Tokens to write where a task does not say: the harness's own default."""


@register_model("unmask")
class UnmaskLM(LM):
    """A run of unmask.

    Args:
        run: A run folder or Hub name.
        likelihood: ``default``: what the process says (causal: exact; masked: an upper bound on the nats, so the
            reported log-likelihoods are lower bounds). ``duel``: exact for surest-first unmasking (masked runs).
        draws: Network calls a text where the likelihood is a bound.
        sampler: Sampler of generation and of ``is_greedy``; default the run's.
        steps: Its steps; default the run's.
        seed: Of the bound's noise and of sampling.
        end: Whether rolling log-likelihoods charge the end of the text, as ``unmask evaluate`` does. Other models of
            the harness do not.
        batch_size: Texts in one network call; ``auto``: as many as keep the logits near 128 MB.
        max_batch_size: The harness passes it along with ``auto``; the most texts in one call.
        device: Where to run; default a GPU if there is one.

    Raises:
        Error: no such run, sampler or likelihood, or values that cannot work.
    """

    def __init__(
        self,
        run: str,
        likelihood: str = "default",
        draws: int = 8,
        sampler: str | None = None,
        steps: int | None = None,
        seed: int = 0,
        end: bool = True,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        if likelihood not in ("default", "duel"):
            raise Error(f"unknown likelihood {likelihood!r}; choose default or duel.")
        if not isinstance(draws, int) or draws < 1:
            raise Error(f"draws is {draws}; it must be a whole number of at least 1.")
        if not isinstance(end, bool):
            raise Error(f"end is {end!r}; it must be true or false.")
        self._run, self._sampler, self._settings = resolve(str(run), sampler, {"steps": steps, "seed": seed})
        self._model = self._run.model(device)
        self._device = self._model.device
        self._tokenizer, self._process = self._run.tokenizer, self._run.process
        self._vocabulary = vocabulary_of(self._tokenizer, self._model)
        self._likelihood: Any = likelihood
        self._draws, self._seed, self._end = draws, seed, end
        self._size = texts_a_call(batch_size, max_batch_size)
        self._context = int(self._model.config.max_position_embeddings)
        self._bound, self._calls = self._kind()
        log.info("%s: log-likelihoods are %s.", self._run.name, self._says())

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: dict[str, Any] | None = None) -> UnmaskLM:
        """Make the model from ``run=PATH,draws=8``."""
        from lm_eval.utils import simple_parse_args_string

        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    @classmethod
    def create_from_arg_obj(cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None) -> UnmaskLM:
        """Make the model from a dictionary; it has the last word over the harness's own options.

        Raises:
            Error: an unknown argument, or no run.
        """
        known = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
        for name in arg_dict:
            if name not in known:
                raise Error(f"unknown model argument {name!r}.{nearest(name, known)} Arguments: {', '.join(known)}.")
        if "run" not in arg_dict:
            raise Error("model unmask needs a run: --model_args run=PATH")
        extra = {name: value for name, value in (additional_config or {}).items() if value is not None}
        if str(extra.get("device", "")).startswith("cuda") and not torch.cuda.is_available():
            log.info("there is no CUDA device, which the harness asks for by default; running on the CPU.")
            del extra["device"]
        return cls(**{**extra, **arg_dict})

    @property
    def tokenizer_name(self) -> str:
        """What identifies the tokenizer in the harness's cache of requests."""
        return f"unmask-{self._tokenizer.fingerprint}"

    def get_model_info(self) -> dict[str, Any]:
        """Return what the harness stores beside the results."""
        return {
            "model_num_parameters": parameter_count(self._model),
            "model_dtype": str(self._model.dtype),
            "unmask_version": __version__,
            "unmask_run": self._run.name,
            "unmask_process": self._process.name,
            "unmask_likelihood": self._bound,
            "unmask_loglikelihoods_are": self._says(),
            "unmask_continuations_are": ("given no more", "given their number of tokens")[self._process.told_length],
            "unmask_draws": self._calls,
            "unmask_seed": self._seed,
            "unmask_end_of_text": self._end,
            "unmask_sampler": self._settings.name,
            "unmask_steps": getattr(self._settings, "steps", None),
            "unmask_corpus_fingerprint": self._run.manifest.get("corpus_fingerprint"),
        }

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (log-likelihood of the continuation given the context, whether greedy decoding writes it)."""
        pairs, cut = fit(
            encode_pairs(self._tokenizer, [self._own(*request.args) for request in requests]), self._context
        )
        if cut:
            log.warning("%d of %d contexts are longer than the window and were cut from the left.", cut, len(pairs))
        with tqdm(total=len(pairs), desc="log-likelihoods", disable=disable_tqdm) as bar:
            scored = score_continuations(
                self._model,
                self._process,
                self._tokenizer,
                pairs,
                self._sampler,
                self._settings,
                self._vocabulary,
                draws=self._draws,
                seed=self._seed,
                batch_size=self._size,
                likelihood=self._likelihood,
                progress=bar.update,
            )
        answers = [(-each.nats, each.greedy) for each in scored]
        for request, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
        return answers

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return the log-likelihood of whole texts, each task scored as ``unmask evaluate`` scores its documents."""
        answers = [0.0] * len(requests)
        tasks: dict[str | None, list[int]] = {}
        for number, request in enumerate(requests):
            tasks.setdefault(request.task_name, []).append(number)
        for task, numbers in tasks.items():
            found = self._score_texts([requests[i].args[0] for i in numbers], str(task), disable_tqdm)
            for number in numbers:
                answers[number] = found[requests[number].args[0]]
        for request, answer in zip(requests, answers, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, answer)
        return answers

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return what the run's sampler writes after each context, up to a stop string.

        Raises:
            Error: an option of generation that means nothing here.
        """
        again: Counter[str] = Counter()
        asked, stops, cut, short = [], [], 0, 0
        for context, options in (request.args for request in requests):
            given = normalize_gen_kwargs(options, MOST_TOKENS)
            wanted: int = given.pop("max_gen_toks")
            until = [shown(own_text(stop, self._run), self._tokenizer) for stop in given.pop("until") if stop]
            before, leads = hand_over_space(own_text(context, self._run), self._vocabulary)
            prefix = self._tokenizer.encode(before)
            room = self._context - 1 - min(len(prefix), (self._context - 1) // 2)
            short += wanted > room
            wanted = min(wanted, room)
            keep = min(len(prefix), self._context - 1 - wanted)
            cut += keep < len(prefix)
            prefix = prefix[len(prefix) - keep :]
            tokens, lead = canvas([prefix, []], [wanted], self._vocabulary, [0] if leads else [])
            settings = self._settings.but(**settings_among(given, self._settings))
            index = (noise_key(prefix) + again[context]) % 2**62  # a repeated request gets another text
            again[context] += 1
            asked.append(Request(tokens, settings, index, lead))
            stops.append(until)
        for count, what in ((short, "ask for more tokens than the window holds and get fewer"), (cut, "were cut")):
            if count:
                log.warning("of %d contexts, %d %s (window: %d tokens).", len(asked), count, what, self._context)
        with tqdm(total=len(asked), desc="texts", disable=disable_tqdm) as bar:
            texts = generate_until(
                self._model,
                self._sampler,
                asked,
                stops,
                self._vocabulary,
                lambda tokens: shown(self._tokenizer.decode(tokens), self._tokenizer),
                batch_size=self._size or 8,
                progress=bar.update,
            )
        for request, text in zip(requests, texts, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return texts

    def _own(self, context: str, continuation: str) -> tuple[str, str]:
        """Return a pair in the form of the run's text."""
        return own_text(context, self._run), own_text(continuation, self._run)

    def _score_texts(self, texts: Sequence[str], task: str, quiet: bool) -> dict[str, float]:
        """Return the log-likelihood of each text of a task."""
        own = {text: own_text(text, self._run) for text in texts}
        ordered = in_order(own.values(), self._seed)
        window = common_window(ordered, [self._tokenizer], [self._context])
        with tqdm(desc=f"{task}, windows of {window} bytes", disable=quiet) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            score = bits_per_byte(
                self._model,
                self._process,
                self._tokenizer,
                ordered,
                window=window,
                draws=self._draws,
                seed=self._seed,
                batch_size=self._size,
                likelihood=self._likelihood,
                end=self._end,
                progress=show,
            )
        nats = dict(zip(ordered, score.per_document[0], strict=True))
        return {text: -float(nats[mine]) for text, mine in own.items()}

    def _kind(self) -> tuple[str, int]:
        """Ask the process itself what its likelihood is, with a text of one token."""
        tokens = torch.tensor([[self._tokenizer.bos_id, self._tokenizer.eos_id]])
        probe = Batch(tokens, torch.ones_like(tokens), torch.zeros(1, dtype=torch.int64), self._tokenizer.bos_id)
        score = scorer(self._process, self._likelihood, self._draws, self._seed)
        with torch.inference_mode():
            result = score(self._model, probe.to(self._model.device))
        return result.bound, result.draws

    def _says(self) -> str:
        if self._bound == "upper bound":
            return f"lower bounds ({self._calls} draws)"
        return self._bound
