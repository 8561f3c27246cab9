"""One walk over a graph: the same paths everywhere, in graphs, in new processes, of models named as we name."""

import json
import subprocess
import sys
from pathlib import Path

import architectures
import keras
import numpy as np
import pytest
from keras import layers
from reference import lstm as reference_lstm

import keras_lstm_gates
from keras_lstm_gates.layers import Bidirectional, GatedLSTM
from keras_lstm_gates.opening import expose, open_graph
from keras_lstm_gates.opening.opened_layers import EachStep, LabelledGates, MergedDirections, Reversed, StepMask
from keras_lstm_gates.tracing import nodes, sole_input

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached to it")

PATHS = [
    "td/in",
    "shared",
    "shared@2",
    "both/forward",
    "both/backward",
    "both_again/forward",
    "both_again/backward",
    "encoder/lstm",
    "stack/0",
    "stack/1",
    "top",
]


def every_kind_of_holder():
    """A shared LSTM, one in TimeDistributed, in two Bidirectionals of one inner name, nested, in a stack, and plain."""
    inputs = keras.Input((None, 4, 3))
    x = layers.TimeDistributed(layers.LSTM(3, name="in"), name="td")(inputs)
    x = layers.TimeDistributed(layers.Dense(3), name="dense")(x)
    shared = layers.LSTM(3, return_sequences=True, name="shared")
    x = shared(shared(x))
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="one"), name="both")(x)
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="one"), name="both_again")(x)
    encoder = [keras.Input((None, 4)), layers.LSTM(2, return_sequences=True, name="lstm")]
    x = keras.Sequential(encoder, name="encoder")(x)
    x = layers.RNN([layers.LSTMCell(3), layers.LSTMCell(2)], return_sequences=True, name="stack")(x)
    return keras.Model(inputs, layers.LSTM(2, name="top")(x), name="every_kind")


