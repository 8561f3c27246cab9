"""Run sequences through any trained model and record every gate of every step as labelled arrays."""

from __future__ import annotations

import hashlib
import itertools
import re
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import xarray as xr

from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates._support.predicting import without_warning_of_graphs
from keras_lstm_gates._support.progress import reporter
from keras_lstm_gates._support.versions import versions
from keras_lstm_gates._support.zarr_stores import check_own
from keras_lstm_gates.gates import DESCRIPTIONS, kind_of
from keras_lstm_gates.opening.inputs import batch_of, in_batches, inputs_of, packed
from keras_lstm_gates.opening.paths import outermost
from keras_lstm_gates.tracing.batches import batches, samples_of
from keras_lstm_gates.tracing.opened_models import opened_model
from keras_lstm_gates.tracing.parts import Collector, Part
from keras_lstm_gates.tracing.store import StoreWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike

    from keras_lstm_gates._support.annotations import Progress, StrPath


BATCH_SIZE = 32
COARSE = "computed_in"
"""The attribute of an LSTM whose numbers are rounded more than their type tells."""


def trace(
    model: keras.Model,
    data: Any,
    batch_size: int | None = None,
    progress: Progress = True,
    *,
    to: StrPath | None = None,
    vocabulary: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    targets: ArrayLike | None = None,
    columns: Sequence[str] | None = None,
) -> xr.DataTree:
    """The gates of every LSTM, and of every GRU, of a model, for every sequence, step and unit.

    Args:
        model: `keras.Model` that `expose` opens.
        data: array (sample, time, feature) or of token ids (sample, time); a list, or a dict by name, of arrays where
            the model has several inputs; a `tf.data.Dataset`, `keras.utils.PyDataset` or generator of batches x or
            (x, y). Batches may differ in length. `keras_lstm_gates.opening.random_data` makes some up.
        batch_size: int > 0, for arrays; None: what the model fixes, or 32. Data that come in batches keep their size.
            Where the model fixes a batch, the last one is filled up and what comes back is cut.
        progress: True shows a bar, False shows nothing; a function is called with the number of samples done.
        to: path of a Zarr store to write batch by batch, or None to keep everything in memory. An interrupted
            trace resumes where it stopped when called again with the same arguments; a stateful model first reads
            the samples already written again. No batch may then be longer than the first.
        vocabulary: list of str, the token of each id, for `tokens`.
        layers: names of the layers to open, as in `expose`.
        targets: array (sample, ...), what the model should have answered; of data that come in batches it is their y.
        columns: list of str, the name of each feature of the sole input, with its unit: "temperature, °C".

    Returns:
        `xarray.DataTree`. The root holds the inputs as coordinates (`input`, or `input_<name>` for several), the
        model's own outputs and, where the data have one array y, `target` (sample, ...). A "/" in a name, and a space
        in an input's, becomes "_"; an output that has the name of an LSTM, an input or a dimension becomes
        `output_<name>`; the attribute `role` says what each is.
        Each LSTM is a node by its path, such as "lstm" or "bidirectional/forward", with i, f,
        g, o, c, h (sample, time, unit) and `mask` (sample, time), True = a real step; each GRU likewise with z, r,
        candidate, h, as `keras_lstm_gates.gates.GRUGates` describes them. The attributes `kind`, `activation` and
        `recurrent_activation` say which it is, `steered` which gates and states something acts on, `reads_input`
        whether it reads an input's steps. Time is the input's; the attribute `reads` says "backwards" where the layer
        reads from its end. Steps beyond a sequence's end repeat its last real step and are masked. The attributes hold
        the model's name, the paths, the sha256 of its configuration and of its weights, the versions, and `vocabulary`
        and `columns` where they were given.

    Raises:
        ValueError: what `expose` raises, or inputs that are not finite or do not fit: "expected sequences of shape
            (samples, time, features) = (any, any, 3); received (5, 6, 2)"; a token that the model's Embedding does not
            know; of a stateful model a batch that is not whole before the last; "expected a name for each of the 3
            features; received 2 columns".
        FileExistsError: `to` exists.

    Cost: memory 24 bytes a sample, step and unit, twice that where the data have no known length; with `to`, a few
    batches and blocks of 64 samples.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> tree = trace(SequenceClassifier(features=3, classes=2, units=4), np.ones((5, 7, 3)), progress=False)
        >>> tree["lstm"]["f"].dims, tree["lstm"]["f"].shape
        (('sample', 'time', 'unit'), (5, 7, 4))
    """
    with opened_model(model, layers) as opened:
        tracer, size = Tracer(model, opened, vocabulary, columns), _batch_size(model, batch_size)
        return _traced(tracer, batches(data, size, tracer.inputs, targets), size, progress, to)


