"""Progress bars and tables of the command line."""

import contextlib
from pathlib import Path

import keras
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table


def bar(console):
    """A rich progress bar in the style of this package."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )


@contextlib.contextmanager
def counted(console, description, total):
    """Show a bar; yields a function that takes the number done so far."""
    with bar(console) as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.update(task, completed=done)


class EpochProgress(keras.callbacks.Callback):
    """One bar over the epochs of a training, with the figures of the last one; it ends with its `with` block."""

    def __init__(self, console):
        super().__init__()
        self._progress = bar(console)

    def on_train_begin(self, logs=None):
        self._progress.start()
        self._task = self._progress.add_task("epochs", total=self.params["epochs"])

    def on_epoch_end(self, epoch, logs=None):
        figures = ", ".join(f"{name} {value:.3f}" for name, value in (logs or {}).items())
        self._progress.update(self._task, completed=epoch + 1, description=f"epochs  {figures}")

    def on_train_end(self, logs=None):
        self._progress.stop()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._progress.stop()


def differences_table(exported, sequences):
    """A rich table of the largest difference from the Keras model, a row per signature of a file."""
    table = Table(title=f"Largest difference from the Keras model over {sequences} sequences")
    for column in ("file", "signature", "outputs"):
        table.add_column(column, justify="right" if column == "outputs" else "left")
    table.add_column("largest", justify="right")
    table.add_column("of")
    for name, signatures in exported.differences.items():
        for signature, outputs in signatures.items():
            worst = max(outputs, key=outputs.get)
            file = exported.files[name].name if signature == next(iter(signatures)) else ""
            table.add_row(file, signature, str(len(outputs)), f"{outputs[worst]:.1e}", worst)
        table.add_section()
    return table


MEANINGS = {
    "recipe.json": "all that determines the model",
    "environment.json": "versions and machine",
    "history.json": "loss and metrics of each epoch",
    "learning_curves.png": "the same, drawn",
    "gate_statistics.json": "what each unit's gates do",
    "gate_saturation.png": "how often each gate is shut or open",
    "metrics.json": "test metrics, parameters, seconds",
    "names.json": "what the numbers mean: columns, classes",
    "forecast.csv": "the forecast, with its times",
    "forecast.parquet": "the forecast, with its times",
    "forecast.png": "the same, drawn",
    "backtest.csv": "the scores of each fold and forecast",
    "backtest.json": "the recipe and the folds, by which it resumes",
    "backtest.png": "the same, drawn",
    "gradients.zarr": "every term and product: keras_lstm_gates.tracing.load",
    "gradients.png": "the picture",
    "card.json": "the measured numbers",
    "SHA256SUMS": "of each file",
    "checkpoint.npz": "where an interrupted training goes on",
    "explanation.csv": "each step through each lens",
    "explanation.png": "the same, drawn",
    "ablation.csv": "how much worse without each part",
    "ablation.png": "the same, drawn",
    "ablation.zarr": "each sample: keras_lstm_gates.tracing.load",
    "patching.csv": "what each place restores",
    "patching.png": "the same, drawn",
    "patching.zarr": "each pair: keras_lstm_gates.tracing.load",
    "plain.npz": "the outputs as they are",
    "plain.zarr": "their gates: keras_lstm_gates.tracing.load",
    "steered.npz": "the outputs of the steered model",
    "steered.zarr": "their gates",
    "removed.csv": "the units that went, and why",
    "sizes.csv": "before and after",
    "shrinking.csv": "the metric of each round",
    "shrinking.png": "the same, drawn",
    "report.html": "the page, for any browser",
    "model.keras": "the model: keras_lstm_gates.load_model",
    "gates.zarr": "every gate: keras_lstm_gates.tracing.load",
    "gates.png": "the picture",
    "utterance.npy": "the utterance of the picture",
    "saved_model": "for servers: tf.saved_model.load",
    "model.tflite": "for devices: keras_lstm_gates.edge.Runner",
    "model_float16.tflite": "the same, weights in 16 bits",
    "model_dynamic_int8.tflite": "the same, weights in 8 bits",
    "model_int8.tflite": "the same, in whole numbers where there is no loop",
    "model_fused.tflite": "predict by the fused operator, without gates",
    "onnx": "for ONNX Runtime: a file a signature",
    "micro": "C++ sources for a microcontroller",
    "micro_int8": "the same, in whole numbers",
    "drift.csv": "the differences, an output and step a row",
    "drift.png": "the picture",
    "edge.py": "runs model.tflite without TensorFlow and Keras",
    "manifest.json": "signatures, shapes, operators, errors, sha256",
    "README.md": "for whoever receives the folder",
}
"""What each file of a run folder is."""


def files_table(folder):
    """A rich table of the files in a run folder, with sizes."""
    table = Table(title=str(folder))
    table.add_column("file")
    table.add_column("size", justify="right")
    table.add_column("what it is")
    for path in sorted(Path(folder).iterdir()):
        table.add_row(path.name, f"{_size(path) / 1024:,.1f} KiB", MEANINGS.get(path.name) or _of_several(path.name))
    return table


def _of_several(name):
    """What a file or folder is whose name holds a number."""
    for start, meaning in (
        ("fold-", "the run folder of the model of this fold"),
        ("target-", "the run folder of the model of this target"),
        ("part-", "one shard"),
    ):
        if name.startswith(start):
            return meaning
    return ""


def print_next(console, *commands):
    """Print the commands to try next, whole lines that can be copied."""
    console.print("\nNext:")
    for command in commands:
        console.print(f"  {command}", style="cyan", soft_wrap=True, highlight=False)


def _size(path):
    return (
        sum(part.stat().st_size for part in path.rglob("*") if part.is_file()) if path.is_dir() else path.stat().st_size
    )
