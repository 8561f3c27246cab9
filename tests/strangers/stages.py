"""Every stage: what is done with a stranger's model, and what must then be equal to what stock Keras says."""

import tempfile
from pathlib import Path

import keras
import numpy as np

import keras_lstm_gates
from keras_lstm_gates import tracing
from keras_lstm_gates.edge import Runner
from strangers import gates, subjects
from strangers.swapping import without_dropout


class StockRefusesError(Exception):
    """Stock Keras itself cannot do this with the model."""


def called(subject):
    """Swapped, then called without a graph and by `predict` in batches that fit badly."""
    _call(subject, lambda time: [(time, 2 * time + 1), (time + 2, 2 * time + 1)])


def called_when_loaded(subject):
    """The same when it was saved and loaded elsewhere."""
    _call(subject, lambda time: [(1, 2), (time + 2, 2 * time + 1)])


def _call(subject, sizes):
    case, stock, ours, data, _ = subject
    _close(subjects.answers(ours, data), subjects.answers(stock, data), case.tolerance, "eager")
    batch = subjects.fixed_batch(stock)
    # As many as there are steps and a last one of one; more than steps, and a last one of fewer.
    for size, number in [(batch, 2 * batch)] if batch else sizes(subjects.steps(data)):
        many = subjects.rows(data, number)
        received, wanted = (_predicted(model, many, size) for model in (ours, stock))
        _close(received, wanted, case.tolerance, f"predict of {number} in batches of {size}")


def trained(subject):
    """Five steps of `fit`, compiled as `compile` does by itself, the last of one sample."""
    _train(subject, "auto", 9)


def trained_compiled(subject):
    """Five steps of `fit` with jit_compile=True, where stock Keras can."""
    _train(subject, True, 10)


def trained_when_loaded(subject):
    """Five steps of `fit` with jit_compile=False when it was saved and loaded elsewhere."""
    _train(subject, False, 9)


def _train(subject, jit_compile, number):
    case, _, _, data, targets = subject
    stock, ours = without_dropout(subject.stock), without_dropout(subject.swapped)
    size = subjects.fixed_batch(stock) or 2
    number = 5 * size if subjects.fixed_batch(stock) else number
    x, y = subjects.rows(data, number), subjects.rows(targets, number)

    def fit(model):
        subjects.reset(model)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.5), case.loss, jit_compile=jit_compile)
        model.fit(x, y, batch_size=size, shuffle=False, verbose=0)
        return model.get_weights()

    before = stock.get_weights()
    try:
        wanted = fit(stock)
    except Exception as error:
        raise StockRefusesError(f"stock Keras: {error}") from error
    assert max(np.abs(one - other).max() for one, other in zip(wanted, before, strict=True)) > 1e-4, "nothing trained"
    _close(fit(ours), wanted, case.tolerance, f"weights after fit, jit_compile={jit_compile}")


def exposed(subject):
    """`expose`: the model's answers, and every gate as the equations have it."""
    data = subjects.another_batch(subject)
    opened = keras_lstm_gates.expose(subject.stock)
    outputs = opened.predict(data, batch_size=subjects.samples(data), verbose=0)
    paths = {**dict.fromkeys(_paths(outputs), "ifgoch"), **dict.fromkeys(_grus(outputs), GRU)}
    own = [value for name, value in outputs.items() if name.rpartition("/")[0] not in paths]
    if isinstance(_output(subject.stock), dict):
        own = [outputs[name] for name in sorted(_output(subject.stock))]
    _close(own, subjects.answers(subject.stock, data), subject.case.tolerance, "outputs")
    named = {path: {gate: outputs[f"{path}/{gate}"] for gate in names} for path, names in paths.items()}
    _check_gates(subject, data, named, grus=True)


def traced(subject):
    """`trace` and `statistics`: what `expose` shows, with masks, and the mean over the real steps."""
    data = subjects.another_batch(subject)
    tree = keras_lstm_gates.trace(subject.stock, data, batch_size=subjects.samples(data), progress=False)
    nodes = tracing.nodes(tree)
    _check_gates(
        subject,
        data,
        {
            path: {gate: node[gate].values for gate in ("ifgoch" if "f" in node else GRU)}
            for path, node in nodes.items()
        },
        {path: node["mask"].values for path, node in nodes.items()},
        grus=True,
    )
    own = [variable.values for variable in tree.to_dataset().data_vars.values()]
    wanted = subjects.answers(subject.stock, data)
    assert len(own) == len(wanted), f"outputs {list(tree.data_vars)}"
    for value in own:
        assert any(value.shape == one.shape and np.allclose(value, one, atol=subject.case.tolerance) for one in wanted)
    numbers = keras_lstm_gates.statistics(tree)
    for path, node in nodes.items():
        gate = "f" if "f" in node else "z"
        real = node[gate].values[node["mask"].values].astype("float64")
        np.testing.assert_allclose(numbers[path]["mean"].sel(gate=gate), real.mean(axis=0), atol=1e-6, err_msg=path)


