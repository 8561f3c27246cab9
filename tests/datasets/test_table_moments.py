"""A time that somebody names among the times of a table."""

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates.datasets import forecasting, tables
from keras_lstm_gates.recipes import Recipe

DAYS = pd.date_range("2023-12-25", periods=100, freq="D")


@pytest.fixture
def rows(tmp_path):
    """Function of the words for the times, of `until` and of more of a recipe to the times that are read."""

    def read(times, until, **more):
        pd.DataFrame({"when": times, "load": range(len(times))}).to_csv(tmp_path / "table.csv", index=False)
        recipe = Recipe(dataset=str(tmp_path / "table.csv"), task="forecasting", target="load", until=until, **more)
        frame = forecasting.table(recipe)
        return frame[tables.TIME] if tables.TIME in frame else frame["load"]

    return read


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("%d/%m/%Y", "02/03/2024"),
        ("%m/%d/%Y", "03/02/2024"),
        ("%d.%m.%y", "02.03.24"),
        ("%Y-%m-%d", "2024-03-02"),
        ("%d/%m/%Y", "2024-03-02"),
        ("%m/%d/%Y", "2 March 2024"),
    ],
)
def test_until_is_read_as_the_dates_of_the_table(rows, text, until):
    assert rows(DAYS.strftime(text), until).iloc[-1] == pd.Timestamp("2024-03-01")


def test_until_in_a_zone(rows):
    hours = pd.date_range("2024-03-30", periods=100, freq="h")
    assert rows(hours, "2024-04-01 12:00", timezone="America/New_York").iloc[-1] == pd.Timestamp("2024-04-01 15:00")
    assert rows(hours, "2024-04-01T12:00Z", timezone="America/New_York").iloc[-1] == pd.Timestamp("2024-04-01 11:00")
    place = np.datetime64("2024-04-01T11:00", "us")
    assert rows(hours, f"{place}+00:00", timezone="America/New_York").iloc[-1] == pd.Timestamp("2024-04-01 10:00")
    assert rows(hours.strftime("%Y-%m-%dT%H:%M+02:00"), "2024-04-01T12:00+05:00").iloc[-1] == pd.Timestamp(
        "2024-04-01 06:00"
    )


@pytest.mark.parametrize("until", ["2024-03-02 00:00+01:00", "2024-03-02T00:00Z"])
def test_an_offset_where_the_table_has_none_is_refused(rows, until):
    with pytest.raises(ValueError, match="expected until without an offset from UTC, as the table's times have none"):
        rows(DAYS, until)


def test_a_date_of_two_readings_is_refused(rows):
    with pytest.raises(ValueError, match=r"expected until in ISO form, .*; received '02/03/2024'"):
        rows(DAYS, "02/03/2024")


def test_without_times_it_is_a_share(rows):
    with pytest.raises(
        ValueError, match=r"expected until to be a share of the rows such as '0.8', .* received '5 May'"
    ):
        rows(["a", "b"] * 50, "5 May")
    assert len(rows(["a", "b"] * 50, "0.25")) == 25
