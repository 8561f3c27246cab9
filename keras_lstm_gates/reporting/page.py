"""One self-contained HTML page of a trace: `report`."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import zlib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_lstm_gates import plots
from keras_lstm_gates._support.files import replaced_when_whole
from keras_lstm_gates._support.notebooks import Page
from keras_lstm_gates.gates import DESCRIPTIONS, KINDS, kind_of
from keras_lstm_gates.gradients import verdict
from keras_lstm_gates.reporting.answers import MOST_STEPS, answers
from keras_lstm_gates.reporting.checking import check
from keras_lstm_gates.reporting.interventions import intervention_sections
from keras_lstm_gates.reporting.model_inputs import model_input, undrawn_columns
from keras_lstm_gates.tracing import flat, nodes, sole_input
from keras_lstm_gates.tracing.gate_statistics import of_layer
from keras_lstm_gates.tracing.traces import COARSE

if TYPE_CHECKING:
    import xarray as xr

    from keras_lstm_gates._support.annotations import StrPath
    from keras_lstm_gates.attribution.explaining import Explanation


EXACT = 500_000
"""Up to this many numbers a page holds float32; beyond, float16 with three digits if no number is too large for it."""
MOST = 2_600_000
"""The most numbers a page holds, half as many in float32, which keeps it below 8 MB; beyond, samples are left out."""


def report(
    tree: xr.DataTree,
    path: StrPath,
    *,
    title: str | None = None,
    samples: int = 20,
    gradients: xr.DataTree | None = None,
    explanation: Explanation | None = None,
    ablation: xr.Dataset | None = None,
    patching: xr.DataTree | None = None,
) -> Path:
    """Write a page that shows a trace: numbers, heat maps, curves, and every step of every unit as a drawing.

    The page is one file without a server or a network. It holds: the key numbers; a heat map of time
    and units; a unit's curves under its input or over its text; the recurrent unit as in textbooks, with the
    numbers of the chosen sample, step and unit, whose gates can be turned; the statistics as a sortable table; how to
    read each; how it was made. Everything can be reached by keyboard: ← → step, ↑ ↓ unit, space plays, i f g o c h
    choose what to colour.

    Args:
        tree: `xarray.DataTree` from `trace`.
        path: str or `Path` of the .html file.
        title: str, or None for the model's name.
        samples: int > 0, the most sequences to show. Statistics cover the whole trace.
        gradients: `xarray.DataTree` of `gradient_chain` or `compare` for a section on the gradient, or None.
        explanation: `Explanation` of `keras_lstm_gates.attribution.explain` for a section on one answer, or None.
        ablation: `xarray.Dataset` of `keras_lstm_gates.steering.ablate` for a section on what is needed, or None.
        patching: `xarray.DataTree` of `keras_lstm_gates.steering.patch` for one on what tells two runs apart, or None.

    Returns:
        `pathlib.Path` of the page; a notebook shows the page itself.

    Raises:
        ImportError: plotly is not installed: `pip install keras_lstm_gates[report]`.
        ValueError: "expected samples of 1 or more; received 0", a path without the ending .html, or a trace without
            a layer.

    Cost: 1.6 MB for the plotting library, and 10 bytes a sample, step and unit. Where the page would hold more than
    2.6 million numbers it shows fewer samples, and says so.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from keras_lstm_gates.models import SequenceClassifier
        >>> from keras_lstm_gates.tracing import trace
        >>> tree = trace(SequenceClassifier(features=3, classes=2, units=4), np.ones((5, 7, 3)), progress=False)
        >>> report(tree, Path(tempfile.mkdtemp()) / "gates.html").name
        'gates.html'
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ImportError(
            "the page draws with plotly, which is not installed; run: pip install 'keras_lstm_gates[report]'"
        ) from None
    if samples < 1:
        raise ValueError(f"expected samples of 1 or more; received {samples}")
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"expected a path with the ending .html; received {path}")
    check(tree)
    content, numbers = _content(tree, samples)
    library = get_plotlyjs()
    # It brings a style sheet for maps, unless there is an element of this name.
    content["stylesOfMaps"] = "".join(re.findall(r'getElementById\("([0-9a-f]{64})"\)', library)[:1])
    content["phrases"] = None if explanation is None else _phrases(explanation.data)
    content["title"] = title or f"The gates of {tree.attrs.get('model', 'an LSTM')}"
    room = files("keras_lstm_gates.reporting")
    page = (room / "page.html").read_text(encoding="utf-8")
    style = (room / "page.css").read_text(encoding="utf-8")
    script = "\n".join(
        (room / name).read_text(encoding="utf-8")
        for name in (
            "data.js",
            "unit.js",
            "turning.js",
            "preactivations.js",
            "answers.js",
            "phrases.js",
            "address.js",
            "page.js",
        )
    )
    # Data last, so that nothing in it is taken for a placeholder.
    for place, text in {
        "POLICY": _policy([f'"use strict";\n{script}\n', library], [style, ""]),
        "STYLE": style,
        "SCRIPT": script,
        "TITLE": html.escape(content["title"]),
        "GRADIENTS": "" if gradients is None else _gradient_section(gradients),
        "EXPLANATION": "" if explanation is None else _explanation_section(explanation),
        "INTERVENTIONS": intervention_sections(ablation, patching),
        "LIBRARY": _packed(library.encode()),
        "NUMBERS": _packed(numbers),
        "CONTENT": json.dumps(content, allow_nan=False).replace("<", "\\u003c"),
    }.items():
        before, _, after = page.partition(f"<!--{place}-->")
        page = before + text + after
    with replaced_when_whole(path) as temporary:
        # A name may hold half a pair of surrogates, which UTF-8 has not.
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return Page(path)


