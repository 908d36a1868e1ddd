"""A language model small enough to read: which character follows the last few, counted, and mixed with what shorter contexts say.

    p(c | context) = (1 - s) · count(context c) / count(context) + s · p(c | context without its first character)

down to the empty context, which mixes with one chance in `ALPHABET`. `order` is the length of the longest n-gram, `smoothing` the share `s`
handed down each step (Jelinek and Mercer, 1980). Only n-grams of the full order are counted; the shorter ones are sums over them.

Training is counting, so it does not depend on the order of the text and has no randomness: equal text gives equal counts, and `print_counts`
writes equal counts as equal bytes. That is what lets a store recognise a model it already has.
"""

import json
import math
import random
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

ALPHABET = 256
"""Characters a text is thought to be able to hold; what was never seen gets an equal share of the last handful."""
START = "\0"
"""Stands before the first character of a text, as often as the order needs."""

Counts = Mapping[str, int]


def count(text: str, order: int) -> Counter[str]:
    """How often each n-gram of that order occurs in `text`; counts of two texts may simply be added."""
    padded = START * (order - 1) + text
    return Counter([padded[at : at + order] for at in range(len(text))])


def print_counts(counts: Counts) -> bytes:
    """The canonical bytes of some counts: sorted JSON, deflated. `parse_counts` is the inverse."""
    text = json.dumps(counts, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return zlib.compress(text.encode(), 6)


def parse_counts(data: bytes) -> Counter[str]:
    return Counter(json.loads(zlib.decompress(data)))


@dataclass(frozen=True)
class Model:
    """Counted n-grams and the two numbers that say how to read them."""

    order: int
    smoothing: float
    counts: Counts = field(repr=False)

    @cached_property
    def packed(self) -> bytes:
        """The counts as bytes, made once."""
        return print_counts(self.counts)

    @cached_property
    def _tables(self) -> list[tuple[Counts, Counts]]:
        """For each order from 1 up: counts of its n-grams, and of the contexts they begin with."""
        tables: list[tuple[Counts, Counts]] = []
        grams: Counter[str] = Counter(self.counts)
        while True:
            tables.append((grams, _summed(grams, slice(None, -1))))
            if len(tables) == self.order:
                return tables[::-1]
            grams = _summed(grams, slice(1, None))

    def chance(self, context: str, char: str) -> float:
        """The probability that `char` follows `context`; over all characters of the alphabet they sum to one."""
        chance = 1 / ALPHABET
        for length, (grams, contexts) in enumerate(self._tables):
            tail = context[len(context) - length :]
            seen = contexts.get(tail)
            if not seen:
                break
            chance = (1 - self.smoothing) * grams.get(tail + char, 0) / seen + self.smoothing * chance
        return chance

    def bits(self, text: str) -> float:
        """What a character of `text` costs on average, in bits, when the model guesses it from what stands before."""
        if not text:
            return 0.0
        width = self.order - 1
        padded = START * width + text
        chances = (self.chance(padded[at : at + width], padded[at + width]) for at in range(len(text)))
        return -sum(map(math.log2, chances)) / len(text)

    def perplexity(self, text: str) -> float:
        """Among how many equally likely characters the model hesitates: smaller is better, `ALPHABET` is knowing nothing."""
        return float(2 ** self.bits(text))

    def write(self, length: int, seed: int) -> str:
        """`length` characters the model makes up; the same seed gives the same text."""
        draw = random.Random(seed)  # noqa: S311  # an example of the model's style, not a secret
        following = _following(self.counts)
        width = self.order - 1
        text = START * width
        while len(text) < length + width:
            choices = following.get(text[len(text) - width :]) or following[START * width]
            text += draw.choices(list(choices), list(choices.values()))[0]
        return text[width:]


def _summed(grams: Counts, part: slice) -> Counter[str]:
    total: Counter[str] = Counter()
    for gram, number in grams.items():
        total[gram[part]] += number
    return total


def _following(counts: Counts) -> dict[str, dict[str, int]]:
    """Context → the characters that followed it; in sorted order, so that a seed decides alone."""
    found: dict[str, dict[str, int]] = {}
    for gram, number in sorted(counts.items()):
        found.setdefault(gram[:-1], {})[gram[-1]] = number
    return found
