"""The words of the tables that the commands print: each is explained below its table."""

MEANINGS = {
    # evaluate, backtest
    "mae": "mean absolute error, in the target's unit",
    "rmse": "root of the mean squared error, in the target's unit",
    "mase": "mae / mean absolute change from row to row; below 1 is better than the last value, one row ahead",
    "pinball": "mean loss of the quantiles, in the target's unit; smaller is better",
    "coverage": "share of what came that lies between the lowest and the highest quantile",
    "nominal": "what the coverage should be",
    "windows": "how many forecasts these are means over",
    "fold": "the origin, from the earliest; all: the mean over all windows",
    "forecast": "who forecasts: the model or a baseline",
    "model": "the trained model",
    "persistence": "the last value, again and again",
    "seasonal naive": "the values one season before",
    "ridge regression": "a linear regression on the window",
    # forecast
    "time": "of the row that is forecast",
    "row": "the number of the row that is forecast",
    "origin": "the last row that was read",
    "group": "the series",
    "actual": "what came, where the table has it",
    # train
    "loss": "what the training lowers",
    "accuracy": "share of the answers that are right",
    "seconds": "of the training",
    # gradients
    "of its start": "the gain of dc_t/dc_{t-1} multiplied over that many steps back (the lag), along all routes, "
    "relative to lag 0: near 1 a gradient survives, near 0 it vanishes; the median over the sequences",
    # drift
    "output": "a gate, a state or an answer of the model",
    "mean": "mean difference over all steps and sequences",
    "largest": "the largest difference of any number",
    "last quarter / first": "mean difference in the last quarter of the steps / in the first; above 1 it grows",
    "units of another class": "units that are always open, always closed or neither in the model, and another of these "
    "in the file",
    # shrink
    "units": "of all LSTMs",
    "parameters": "trainable numbers",
    "bytes": "of the TFLite file, float32",
    "milliseconds": "of one sequence in the TFLite interpreter here",
    # export
    "file": "what was written",
    "signature": "what can be asked of it",
    "outputs": "how many arrays it gives",
    "of": "the output with that difference",
}


def explain_words(console, words):
    """Print what each of the words means, a line a word; names of the user's own have none."""
    for word in words:
        if word in MEANINGS:
            console.print(f"  {word}: {MEANINGS[word]}", style="dim", soft_wrap=True, highlight=False, markup=False)
