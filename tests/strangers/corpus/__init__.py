"""The corpus: importing it fills `strangers.case.CASES`."""

from strangers.case import CASES
from strangers.corpus import decoders, graphs, images, layers, masks, names, training, wrappers

__all__ = ["CASES", "decoders", "graphs", "images", "layers", "masks", "names", "training", "wrappers"]
