"""At which lag a gradient is lost or out of hand: `verdict`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_lstm_gates._support.notebooks import table

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import ArrayLike


VANISHED = 1e-3
EXPLODED = 1e3


class Verdict(NamedTuple):
    """What became of one layer's gradient over the lags, as the median over the samples.

    Attributes:
        model: str.
        layer: str.
        vanishes_at: int, the first lag from which on the gain stays below 1e-3 of its start; None: never.
        explodes_at: int, the first lag at which the gain is above 1e3 times its start; None: never.
        lags: int, the longest lag seen.
        last: float, the gain at that lag, relative to lag 0.
    """

    model: str
    layer: str
    vanishes_at: int | None
    explodes_at: int | None
    lags: int
    last: float

    def _repr_html_(self):
        return Verdicts([self])._repr_html_()

    def __str__(self):
        where = f"{self.model}, layer {self.layer}: "
        last = f"{self.last:.3g} at lag {self.lags}"
        if self.vanishes_at is not None:
            return where + f"below {VANISHED:.0e} of its start from lag {self.vanishes_at} on ({last})"
        if self.explodes_at is not None:
            return where + f"above {EXPLODED:.0e} of its start from lag {self.explodes_at} on ({last})"
        return where + (
            f"between {VANISHED:.0e} and {EXPLODED:.0e} of its start over all {self.lags} lags ({self.last:.3g} at the "
            "last)"
        )


class Verdicts(list):
    """A list of `Verdict`; in a notebook, their sentences."""

    def _repr_html_(self):
        return table("What becomes of the gradient", ("verdict",), [(str(one),) for one in self])


def verdict(tree: xr.DataTree) -> list[Verdict]:
    """Where each layer's gradient falls below 1e-3 of its start for good, or grows beyond 1e3 times it.

    The gain over a lag is the Frobenius norm of the product along all routes, over that of lag 0: the factor by which
    a gradient of random direction shrinks or grows, as a root mean square.

    Args:
        tree: `xarray.DataTree` from `gradient_chain` or `compare`.

    Returns:
        list of `Verdict`, one a layer; each prints as a sentence.

    Example:
        >>> import keras
        >>> from keras_lstm_gates.gradients import gradient_chain
        >>> inputs = keras.Input((30, 1))
        >>> layer = keras.layers.SimpleRNN(2, name="rnn")
        >>> model = keras.Model(inputs, layer(inputs), name="plain")
        >>> layer.set_weights([np.zeros((1, 2)), 0.5 * np.eye(2), np.zeros(2)])
        >>> print(*verdict(gradient_chain(model, np.zeros((1, 30, 1)))))
        plain, layer rnn: below 1e-03 of its start from lag 10 on (9.31e-10 at lag 30)
    """
    return Verdicts(
        judge(node.attrs["model"], node.attrs["layer"], profile(node["product_frobenius"].sel(path="full")))
        for node in tree.subtree
        if "product_frobenius" in node
    )


def profile(norms: ArrayLike) -> np.ndarray:
    """The gain over each lag, (lag,): the median over the samples of at least that length, relative to lag 0.

    Args:
        norms: float, (sample, lag), norms of products; NaN beyond a sample's first step.
    """
    norms = np.asarray(norms)
    relative = norms / norms[:, :1]
    return np.nanmedian(relative[:, ~np.isnan(relative).all(axis=0)], axis=0)


def judge(model, layer, gain):
    """The `Verdict` on a gain over the lags, (lag,)."""
    lost, grown = gain < VANISHED, gain > EXPLODED
    # Below for good: a product may pass through a small norm and grow again.
    above = np.flatnonzero(~lost)[-1] if (~lost).any() else -1
    return Verdict(
        model,
        layer,
        int(above + 1) if lost[-1] else None,
        int(np.argmax(grown)) if grown.any() else None,
        len(gain) - 1,
        float(gain[-1]),
    )
