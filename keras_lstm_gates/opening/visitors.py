"""What may be done at the layers of a graph that is walked: the visitor, and the call that it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras


class Visitor:
    """What is done at the layers of a graph; this one calls each as it is.

    Attributes:
        labelled: bool. True: the notes pass through `LabelledGates`, so that the model can be walked again.
        one_batch: bool. True: notes from below `TimeDistributed` stay (batch * steps, ...), the very tensors that the
            layers returned, so that a gradient by them can be taken.
        per_call: bool. True: a model that is called twice is walked for each call, under the path of that call.
        shares_states: bool. True: the layers of a stateful stack's cells have its very states; False: zeros.
    """

    labelled = False
    one_batch = False
    per_call = False
    shares_states = False

    def follows(self, layer: keras.layers.Layer) -> bool:
        """Whether a layer or a cell is one to visit; the walk goes into whatever holds one."""
        return False

    def visit(self, call: Call) -> tuple[Any, dict[str, Any]]:
        """Call a recurrent layer over one cell.

        Args:
            call: `Call`.

        Returns:
            What the layer would return, and the notes, {name: tensor}.
        """
        raise NotImplementedError

    def pass_by(self, layer: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        """Call any other layer or operation."""
        return layer(*args, **kwargs)

    def refuse(self, path: str, reason: str) -> None:
        """Meet a layer that holds one to visit where no graph shows it; where this returns, it is called as it is."""
        raise ValueError(f"cannot open the layer {path!r}: {reason}. Leave it out with layers=[...]")


class Call(NamedTuple):
    """One call of a recurrent layer over one cell.

    Attributes:
        path: str.
        layer: `keras.layers.RNN`; for a cell of a stack one that has this cell alone.
        sequences: `keras.KerasTensor` (batch, time, features).
        states: list of the initial states, or None.
        given: dict, those of `mask` and `training` that are given.
        backwards: bool. True: what it returns runs from the end of the input's time.
        graph: of the walk; `replacement`, `companion` and `mask` are for the visitor.
    """

    path: str
    layer: Any
    sequences: Any
    states: Any
    given: dict
    backwards: bool
    graph: Any

    @property
    def steered(self) -> frozenset[str]:
        """The gates and states that something acts on, by this call or by every one."""
        of_layer, of_cell = (getattr(one, "interventions", None) for one in (self.layer, self.layer.cell))
        return frozenset().union(*(one or {} for one in (self.given.get("interventions"), of_layer, of_cell)))

    def as_it_is(self) -> Any:
        """What the layer itself returns."""
        return self.layer(self.sequences, initial_state=self.states, **self.given)

    def replacement(self, make: Callable[[str], keras.layers.Layer]) -> keras.layers.Layer:
        """The layer that takes the layer's place in all its calls: `make(name)`, called once."""
        return self.graph.once(self.layer, "replacement", make, base=self.layer.name)

    def companion(self, what: str, make: Callable[..., keras.layers.Layer]) -> keras.layers.Layer:
        """A small layer beside the layer in all its calls: `make(name=...)`, called once."""
        return self.graph.once(self.layer, what, lambda name: make(name=name), base=f"{self.layer.name}_{what}")

    def mask(self) -> Any:
        """bool (batch, time), True = a real step, also where the mask comes only when the model is called."""
        return self.graph.mask(self.layer, self.sequences, self.given, self.states)


class Place(NamedTuple):
    """Where a path leads.

    Attributes:
        layer: `keras.layers.RNN` over one cell.
        backwards: bool, whether it reads time from its end.
        steered: the gates and states that something acts on.
        reads_input: bool, whether it reads the steps of an input of the model, perhaps in other numbers.
    """

    layer: Any
    backwards: bool
    steered: frozenset[str]
    reads_input: bool
