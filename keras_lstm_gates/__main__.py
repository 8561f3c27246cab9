"""`python -m keras_lstm_gates`, the same as `keras-lstm-gates`."""

from keras_lstm_gates.cli import main

if __name__ == "__main__":
    main()
