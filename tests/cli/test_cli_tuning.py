"""`tune` as a user types it: from a built-in recipe to one that `train` takes, and what is refused."""

import json

import typer

from keras_lstm_gates.cli.entry import app
from keras_lstm_gates.cli.tuning import SPACE
from keras_lstm_gates.recipes import RECIPES, Recipe
from keras_lstm_gates.tuning import GatedLSTMHyperModel, spaces

QUICK = ("--trials", "2", "--workers", "0", "--set", "epochs=1", "--set", "layers=1", "--set", "recurrent_dropout=0.0")


def test_from_a_recipe_by_name_to_one_that_trains(command, tmp_path):
    code, printed, _ = command("tune", "japanese_vowels", *QUICK, "--set", "units=[4, 5]", "--out", "search")
    assert code == 0
    assert "best.json" in printed
    best = Recipe.from_file(tmp_path / "search" / "best.json")
    assert best.units in (4, 5)
    # What the space leaves alone is the built-in recipe's, not a bare recipe's.
    assert best.pooling == RECIPES["japanese_vowels"].pooling == "mean"
    trials = json.loads((tmp_path / "search" / "search.json").read_text())["trials"]
    assert [trial["status"] for trial in trials] == ["completed", "completed"]
    code, _, _ = command("train", "search/best.json", "--out", "run")
    assert code == 0


def test_mistakes_are_one_line(command, tmp_path):
    (tmp_path / "power.csv").touch()
    for arguments, text in (
        (["tune", "japanese_vowel"], "expected one of the recipes"),
        (["tune", "power.csv"], "expected a target, the column of power.csv to forecast"),
        (["tune", "japanese_vowels", "--set", "units=9:3"], "expected a range low < high for units; received 9:3"),
    ):
        code, _, errors = command(*arguments)
        assert code == 1
        assert text in errors
        assert len(errors.strip().splitlines()) == 1


def test_only_searches_what_is_named():
    recipe = RECIPES["japanese_vowels"]
    assert GatedLSTMHyperModel(recipe, {"units": [4, 5]}, only=True).space == {"units": [4, 5]}
    assert set(GatedLSTMHyperModel(recipe, {"units": [4, 5]}).space) == set(spaces.SPACE)


def test_only_without_anything_to_search_is_refused(command, tmp_path):
    code, _, errors = command("tune", "japanese_vowels", "--only", "--set", "units=4")
    assert code == 1
    assert (
        "expected one or more keys with a range or choices to search; received only fixed values: {'units': 4}"
        in errors
    )
    assert not (tmp_path / "runs").exists()


def test_the_help_lists_the_space_that_is_searched():
    listed = dict(spaces.parse(word) for word in SPACE.split() if "=" in word)
    assert listed == spaces.SPACE


def test_a_table_is_read_as_train_reads_it(command, tmp_path):
    (tmp_path / "load.csv").write_text(
        "when,store,load,holiday\n"
        + "".join(
            f"2024-{month:02}-{day:02};{store};{day % 7},5;{day % 2}\n".replace(",", ".").replace(";", ",")
            for month in range(1, 7)
            for day in range(1, 29)
            for store in ("north", "south")
            if (month, day) != (2, 3)
        ).replace("2024-01-05,north,5.5", "2024-01-05,north,-200")
    )
    code, _, errors = command(
        "tune", "load.csv", "--target", "load", "--group", "store", "--known", "holiday", "--sentinel", "-200",
        "--step", "1D", "--fill", "--missing", "forward", "--window", "4", "--horizon", "2", "--trials", "1",
        "--workers", "0", "--only", "--set", "units=[2]", "--set", "epochs=1", "--out", "search",
    )  # fmt: skip
    assert code == 0, errors
    best = Recipe.from_file(tmp_path / "search" / "best.json")
    assert (best.group, best.known, best.sentinels, best.step, best.fill) == (
        "store",
        ("holiday",),
        ("-200",),
        "1D",
        True,
    )
    assert (best.missing, best.units, best.epochs) == ("forward", 2, 1)


def test_train_and_tune_take_the_same_options_of_a_table():
    options = {
        name: {one.name: one.opts for one in typer.main.get_command(app).commands[name].params}
        for name in ("train", "tune")
    }
    for name in (
        "known",
        "group",
        "dates",
        "decimal",
        "timezone",
        "missing",
        "sentinels",
        "step",
        "fill",
        "duplicates",
    ):
        assert options["tune"][name] == options["train"][name]
