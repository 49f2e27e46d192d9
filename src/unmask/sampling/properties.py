"""Properties to steer by: a direction of thought, and a set of keywords.

    towards     S = mean of w z_0_hat over the thought's numbers, w = z_toward - z_away
    keywords    S = log sum over places p and keywords k of prod_j P(x_(p+j) = k_j)

The second is the log of how often a keyword is expected, if open positions were drawn on their own from the network's
answer (of a word that may be wrong: what all the others say of it); decided ones count as they are. A text that
already says one is left alone.

Letters: B batch, T tokens, V vocabulary, n open positions, m different tokens, C cells, E channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from unmask.diffusion.likelihood import without
from unmask.diffusion.state import Prediction, State
from unmask.errors import Error
from unmask.sampling.steering import Score

_NEVER = -1e4  # log-probability of what cannot be: finite, so that gradients are


def towards(direction: Float[Tensor, "C E"]) -> Score:
    """Return the property of a believed thought that leans in a direction.

    Args:
        direction: A linear classifier's weights, or the difference of two thoughts.

    Raises:
        Error: a direction of zeros.
    """
    if not bool(direction.any()):
        raise Error("both texts have the same thought; there is no direction from one to the other.")

    def score(state: State, answer: Prediction) -> Float[Tensor, " B"]:
        if answer.thought is None:
            raise Error("this network has no thoughts to steer; train it with thought.shape set.")
        return (answer.thought * direction.to(answer.thought)).mean((1, 2))

    return score


def keywords(words: Sequence[Sequence[int]], mask: int) -> Score:
    """Return the property of a text that says one of several words.

    Args:
        words: Tokens of each word, with the space before it.
        mask: Id of the mask.

    Raises:
        Error: no word, or an empty one; when asked, a network that sees nothing but what is to the left.
    """
    if not words or not all(words):
        raise Error("there are no keywords; give some, such as --keywords dog,cat.")
    needed = sorted({token for word in words for token in word})
    column = {token: number for number, token in enumerate(needed)}

    def score(state: State, answer: Prediction) -> Float[Tensor, " B"]:
        if state.visibility == "causal":
            raise Error(
                "keywords are looked for at all open places, and this run knows the next alone; steer --toward."
            )
        opened = state.opened(mask)
        wanted = torch.tensor(needed, device=opened.device)
        logp = without(answer.logits.float(), mask).log_softmax(-1)[:, wanted]
        said = torch.where(state.tokens[..., None] == wanted, 0.0, _NEVER)
        table = said.masked_scatter(opened[..., None], logp.clamp(min=_NEVER))
        gain, done = [table.new_full((len(opened), 1), _NEVER)], [opened.new_zeros(len(opened), 1)]
        for word in words:
            places = opened.shape[1] - len(word) + 1
            if places < 1:
                continue
            parts = range(len(word))
            total = torch.stack([table[:, j : j + places, column[word[j]]] for j in parts]).sum(0)
            still = torch.stack([opened[:, j : j + places] for j in parts]).any(0)
            gain.append(total.masked_fill(~still, _NEVER))
            done.append(~still & (total > _NEVER / 2))
        found = torch.cat(gain, 1).logsumexp(1)
        return torch.where(torch.cat(done, 1).any(1), found.detach(), found)

    return score
