"""Entropies of a byte n-gram model, exact, for every context that it counted, at one step a gram.

With P_k, c, u as in :mod:`unmask.data.ngram`, S(h) the symbols seen after context h, h' the context without its oldest
symbol and l = u(h) / (c(h) + u(h)), P_k(x|h) = l P_{k-1}(x|h') for every unseen x. **The next byte**, in nats:

    H_k(h) = -sum_{S(h)} P_k ln P_k + l (H_{k-1}(h') + sum_{S(h)} P_{k-1} ln P_{k-1}) - l ln l (1 - sum_{S(h)} P_{k-1})

The suffix of a counted gram was counted too, so P_{k-1} in these sums is known. **The next character**: in scripts of
several bytes a letter the first one is easy (E0 before nearly all of Devanagari), and what is hard follows it. Before
the first byte of a character, by the chain rule,

    C(h) = H(h) + sum_j sum_{b owes j} P(b|h) R_j(hb)
    R_j(h) = H(h) + sum_{b = 10xxxxxx} P(b|h) R_{j-1}(hb),   R_0 = 0

where j >= 1 is the number of bytes that b owes (:mod:`unmask.data.utf8`); one that breaks a character off owes nothing.
Such sums W(h) = sum_b P(b|h) w(hb) follow the same interpolation, as an unseen hb is looked up as h'b:

    W_k(h) = sum_{S(h)} P_k(b|h) w(hb) + l (W_{k-1}(h') - sum_{S(h)} P_{k-1}(b|h') w(h'b))

Letters: K contexts and G grams of an order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from unmask.data import utf8
from unmask.data.ngram import BITS, SYMBOLS, Level, find

Table = Float64[np.ndarray, " K"]


@dataclass(frozen=True)
class Order:
    """One order of the interpolation.

    Attributes:
        level: Its counts.
        home: Each gram's context.
        p: Each gram's P_k.
        suffix: Each gram's suffix among the grams of the order below; 0 at order 1.
        lower: P_{k-1} of that suffix.
        shorter: h' of each context among the contexts of the order below; 0 at order 1.
        share: l of each context.
    """

    level: Level
    home: Int64[np.ndarray, " G"]
    p: Float64[np.ndarray, " G"]
    suffix: Int64[np.ndarray, " G"]
    lower: Float64[np.ndarray, " G"]
    shorter: Int64[np.ndarray, " K"]
    share: Table

    def sum(self, values: Float64[np.ndarray, " G"]) -> Table:
        """Return the sum over S(h) of each context."""
        return np.asarray(np.add.reduceat(values, self.level.first))


def orders(levels: Sequence[Level]) -> list[Order]:
    """Return the interpolation of a fitted model's levels."""
    found: list[Order] = []
    for k, level in enumerate(levels):
        if k == 0:
            suffix, shorter = np.zeros(len(level.grams), np.int64), np.zeros(1, np.int64)
            lower = np.full(len(level.grams), 1 / SYMBOLS)
        else:
            suffix = find(levels[k - 1].grams, level.grams & low(k))[0]
            shorter = find(levels[k - 1].contexts, level.contexts & low(k - 1))[0]
            lower = found[-1].p[suffix]
        home = np.repeat(np.arange(len(level.contexts)), np.diff(np.append(level.first, len(level.grams))))
        all_of = level.total + level.kinds
        p = (level.counts + level.kinds[home] * lower) / all_of[home]
        found.append(Order(level, home, p, suffix, lower, shorter, level.kinds / all_of))
    return found


def byte_tables(interpolation: Sequence[Order]) -> list[Table]:
    """Return H after each context of each order."""
    tables: list[Table] = []
    below = np.array([math.log(SYMBOLS)])
    for order in interpolation:
        seen, unseen = order.sum(-order.p * np.log(order.p)), 1 - order.sum(order.lower)
        left = below[order.shorter] + order.sum(order.lower * np.log(order.lower))
        below = np.maximum(seen + order.share * left - order.share * np.log(order.share) * unseen, 0.0)
        tables.append(below)
    return tables


def character_tables(interpolation: Sequence[Order], entropies: Sequence[Table]) -> list[Table]:
    """Return C after each context of each order, from H after it (see :func:`byte_tables`)."""
    debts, continues = np.append(utf8.OWED, 0), np.append(utf8.CONTINUES, False)  # and those of end-of-text
    rest, out = list(entropies), list(entropies)
    for debt in range(1, utf8.LONGEST):
        if debt > 1:
            more = _expected(interpolation, continues, rest)
            rest = [h + w for h, w in zip(entropies, more, strict=True)]
        out = [c + w for c, w in zip(out, _expected(interpolation, debts == debt, rest), strict=True)]
    return out


def _expected(interpolation: Sequence[Order], symbols: Bool[np.ndarray, " 257"], tables: list[Table]) -> list[Table]:
    """Return W after each context: the mean of what ``tables`` say after one more symbol, one of ``symbols``."""
    empty = tables[0][0]  # nothing is known after a byte that was never seen
    below, values = np.array([empty * symbols.sum() / SYMBOLS]), np.array([empty])
    out: list[Table] = []
    for k, order in enumerate(interpolation):
        of = symbols[(order.level.grams & low(1)).astype(np.int64)]
        other = values[order.suffix]
        longer = min(k + 1, len(interpolation) - 1)  # the model sees no more than its longest context
        place, known = find(interpolation[longer].level.contexts, order.level.grams & low(longer))
        values = np.where(known, tables[longer][place], other)
        left = below[order.shorter] - order.sum(np.where(of, order.lower * other, 0))
        below = np.maximum(order.sum(np.where(of, order.p * values, 0)) + order.share * left, 0.0)
        out.append(below)
    return out


def low(symbols: int) -> np.uint64:
    """Return the mask of the newest ``symbols`` symbols of a packed gram."""
    return np.uint64((1 << (BITS * symbols)) - 1)
