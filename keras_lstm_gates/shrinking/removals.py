"""What is taken away, in which order: first what is constant, then what matters least."""

from typing import NamedTuple

import numpy as np

from keras_lstm_gates.interventions import Mean
from keras_lstm_gates.opening.inputs import packed
from keras_lstm_gates.shrinking.evidence import (
    SILENT,
    Reach,
    answers,
    gathered,
    is_constant,
    reason,
    silenced,
)
from keras_lstm_gates.steering.batches import run_each
from keras_lstm_gates.tracing import trace

EXACT = 1e-6
"""What an output may differ by, relative to the largest of 1 and of that output, where a removal is exact."""
WITHIN = (1e-7, 1e-8, 1e-9, 0.0)
"""What a unit that is called constant may move in what reads it: the first with which the outputs stay `EXACT`."""
STEP = 0.25
"""Of an LSTM's units, the most that go before the importance of the others is measured again."""


class Removal(NamedTuple):
    """Why a group of units went: the reason, whether exactly, and how much worse the model was without it alone."""

    why: str
    exact: bool
    worse: float


class Removals:
    """The units that a plan's model does without.

    Args:
        plan: `Plan`.
        arrays: {input: array}, the data.
        scores: `Scores` of the data that tolerances are about.
        judged: {input: array}, these data.
        rows: of `arrays`, the samples that importance is measured on.
        importance: `Scores` of `arrays`.

    Attributes:
        values: list of arrays, the weights of the plan's model with nothing read of what went.
        gone: {root: `Removal`}, in the order in which they went.
        curve: [(units left, parameters left, how good)], one a round.
    """

    def __init__(self, plan, arrays, scores, judged, rows, importance):
        self.plan, self._arrays, self._scores, self._judged = plan, arrays, scores, judged
        self._rows, self._importance = rows, importance
        self._some = {name: one[rows] for name, one in arrays.items()}
        self.values = plan.model.get_weights()
        self.gone = {}
        self.curve = []
        self._note(scores.intact)

    def remove_constant(self, reference):
        """Remove what is constant along the data, so that the outputs stay what they were.

        Args:
            reference: [each output] of the model that is shrunk.
        """
        plan, evidence = self.plan, gathered(self.plan, self._arrays)
        for within in WITHIN:
            roots = _constant(plan, evidence, self.values, within)
            if not roots:
                return
            values = silenced(plan, self.values, evidence, roots)
            plan.model.set_weights(values)
            if all(map(_is_same, answers(plan.followed, self._arrays), reference)):
                reach = Reach(plan, self.values, plan.numbers(roots))
                for root in roots:
                    why = reason(plan, evidence, reach, root, SILENT)
                    # What is constant without its gates being closed stands still.
                    self.gone[root] = Removal("stands still" if why == "unimportant" else why, True, 0.0)
                self.values = values
                self._note()
                return
            plan.model.set_weights(self.values)

    def remove_unimportant(self, roots, targets, most_worse, report):
        """Remove the least important of some groups, and measure anew after each quarter of an LSTM's units.

        Args:
            roots: of groups whose LSTMs have to keep a common size.
            targets: {id of a cell: how many units it is to keep}.
            most_worse: how much worse the model may be in the end than the one that is shrunk, or None.
            report: function of each new row of `curve`.
        """
        limit = None
        while limit != 0:
            families = self._families(roots)
            count = self._step(families, targets, limit)
            if count == 0:
                return
            evidence = gathered(self.plan, self._some)
            worse = self._worse_without([root for family in families for root in family])
            ordered = [sorted(family, key=worse.get) for family in families]
            limit = self._removed(ordered, count, most_worse, evidence, worse)
            if limit != 0:
                report(self.curve[-1])

    def _removed(self, ordered, count, most_worse, evidence, worse):
        """Remove the first `count` of each family, or of a half as often as needed; how many went, None for all."""
        plan, first = self.plan, count
        while count:
            roots = plan.settled([*self.gone, *(root for family in ordered for root in family[:count])], worse)
            roots = [root for root in roots if root not in self.gone]
            values = silenced(plan, self.values, evidence, roots, self.gone)
            plan.model.set_weights(values)
            now = answers(plan.followed, self._judged)
            if roots and (most_worse is None or self._scores.worse(now) <= most_worse):
                reach = Reach(plan, self.values, plan.numbers(self.gone))
                self.gone |= {
                    root: Removal(reason(plan, evidence, reach, root), False, worse[root][0]) for root in roots
                }
                self.values = values
                self._note(self._scores.mean(now))
                return None if count == first else count
            plan.model.set_weights(self.values)
            count //= 2
        return 0

    def _families(self, roots):
        """[groups of the same LSTMs]: those of a component that are still there."""
        families = {}
        for root in roots:
            if root not in self.gone:
                families.setdefault(frozenset(id(cell) for cell, _ in self.plan.members(root)), []).append(root)
        return list(families.values())

    def _step(self, families, targets, limit):
        """How many groups of each family may go at once."""
        left, of_families = self.plan.left(self.gone), {}
        for family in families:
            for cell, _ in self.plan.members(family[0]):
                of_families[id(cell)] = of_families.get(id(cell), 0) + 1
        counts = [len(family) for family in families]
        for cell, several in of_families.items():
            spare = left[cell] - max(targets.get(cell, 1), 1)
            counts += [spare // several, int(np.ceil(left[cell] * STEP / several))]
        return max(0, min(counts + ([] if limit is None else [limit]), default=0))

    def _worse_without(self, roots):
        """{root: (how much worse the model is without it, how far the outputs are from what they were)}.

        It is set to its mean, as `steering.ablate` does. The second tells those apart that a coarse metric does not.
        """
        plan, x = self.plan, packed(self.plan.model, self._some)
        tree = trace(plan.model, self._some, progress=False, layers=plan.names())
        means = {}
        interventions = []
        for root in roots:
            one = {}
            for cell, unit in plan.members(root):
                for path in plan.paths[id(cell)]:
                    for gate in "ch":
                        if (path, gate) not in means:
                            means[path, gate] = Mean(tree).of(path, gate)
                        mean = means[path, gate]
                        one.setdefault(f"{path}/{gate}", []).append(type(mean)(mean.shift, units=[unit]))
            interventions.append(one)
        measure, changes = self._importance.of(self._rows), []

        def measured(outputs):
            changes.append(float(self._importance.change(outputs, self._rows).mean()))
            return measure(outputs)

        rows = run_each(plan.model, x, [{}, *interventions], measured)
        difference = rows[1:].mean(1) - rows[0].mean()
        worse = -difference if self._importance.higher_is_better else difference
        return dict(zip(roots, zip(worse.tolist(), changes[1:], strict=True), strict=True))

    def _note(self, score=None):
        if score is None:
            score = self._scores.mean(answers(self.plan.followed, self._judged))
        units = sum(self.plan.left(self.gone).values())
        self.curve.append((units, self.plan.parameters(self.gone), score))


def components(plan):
    """[[roots of groups whose LSTMs keep a common size]], in the model's order."""
    cells = {id(cell): {id(cell)} for cell in plan.cells}
    joined = [{id(cell) for cell, _ in plan.members(root)} for root in plan.groups]
    joined += [{id(one) for one in pair} for pair in plan.follower.pairs]
    for several in joined:
        several = [cell for cell in several if cell in cells]
        union = set().union(*(cells[cell] for cell in several))
        for cell in union:
            cells[cell] = union
    made = {}
    for root in plan.groups:
        made.setdefault(id(cells[id(plan.follower.units.cell_of(root))]), []).append(root)
    return list(made.values())


def _constant(plan, evidence, values, within):
    """The groups of which all that is read is one number, also of those that are read by no others than these."""
    gone = []
    while True:
        reach = Reach(plan, values, plan.numbers(gone))
        more = [root for root in plan.groups if is_constant(plan, evidence, reach, root, within)]
        if len(more) == len(gone):
            break
        gone = more
    while True:
        kept = plan.settled(gone)
        reach = Reach(plan, values, plan.numbers(kept))
        kept = [root for root in kept if is_constant(plan, evidence, reach, root, within)]
        if len(kept) == len(gone):
            return kept
        gone = kept


def _is_same(now, before):
    now, before = (np.asarray(one).astype(np.float64) for one in (now, before))
    return bool(np.all(np.abs(now - before) <= EXACT * np.maximum(1, np.abs(before))))
