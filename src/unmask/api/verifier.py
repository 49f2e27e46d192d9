"""How a run writes with a verifier: which of the two writes, by which sampler, and what it takes.

*lossless*: the verifier writes, by sampler ``speculative``, and the run drafts for it. *repair*: the run writes, by its
own sampler, and what the verifier finds unlikely is written again. What cannot work is known before torch is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from unmask.api.settings import choose
from unmask.diffusion.registry import PROCESSES
from unmask.errors import Error
from unmask.sampling.registry import SAMPLERS, drives
from unmask.sampling.settings import Settings
from unmask.sampling.verifier_settings import Mode, RepairSettings, SpeculativeSettings
from unmask.training.loaded_run import held
from unmask.training.run import Run

if TYPE_CHECKING:
    from unmask.sampling.checks import Checked
    from unmask.sampling.sampler import Sampler

OWN = "self"
"""Names the run's own left-to-right side as its verifier."""


@dataclass(frozen=True)
class CheckedSpan:
    """Neighbouring words of which a verifier said the same.

    Attributes:
        verdict: ``accepted``: proposed and kept; ``rewritten``: in the place of words that were refused; ``skipped``:
            not read by the verifier; ``added``: its own, behind a draft that was kept whole.
        first: Position of the first token in the whole text; BOS is at 0.
        behind: Position behind the last.
        text: What stands there.
    """

    verdict: str
    first: int
    behind: int
    text: str


@dataclass(frozen=True)
class CheckedText:
    """What a verifier said of a text.

    Attributes:
        calls: Calls of the verifier.
        read: Tokens that it read in them.
        proposed: Words that were proposed to it.
        accepted: How many of them it accepted.
        spans: What was written, in spans of one verdict.
    """

    calls: int
    read: int
    proposed: int
    accepted: int
    spans: list[CheckedSpan]


@dataclass(frozen=True)
class Verified:
    """A run and its verifier.

    Attributes:
        mode: What the verifier is for.
        run: The run.
        verifier: The verifier; the run itself where it is its own.
        settings: Those of the sampler that writes.
        repair: Those of a repair.
    """

    mode: Mode
    run: Run
    verifier: Run
    settings: Settings
    repair: RepairSettings | None

    @property
    def writer(self) -> Run:
        """The run that writes: whose vocabulary, context and process count."""
        return self.verifier if self.repair is None else self.run

    def sampler(self) -> Any:
        """Return the sampler that writes.

        Raises:
            Error: networks that cannot work together.
        """
        from unmask.sampling.drafters import Copies, Drawn
        from unmask.sampling.repair import Repair
        from unmask.sampling.speculative import Speculative
        from unmask.sampling.thought_steps import remembers

        if self.run.tokenizer.fingerprint != self.verifier.tokenizer.fingerprint:
            raise Error(
                f"run {self.run.path} and its verifier {self.verifier.path} have other tokenizers; a verifier reads "
                "the run's own tokens. Train one with data.tokenizer set to the other's."
            )
        own, network = self.run is self.verifier, self.run.model()
        other = network if own else self.verifier.model(str(network.device))
        sizes = network.config.vocab_size, other.config.vocab_size
        if sizes[0] != sizes[1]:
            raise Error(f"the run's network has {sizes[0]} words and its verifier's {sizes[1]}; they must be the same.")
        for one, model in ((self.run, network), (self.verifier, other)):
            if remembers(model):
                raise Error(_leaves(one))
        if self.repair is not None:
            return Repair(SAMPLERS.get(self.settings.name)(), other, self.repair)
        contexts = network.config.max_position_embeddings, other.config.max_position_embeddings
        if contexts[0] < contexts[1]:
            raise Error(
                f"run {self.run.path} holds {contexts[0]} tokens and its verifier {contexts[1]}: it cannot draft to "
                "the end of the verifier's context. Take one with data.length as long."
            )
        sees = PROCESSES.facts(self.run.recipe.process.name).visibility
        copies = own and sees == "causal"
        return Speculative(Copies() if copies else Drawn(None if own else network, sees))

    def told(self, checked: Checked, tokens: tuple[int, ...]) -> CheckedText:
        """Return what the verifier said of a finished text, in words."""
        from unmask.sampling.checks import ACCEPTED

        decode = self.run.tokenizer.decode
        spans = [CheckedSpan(what, first, end, decode(tokens[first:end])) for what, first, end in checked.spans]
        return CheckedText(checked.calls, checked.read, checked.proposed, checked.verdicts.count(ACCEPTED), spans)

    def to_dict(self) -> dict[str, Any]:
        """Return what a result says of the verifier."""
        own = {} if self.repair is None else self.repair.model_dump()
        return {"run": str(self.verifier.path), "mode": self.mode, **own}