def _traced(tracer, data, batch_size, progress, to):
    parts, total = data
    report = reporter(progress, total, "sequence")
    if to is None:
        collector = Collector(total)
        for _, x, y in parts:
            collector.append(tracer.run(x, y))
            report(collector.samples)
        return tracer.tree(collector.joined(), 0)
    with StoreWriter(to, {**tracer.attrs, "batch_size": batch_size}, tracer.tree) as writer:
        for start, x, y in parts:
            end = start + samples_of(x)
            # After a kill, a stateful layer recovers its states by reading the samples already written again.
            if end > writer.done or tracer.stateful:
                part = tracer.run(x, y)
            if end > writer.done:
                writer.append(part.rows(max(0, writer.done - start)))
                report(end)
        if writer.received == 0:
            raise ValueError("expected one or more sequences; received no data")
        return load(writer.finish())


def save(tree: xr.DataTree, path: StrPath) -> None:
    """Write a trace as a Zarr store, whole or not at all."""
    with replaced_when_whole(path) as temporary:
        tree.to_zarr(temporary, consolidated=False)
        check_own(temporary)


def load(path: StrPath) -> xr.DataTree:
    """Read a trace that `save` or `trace(to=...)` wrote, arrays on access; any other store is a `ValueError`."""
    check_own(path)
    return xr.open_datatree(path, engine="zarr", consolidated=False, chunks=None)


def concatenated(stores: Iterable[StrPath], path: StrPath) -> None:
    """Write the traces of several stores one after the other as one store, one of them in memory at a time.

    Args:
        stores: of paths, of traces of the same model whose sequences are as long.
        path: str or `Path` of a store that is not there yet.
    """
    first = 0
    for store in stores:
        tree = load(store)
        for node in tree.subtree:
            dataset = node.to_dataset(inherit=False).load().drop_encoding()
            samples = dataset.sizes.get("sample", 0)
            if "sample" in dataset.indexes:
                dataset = dataset.assign_coords(sample=np.arange(first, first + samples))
            how = {"mode": "w" if node.path == "/" else "a"} if first == 0 else {"append_dim": "sample"}
            if first == 0 or samples:
                dataset.to_zarr(path, group=node.path, consolidated=False, **how)
        first += tree.sizes["sample"]


def nodes(tree: xr.DataTree) -> dict[str, xr.DataTree]:
    """The LSTMs of a trace, or of its statistics: {path: node}, in the model's order.

    Example:
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> model = SequenceClassifier(features=3, classes=2, units=4)
        >>> list(nodes(trace(model, np.ones((5, 7, 3)), progress=False)))
        ['lstm']
    """
    by_path = {node.path.strip("/"): node for node in tree.subtree if "unit" in node.sizes}
    # A store lists its groups in an order of its own.
    order = {path: place for place, path in enumerate(tree.attrs.get("layers", ()))}
    return {path: by_path[path] for path in sorted(by_path, key=lambda path: order.get(path, len(order)))}


def node(tree: xr.DataTree, layer: str | None = None) -> xr.DataTree:
    """One LSTM of a trace by its path; the first where `layer` is None.

    Raises:
        ValueError: "expected one of the layers ['lstm']; received 'gru'".
    """
    known = nodes(tree)
    layer = next(iter(known)) if layer is None else layer
    if layer not in known:
        raise ValueError(f"expected one of the layers {list(known)}; received {layer!r}")
    return known[layer]


def flat(dataset: xr.Dataset) -> xr.Dataset:
    """A node's dataset as (sample, time, unit); the steps of a `TimeDistributed` count as samples of their own."""
    steps = [dim for dim in dataset["h"].dims if dim.startswith("step")]
    if not steps:
        return dataset
    stacked = dataset.drop_vars(["sample", *steps], errors="ignore").stack(one=["sample", *steps], create_index=False)
    return stacked.rename(one="sample").transpose("sample", "time", "unit")


