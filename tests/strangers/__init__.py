"""Stock Keras models as strangers build them, and every stage of this package on each, against stock Keras."""