def gradients(subject):
    """`gradient_chain`: the paths of `trace`, f as the direct term, and the weights' gradients as training has them."""
    import tensorflow as tf

    stock, data, targets = subject.stock, subject.data, subject.targets
    stock.compile("sgd", subject.case.loss)
    subjects.reset(stock)
    tree = keras_lstm_gates.gradient_chain(stock, data, targets, full=True)
    nodes = {
        node.path.strip("/"): node for node in tree.subtree if "term" in node.coords and "f" in node["term"].values
    }
    known = gates.expected(stock, data)
    _check_paths(nodes, known)
    cells = gates.cells_by_path(stock)
    sums = {}
    for path, node in nodes.items():
        name, call = gates.path_and_call(path)
        if name in known:
            numbers, mask, backwards = known[name][call]
            # Below a `TimeDistributed` each of its steps is a sample of its own.
            f, mask = (value.reshape(-1, value.shape[-1]) for value in (numbers["f"].mean(axis=-1), mask))
            direct = node["mean_diagonal"].sel(term="direct").values
            f, mask = (f[:, ::-1], mask[:, ::-1]) if backwards else (f, mask)
            np.testing.assert_allclose(direct[mask], f[mask], atol=subject.case.tolerance, err_msg=path)
        sums[name] = sums.get(name, 0) + node["dE_dR"].sum("time").sel(gate=list("ifgo")).values
    variables = [cells[name].recurrent_kernel for name in sums]
    subjects.reset(stock)
    with tf.GradientTape() as tape:
        tape.watch([variable.value for variable in variables])
        y_pred = stock(data, training=False)
        loss = stock.compute_loss(data, targets, y_pred, training=False) - sum(stock.losses)
    for name, wanted in zip(sums, tape.gradient(loss, [one.value for one in variables]), strict=True):
        received = np.concatenate(list(sums[name]), axis=-1)
        np.testing.assert_allclose(received, wanted, atol=subject.case.tolerance, err_msg=f"dE/dR of {name}")


def saved_model(subject):
    """A SavedModel that is loaded by TensorFlow alone."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        path = _export(subject, folder, "saved_model")
        signatures = tf.saved_model.load(str(path)).signatures

        def call(name, data):
            inputs = _named(signatures[name].structured_input_signature[1], subject, data)
            inputs = {
                key: tf.cast(value, signatures[name].structured_input_signature[1][key].dtype)
                for key, value in inputs.items()
            }
            return {key: value.numpy() for key, value in signatures[name](**inputs).items()}

        _check_file(subject, call)


def tflite(subject):
    """A TFLite file, run by `edge.Runner`."""
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(_export(subject, folder, "tflite"), trial=False)

        def call(name, data):
            return runner.run(name, _alone(runner.signatures[name]["inputs"], subject, data))

        _check_file(subject, call)


def onnx(subject):
    """ONNX files, run by ONNX Runtime."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = _export(subject, folder, "onnx")

        def call(name, data):
            session = onnxruntime.InferenceSession(path / f"{name}.onnx")
            inputs = _named({one.name: one for one in session.get_inputs()}, subject, data)
            kinds = {one.name: one.type for one in session.get_inputs()}
            inputs = {key: value.astype(_NUMPY[kinds[key]]) for key, value in inputs.items()}
            return dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs), strict=True))

        _check_file(subject, call)


_NUMPY = {"tensor(float)": "float32", "tensor(int32)": "int32", "tensor(bool)": "bool"}


def micro(subject):
    """The microcontroller's file, pushed step by step: the answers of the whole sequence."""
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(_export(subject, folder, "micro") / "step.tflite", trial=False)
        data = subjects.another_batch(subject)
        outputs = _own_outputs(subject, data)
        for sample in range(2):
            stream = runner.stream()
            pushed = [stream.push(x) for x in data[sample]]
            for name, wanted in outputs.items():
                each = np.stack([one[name] for one in pushed])
                wanted = wanted[sample]
                received = each if each.shape == wanted.shape else each[-1]
                np.testing.assert_allclose(received, wanted, atol=_of_files(subject), err_msg=name)


STAGES = {
    function.__name__: function
    for function in (
        called,
        trained,
        trained_compiled,
        called_when_loaded,
        trained_when_loaded,
        exposed,
        traced,
        gradients,
        saved_model,
        tflite,
        onnx,
        micro,
    )
}

SWAPPED = {"called", "trained", "trained_compiled", "called_when_loaded", "trained_when_loaded"}
"""Stages of a model whose layers are swapped; the others take the stock model as it is."""