def check_columns(columns, shapes):
    """Raise a `ValueError` unless there is a name for each feature of the sole input, as far as its shape is known."""
    if isinstance(columns, str):
        raise ValueError(f"expected a list of names of the features as columns; received {columns!r}")
    if len(shapes) != 1:
        raise ValueError(f"expected columns for a model with one input; received one with {[*shapes]}")
    (shape,) = shapes.values()
    features = shape[-1] if len(shape) > 2 else 1
    if features not in (None, len(columns)):
        raise ValueError(f"expected a name for each of the {features} features; received {len(columns)} columns")


class Tracer:
    """An opened model that turns batches into parts of a trace."""

    def __init__(self, model, opened_model, vocabulary=None, columns=None):
        opened, self.model, self.stateful = opened_model
        self.inputs = inputs_of(model)
        self.backwards = opened.backwards
        self.gates = {path: gates._fields for path, gates in opened.gates.items()}
        self.cells, self.steered, self.reads_input = opened.cells, opened.steered, opened.reads_input
        self.paths = list(opened.gates)
        for path in self.paths:
            if _OF_ZARR in path.split("/"):
                raise ValueError(f"cannot trace the layer {path!r}: a store has a file of that name. Call it otherwise")
        self._names = _root_names(self.paths, self.inputs, opened.outputs)
        self._ended = False
        self.attrs = {
            "model": model.name,
            "model_sha256": hashlib.sha256(model.to_json().encode()).hexdigest(),
            "weights_sha256": _weights_hash(model),
            "layers": self.paths,
            **{f"{name}_version": value for name, value in versions("keras_lstm_gates", "keras", "numpy").items()},
        }
        if vocabulary is not None:
            self.attrs["vocabulary"] = [str(token) for token in vocabulary]
        if columns is not None:
            check_columns(columns, {name: one.shape for name, one in self.inputs.items()})
            self.attrs["columns"] = [str(name) for name in columns]

    def run(self, x, y):
        """The `Part` of one batch, {input: array}, and its targets or None."""
        if "columns" in self.attrs:
            check_columns(self.attrs["columns"], {name: array.shape for name, array in x.items()})
        arrays = {("input", "", self._names["input", name]): array for name, array in x.items()}
        results = self._predict(x)
        outputs = results["output"][""]
        results["output"][""] = {self._names["output", name]: value for name, value in outputs.items()}
        for kind, by_path in results.items():
            for path, arrays_by_name in by_path.items():
                arrays.update({(kind, path, name): value for name, value in arrays_by_name.items()})
        if (target := _target_of(y, samples_of(x))) is not None:
            arrays["target", "", self._names["target", "target"]] = target
        return Part(arrays)

    def _predict(self, x):
        samples, batch = samples_of(x), batch_of(self.model)
        if self.stateful:
            if self._ended:
                raise ValueError(
                    f"expected batches of {batch} sequences for the model {self.model.name!r}, which is stateful, and "
                    "fewer at the end alone; received fewer before"
                )
            self._ended = samples < batch
        results = [self._predict_batch(packed(self.model, rows)) for rows in in_batches(self.model, x)]
        if len(results) == 1 and batch in (None, samples):
            return results[0]
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts)[:samples], *results)

    def _predict_batch(self, x):
        if keras.backend.backend() != "tensorflow":
            return keras.tree.map_structure(_in_numpy, self.model.predict_on_batch(x))
        # As predict_on_batch, without a copy of every array.
        self.model.make_predict_function()
        with without_warning_of_graphs():
            return keras.tree.map_structure(_in_numpy, self.model.predict_function([(x,)]))

    def tree(self, part, start):
        """A part as a tree whose samples count from `start`."""
        samples = {"sample": np.arange(start, start + part.samples)}
        root = xr.Dataset(
            {
                name: (_root_dims(kind, name, value), value, {"role": kind})
                for (kind, path, name), value in part.arrays.items()
                if not path
            }
        ).set_coords([name for kind, _, name in part.arrays if kind == "input"])
        parts = {path: self._node(path, part, samples) for path in self.paths}
        tree = xr.DataTree.from_dict({"/": root, **parts})
        tree.attrs = dict(self.attrs)
        return tree

    def _node(self, path, part, samples):
        gates = {name: part.arrays["gate", path, name] for name in self.gates[path]}
        rank = gates["h"].ndim
        steps = ["step"] if rank == 4 else [f"step_{place}" for place in range(rank - 3)]
        dims = ("sample", *steps, "time", "unit")
        sizes = dict(zip(dims, gates["h"].shape, strict=True))
        mask = np.asarray(part.arrays["mask", path, "mask"], bool)
        return xr.Dataset(
            {
                **{
                    name: (dims, value, {"long_name": DESCRIPTIONS[name], "units": "1"})
                    for name, value in gates.items()
                },
                "mask": (dims[:-1], mask, {"long_name": "True = a real step"}),
            },
            coords={**{dim: np.arange(size) for dim, size in sizes.items()}, **samples},
            attrs={
                "layer": path,
                "reads": "backwards" if path in self.backwards else "forward",
                "kind": kind_of(gates),
                "steered": sorted(self.steered[path]),
                "reads_input": self.reads_input[path],
                **{name: _name_of(getattr(self.cells[path], name)) for name in ("activation", "recurrent_activation")},
                **({COARSE: "bfloat16"} if self.cells[path].compute_dtype == "bfloat16" else {}),
            },
        )


