"""The gradient over the lag: norms of products of one-step Jacobians, all lags in one walk back through time."""

import copy

import numpy as np

from keras_lstm_gates.gradients.terms import largest_singular_value


def profiles(steps, probes=None, seed=0, paths=None, progress=None):
    """Norms of the products of the last 0, 1, 2, … real steps' Jacobians, for each path.

    "direct"  the product of the direct terms alone (an LSTM's f, a GRU's z)
    "chain"   the product of dc_t/dc_{t-1}: exact over one lag; beyond, it misses the route through the output gate
    "full"    dc_T/dc_{T-lag} by all routes (of an RNN or GRU: dh_T/dh_{T-lag})
    "state"   d(h_T, c_T)/d(h_{T-lag}, c_{T-lag}): products of the whole 2U × 2U Jacobian

    Args:
        steps: `LinearizedLSTM`, `LinearizedSimpleRNN` or `LinearizedGRU`.
        probes: None: exact. int: that many Gaussian row vectors v stand for the U unit vectors, in float32, and the
            Frobenius norm is estimated by the root of the mean of |v P|²; spectral norms then only of "direct".
        seed: int, of the probes.
        paths: names of the paths to compute, or None for all that the layer has.
        progress: function of the share done, from 0 to 1; or None.

    Returns:
        Two dicts, path to float64 (sample, lag), lag from 0 to time: Frobenius norms and spectral norms. Lag counts
        real steps back from the last one; beyond a sequence's first step the value is NaN. Beyond the range of
        float64 it is 0 or inf.

    Cost: time × (probes or units) vectors through the recurrent kernel, and without probes an eigenvalue problem
    a step.
    """
    exact = probes is None
    units = steps.units
    paths = steps.paths if paths is None else paths
    if exact:
        vectors = np.repeat(np.eye(units)[:, None], len(steps.mask), axis=1)
    else:
        shape = (probes, len(steps.mask), units)
        vectors = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    jacobians = steps if exact else _in_float32(steps)
    norms = {}
    if "direct" in paths:
        norms |= _direct(steps)
    if "chain" in paths:
        views = {"chain": lambda t, rows: rows[0]}
        norms |= _walk(lambda t, rows: (jacobians.chain_back(t, rows[0]),), (vectors,), views, steps.mask, probes)
        if progress is not None:
            progress(0.3)
    if steps.states == ("h", "c"):
        zeros = np.zeros_like(vectors)
        # Only "state" needs the rows by h_T.
        half = len(vectors) if "state" in paths else 0
        start = (zeros, vectors) if half == 0 else (np.concatenate([vectors, zeros]), np.concatenate([zeros, vectors]))
        views = {
            # c_{t-1} acts through h_{t-1} too.
            "full": lambda t, rows: rows[1][half:] + rows[0][half:] * jacobians.h_by_c_before[:, t],
            "state": lambda t, rows: np.concatenate(rows, axis=-1),
        }
        views = {path: view for path, view in views.items() if path in paths}
    else:
        start, views = (vectors,), {"full": lambda t, rows: rows[0]}
    norms |= _walk(lambda t, rows: jacobians.back(t, rows)[0], start, views, steps.mask, probes)
    if progress is not None:
        progress(1.0)
    frobenius, spectral = {}, {}
    for path, (of_frobenius, of_spectral) in norms.items():
        of_frobenius[:, 0], of_spectral[:, 0] = np.sqrt(2 * units if path == "state" else units), 1.0
        frobenius[path] = _by_lag(of_frobenius, steps.mask)
        if exact or path == "direct":
            spectral[path] = _by_lag(of_spectral, steps.mask)
    return frobenius, spectral


def _walk(back, rows, views, mask, probes):
    """Carry row vectors back from the last step; norms of each view of them before each step, (sample, time + 1)."""
    samples, time = mask.shape
    norms = {path: np.full((2, samples, time + 1), np.nan) for path in views}
    # The product may leave the range of floats long before its logarithm does.
    logarithm = np.zeros(samples)
    for t in reversed(range(time)):
        rows = back(t, rows)
        largest = np.max([np.abs(part).max(axis=(0, 2)) for part in rows], axis=0).astype("float64")
        scale = np.where(largest > 0, largest, 1.0)
        rows = tuple(part / scale.astype(part.dtype)[:, None] for part in rows)
        logarithm += np.log(scale)
        with np.errstate(over="ignore", under="ignore"):
            factor = np.exp(logarithm)
            for path, view in views.items():
                matrix = view(t, rows)
                squared = np.einsum("knv,knv->n", matrix, matrix, dtype="float64") / (probes or 1)
                norms[path][0, :, time - t] = np.sqrt(squared) * factor
                if probes is None:
                    norms[path][1, :, time - t] = largest_singular_value(np.moveaxis(matrix, 1, 0)) * factor
    return norms


def _direct(steps):
    """Of a product of diagonals both norms are exact and cheap."""
    ones = np.ones((len(steps.mask), 1, steps.units))
    with np.errstate(over="ignore", under="ignore"):
        products = np.concatenate([ones, np.cumprod(steps.direct[:, ::-1], axis=1)], axis=1)
        return {"direct": np.stack([np.sqrt(np.sum(products**2, axis=-1)), np.abs(products).max(axis=-1)])}


def _by_lag(norms, mask):
    """(sample, time + 1) by steps back to (sample, lag) by real steps back, NaN beyond a sequence's first step."""
    profile = np.full_like(norms, np.nan)
    for sample, real in enumerate(mask[:, ::-1]):
        steps_back = np.flatnonzero(np.concatenate([[True], real]))
        profile[sample, : len(steps_back)] = norms[sample, steps_back]
    return profile


def _in_float32(steps):
    jacobians = copy.copy(steps)
    for name, attribute in vars(steps).items():
        if isinstance(attribute, np.ndarray) and attribute.dtype == np.float64:
            setattr(jacobians, name, attribute.astype(np.float32))
    return jacobians
