"""The format TFLite (LiteRT): its files, their graphs, and their numbers in fewer bits."""