def resolve_verified(
    run: str | Path | Run,
    name: str | None,
    given: Mapping[str, Any],
    verifier: str | Path | Run | None,
    mode: str | None,
    default: str = "lossless",
    *,
    preset: bool = False,
) -> tuple[Run, Sampler, Settings, Verified | None]:
    """Return the run that writes, its sampler made, the settings, and how it is verified; ``None``: it is not.

    Arguments and errors: :func:`choose_verified`; a mode without a verifier. A preset counts where nothing verifies.
    """
    from unmask.api.writing import resolve

    if verifier is not None:
        plan = choose_verified(run, verifier, mode, name, given, default)
        return plan.writer, plan.sampler(), plan.settings, plan
    check_mode(mode)
    return *resolve(run, name, given, preset=preset), None


def check_alone(verifier: object, **others: object) -> None:
    """Refuse what does not go with a verifier."""
    for name, given in others.items():
        if verifier is not None and given is not None:
            raise Error(f"--{name} and --verifier do not go together; leave one of them out.")


def check_mode(mode: str | None) -> None:
    """Refuse a mode where there is no verifier."""
    if mode is not None:
        raise Error(f"verify is {mode!r}, and there is no verifier; give one, such as --verifier RUN.")


def choose_verified(
    run: str | Path | Run,
    verifier: str | Path | Run,
    mode: str | None,
    name: str | None,
    given: Mapping[str, Any],
    default: str = "lossless",
) -> Verified:
    """Open a run and its verifier, and lay the user's settings over what belongs to the mode.

    Args:
        run: A run folder, its name, or an opened run.
        verifier: The same, or ``self``: the run's own left-to-right side.
        mode: ``lossless`` or ``repair``; ``None``: ``default``.
        name: Of the sampler that writes; ``None``: the recipe's.
        given: Settings; ``None`` is not given.
        default: The mode where none is given.

    Raises:
        Error: no such run, mode, sampler or setting, or what cannot go together.
    """
    mode = mode or default
    if mode not in get_args(Mode):
        raise Error(f"verify is {mode!r}; choose {' or '.join(get_args(Mode))}.")
    run = held(run)
    other = run if verifier == OWN else held(verifier)
    other = run if other.path.resolve() == run.path.resolve() else other
    _check_verifier(other)
    for one in (run, other):
        if one.recipe.thought is not None:
            raise Error(_leaves(one))
    facts = PROCESSES.facts(run.recipe.process.name)
    own = {key: value for key, value in given.items() if value is not None}
    if mode == "lossless":
        if name not in (None, SpeculativeSettings.name):
            raise Error(
                f"a lossless verifier writes by the {SpeculativeSettings.name!r} sampler, and --sampler {name} is "
                "given; leave it out, or add --verify repair."
            )
        if facts.shows not in ("mask", "nothing"):
            raise Error(
                f"run {run.path} was trained as {facts.name}, whose open positions show {facts.shows}: the law of its "
                "drafts is not known. Use a causal, masked, sparse or block run, or --verify repair with a masked one."
            )
        return Verified("lossless", run, other, choose(other, SpeculativeSettings.name, own)[1], None)
    if facts.shows != "mask":
        raise Error(
            f"run {run.path} was trained as {facts.name} and cannot write a word again in its place; repair takes a "
            "masked, sparse or block run."
        )
    repair = RepairSettings(**{key: value for key, value in own.items() if key in RepairSettings.model_fields})
    rest = {key: value for key, value in own.items() if key not in RepairSettings.model_fields}
    settings = choose(run, name, rest)[1]
    if settings.shows != "mask":
        raise Error(
            f"repair opens words again, and the {settings.name!r} sampler shows {settings.shows} where a word is open; "
            "use one that shows masks (unmask samplers)."
        )
    return Verified("repair", run, other, settings, repair)


def _check_verifier(verifier: Run) -> None:
    facts = PROCESSES.facts(verifier.recipe.process.name)
    recites = getattr(verifier.recipe.process_options(), "recites", True)
    if not (drives(SpeculativeSettings, facts) and recites):
        raise Error(
            f"verifier {verifier.path} was trained as {facts.name} and does not write left to right; a verifier is a "
            "causal run, or a block run whose causal_weight is above 0."
        )


def _leaves(run: Run) -> str:
    return (
        f"run {run.path} has thoughts or a latent pathway: each of its answers leaves something for the next one, and "
        "a verifier reads several words in one call. Use runs without."
    )
