"""Tables as Excel, pandas, R, SQL and data loggers write them: read, or refused with the option that settles it."""

import gzip

import numpy as np
import pandas as pd
import pytest

from keras_lstm_gates.datasets import tables
from keras_lstm_gates.recipes import Recipe


@pytest.fixture
def read(tmp_path):
    """A function: a text, written to a file, as `tables.read` returns it."""

    def of(text, name="t.csv", target="load", **settings):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tables.read(tmp_path / name, Recipe(dataset="t", task="forecasting", target=target, **settings))

    return of


def rows(*times):
    return "when,load\n" + "".join(f"{time},{number}\n" for number, time in enumerate(times))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (("1/1/11", "1/2/11", "1/13/11"), ["2011-01-01", "2011-01-02", "2011-01-13"]),
        (("13/1/11", "14/1/11"), ["2011-01-13", "2011-01-14"]),
        (("2024-01-01 00:00:00", "2024-01-01 00:00:00.500"), ["2024-01-01", "2024-01-01 00:00:00.5"]),
        (("1949-01", "1949-02"), ["1949-01-01", "1949-02-01"]),
        (("Jan-1990", "Feb-1990"), ["1990-01-01", "1990-02-01"]),
        (("2000Q1", "2000Q2"), ["2000-01-01", "2000-04-01"]),
        (("1990M01", "1990M02"), ["1990-01-01", "1990-02-01"]),
        (("2024-W01", "2024-W02"), ["2024-01-01", "2024-01-08"]),
        (("2024-01-01 23:00", "2024-01-01 24:00"), ["2024-01-01 23:00", "2024-01-02"]),
        (("1/31/2024 12:00 AM", "1/31/2024 1:30 PM"), ["2024-01-31", "2024-01-31 13:30"]),
        (("2024-10-27T02:00+02:00", "2024-10-27T02:00+01:00"), ["2024-10-27 00:00", "2024-10-27 01:00"]),
        (("2024-10-27 02:00 CEST", "2024-10-27 02:00 CET"), ["2024-10-27 00:00", "2024-10-27 01:00"]),
        (("Mon 01 Jan 2024", "Tue 02 Jan 2024"), ["2024-01-01", "2024-01-02"]),
        (("Jan-90", "Feb-90", "Mar-90"), ["1990-01-01", "1990-02-01", "1990-03-01"]),
        (("20240301T000000", "20240301T010000"), ["2024-03-01 00:00", "2024-03-01 01:00"]),
        # Of several rows a day, one reading has the days one after the other.
        (
            ("3/1/24 11:00 AM", "3/1/24 11:00 PM", "3/2/24 11:00 AM", "3/3/24 11:00 AM"),
            ["2024-03-01 11:00", "2024-03-01 23:00", "2024-03-02 11:00", "2024-03-03 11:00"],
        ),
        (("31.12.2023 18:00", "01.01.2024 19:00"), ["2023-12-31 18:00", "2024-01-01 19:00"]),
    ],
)
def test_dates(read, times, expected):
    assert read(rows(*times))[tables.TIME].tolist() == pd.to_datetime(expected, format="ISO8601").tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timestamp,load\n1700000000,1\n1700003600,2\n", ["2023-11-14 22:13:20", "2023-11-14 23:13:20"]),
        ("timestamp,load\n1700000000000,1\n1700003600000,2\n", ["2023-11-14 22:13:20", "2023-11-14 23:13:20"]),
        ("date,load\n20240101,1\n20240102,2\n", ["2024-01-01", "2024-01-02"]),
        (
            '"rownames","time","load"\n1,1949,5\n2,1949.083,6\n3,1949.167,7\n',
            ["1949-01-01", "1949-02-01", "1949-03-01"],
        ),
        ("No,year,month,day,hour,load\n1,2010,1,1,0,5\n2,2010,1,1,1,6\n", ["2010-01-01 00:00", "2010-01-01 01:00"]),
        ("Date;Time;load\n10/03/2004;18.00.00;5\n13/03/2004;19.00.00;6\n", ["2004-03-10 18:00", "2004-03-13 19:00"]),
        ("Date,Time,load\n2024-01-01,00:00:00,1\n2024-01-01,24:00,2\n", ["2024-01-01", "2024-01-02"]),
        ("date,load\n45352,1\n45353,2\n", ["2024-03-01", "2024-03-02"]),
        ("YEAR,WEEK,load\n2014,52,1\n2014,53,2\n2015,1,3\n", ["2014-12-21", "2014-12-28", "2015-01-04"]),
        ("YEAR,WEEK,load\n2020,52,1\n2020,53,2\n2021,1,3\n", ["2020-12-21", "2020-12-28", "2021-01-04"]),
        ("# A station\n# YYYYMMDD, HH, load\n20240301, 1, 5\n20240301, 24, 6\n", ["2024-03-01 01:00", "2024-03-02"]),
        ("dteday,hr,load\n2011-01-01,0,1\n2011-01-01,1,2\n", ["2011-01-01 00:00", "2011-01-01 01:00"]),
    ],
)
def test_times_in_numbers_and_in_several_columns(read, text, expected):
    table = read(text)
    assert table[tables.TIME].tolist() == pd.to_datetime(expected, format="ISO8601").tolist()
    assert [name for name in table if name != tables.TIME] == ["load"]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ('load,heat\n"1,234,567",1\n"12,345",2\n', "t.csv", [1234567, 12345]),
        ("load;heat\n1.234,5;1\n0,5;2\n", "t.csv", [1234.5, 0.5]),
        ("load\theat\n1234.5\t1\n0.5\t2\n", "t.tsv", [1234.5, 0.5]),
        ("load;heat\n1.5;1\n2.25;2\n", "t.txt", [1.5, 2.25]),
        ("load;heat\n1 234,5;1\n2,5;2\n", "t.txt", [1234.5, 2.5]),
        ("load heat\n1.5 1\n2.5 2\n", "t.txt", [1.5, 2.5]),
        ("# made by a logger\n# at the sea\nload,heat\n1,1\n2,2\n", "t.csv", [1, 2]),
        ("Station: Oslo\n\nload,heat,wind\n1,1,1\n2,2,1\n3,3,5\n", "t.csv", [1, 2, 3]),
        (",load,heat\n0,5,1\n1,6,2\n", "t.csv", [5, 6]),
        ('"load","heat"\n"1",5,1\n"2",6,2\n', "t.csv", [5, 6]),
        ("load;heat;;\n5,5;1;;\n6,5;2;;\n;;;\n", "t.csv", [5.5, 6.5]),
    ],
)
def test_numbers_and_layouts(read, text, name, expected):
    table = read(text, name)
    np.testing.assert_array_equal(table["load"], expected)
    assert set(table) <= {"load", "heat", "wind"}