def _target_of(y, samples):
    """The targets of a batch as one array (sample, ...); None where there are none, or several."""
    if y is None or isinstance(y, dict) or (isinstance(y, (list, tuple)) and any(map(np.ndim, y))):
        return None
    array = np.asarray(y)
    return array if array.dtype.kind in "fiub" and array.shape[:1] == (samples,) else None


def _in_numpy(values):
    """An array that files and pictures know: of bfloat16, which NumPy has from elsewhere, the same in float32."""
    array = np.asarray(values)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _name_of(function):
    """What an activation is called."""
    return getattr(function, "__name__", type(function).__name__)


_OF_ZARR = "zarr.json"
_INPUT_DIMS = ("sample", "input_time", "feature")


def _root_names(paths, inputs, outputs):
    """{(kind, name in the model): name in the root} of all inputs, the targets and all outputs, all different."""
    used = {outermost(path) for path in paths} | {_OF_ZARR, *_INPUT_DIMS, "time", "unit", "step"}
    names = {}

    def name_it(kind, name, base, rank):
        candidates = itertools.chain(
            [base, f"{kind}_{base}"], (f"{kind}_{base}_{count}" for count in itertools.count(2))
        )
        free = next(one for one in candidates if used.isdisjoint(_names_of(one, rank)))
        used.update(_names_of(free, rank))
        names[kind, name] = free

    for name, one in inputs.items():
        base = "input" if len(inputs) == 1 else f"input_{name}"
        # A store lists its coordinates with a space between them.
        name_it("input", name, re.sub(r"[/\s]", "_", base), len(one.shape))
    name_it("target", "target", "target", 4)
    for name, tensor in outputs.items():
        name_it("output", name, name.replace("/", "_"), len(tensor.shape))
    return names


def _names_of(name, rank):
    """A variable's name and those of its dimensions."""
    return {name, *(f"{name}_axis_{axis}" for axis in range(1, rank))}


def _root_dims(kind, name, value):
    if (kind, name) == ("input", "input"):
        return (*_INPUT_DIMS, *(f"input_axis_{axis}" for axis in range(3, value.ndim)))[: value.ndim]
    return ("sample", *(f"{name}_axis_{axis}" for axis in range(1, value.ndim)))


def _weights_hash(model):
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()


def _batch_size(model, batch_size):
    """The number of samples to run at once."""
    batch = batch_of(model)
    if batch_size is not None and (isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1):
        raise ValueError(f"expected batch_size, an int > 0, or None; received {batch_size!r}")
    if batch is not None and batch_size not in (None, batch):
        raise ValueError(f"expected batch_size={batch}, which the model fixes, or None; received {batch_size}")
    return batch_size or batch or BATCH_SIZE
