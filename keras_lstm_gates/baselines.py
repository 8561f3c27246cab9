"""What a model has to beat: figures of simple methods on the same parts of the same data."""

import numpy as np


def measure(recipe, data):
    """Two baselines of a recipe's task, on the test part.

    Args:
        recipe: `Recipe`.
        data: `keras_lstm_gates.datasets.Data`.

    Returns:
        {name: figure}. Classification: accuracy of the most frequent class, and of the nearest class mean of each
        sequence's mean and standard deviation over time. Forecasting: MAE of persistence (the last value stays), of
        the seasonal naive forecast (the last season again; where the recipe names a season that the window holds), and
        of ridge regression on the window. Labelling: accuracy of the most frequent label, and of each token's own.
        Language: bits per character of the unigram and of the bigram with add-one smoothing.

    Raises:
        ValueError: a task that is none of these.
    """
    kinds = {
        "classification": _classification,
        "forecasting": _forecasting,
        "labelling": _labelling,
        "language": _language,
    }
    return kinds[recipe.task](recipe, data)


def _rows(part):
    return [[np.asarray(value) for value in batch] for batch in part]


def _classification(recipe, data):
    def summarized(part):
        rows, labels = [], []
        for x, y in _rows(part):
            for sequence in x:
                real = sequence[np.any(sequence != 0, axis=-1)]
                rows.append(np.concatenate([real.mean(axis=0), real.std(axis=0)]))
            labels.append(y)
        return np.array(rows), np.concatenate(labels)

    (x, y), (x_test, y_test) = summarized(data.train), summarized(data.test)
    spread = x.std(axis=0) + 1e-9
    centres = np.array([x[y == label].mean(axis=0) for label in range(data.arguments["classes"])])
    distances = (((x_test[:, None] - centres) / spread) ** 2).sum(axis=-1)
    return {
        "most frequent class": float(np.mean(y_test == np.bincount(y).argmax())),
        "nearest class mean": float(np.mean(distances.argmin(axis=1) == y_test)),
    }


def _forecasting(recipe, data):
    place = data.names["features"].index(recipe.target)
    train, test = _rows(data.train), _rows(data.test)
    x, y = (np.concatenate([batch[number] for batch in train]) for number in range(2))
    x_test, y_test = (np.concatenate([batch[number] for batch in test]) for number in range(2))
    last = x_test[:, -1:, place]
    found = {"persistence": float(np.abs(y_test - last).mean())}
    if recipe.season is not None and recipe.season <= recipe.window:
        again = np.resize(np.arange(recipe.season), recipe.horizon) + recipe.window - recipe.season
        found["seasonal naive"] = float(np.abs(y_test - x_test[:, again, place]).mean())

    def design(windows):
        scaled = (windows - mean) / spread
        return np.concatenate([scaled.reshape(len(windows), -1), np.ones((len(windows), 1))], axis=1)

    mean, spread = x.mean(axis=(0, 1)), x.std(axis=(0, 1)) + 1e-9
    taken = np.linspace(0, len(x) - 1, min(len(x), 4000)).astype(int)
    a = design(x[taken]).astype("float64")
    weights = np.linalg.solve(a.T @ a + len(taken) * 1e-3 * np.eye(a.shape[1]), a.T @ y[taken])
    found["ridge regression"] = float(np.abs(y_test - design(x_test) @ weights).mean())
    return found


def _labelling(recipe, data):
    counts = np.zeros((data.arguments["vocabulary"], data.arguments["classes"]), int)
    for x, y, weights in _rows(data.train):
        np.add.at(counts, (x[weights > 0], y[weights > 0]), 1)
    overall = counts.sum(axis=0).argmax()
    best = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), overall)
    right = [
        np.stack([y[weights > 0] == overall, best[x[weights > 0]] == y[weights > 0]])
        for x, y, weights in _rows(data.test)
    ]
    most, by_token = np.concatenate(right, axis=1).mean(axis=1)
    return {"most frequent label": float(most), "most frequent label of each token": float(by_token)}


def _language(recipe, data):
    size = data.arguments["vocabulary"]
    pairs = np.ones((size, size))
    for x, y in _rows(data.train):
        np.add.at(pairs, (x.ravel(), y.ravel()), 1)
    single = pairs.sum(axis=0) / pairs.sum()
    following = pairs / pairs.sum(axis=1, keepdims=True)
    x, y = (np.concatenate([batch[number].ravel() for batch in _rows(data.test)]) for number in range(2))
    return {"unigram": float(-np.log2(single[y]).mean()), "bigram": float(-np.log2(following[x, y]).mean())}
