"""The sections of the page on ablations and patches."""

import base64
import io

from keras_lstm_gates import plots


def intervention_sections(ablation=None, patching=None):
    """The html of both, drawn once; nothing of what is None.

    Args:
        ablation: `xarray.Dataset` of `keras_lstm_gates.steering.ablate`, or None.
        patching: `xarray.DataTree` of `keras_lstm_gates.steering.patch`, or None.

    Raises:
        ValueError: "expected ablation of keras_lstm_gates.steering.ablate; received another: KeyError: ...".
    """
    sections = ""
    if ablation is not None:
        sections += f"""<section aria-labelledby="ablation-title">
    <h2 id="ablation-title">What is needed</h2>
    {_picture(plots.ablation, ablation, "ablation", "ablate", "How much worse the metric is without each part")}
    <p class="how">Each part alone is set to its mean or to 0 within the recurrence, and the model runs again. Above 0:
    the metric is worse without it. A line is where the mean would lie for 95 of 100 draws of the samples. What two
    parts both carry can be spared in each.</p>
  </section>"""
    if patching is not None:
        sections += f"""<section aria-labelledby="patching-title">
    <h2 id="patching-title">What tells two runs apart</h2>
    {_picture(plots.patching, patching, "patching", "patch", "What part of the difference each gate carries")}
    <p class="how">The corrupted run with the numbers of one place taken from the clean run: 1 brings the clean answer
    back, 0 does nothing, below 0 leads away from it.</p>
  </section>"""
    return sections


def _picture(draw, numbers, name, maker, text):
    picture = io.BytesIO()
    try:
        draw(numbers).savefig(picture, format="svg")
    # NumPy raises a SystemError where numbers of a store are no characters.
    except (LookupError, TypeError, AttributeError, ValueError, SystemError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"expected {name} of keras_lstm_gates.steering.{maker}; received another: {said}") from error
    source = f"data:image/svg+xml;base64,{base64.b64encode(picture.getvalue()).decode()}"
    return f'<div class="picture" tabindex="0"><img class="gradients" src="{source}" alt="{text}"></div>'
