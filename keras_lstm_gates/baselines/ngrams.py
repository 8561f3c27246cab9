"""A model of the next character from the n - 1 before it: interpolated Kneser-Ney."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class NGrams:
    """Interpolated Kneser-Ney over numbers 0 ... size - 1.

    For a context h of n - 1 characters, h' without its first one, c the next, and a the counts:

        p(c | h) = (max(a(h c) - D, 0) + D |{c: a(h c) > 0}| p(c | h')) / a(h)

    a(h c) is how often h c was seen; below the highest order, how many characters were seen before h c. D, of each
    order, is n1 / (n1 + 2 n2), n1 and n2 being how many h c have a = 1 and 2. Below the lowest order p = 1 / size.
    An unseen context has the probabilities of h'.

    Args:
        text: (time,) int.
        size: int > 0, of the vocabulary.
        order: int > 0, n.

    Source: Chen & Goodman 1999, An empirical study of smoothing techniques for language modeling, section 2.7.
    """

    def __init__(self, text: ArrayLike, size: int, order: int = 5) -> None:
        if size**order >= 2**62:
            raise ValueError(f"expected size**order below 2**62; received {size}**{order}")
        self.size, self.order = size, order
        self._counts = []  # For n = order ... 1: grams, their a; contexts, their a and followers; D.
        grams, counts = np.unique(_codes(np.asarray(text), size, order), return_counts=True)
        for n in range(order, 0, -1):
            contexts, index = np.unique(grams // size, return_inverse=True)
            ones, twos = np.sum(counts == 1), np.sum(counts == 2)
            discount = ones / (ones + 2 * twos) if ones else 0.5
            totals = np.bincount(index, counts)
            self._counts.append((grams, counts, contexts, totals, np.bincount(index), discount))
            # Each gram of this order is one character seen before the shorter gram.
            grams, counts = np.unique(grams % size ** (n - 1), return_counts=True)

    def probabilities(self, text: ArrayLike) -> np.ndarray:
        """p of each character of a text given those before it, (time - order + 1,); the first ones are context."""
        grams = _codes(np.asarray(text), self.size, self.order)
        p = np.full(len(grams), 1 / self.size)
        for n, (all_grams, counts, contexts, totals, followers, discount) in zip(
            range(1, self.order + 1), reversed(self._counts), strict=True
        ):
            codes = grams % self.size**n
            has_context, index = _places(contexts, codes // self.size)
            is_known, gram = _places(all_grams, codes)
            above = np.where(is_known, np.maximum(counts[gram] - discount, 0), 0)
            mixed = (above + discount * followers[index] * p) / totals[index]
            p = np.where(has_context, mixed, p)
        return p


def _codes(text, size, order):
    """(time - order + 1,) int64, each run of `order` characters as one number."""
    codes = np.zeros(max(len(text) - order + 1, 0), np.int64)
    for offset in range(order):
        codes = codes * size + text[offset : offset + len(codes)]
    return codes


def _places(sorted_codes, codes):
    """(whether each code is among the sorted ones, its place or another)."""
    places = np.minimum(np.searchsorted(sorted_codes, codes), len(sorted_codes) - 1)
    return sorted_codes[places] == codes, places
