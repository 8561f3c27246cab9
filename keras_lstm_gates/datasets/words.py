"""Words and characters as numbers: vocabularies learned from the training part."""

import collections
import re

import numpy as np

PADDING, UNKNOWN = "", "\ufffd"
RARE_ENDINGS = 5  # An ending enters the vocabulary if at least this many rare words of the training part have it.


def of_text(text):
    """The words of a running text: lower-case, punctuation marks apart.

    Example:
        >>> of_text("It isn't good, is it?")
        ['it', "isn't", 'good', ',', 'is', 'it', '?']
    """
    return re.findall(r"[\w']+|[^\w\s]", text.lower())


def vocabulary(sequences, size):
    """The vocabulary of words, most frequent first, after padding (0) and unknown (1).

    A word that occurs twice has an entry of its own. Words that occur once stand in for unknown words: the endings
    of 1 to 4 letters that several of them share have entries such as "…ing" ("A…ing" of words that begin with a
    capital, "0…" of words with a digit), and a word without an entry is replaced by its longest known ending.

    Args:
        sequences: of lists of str.
        size: int > 0, the largest number of words.

    Returns:
        list of str.
    """
    counts = collections.Counter(word for sequence in sequences for word in sequence)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    known = [word for word in ranked if counts[word] > 1][:size]
    endings = collections.Counter(ending for word in set(ranked) - set(known) for ending in _endings(word))
    shared = [ending for ending in sorted(endings) if endings[ending] >= RARE_ENDINGS and ending not in known]
    return [PADDING, UNKNOWN, *known, *shared]


def encoder(entries):
    """A function from a list of words to their numbers, (time,) int32; never empty."""
    numbers = {entry: number for number, entry in enumerate(entries)}

    def number(word):
        if word not in numbers:
            numbers[word] = next((numbers[ending] for ending in _endings(word) if ending in numbers), 1)
        return numbers[word]

    return lambda words: np.array([number(word) for word in words] or [1], np.int32)


def is_ending(entry):
    """Whether an entry is an ending of unknown words."""
    return re.fullmatch(r"[A0]?….*", entry) is not None


def characters(text):
    """The vocabulary of characters: unknown (0), then those of a text in the order of Unicode."""
    return [UNKNOWN, *sorted(set(text) - {UNKNOWN})]


def character_numbers(text, entries):
    """The characters of a text as numbers, (time,) int32."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    known = np.array([ord(entry) for entry in entries[1:]], np.uint32)
    places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    return np.where(known[places] == codes, places + 1, 0).astype(np.int32)


def _endings(word):
    """The endings of a word, longest first; the last is the word's kind alone."""
    kind = "0" if any(map(str.isdigit, word)) else "A" if word[:1].isupper() else ""
    return [f"{kind}…{word[-length:]}" for length in range(min(4, len(word)), 0, -1)] + [f"{kind}…"]