def series(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.fixture(scope="module")
def every_kind():
    keras.utils.set_random_seed(3)
    model = every_kind_of_holder()
    model.set_weights([weights + 0.3 * series(*weights.shape) for weights in model.get_weights()])
    return model, series(5, 6, 4, 3)


def test_everything_speaks_of_the_same_paths(every_kind):
    model, x = every_kind
    exposed = expose(model)
    assert list(dict.fromkeys(name.rpartition("/")[0] for name in exposed.output if "/" in name)) == PATHS
    tree = keras_lstm_gates.trace(model, x, progress=False)
    assert list(nodes(tree)) == PATHS
    chain = keras_lstm_gates.gradient_chain(model, x, np.zeros((5, 2)), "mse")
    assert {node.path.strip("/") for node in chain.subtree if "term" in node.dims} == set(PATHS)
    # The direct term is the forget gate: so the two name the same call, not only the same set.
    for path in PATHS:
        f = tree[path]["f"].values
        f = f.reshape(-1, *f.shape[-2:]).mean(axis=-1)
        backwards = tree[path].attrs["reads"] == "backwards"
        direct = chain[path]["mean_diagonal"].sel(term="direct").values
        np.testing.assert_allclose(direct, f[:, ::-1] if backwards else f, atol=1e-6, err_msg=path)


def test_the_manifest_speaks_of_them_too(every_kind, tmp_path):
    model, x = every_kind
    keras_lstm_gates.export(model, tmp_path / "files", x, formats=["saved_model"], signatures=["gates"])
    manifest = json.loads((tmp_path / "files" / "manifest.json").read_text())
    names = manifest["signatures"]["gates"]["outputs"]
    assert {name.rpartition("/")[0] for name in names if "/" in name} == set(PATHS)


def test_an_opened_model_is_opened_traced_and_differentiated_again(every_kind, tmp_path):
    model, x = every_kind
    expected = expose(model).predict(x, verbose=0)
    expose(model).save(tmp_path / "opened.keras")
    loaded = keras.models.load_model(tmp_path / "opened.keras")
    again = expose(expose(loaded)).predict(x, verbose=0)
    assert sorted(again) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(again[name], value, atol=1e-6, err_msg=name)
    of_model, of_opened = (keras_lstm_gates.trace(one, x, progress=False) for one in (model, loaded))
    assert list(nodes(of_opened)) == PATHS
    assert list(of_opened.data_vars) == list(of_model.data_vars) == ["output_top"]
    for path in PATHS:
        np.testing.assert_allclose(of_opened[path]["f"], of_model[path]["f"], atol=1e-6, err_msg=path)
    assert list(open_graph(loaded, ["both", "shared"]).gates) == PATHS[1:5]
    chain = keras_lstm_gates.gradient_chain(loaded, x)
    assert {node.path.strip("/") for node in chain.subtree if "term" in node.dims} == set(PATHS)


def test_nothing_that_is_created_takes_a_name_from_keras(every_kind, monkeypatch):
    """In another process that name may be one of the model's."""
    model, x = every_kind
    # It passes over the numbers of the model's own names.
    monkeypatch.setattr("keras_lstm_gates.opening.walker.reserve_names", lambda names: None)
    kinds = [layers.InputLayer, EachStep, LabelledGates, MergedDirections, Reversed, StepMask, GatedLSTM, layers.RNN]
    arguments = [
        [(1,)],
        [layers.Dense(1)],
        ["path", "layer", 0],
        [],
        [],
        [],
        [1],
        [layers.LSTMCell(1)],
    ]

    def numbers():
        names = [kind(*given).name for kind, given in zip(kinds, arguments, strict=True)]
        return [int(name.rpartition("_")[2]) if name.rpartition("_")[2].isdigit() else 0 for name in names]

    numbers()
    before = numbers()
    expose(expose(model))
    keras_lstm_gates.trace(model, x, progress=False)
    keras_lstm_gates.gradient_chain(model, x)
    assert numbers() == [number + 1 for number in before]


FRESH = """
import sys
from pathlib import Path
import keras, numpy as np
import keras_lstm_gates
from keras_lstm_gates.opening import load_model
from keras_lstm_gates.tracing import nodes
for folder in sorted(Path(sys.argv[1]).iterdir()):
    for count in range(2):
        x = keras.Input((3, 2))  # takes the next names that Keras gives
        keras.Model(x, keras.layers.Bidirectional(keras.layers.LSTM(2))(keras.layers.Masking()(x)))
    model = load_model(folder / "model.keras")
    with np.load(folder / "numbers.npz") as numbers:
        data = [numbers[f"input_{place}"] for place in range(len(model.inputs))]
        own = [numbers[f"output_{place}"] for place in range(len(model.outputs))]
    data = data if len(data) > 1 else data[0]
    opened = keras_lstm_gates.expose(model).predict(data, verbose=0)
    for value, name in zip(own, [name for name in opened if "/" not in name], strict=True):
        np.testing.assert_allclose(opened[name], value, atol=1e-5, err_msg=f"{folder.name}: {name}")
    paths = set(nodes(keras_lstm_gates.trace(model, data, progress=False)))
    chain = keras_lstm_gates.gradient_chain(model, data)
    known = {node.path.strip("/") for node in chain.subtree if "term" in node.dims}

    assert paths <= known, (folder.name, paths, known)
    print(folder.name)
"""


def _saved_numbers(model, data, folder):
    folder.mkdir()
    model.save(folder / "model.keras")
    inputs = keras.tree.flatten(data)
    outputs = keras.tree.flatten(model(data, training=False))
    numbers = {f"input_{place}": value for place, value in enumerate(inputs)}
    np.savez(folder / "numbers.npz", **numbers, **{f"output_{place}": value for place, value in enumerate(outputs)})


def steps_of_unknown_number():
    """TimeDistributed over a layer, and over a model without an LSTM, where time is unknown."""
    inputs = keras.Input((None, 2))
    x = layers.LSTM(4, return_sequences=True)(inputs)
    step = keras.Input((4,))
    x = layers.TimeDistributed(keras.Model(step, layers.Dense(3)(step)))(x)
    inner = keras.Sequential([keras.Input((None, 3)), layers.TimeDistributed(layers.Dense(2))])
    return keras.Model(inputs, inner(x)), series(3, 7, 2), {}


def test_in_a_new_process_after_other_layers(every_kind, tmp_path):
    # Models like the other architectures are opened so in tests/strangers.
    made = [
        architectures.bidirectional_states_to_decoder,
        architectures.hierarchy_over_time,
        steps_of_unknown_number,
    ]
    (tmp_path / "models").mkdir()
    for make in made:
        model, data, _ = make()
        _saved_numbers(model, data, tmp_path / "models" / make.__name__)
    _saved_numbers(*every_kind, tmp_path / "models" / "every_kind")
    package = str(Path(keras_lstm_gates.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {package!r})\n{FRESH}", str(tmp_path / "models")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == sorted([*(make.__name__ for make in made), "every_kind"])


@pytest.mark.parametrize("samples", [3, 7, 9])
def test_time_distributed_over_an_unknown_number_of_steps(samples):
    """Keras's own goes along the batch in a graph: (3, 3, 2) or an error in the place of (3, 7, 2)."""
    model, _, _ = steps_of_unknown_number()
    opened = expose(model)
    (name,) = (name for name in opened.output if "/" not in name)
    # From the second length on, the graph of `predict` is one for all.
    for steps in (5, 6, 7):
        x = series(samples, steps, 2)
        expected = np.asarray(model(x))  # eager: the number of steps is known
        np.testing.assert_allclose(opened.predict(x, verbose=0)[name], expected, atol=1e-6)
    (output,) = keras_lstm_gates.trace(model, x, progress=False).data_vars.values()
    np.testing.assert_allclose(output, expected, atol=1e-6)
    assert expected.shape == (samples, 7, 2)


@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("merge_mode", ["concat", "ave", None])
def test_our_bidirectional_with_gates_opens(merge_mode, return_sequences, return_state):
    inputs = keras.Input((5, 3))
    gated = GatedLSTM(2, return_gates=True, return_sequences=return_sequences, return_state=return_state)
    outputs = Bidirectional(gated, merge_mode=merge_mode, name="both")(layers.Masking()(inputs))
    model = keras.Model(inputs, outputs)
    x = series(4, 5, 3)
    x[0, 3:] = 0
    x[1, :2] = 0
    own = keras.tree.flatten(model.predict(x, verbose=0))
    opened = expose(model).predict(x, verbose=0)
    # As Keras flattens a dict, by the sorted keys.
    names = sorted(name for name in opened if not name.startswith("both/"))
    if merge_mode is None:
        names.sort(key=lambda name: int(name.rpartition("_")[2]))
    for value, name in zip(own, names, strict=True):
        np.testing.assert_allclose(opened[name], value, atol=1e-6, err_msg=name)
    stock = model.predict(x, verbose=0)
    for path in ("forward", "backward"):
        np.testing.assert_allclose(opened[f"both/{path}/f"], stock[f"{path}/f"], atol=1e-6)
    assert set(keras_lstm_gates.gradient_chain(model, x).groups) == {"/", "/both", "/both/forward", "/both/backward"}


@pytest.mark.parametrize(
    "last",
    [
        lambda: layers.LSTM(2, return_state=True, name="last"),
        lambda: layers.Bidirectional(layers.LSTM(2, return_state=True), name="last"),
        lambda: GatedLSTM(2, return_gates=True, name="last"),
    ],
)
def test_a_sequential_model_keeps_all_its_outputs(last):
    model = keras.Sequential([keras.Input((5, 3)), last()])
    x = series(4, 5, 3)
    own = keras.tree.flatten(model.predict(x, verbose=0))
    opened = expose(model)
    results = opened.predict(x, verbose=0)
    for value, name in zip(own, [name for name in opened.output if "/" not in name], strict=True):
        np.testing.assert_allclose(results[name], value, atol=1e-6, err_msg=name)
    assert len(keras_lstm_gates.trace(model, x, progress=False).data_vars) == len(own)
    targets = [np.zeros_like(value) for value in own]
    if not isinstance(model.predict(x, verbose=0), dict):
        assert (
            keras_lstm_gates.gradient_chain(model, x, targets, "mse")[next(iter(open_graph(model).gates))].attrs["E"]
            > 0
        )


OURS = ["input", "target", "mask", "sample", "time", "unit", "output", "step", "feature", "input_time", "i", "f", "h"]


@pytest.mark.few(7)
@pytest.mark.parametrize("lstm", OURS)
def test_names_like_ours_replace_nothing(lstm, tmp_path):
    names = [*OURS, "a/b", "a_b", "a", "a_axis_1", "output_a", "output_time", f"{lstm}/h"]
    inputs = keras.Input((5, 3))
    h = layers.LSTM(2, return_sequences=True, name=lstm)(inputs)
    model = keras.Model(inputs, {name: layers.Dense(1, name=f"d{place}")(h) for place, name in enumerate(names)})
    x, y = series(4, 5, 3), np.arange(4.0)
    own = {name: np.asarray(value) for name, value in model(x).items()}
    opened = expose(model)
    results = opened.predict(x, verbose=0)
    assert len(opened.output) == len(names) + 6
    assert not [name for name in names if name != f"{lstm}/h" and np.abs(results[name] - own[name]).max() > 1e-6]
    np.testing.assert_allclose(results[f"output_{lstm}/h"], own[f"{lstm}/h"], atol=1e-6)
    for to in (None, tmp_path / "trace.zarr"):
        tree = keras_lstm_gates.trace(model, iter([(x[:2], y[:2]), (x[2:], y[2:])]), progress=False, to=to)
        assert list(nodes(tree)) == [lstm]
        np.testing.assert_array_equal(sole_input(tree), x)
        kept = [value.values for value in tree.data_vars.values()]
        assert len(kept) == len(names) + 1  # the targets
        for value in [*own.values(), y]:
            assert any(one.shape == value.shape and np.allclose(one, value, atol=1e-6) for one in kept)
    assert set(keras_lstm_gates.gradient_chain(model, x).groups) == {"/", f"/{lstm}"}


def test_a_layer_that_bears_the_name_of_a_second_call():
    inputs = keras.Input((5, 3))
    shared = layers.LSTM(3, return_sequences=True, name="lstm")
    model = keras.Model(inputs, layers.LSTM(3, name="lstm@2")(shared(shared(inputs))))
    assert list(open_graph(model).gates) == ["lstm", "lstm@3", "lstm@2"]


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 1.0},
        {"dropout": np.float32(0.5)},
        {"recurrent_dropout": np.float64(1.0)},
        {"implementation": 0},
        {"activation": lambda value: 0.5 * value},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_keras_takes_and_keeps_opens(options):
    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(2, name="lstm", **options)])
    model.compile("sgd", "mse")
    x = series(4, 5, 3)
    model.fit(x, np.zeros((4, 2)), verbose=0)
    np.testing.assert_allclose(expose(model).predict(x, verbose=0)["lstm"], model.predict(x, verbose=0), atol=1e-6)


