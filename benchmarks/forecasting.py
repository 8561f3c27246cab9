"""Does `train FILE --target ...` forecast better than what needs no LSTM? Twelve public series of different kinds.

    pip install 'keras_lstm_gates[bench]'
    python benchmarks/forecasting.py                  all of it; what is in benchmarks/forecasting.json is not run again
    python benchmarks/forecasting.py --only tables    the tables alone, into runs/benchmark_forecasting
    python benchmarks/forecasting.py --only ours      our trainings; also: statsforecast, darts

Writes benchmarks/forecasting.json, .md and .png.

Ours is the command with its default settings; of the buoy, whose table holds times twice, with --duplicates mean. The
baselines are those that it prints: persistence, the seasonal naive forecast and ridge regression on the same windows;
they are fitted to the training part. The figure is the mean absolute error on every window of the test part, the last
fifth of the rows.

statsforecast's AutoETS and AutoARIMA are fitted to all rows before the test part (the last 1,000 of them) and carried
forward, without another fit, to at most 30 evenly spaced windows of the test part, which ours is measured on too.
darts' LSTM (`BlockRNNModel`) has our window, horizon, units, epochs and seed, the target alone, scaled by the training
part, and the same windows.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).with_suffix("")
FOLDER = Path("runs/benchmark_forecasting")
ORIGINS = 30
LAST_ROWS = 1000
DUPLICATES = {"buoy": "mean"}
"""Of a table that holds a time twice: its option --duplicates."""
KEYS = "season window horizon units epochs transform relative_to scaling linear ridge".split()


def shipped(package, path):
    """A file that an installed package ships; the package itself is not imported."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0]) / path


def dated(values, start, step):
    values = np.asarray(values, float)
    return pd.DataFrame({"time": pd.date_range(start, periods=len(values), freq=step), "y": values})


def pmdarima(name, start, step):
    import pmdarima.datasets

    values = np.asarray(getattr(pmdarima.datasets, f"load_{name}")(), float)
    return dated(values[np.isfinite(values)], start, step)


def weather():
    table = pd.read_csv(shipped("pvlib", "data/723170TYA.CSV"), skiprows=1)
    columns = {"temperature": "Dry-bulb (C)", "dew_point": "Dew-point (C)", "humidity": "RHum (%)",
               "pressure": "Pressure (mbar)", "wind": "Wspd (m/s)", "sunshine": "GHI (W/m^2)"}  # fmt: skip
    times = pd.date_range("1990-01-01 01:00", periods=len(table), freq="h")
    return pd.DataFrame({"time": times} | {name: table[column] for name, column in columns.items()})


def elnino():
    from statsmodels.datasets import elnino

    return dated(elnino.load_pandas().data.drop(columns="YEAR").to_numpy().ravel(), "1950-01-01", "MS")


def co2():
    from statsmodels.datasets import co2

    weeks = co2.load_pandas().data["co2"].interpolate()
    return pd.DataFrame({"time": weeks.index, "y": weeks.to_numpy()})


def gdp():
    from statsmodels.datasets import macrodata

    table = macrodata.load_pandas().data.drop(columns=["year", "quarter"])
    table.insert(0, "time", pd.date_range("1959-01-01", periods=len(table), freq="QS"))
    return table


def share():
    table = pd.read_csv(shipped("bokeh_sampledata", "_data/stocks.csv.gz"))
    return table.loc[table["Ticker"] == "IBM", ["Date", "Open", "High", "Low", "Close", "Volume"]]


def unemployment():
    table = pd.read_csv(shipped("bokeh_sampledata", "_data/unemployment1948.csv"))
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return dated(table[months].to_numpy(float).ravel(), "1948-01-01", "MS").dropna()


SERIES = {
    "airline": ("passengers a month, grows", "y", lambda: pmdarima("airpassengers", "1949-01-01", "MS")),
    "wine": ("sales of wine a month", "y", lambda: pmdarima("wineind", "1980-01-01", "MS")),
    "demand": ("electricity demand each half hour", "y", lambda: pmdarima("taylor", "2000-06-05", "30min")),
    "sunspots": ("sunspots a month", "y", lambda: pmdarima("sunspots", "1749-01-01", "MS")),
    "co2": ("carbon dioxide each week", "y", co2),
    "elnino": ("temperature of the Pacific each month", "y", elnino),
    "gdp": ("gross domestic product, beside 11 others, each quarter", "realgdp", gdp),
    "weather": ("temperature each hour, beside 5 others", "temperature", weather),
    "share": ("price of IBM each trading day, beside 4 others", "Close", share),
    "buoy": ("temperature of the sea each half hour", "temperature (celsius)",
             lambda: pd.read_csv(shipped("bokeh_sampledata", "_data/sea_surface_temperature.csv.gz"))),
    "seattle": ("daily maximum temperature, beside 3 others", "temp_max",
                lambda: pd.read_csv(shipped("vega_datasets", "_data/seattle-weather.csv"))),
    "unemployment": ("unemployment in the USA each month", "y", unemployment),
}  # fmt: skip
"""Name to (what it is, target, its table)."""