def test_dates_with_holes_are_not_the_time(read):
    table = read("approved,load\n" + "".join(f"{'' if n % 3 else '2024-01-01'},{n}\n" for n in range(9)))
    assert (list(table), table.attrs["left_out"]) == (["load"], {"approved": "a time"})


def test_spaces_after_commas(read):
    table = read('load, "heat of the day"\n1, "5"\n2, "6"\n')
    assert table["heat of the day"].tolist() == [5, 6]


def test_units_below_the_header_and_a_title_above(read):
    rows = "".join(f"2024-01-0{day},{day},a\n" for day in range(1, 7))
    table = read("day,load,kind\n,kW,text\n" + rows)
    assert table["load"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table.attrs["notes"] == ["passed over line 2"]
    logger = "TOA5,station,CR1000\nTIMESTAMP,load,heat\nTS,kW,K\n,Smp,Avg\n" + rows.replace(",a", ",5")
    assert read(logger).attrs["notes"] == ["passed over line 1, line 3, line 4"]
    assert read("Loads of the year,,\nday,load,kind\n" + rows)["load"].tolist() == [1, 2, 3, 4, 5, 6]
    # A word that occurs again is data, and so is an empty cell.
    with pytest.raises(ValueError, match="received 'off' on line 2"):
        read("kind,load\na,off\nb,2\na,3\na,off\nb,4\nb,5\na,6\n")
    empty = read("load,heat,kind\nNA,NA,x\n1,2,a\n3,4,b\n5,6,c\n7,8,d\n")
    assert empty["load"].isna().tolist() == [True] + [False] * 4


def test_names_of_rows_with_spaces(read):
    assert read('"heat" "load"\n"row 1" 1.5 2.5\n"row 2" 2.5 3.5\n', "t.txt")["load"].tolist() == [2.5, 3.5]


def test_a_compressed_file_and_other_endings(tmp_path):
    recipe = Recipe(dataset="t", task="forecasting", target="load")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"heat,load\n1,2\n3,4\n"))
    (tmp_path / "t.dat").write_text("heat load\n1 2\n3 4\n")
    for name in ("t.csv.gz", "t.dat"):
        assert tables.read(tmp_path / name, recipe)["load"].tolist() == [2, 4]
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"received the workbook .*t.xlsx. Save its sheet as CSV: python -c .*to_csv"):
        tables.read(tmp_path / "t.xlsx", recipe)
    (tmp_path / "bad.csv.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(ValueError, match=r"expected .*bad.csv.gz to be a table"):
        tables.read(tmp_path / "bad.csv.gz", recipe)


def test_a_time_zone_tells_the_hour_that_occurs_twice(read):
    times = ("2024-10-27 01:30", "2024-10-27 02:30", "2024-10-27 02:30", "2024-10-27 03:30")
    expected = pd.to_datetime(["2024-10-26 23:30", "2024-10-27 00:30", "2024-10-27 01:30", "2024-10-27 02:30"])
    table = read(rows(*times), timezone="Europe/Berlin")
    assert table[tables.TIME].tolist() == expected.tolist()
    assert table.attrs["notes"] == ["times of Europe/Berlin, in UTC"]
    backwards = read(rows(*times[::-1]), timezone="Europe/Berlin")
    assert backwards["load"].tolist() == [3, 2, 1, 0]
    # Times with an offset are told already.
    assert read(rows("2024-10-27T01:30+05:00", "2024-10-27T02:30+05:00"), timezone="Europe/Berlin")[
        tables.TIME
    ].tolist() == [pd.Timestamp("2024-10-26 20:30"), pd.Timestamp("2024-10-26 21:30")]
    both = "when,load,shop\n" + "".join(
        f"{time},{number},{shop}\n" for shop in "ab" for number, time in enumerate(times)
    )
    grouped = read(both, timezone="Europe/Berlin", group="shop")
    assert grouped[tables.TIME].tolist() == [*expected, *expected]
    with pytest.raises(ValueError, match=r"received 2024-03-31 02:30:00 on line 2, which its clocks pass over"):
        read(rows("2024-03-31 02:30", "2024-03-31 03:30"), timezone="Europe/Berlin")


def test_a_footer_is_passed_over_and_said(read):
    table = read("day,load\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\nTotal,6\n")
    assert table["load"].tolist() == [1, 2, 3]
    assert table.attrs["notes"] == ["passed over line 5"]


def test_yfinance(read):
    text = "Price,Close,Volume\nTicker,AAPL,AAPL\nDate,,\n2024-01-02,185.6,100\n2024-01-03,184.2,200\n"
    table = read(text, target="Close")
    assert list(table) == [tables.TIME, "Close", "Volume"]
    assert table["Close"].tolist() == [185.6, 184.2]


@pytest.mark.parametrize("word", ["", "?", "NA", "n.a.", "NaN", "-"])
def test_empty_cells(read, word):
    text = f"load,heat\n1,1\n{word},2\n3,{word}\n4,4\n"
    assert read(text)["load"].isna().tolist() == [False, True, False, False]
    assert read(text).attrs["empty"] == {"load": 0.25, "heat": 0.25}
    assert read(text, missing="interpolate")["load"].tolist() == [1, 2, 3, 4]
    assert read(text, missing="forward")["load"].tolist() == [1, 1, 3, 4]
    assert read(text, missing="drop")["load"].tolist() == [1, 4]


def test_sentinels(read):
    text = "load\n2.5\n-200\n3.5\n-200\n2.75\n"
    with pytest.raises(
        ValueError, match=r"'load' of .*; received -200 in 2 rows, .* between 2.5 and 3.5.*--sentinel -200"
    ):
        read(text)
    assert read(text, sentinels=(-200,), missing="interpolate")["load"].tolist() == [2.5, 3, 3.5, 3.125, 2.75]
    assert read(text, sentinels=("none",))["load"].tolist() == [2.5, -200, 3.5, -200, 2.75]
    assert read("load\n1\nn/k\n3\n", sentinels=("n/k",))["load"].isna().tolist() == [False, True, False]


def test_times_that_occur_twice(read):
    text = rows("2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00")
    with pytest.raises(ValueError, match=r"on line 3 and on line 4.* --duplicates mean or --duplicates first"):
        read(text)
    assert read(text, duplicates="mean")["load"].tolist() == [0, 1.5, 3]
    assert read(text, duplicates="first")["load"].tolist() == [0, 1, 3]


def test_gaps_and_steps(read):
    text = rows("2024-01-01 00:10", "2024-01-01 00:50", "2024-01-01 01:20", "2024-01-01 03:00")
    assert read(text, step="1h")["load"].tolist() == [0.5, 2, 3]
    filled = read(text, step="1h", fill=True)
    assert filled["load"].tolist() == [0.5, 2, 2.5, 3]
    assert filled[tables.TIME].dt.hour.tolist() == [0, 1, 2, 3]


def test_what_is_left_out_is_said_and_categories_become_inputs(read):
    cells = "".join(f"{n},2024-01-{n:02},{n * n},{'ab'[n % 2]},word{n}\n" for n in range(1, 21))
    table = read("id,day,load,kind,note\n" + cells)
    assert list(table) == [tables.TIME, "load", "kind=a", "kind=b"]
    assert table["kind=b"].tolist() == [n % 2 for n in range(1, 21)]
    assert table.attrs["left_out"] == {"id": "the row number", "note": "text"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rows("01/02/2024", "02/02/2024"), r"--dates day-first or --dates month-first"),
        ("load;heat\n1.234;1\n2.345;2\n", r"'1.234' in the column 'load'.*--decimal point or --decimal comma"),
        ('load,heat\n"1,234",1\n"2,345",2\n', r"'1,234' in the column 'load'.*--decimal point or --decimal comma"),
        ("Load,heat\n1,2\n3,4\n", r"Did you mean 'Load'\?"),
        (
            '"load, MW",heat\n1,2\n3,4\n',
            r"Did you mean 'load, MW'\? In a list of names it stands in quotes: '\"load, MW\"'",
        ),
        ("# a\nload\n1\n\nx\n3\n4\n", r"received 'x' on line 5"),
        ("time,load\n1,2\n3,4,5\n", r"expected 2 cells on each line of .*; received 3 on line 3.*sed -i 3d .*t.csv"),
        ("2024-01-01,5\n2024-01-02,6\n", r"no header. Write one above it.*sed -i '1i column1,column2' .*t.csv"),
        (
            "when,load,shop\n" + "".join(f"2024-01-{1 + n // 2:02},{n},{'ab'[n % 2]}\n" for n in range(20)),
            r"Several series\? Say --group 'shop'; or --duplicates mean",
        ),
        (
            "year,country,load\n" + "".join(f"{2000 + n},country {c},{n}\n" for c in range(30) for n in range(4)),
            r"Several series\? Say --group 'country'",
        ),
        (
            "day,load,heat\n2024-01-01,,1\n2024-01-02,,2\n",
            "numbers in the target 'load' of .*; received an empty column",
        ),
        ("load,heat\n1,1\ninf,2\n3,3\n", r"received inf on line 3.*--sentinel 'inf'"),
        (
            rows("2024-01-01", "2024-02-30"),
            r"'2024-02-30' on line 3. Mend it, or leave the line out: sed -i 3d .*t.csv",
        ),
        (rows("2024-01-01 00:00 XYZ", "2024-01-01 01:00 XYZ"), r"with a time zone, such as \+01:00"),
        (rows("2024-01-01 00:00 CST", "2024-01-01 01:00 CST"), r"\+01:00; received CST, which zones of several"),
    ],
)
def test_refusals_name_the_remedy(read, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


def test_options_settle_two_readings(read):
    text = rows("01/02/2024", "02/02/2024")
    assert read(text, dates="day-first")[tables.TIME].dt.month.tolist() == [2, 2]
    assert read(text, dates="month-first")[tables.TIME].dt.month.tolist() == [1, 2]
    text = "load;heat\n1.234;1\n2.345;2\n"
    assert read(text, decimal="comma")["load"].tolist() == [1234, 2345]
    assert read(text, decimal="point")["load"].tolist() == [1.234, 2.345]
