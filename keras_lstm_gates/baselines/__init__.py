"""What a model has to beat: figures of simple and of classical methods on the same parts of the same data."""

from keras_lstm_gates.baselines.measures import DTW_COST, METRICS, beaten_by, dtw, measure
from keras_lstm_gates.baselines.ngrams import NGrams

__all__ = ["DTW_COST", "METRICS", "NGrams", "beaten_by", "dtw", "measure"]
