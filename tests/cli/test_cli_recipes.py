"""The options of commands that take a recipe."""

import pytest

from keras_lstm_gates.cli.recipes import takes_recipe


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("load", "load"),
        ("load, MW", ("load", "MW")),
        ('"load, MW"', "load, MW"),
        ('"load, MW", price', ("load, MW", "price")),
        ('the "load"', 'the "load"'),
    ],
)
def test_names_are_listed_as_in_a_csv(tmp_path, monkeypatch, text, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").touch()

    @takes_recipe
    def recipe_of(recipe):
        return recipe

    assert recipe_of("t.csv", **options(target=text)).target == target
    assert recipe_of("t.csv", **options(target="heat", known=text)).known == (
        (target,) if isinstance(target, str) else target
    )


def options(**given):
    """All options of a recipe, those that are not given None."""
    from keras_lstm_gates.cli import recipes

    return dict.fromkeys(recipes._OPTIONS) | given