def write_tables():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (_, _, table) in SERIES.items():
        path = FOLDER / f"{name}.csv"
        if not path.exists():
            table().to_csv(path, index=False)


def ours(name, target):
    """The command in a new process, and its figures; those of the compared windows too."""
    folder = FOLDER / f"run_{name}"
    arguments = ["train", str(FOLDER / f"{name}.csv"), "--target", target, "--out", str(folder)]
    arguments += ["--duplicates", DUPLICATES[name]] if name in DUPLICATES else []
    if (folder / "checkpoint.npz").exists():
        arguments += ["--resume"]
    if not (folder / "metrics.json").exists():
        code = f"import sys; sys.argv[1:] = {arguments!r}; from keras_lstm_gates.cli import main; main()"
        subprocess.run([sys.executable, "-c", code], check=True)
    seconds = (folder / "metrics.json").stat().st_mtime - (folder / "environment.json").stat().st_mtime
    from keras_lstm_gates import baselines, datasets, training
    from keras_lstm_gates.opening.readers import load_model
    from keras_lstm_gates.recipes import Recipe
    from keras_lstm_gates.residual_models import middle_of

    recipe = Recipe.from_file(folder / "recipe.json")
    data = datasets.load(recipe)
    model = load_model(folder / "model.keras")
    metrics = training.evaluate(model, recipe, data.test)
    windows, targets = (np.concatenate(parts) for parts in zip(*data.test.as_numpy_iterator(), strict=True))
    some = np.unique(np.linspace(0, len(windows) - 1, min(len(windows), ORIGINS)).astype(int))
    middle = model.predict(windows[some], verbose=0)[..., middle_of(recipe.quantiles)]
    finish = json.loads((folder / "names.json").read_text()).get("finish", {})
    return {
        "mae": metrics["mae"], "coverage": metrics["coverage"], "seconds": round(seconds, 1),
        "baselines": baselines.measure(recipe, data), "some_mae": float(np.abs(targets[some] - middle).mean()),
        "origins": [int(one) for one in some], "windows": len(windows), "share": finish.get("share"),
        "recipe": {key: value for key, value in recipe.to_dict().items() if key in KEYS},
    }  # fmt: skip


def compared(name, target, own):
    """(all rows before the test part, [(rows up to an origin, what came)]) of the compared windows."""
    from keras_lstm_gates.datasets import forecasting
    from keras_lstm_gates.recipes import Recipe

    recipe = Recipe.from_file(FOLDER / f"run_{name}" / "recipe.json")
    series = forecasting.series(recipe)
    y = series.frame[target].interpolate(limit_direction="both").to_numpy(float)
    starts = series.starts[2][own["origins"]] + recipe.window
    first = int(np.flatnonzero(series.part == 2)[0])
    return y[:first], [(y[:start], y[start : start + recipe.horizon]) for start in starts]


def statsforecast(name, target, own):
    from statsforecast.models import AutoARIMA, AutoETS

    before, pairs = compared(name, target, own)
    season, horizon, result = own["recipe"]["season"] or 1, own["recipe"]["horizon"], {}
    for model in (AutoETS(season_length=min(season, 24)), AutoARIMA(season_length=season if season <= 12 else 1)):
        began = time.perf_counter()
        fitted = model.fit(before[-LAST_ROWS:])
        errors = [abs(fitted.forward(y[-LAST_ROWS:], h=horizon)["mean"] - came).mean() for y, came in pairs]
        seconds = round(time.perf_counter() - began, 1)
        result[type(model).__name__] = {"some_mae": float(np.mean(errors)), "seconds": seconds}
    return result


def darts(name, target, own):
    from darts import TimeSeries
    from darts.models import BlockRNNModel

    before, pairs = compared(name, target, own)
    values, began = own["recipe"], time.perf_counter()
    mean, spread = before.mean(), before.std()
    model = BlockRNNModel(
        values["window"], values["horizon"], model="LSTM", hidden_dim=values["units"], n_epochs=values["epochs"],
        random_state=0, pl_trainer_kwargs={"accelerator": "cpu", "enable_progress_bar": False, "logger": False},
    )  # fmt: skip
    model.fit(TimeSeries.from_values(((before - mean) / spread).astype("float32")))
    pasts = [TimeSeries.from_values(((y[-values["window"] :] - mean) / spread).astype("float32")) for y, _ in pairs]
    forecasts = model.predict(values["horizon"], series=pasts)
    errors = [abs(one.values()[:, 0] * spread + mean - came).mean() for one, (_, came) in zip(forecasts, pairs)]
    return {"LSTM": {"some_mae": float(np.mean(errors)), "seconds": round(time.perf_counter() - began, 1)}}


