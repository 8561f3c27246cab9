"""What each step gives to the training gradient: dE/dh_t, dE/dc_t, and its share of dE/dW, dE/dR and dE/db."""

import numpy as np
import xarray as xr


def contributions(steps, output_gradients, full=False):
    """The chain rule back through one recorded call, from the loss gradient at the layer's outputs.

    Args:
        steps: `LinearizedLSTM`, `LinearizedSimpleRNN` or `LinearizedGRU`.
        output_gradients: dict of float64 arrays, dE/d(output) for each of the layer's outputs, at its real steps.
        full: bool. True: also the contributions themselves, summed over the samples.

    Returns:
        `xarray.Dataset`:
            dE_dh, dE_dc                (sample, time, unit), along all later routes; dE_dc of an LSTM only
            norm_dE_dh, norm_dE_dc      (sample, time), their Euclidean norms
            norm_dE_dW, _dR, _db        (sample, time, gate), Frobenius norm of a step's contribution
            share_of_dE_dW, _dR, _db    (sample, time, gate), its projection onto the whole gradient; they sum to 1 over
                                        samples and steps, and single ones may be negative
        with full:
            dE_dW (time, gate, feature, unit), dE_dR (time, gate, unit_from, unit), dE_db (time, gate, unit), and
            dE_db_recurrent of a GRU with reset_after: their sums over time are the gradients that training uses.
    """
    samples, time, units = steps.h_before.shape
    rows = tuple(output_gradients.get(f"state_{state}", np.zeros((samples, units))) for state in steps.states)
    by_state = {state: np.empty((samples, time, units)) for state in steps.states}
    by_x = np.empty((samples, time, len(steps.gates) * units))
    by_recurrent = np.empty_like(by_x)
    for t in reversed(range(time)):
        rows = list(rows)
        for name in ("output", "h"):
            if name in output_gradients:
                rows[0] = rows[0] + output_gradients[name][:, t]
        if "c" in output_gradients:
            rows[1] = rows[1] + output_gradients["c"][:, t]
        by_state["h"][:, t] = rows[0]
        if "c" in by_state:
            by_state["c"][:, t] = rows[1] + rows[0] * steps.h_by_c[:, t]
        of_gates = 0.0
        if "i" in output_gradients:
            of_gates = np.concatenate(
                [output_gradients[gate][:, t] * steps.gate_slopes[gate][:, t] for gate in steps.gates], axis=-1
            )
        rows, by_x[:, t], by_recurrent[:, t] = steps.back(t, rows, of_gates)

    by_gate = (samples, time, len(steps.gates), units)
    by_x, by_recurrent = by_x.reshape(by_gate), by_recurrent.reshape(by_gate)
    inputs = np.repeat(steps.x[:, :, None], len(steps.gates), axis=2)
    before = np.stack([steps.recurrent_input(gate) for gate in steps.gates], axis=2)
    one = np.ones((*by_gate[:3], 1))
    pairs = {"W": (inputs, by_x), "R": (before, by_recurrent), "b": (one, by_x)}
    if getattr(steps, "reset_after", False):
        pairs["b_recurrent"] = (one, by_recurrent)
    dataset = xr.Dataset(coords={"gate": list(steps.gates)})
    for state, values in by_state.items():
        dataset[f"dE_d{state}"] = (("sample", "time", "unit"), values)
        dataset[f"norm_dE_d{state}"] = (("sample", "time"), np.linalg.norm(values, axis=-1))
    for weight, (left, right) in pairs.items():
        total = np.einsum("ntgd,ntgu->gdu", left, right, optimize=True)
        # A step's contribution is an outer product: its norm is the product of two norms.
        norm = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
        projection = np.einsum("ntgd,gdu,ntgu->ntg", left, total, right, optimize=True)
        squared = np.sum(total**2, axis=(1, 2))
        dataset[f"norm_dE_d{weight}"] = (("sample", "time", "gate"), norm)
        dataset[f"share_of_dE_d{weight}"] = (
            ("sample", "time", "gate"),
            np.divide(projection, squared, out=np.zeros_like(projection), where=squared > 0),
        )
        if full:
            rows_of = {"W": ("feature",), "R": ("unit_from",)}.get(weight, ())
            values = np.einsum("ntgd,ntgu->tgdu", left, right, optimize=True)
            dataset[f"dE_d{weight}"] = (("time", "gate", *rows_of, "unit"), values if rows_of else values[:, :, 0])
    return dataset
