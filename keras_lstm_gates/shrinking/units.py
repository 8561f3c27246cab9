"""The units of a model's LSTMs, numbered through, and which of them can be removed only together."""

import numpy as np

FIXED = -1
"""In the place of a unit's number: a place of a tensor that is no unit's."""


class Units:
    """Numbers for units, one a unit of each cell, and sets of those that go together.

    Along the last axis of a tensor each place is a unit's, by its number, or `FIXED`. Units that meet at one place, as
    the two terms of a sum, are removed together or not at all.

    Example:
        >>> units, (one, other) = Units(), ["a cell", "another"]
        >>> units.add(one, 2).tolist(), units.add(other, 2).tolist()
        ([0, 1], [2, 3])
        >>> units.tie(units.of(one), units.of(other))
        >>> units.groups()
        {0: [0, 2], 1: [1, 3]}
    """

    def __init__(self):
        self._numbers = {}
        self._cells = []
        self._parents = []

    def add(self, cell, count):
        """The numbers of a cell's units, int (count,); the same at each call."""
        if id(cell) not in self._numbers:
            first = len(self._cells)
            self._numbers[id(cell)] = np.arange(first, first + count)
            self._cells += [cell] * count
            self._parents += range(first, first + count)
        return self._numbers[id(cell)]

    def of(self, cell):
        """The numbers of the units of a cell that was added."""
        return self._numbers[id(cell)]

    def cell_of(self, number):
        """The cell that a unit belongs to."""
        return self._cells[number]

    def cells(self):
        """The cells, in the order in which they were added."""
        return list({id(cell): cell for cell in self._cells}.values())

    def tie(self, one, other):
        """Let units at the same places of two arrays of numbers, none of them `FIXED`, go together."""
        for first, second in zip(one, other, strict=True):
            low, high = sorted((self._root(first), self._root(second)))
            self._parents[high] = low

    def groups(self):
        """{number of the first: numbers of all that go together}, all units, each in one of them."""
        groups = {}
        for number in range(len(self._cells)):
            groups.setdefault(self._root(number), []).append(number)
        return groups

    def _root(self, number):
        while self._parents[number] != number:
            number = self._parents[number]
        return int(number)