def ratio(one):
    return one["mae"] / min(one["baselines"].values())


def page(results):
    """benchmarks/forecasting.md."""
    rows = {name: results[name] for name in SERIES if "ours" in results.get(name, {})}
    ratios = [ratio(one["ours"]) for one in rows.values()]
    lines = [
        "# Forecasts of twelve public series", "", "Made by `python benchmarks/forecasting.py`, which says what is "
        "compared. Mean absolute errors; ratio: ours over the best baseline, below 1 is better.", "",
        "| series | rows | window, horizon | persistence | seasonal naive | ridge | ours | ratio | coverage of 80% | "
        "learned | seconds |", "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, one in rows.items():
        own, recipe = one["ours"], one["ours"]["recipe"]
        learned = [recipe["transform"], recipe["relative_to"], {"window": "by window"}.get(recipe["scaling"]),
                   recipe["linear"] and f"linear: {recipe['linear']}", f"LSTM {own['share']:.0%}"]  # fmt: skip
        figures = [own["baselines"].get(key) for key in ("persistence", "seasonal naive", "ridge regression")]
        cells = ["" if figure is None else f"{figure:.4g}" for figure in figures]
        lines.append(
            f"| {name}: {SERIES[name][0]} | {one['rows']:,} | {recipe['window']}, {recipe['horizon']} | "
            f"{' | '.join(cells)} | **{own['mae']:.4g}** | {ratio(own):.3f} | {own['coverage']:.1%} | "
            f"{', '.join(filter(None, learned))} | {own['seconds']:.0f} |"
        )
    inside = sum(abs(one["ours"]["coverage"] - 0.8) <= 0.03 for one in rows.values())
    lines += [
        "", f"At least as good as the best baseline on {sum(value <= 1 for value in ratios)} of {len(ratios)} series; "
        f"geometric mean of the ratios {np.exp(np.mean(np.log(ratios))):.3f}. Coverage within 3 points of 80% on "
        f"{inside} of {len(rows)}. Not run: {', '.join(name for name in SERIES if name not in rows) or 'none'}.", "",
        "The linear path of ours is fitted again to the training and the validation part, the ridge regression beside "
        f"it to the training part alone. {results.get('note', '')}", "",
        "Beside others, on the same at most 30 windows of the test part: mean absolute error (seconds of fit and "
        "forecast).", "", "| series | ours | AutoETS | AutoARIMA | darts LSTM |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, one in rows.items():
        others = one.get("statsforecast", {}) | one.get("darts", {})
        cells = [
            f"{others[key]['some_mae']:.4g} ({others[key]['seconds']:.0f})" if key in others else "not run"
            for key in ("AutoETS", "AutoARIMA", "LSTM")
        ]
        lines.append(
            f"| {name} | **{one['ours']['some_mae']:.4g}** ({one['ours']['seconds']:.0f}) | {' | '.join(cells)} |"
        )
    return "\n".join([*lines, ""])


def figure(results):
    from matplotlib.figure import Figure

    rows = {name: ratio(results[name]["ours"]) for name in SERIES if "ours" in results.get(name, {})}
    result = Figure(figsize=(7, 0.5 + 0.33 * len(rows)), layout="constrained")
    axes = result.subplots()
    names = sorted(rows, key=rows.get, reverse=True)
    axes.barh(names, [rows[name] - 1 for name in names], left=1, color=["C0" if rows[n] <= 1 else "C3" for n in names])
    axes.axvline(1, color="0.3", linewidth=0.8)
    axes.set_xlabel("mean absolute error of ours over that of the best baseline")
    axes.spines[["top", "right"]].set_visible(False)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("tables", "ours", "statsforecast", "darts", "page"))
    only = parser.parse_args().only
    warnings.simplefilter("ignore")
    if only in (None, "tables"):
        write_tables()
    path = HERE.with_suffix(".json")
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, (_, target, _) in SERIES.items():
        entry = results.setdefault(name, {"rows": len(pd.read_csv(FOLDER / f"{name}.csv"))})
        for part, measure in (("ours", ours), ("statsforecast", statsforecast), ("darts", darts)):
            if only not in (None, part) or part in entry or (part != "ours" and "ours" not in entry):
                continue
            entry[part] = measure(name, target) if part == "ours" else measure(name, target, entry["ours"])
            print(name, part, entry[part], flush=True)
            path.write_text(json.dumps(results, indent=1) + "\n")
    HERE.with_suffix(".md").write_text(page(results))
    figure(results).savefig(HERE.with_suffix(".png"), dpi=130)


if __name__ == "__main__":
    main()
