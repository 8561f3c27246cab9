"""The zoo: every shipped file has its hash, a card's figure is measured again, and damage is refused by name."""

import dataclasses
import io
import json
import re
import shutil
import types

import keras
import numpy as np
import pytest
from PIL import Image

import keras_lstm_gates
from keras_lstm_gates import models, plots, zoo
from keras_lstm_gates._support import sums
from keras_lstm_gates.presets import registry
from keras_lstm_gates.presets.files import SUMS
from keras_lstm_gates.zoo import builds


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A preset whose files are a copy that a test may damage."""
    shutil.copytree(registry.home("italy_power_demand"), tmp_path / "italy_power_demand")
    entry = dataclasses.replace(registry.PRESETS["italy_power_demand"], folder=tmp_path)
    monkeypatch.setitem(registry.PRESETS, "italy_power_demand", entry)
    return tmp_path / "italy_power_demand"


def test_every_preset_loads_with_its_gates_and_its_card_is_whole():
    assert set(zoo.list()) == set(registry.PRESETS)
    for name in zoo.list():
        card = zoo.card(name)
        model = zoo.load(name)
        assert {output.rpartition("/")[2] for output in model.output} >= set("ifgoch")
        assert zoo.load(name, gates=False).count_params() == card["parameters"]
        assert len(card["quality"]["seeds"]) >= 5
        assert len(card["baselines"]) >= 2
        assert card["quality"]["mean"] == pytest.approx(np.mean(list(card["quality"]["seeds"].values())))


@pytest.mark.parametrize("name", registry.PRESETS)
def test_every_preset_is_traced_and_shown(name, rng):
    model = zoo.load(name)
    (inputs,) = model.inputs
    shape = [2, *[48 if size is None else size for size in inputs.shape[1:]]]
    words = inputs.dtype.startswith("int")
    x = rng.integers(1, 9, shape) if words else rng.normal(size=shape)
    tree = keras_lstm_gates.trace(model, x.astype(inputs.dtype), progress=False)
    outputs = zoo.load(name, gates=False).predict(x.astype(inputs.dtype), verbose=0)
    assert any(
        values.shape == outputs.shape and np.allclose(values, outputs, atol=1e-5)
        for values in tree.to_dataset().data_vars.values()
    )
    nodes = keras_lstm_gates.tracing.nodes(tree)
    shown = {output.rpartition("/")[0] for output in model.output if output.rpartition("/")[2] == "f"}
    assert set(nodes) == shown if shown != {""} else len(nodes) == 1
    for path, node in nodes.items():
        order = slice(None, None, -1 if path.endswith("backward") else 1)
        i, f, g, c = (node[gate].values[:, order] for gate in "ifgc")
        np.testing.assert_allclose(c[:, 1:], (i * g)[:, 1:] + f[:, 1:] * c[:, :-1], atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        (models.SequenceClassifier, "italy_power_demand"),
        (models.SequenceLabeller, "turkish_web_treebank"),
        (models.Forecaster, "greensboro_weather"),
        (models.CharacterLanguageModel, "shakespeare_plays"),
    ],
)
def test_an_architecture_opens_its_own_presets_by_name_and_by_folder(architecture, name):
    stored = keras.models.load_model(registry.home(name) / "model.keras", compile=False)
    for preset in (name, registry.home(name), str(registry.home(name))):
        model = architecture.from_preset(preset)
        assert [layer.name for layer in model.layers] == [layer.name for layer in stored.layers]
        for loaded, expected in zip(model.get_weights(), stored.get_weights(), strict=True):
            np.testing.assert_array_equal(loaded, expected)


def test_a_preset_of_another_architecture_is_refused_and_so_is_a_changed_one(copied):
    with pytest.raises(ValueError, match="of forecasting for Forecaster; received 'italy_power_demand', of classif"):
        models.Forecaster.from_preset("italy_power_demand")
    with pytest.raises(ValueError, match="expected one of the presets"):
        models.Forecaster.from_preset("nowhere")
    (copied / "model.keras").write_bytes(b"x")
    with pytest.raises(ValueError, match="must have the sha256"):
        models.SequenceClassifier.from_preset(copied)


def test_the_cards_of_forecasters_say_what_they_beat():
    cards = {name: zoo.card(name) for name in ("greensboro_weather", "daily_stocks")}
    weather = cards["greensboro_weather"]
    assert max(weather["quality"]["seeds"].values()) < weather["baselines"]["ridge regression"]
    for name, card in cards.items():
        text = (registry.home(name) / "README.md").read_text()
        assert card["quality"]["mean"] < card["baselines"]["persistence"]
        assert "It does better than the random walk, which is persistence: " in text
    page = (registry.home("greensboro_weather") / "README.md").read_text()
    assert "a ridge regression on all columns (0.03), and the LSTMs' correction by 50%" in page


def test_all_files_together_are_small():
    files = [path for path in registry.shipped_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20 * 1024**2


def test_a_cards_figure_is_measured_again(copied):
    found = zoo.evaluate("italy_power_demand")
    assert found.holds
    assert found.measured == pytest.approx(zoo.card("italy_power_demand")["quality"]["shipped"], abs=0.005)


@pytest.mark.parametrize("damage", ["changed", "truncated", "missing", "added"])
def test_damage_is_refused_by_name(copied, damage):
    path = copied / "model.keras"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "added":
        (copied / "extra.bin").write_bytes(b"x")
    else:
        path.write_bytes(content[:-1] + b"?" if damage == "changed" else content[:1000])
    error, text = {
        "missing": (FileNotFoundError, r"expected the file .*model.keras of .*italy_power_demand/SHA256SUMS; it is"),
        "added": (ValueError, r"expected only the files of .*SHA256SUMS; received 'extra.bin' besides"),
    }.get(damage, (ValueError, r"model.keras must have the sha256 \w{64}; received \w{64}"))
    with pytest.raises(error, match=text):
        zoo.load("italy_power_demand")


def test_a_picture_is_drawn_again_without_training(copied, monkeypatch):
    before = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    (copied / "gates.png").write_bytes(b"old")
    _rewrite_sums(copied)
    drawn = []
    gates = plots.gates
    monkeypatch.setattr(builds.plots, "gates", lambda tree, **options: drawn.append(tree) or gates(tree, **options))
    assert zoo.redraw("italy_power_demand") == copied
    with Image.open(copied / "gates.png") as new, Image.open(io.BytesIO(before.pop("gates.png"))) as old:
        assert new.size == old.size
        assert np.abs(np.subtract(new.convert("RGB"), old.convert("RGB"), dtype=float)).mean() < 4
    (tree,) = drawn
    assert tree.attrs["columns"] == ["demand, z-score"]
    changed = {name for name, content in before.items() if (copied / name).read_bytes() != content}
    assert changed <= {"README.md", "SHA256SUMS"}
    size = (copied / "gates.png").stat().st_size
    assert f"| `gates.png` | {size / 1024:.0f} KiB |" in (copied / "README.md").read_text()
    assert zoo.card("italy_power_demand")["name"] == "italy_power_demand"


def test_pictures_are_small_and_name_their_channels():
    for name in zoo.list():
        assert (registry.home(name) / "gates.png").stat().st_size < 300_000
    assert builds._columns({"features": ["a", "b", "c"], "units": {"c": "°C", "a": "1"}}) == ["a", "b", "c, °C"]
    assert builds._columns({"classes": ["x"]}) is None


def _rewrite_sums(folder):
    (folder / SUMS).write_text(
        "".join(f"{digest}  {path}\n" for path, digest in sums.of_folder(folder, but=SUMS).items())
    )


def test_a_card_that_does_not_hold_is_told(copied):
    card = json.loads((copied / "card.json").read_text())
    card["quality"]["shipped"] = 0.5
    (copied / "card.json").write_text(json.dumps(card))
    _rewrite_sums(copied)
    assert not zoo.evaluate("italy_power_demand").holds


def test_command_line(command):
    for arguments, text in ((["zoo"], "italy_power_demand"), (["zoo", "show", "italy_power_demand"], "Limits")):
        code, printed, _ = command(*arguments)
        assert code == 0
        assert text in printed
    code, _, errors = command("zoo", "show", "nothing")
    assert code == 1
    assert "expected one of the presets" in errors


def test_a_preset_of_another_package_is_found(monkeypatch):
    class Entry:
        name, value = "theirs", "package.zoo:THEIRS"

        def load(self):
            return registry.PRESETS["italy_power_demand"]

    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [Entry()])
    assert "theirs" in zoo.presets()


def _raised(error):
    raise error


@pytest.mark.parametrize(
    ("name", "load", "text"),
    [
        ("theirs", lambda: 3, "ValueError: expected package.zoo:THEIRS to be a Preset; received a int"),
        ("theirs", lambda: _raised(ImportError("no module\nof theirs")), "ImportError: no module of theirs"),
        ("theirs", lambda: _raised(KeyError("x")), "KeyError: 'x'"),
        ("daily_stocks", lambda: registry.PRESETS["daily_stocks"], "names that differ; received 'daily_stocks' twice"),
        ("../theirs", lambda: registry.PRESETS["daily_stocks"], "expected a preset with a name that stays"),
    ],
)
def test_a_broken_preset_of_another_package_leaves_the_others_usable(monkeypatch, name, load, text):
    """It was an error, which took the whole zoo away."""
    entry = types.SimpleNamespace(name=name, value="package.zoo:THEIRS", load=load)
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [entry])
    with pytest.warns(UserWarning, match=re.escape(f"the preset {name!r} of package.zoo:THEIRS is left out")) as told:
        assert zoo.presets() == registry.PRESETS
    assert text in str(told[0].message)
    with pytest.warns(UserWarning, match="is left out"):
        assert zoo.load("italy_power_demand", gates=False).count_params() > 0


def test_a_damaged_preset_leaves_the_list_of_the_others(command, copied):
    (copied / "card.json").write_text("{}")
    code, printed, errors = command("zoo")
    assert code == 0
    assert "daily_stocks" in printed
    assert "card.json must have the sha256" in " ".join(errors.split())


@pytest.mark.parametrize("name", ["model.keras", "SHA256SUMS", "saved_model"])
def test_links_are_refused_by_name(copied, tmp_path, name):
    (copied / name).rename(tmp_path / "elsewhere")
    (copied / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=f"expected files and folders in .*; received '{name}', a link"):
        zoo.load("italy_power_demand")


def test_a_further_list_of_sums_is_a_file_like_any_other(copied):
    (copied / "saved_model" / SUMS).write_text("anything")
    with pytest.raises(ValueError, match="received 'saved_model/SHA256SUMS' besides"):
        zoo.load("italy_power_demand")


def test_a_listed_name_that_leads_elsewhere_is_refused(copied):
    (copied / SUMS).write_text(f"{'0' * 64}  ../../model.keras\n")
    with pytest.raises(ValueError, match=r"expected a file of SHA256SUMS with a name that stays in its folder"):
        zoo.load("italy_power_demand")