def _policy(scripts, styles):
    """What a browser lets the page do: run these scripts and styles and no others, and fetch nothing.

    The plots set styles of single elements, among them an empty style sheet, and draw the heat map as an image.
    """

    def hashes(texts):
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in texts)

    return (
        f"default-src 'none'; script-src {hashes(scripts)}; style-src {hashes(styles)}; "
        "style-src-attr 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _explanation_section(explanation):
    """The picture of one answer, and its sentence."""
    picture = io.BytesIO()
    explanation.figure.savefig(picture, format="svg")
    source = f"data:image/svg+xml;base64,{base64.b64encode(picture.getvalue()).decode()}"
    sentence = html.escape(explanation.sentence)
    return f"""<section aria-labelledby="explanation-title">
    <h2 id="explanation-title">Why this answer</h2>
    <p>{sentence}</p>
    <div class="picture" tabindex="0"><img class="gradients" src="{source}"
      alt="The input by what it contributes, and for each step what is stored, how sensitive it is, and what the answer
      loses without it"></div>
    {_PHRASES if "phrase" in explanation.data else ""}
    <p class="how">Lenses on one answer, which ask different questions. <b>Stored</b>: what a step wrote into the
    memory and is kept of it, as far as the answer reads it. <b>Sensitive</b>: the gradient of the answer at the memory
    of that step. <b>Closed</b>: what it loses where the input gates are shut at that step, so that nothing new is
    written. <b>Causal</b>: what the answer loses where the input of that step is taken away. A step may be stored
    and not matter, or matter and not be stored, as one that made the gates forget.</p>
  </section>"""


_PHRASES = """<div id="phrases">
      <label>Phrases of <select id="phrase-length"></select> tokens</label>
      <div id="phrase-text" class="text" aria-label="The text by what its phrases contribute"></div>
      <p id="phrase-said" aria-live="polite"></p>
      <p class="how">A token has the colour of the phrase that begins at it: lighter raises the answer, darker lowers
      it. It is the phrase's own part of the answer, through the gates, by contextual decomposition (Murdoch, Liu
      &amp; Yu 2018); the rest of the text makes the other part. Parts of phrases that overlap do not add up.</p>
    </div>"""


def _phrases(data):
    """The tokens and the contributions of the phrases that begin at each, of the real steps; None without any."""
    if "phrase" not in data:
        return None
    real = np.flatnonzero(data["mask"].values)
    texts = data["token"].values if "token" in data else data["input"].values
    rows = data["phrase"].values[real]
    # Of the padding behind the last token no phrase is made.
    ends = np.arange(len(real))[:, None] + np.arange(rows.shape[1])
    rows = np.where(ends < len(real), rows, np.nan)
    return {
        "tokens": [str(texts[step]) for step in real],
        "contributions": [[None if np.isnan(one) else _finite(one) for one in row] for row in rows],
    }


def _gradient_section(tree):
    """The terms over time, the products over the lag and the models side by side, drawn once, with the verdicts."""
    picture = io.BytesIO()
    try:
        plots.gradient_chain(tree).savefig(picture, format="svg")
        verdicts = "".join(f"<li>{html.escape(str(sentence))}</li>" for sentence in verdict(tree))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"expected gradients of gradient_chain or compare; received others: {said}") from error
    source = f"data:image/svg+xml;base64,{base64.b64encode(picture.getvalue()).decode()}"
    return f"""<section aria-labelledby="gradients-title">
    <h2 id="gradients-title">The gradient over the lag</h2>
    <div class="picture" tabindex="0"><img class="gradients" src="{source}"
      alt="Terms of the gradient at each step, its products over the lag, and each layer's gain over the lag"></div>
    <ul>{verdicts}</ul>
    <p class="how">Left: what carries the gradient from one step to the one before, through each gate and directly.
    Middle: the product of these over more and more steps; where it falls below 10<sup>−3</sup>, what happened so long
    ago can hardly be learned. Right: every layer along all routes.</p>
  </section>"""