LIGHT = {"called", "trained", "exposed", "traced", "gradients", "onnx"}
"""Stages of a second or so."""

QUICKEST = ("called", "exposed", "traced", "gradients")
"""Of these the quick selection takes each model through one."""


def _export(subject, folder, name):
    data = subject.data
    written = keras_lstm_gates.export(
        subject.stock, Path(folder) / "out", data, formats=(name,), batch=subjects.fixed_batch(subject.stock) or 1
    )
    return Path(written.files[name])


def _check_file(subject, call):
    """Answers and gates of the signatures, for another batch and another length than those of the export."""
    for data in (subjects.another_batch(subject), subjects.another_length(subject)):
        if data is None:
            continue
        wanted = _own_outputs(subject, data)
        received = call("predict", data)
        assert sorted(received) == sorted(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(received[name], value, atol=_of_files(subject), err_msg=f"predict/{name}")
        received = call("gates", data)
        paths = _paths(received) or {""}
        if paths == {""}:
            (path,) = gates.expected(subject.stock, data)
            named = {path: {gate: received[gate] for gate in "ifgoch"}}
        else:
            named = {path: {gate: received[f"{path}/{gate}"] for gate in "ifgoch"} for path in paths}
        _check_gates(subject, data, named, tolerance=_of_files(subject))


def _of_files(subject):
    """How far a file in float32 may be off; of a model that computes in fewer bits as far as these allow."""
    return max(subject.case.tolerance, 1e-4)


def _own_outputs(subject, data):
    """{name: array} of the stock model's answers, under the names that files have."""
    model, values = subject.stock, subjects.answers(subject.stock, data)
    if isinstance(_output(model), dict):
        return dict(zip(sorted(_output(model)), values, strict=True))
    names = [model.layers[-1].name] if isinstance(model, keras.Sequential) else list(model.output_names)
    if len(set(names)) < len(values):
        names = [f"output_{place}" for place in range(len(values))]
    return dict(zip(names, values, strict=True))


def _output(model):
    return model.layers[-1].output if isinstance(model, keras.Sequential) else model.output


def _alone(inputs, subject, data):
    named = _named(inputs, subject, data)
    return next(iter(named.values())) if len(named) == 1 else named


def _named(inputs, subject, data):
    """The data by the names that a file's signature gives to its inputs."""
    flat = keras.tree.flatten(data)
    if len(flat) == 1:
        return dict.fromkeys(inputs, flat[0])
    if isinstance(data, dict):
        return data
    return {tensor.name: one for tensor, one in zip(subject.stock.inputs, flat, strict=True)}


def _paths(outputs):
    """The paths under which all six gates stand."""
    return {
        name[:-2]
        for name in outputs
        if name.endswith("/i") and all(f"{name[:-1]}{gate}" in outputs for gate in "fgoch")
    }


GRU = ("z", "r", "candidate", "h")


def _grus(outputs):
    """The paths under which the gates of a GRU stand."""
    return {name.removesuffix("/candidate") for name in outputs if name.endswith("/candidate")}


def _check_paths(paths, known):
    """The LSTMs' paths are those of the graph, with one a call."""
    wanted = sorted((path, call) for path, calls in known.items() for call in range(len(calls)))
    received = sorted(gates.path_and_call(path) for path in paths)
    # A cell above one that is no LSTM's stands in the graph, but not among what can be computed here.
    assert [one for one in received if one[0] in known] == wanted, f"paths {sorted(paths)}"


def _check_gates(subject, data, named, masks=None, tolerance=None, grus=False):
    known = gates.expected(subject.stock, data, grus)
    _check_paths(named, known)
    for path, received in named.items():
        name, call = gates.path_and_call(path)
        if name not in known:
            continue
        numbers, mask, _ = known[name][call]
        if masks is not None:
            np.testing.assert_array_equal(masks[path], mask, err_msg=f"mask of {path}")
        for gate, value in received.items():
            assert value.shape == numbers[gate].shape, f"{path}/{gate}: {value.shape}, not {numbers[gate].shape}"
            np.testing.assert_allclose(
                value[mask], numbers[gate][mask], atol=tolerance or subject.case.tolerance, err_msg=f"{path}/{gate}"
            )


def _predicted(model, data, batch):
    subjects.reset(model)
    return keras.tree.flatten(model.predict(data, batch_size=batch, verbose=0))


def _close(received, wanted, tolerance, what):
    assert len(received) == len(wanted), f"{what}: {len(received)} outputs, not {len(wanted)}"
    for place, (one, other) in enumerate(zip(received, wanted, strict=True)):
        assert one.shape == other.shape, f"{what}, {place}: {one.shape}, not {other.shape}"
        np.testing.assert_allclose(one, other, atol=tolerance, err_msg=f"{what}, {place}")