def test_the_second_batch_of_a_stateful_layer_under_a_left_mask():
    inputs = keras.Input(batch_shape=(2, 5, 3))
    lstm = layers.LSTM(3, return_sequences=True, stateful=True, name="lstm")
    model = keras.Model(inputs, lstm(layers.Masking()(inputs)))
    batches = series(2, 2, 5, 3)
    batches[1, 0, :3] = 0
    mask = np.any(batches[1] != 0, axis=-1)
    stock = [model.predict(x, verbose=0) for x in batches]
    opened = expose(model)
    first, second = (opened.predict(x, verbose=0) for x in batches)
    for one, own in zip((first, second), stock, strict=True):
        np.testing.assert_allclose(one["lstm"], own, atol=1e-6)
    weights = lstm.cell.get_weights()
    before = reference_lstm(batches[0], *weights)
    expected = reference_lstm(batches[1], *weights, mask=mask, h0=before["h"][:, -1], c0=before["c"][:, -1])
    for name in "ifgoch":
        np.testing.assert_allclose(second[f"lstm/{name}"][mask], expected[name][mask], atol=1e-6, err_msg=name)


class Holder(layers.Layer):
    """Calls an LSTM where no graph shows it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inside = {"lstm": layers.LSTM(2, return_sequences=True)}

    def call(self, x):
        return self.inside["lstm"](x)


class OwnCall(keras.Model):
    """A graph that is not what runs."""

    def call(self, x, training=None, mask=None):
        return 2 * super().call(x)


def test_what_no_graph_shows_is_refused_by_name():
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, layers.LSTM(2, name="lstm")(Holder(name="mine")(inputs)))
    with pytest.raises(ValueError, match="cannot open the layer 'mine': it is a Holder that calls an LSTM"):
        expose(model)
    with pytest.raises(ValueError, match="cannot follow the layer 'mine': it is a Holder that calls an LSTM"):
        keras_lstm_gates.gradient_chain(model, series(2, 5, 3))
    assert keras_lstm_gates.gradient_chain(model, series(2, 5, 3), layer="lstm").sizes["sample"] == 2
    own = OwnCall(inputs, layers.LSTM(2)(inputs), name="own")
    for call in (expose, lambda model: keras_lstm_gates.gradient_chain(model, series(2, 5, 3))):
        with pytest.raises(ValueError, match="expected a built Functional or Sequential"):
            call(own)