def _content(tree, samples):
    """The content of the page as plain data, and its numbers as bytes."""
    flats = {path: flat(node.to_dataset()) for path, node in nodes(tree).items()}
    each = {path: int(np.prod([node.sizes["time"], node.sizes["unit"], 5])) for path, node in flats.items()}
    large = _beyond_float16(flats, sole_input(tree))
    limit = max(1, min(samples, (MOST // 2 if large else MOST) // sum(each.values())))
    exact = large or limit * sum(each.values()) <= EXACT
    parts, layers = [], []
    for path, node in flats.items():
        count = min(limit, node.sizes["sample"])
        kind = KINDS[kind_of(node)]
        values = {name: node[name].values[:count].astype("float64") for name in kind.fields}
        activations = _activations(node, values)
        # h is nearly always o tanh(c) and need not be stored; with another activation it must.
        derived = "o" in values and activations["activation"] == "tanh"
        stored = [name for name in kind.fields if name != "h" or not derived]
        parts += [_planes(values[name], exact) for name in stored]
        layers.append(
            {
                "path": path,
                "shape": [count, node.sizes["time"], node.sizes["unit"]],
                "total": node.sizes["sample"],
                "kept": stored,
                "kind": kind_of(node),
                "gates": _GATES[kind_of(node)],
                "memory": kind.memory,
                "remembered": kind.states[0],
                "saturating": _SATURATING[kind_of(node)],
                **activations,
                "precision": float(2**-7 if COARSE in node.attrs else np.finfo(node["h"].dtype).eps),
                "backwards": node.attrs.get("reads") == "backwards",
                "readsInput": bool(node.attrs.get("reads_input", True)),
                "steered": [*map(str, np.ravel(node.attrs.get("steered", [])))],
                "real": [np.flatnonzero(mask).tolist() for mask in node["mask"].values[:count]],
                "statistics": _statistics(node),
            }
        )
    read = model_input(tree, limit)
    if read.values is not None:
        parts.append(_planes(read.values, exact))
    content = {
        "layers": layers,
        "exact": exact,
        "input": None if read.values is None else list(read.values.shape),
        "tokens": read.tokens,
        "channels": read.channels,
        "names": read.names,
        "samples": tree.sizes.get("sample"),
        "answers": answers(tree, limit),
        "ids": tree.attrs.get("vocabulary") is None,
        "when": _times(flats, limit),
        "descriptions": DESCRIPTIONS,
        "made": {name: str(value) for name, value in tree.attrs.items() if name not in _TOLD_ELSEWHERE}
        | ({"columns": undrawn_columns(tree)} if "columns" in tree.attrs and read.values is None else {}),
    }
    return content, b"".join(parts)


_TOLD_ELSEWHERE = ("vocabulary", "layers", "columns")


_GATES = {"LSTM": list("figoch"), "GRU": ["z", "r", "candidate", "h"]}
_SATURATING = {"LSTM": list("fiog"), "GRU": ["z", "r", "candidate"]}
"""As the page shows them."""


def _times(flats, samples):
    """The time of each step of the first samples as text, of a table's windows; None where the trace has none."""
    when = next((node["when"].values[:samples] for node in flats.values() if "when" in node.coords), None)
    if when is None or when.size > MOST_STEPS:
        return None
    return [[str(one)[:16].replace("T", " ") for one in row] for row in when]


def _activations(node, values):
    """The names of a layer's activations, as the trace says; where h is not o tanh(c), it is no tanh that it says."""
    names = {name: node.attrs.get(name) for name in ("activation", "recurrent_activation")}
    names = {
        name: text if isinstance(text, str) else default
        for (name, text), default in zip(names.items(), ("tanh", "sigmoid"), strict=True)
    }
    if "o" in values and names["activation"] == "tanh":
        far = np.abs(values["h"] - values["o"] * np.tanh(values["c"])).max() >= 1e-4
        names["activation"] = "activation" if far else "tanh"
    return names


def _beyond_float16(flats, model_input):
    """Whether any number would be infinite in float16."""
    arrays = [node[name].values for node in flats.values() for name in ("c", "h", "candidate") if name in node]
    arrays += [] if model_input is None else [model_input.values]
    return any(np.abs(array.astype("float64")).max(initial=0) > np.finfo("float16").max for array in arrays)


def _statistics(node):
    numbers, kind = of_layer(node), KINDS[kind_of(node)]
    columns = {
        "half_life": numbers["half_life"],
        "time_constant": numbers["time_constant"],
        **{f"{gate} mean": numbers["mean"].sel(gate=gate) for gate in kind.fields},
        **{f"{gate} < 0.1": numbers["left_saturated"].sel(saturating=gate) for gate in kind.saturating},
        **{f"{gate} > 0.9": numbers["right_saturated"].sel(saturating=gate) for gate in kind.saturating},
        f"{kind.modulation} bias": numbers[f"{kind.modulation}_bias"],
    }
    always = {name: int(numbers[name].sel(saturating=kind.memory).sum()) for name in ("always_open", "always_closed")}
    return {
        "units": {name: [_finite(value) for value in values.values] for name, values in columns.items()},
        "effective_memory": _finite(numbers["effective_memory"]),
        "steps": int(numbers["steps"]),
        "quantiles": {gate: _quantiles(numbers, gate) for gate in kind.saturating},
        **always,
    }


def _quantiles(numbers, gate):
    return [round(float(value), 3) for value in numbers["quantiles"].sel(gate=gate).mean(dim="unit")]


def _finite(value):
    """Five digits; None for an infinite number, which JSON does not have."""
    value = float(value)
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _planes(values, exact):
    """Numbers as bytes, all first bytes, then all second ones: similar bytes side by side compress better."""
    values = np.ascontiguousarray(values, "<f4" if exact else "<f2")
    return values.reshape(-1, 1).view("u1").T.tobytes()


def _packed(data):
    return base64.b64encode(zlib.compress(data, 9)).decode()
