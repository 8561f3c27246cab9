"""Shapes as a hand draws them in one stroke: what the browser demonstration's model learns from.

Nothing is recorded from anyone: each stroke is a curve by its equation, turned, stretched and shaken at random.
"""

import itertools

import numpy as np

SHAPES = ("circle", "triangle", "square", "star", "heart", "spiral", "zigzag", "infinity")
STEP = 0.04
"""The length of one time step as a share of the pad's side: the hand's speed does not matter, its way does."""
LONGEST = 128
"""Time steps after which a stroke is cut."""


def steps(points):
    """Directions of equal steps along a stroke.

    Args:
        points: float, (points, 2), places on a pad of side 1, y downward.

    Returns:
        float32, (time, 2), unit vectors: each leads STEP on from where the one before it ended, toward the stroke.
    """
    place, directions = points[0], []
    for point in points[1:]:
        while (distance := np.hypot(*(point - place))) >= STEP:
            direction = (point - place) / distance
            place = place + STEP * direction
            directions.append(direction)
    return np.array(directions[:LONGEST], "float32").reshape(-1, 2)


def stroke(shape, rng):
    """One stroke of a shape, drawn by a hand that is never twice the same: float (points, 2), on a pad of side 1."""
    points = _CURVES[shape](rng)
    points = points - (points.max(axis=0) + points.min(axis=0)) / 2
    points = points / np.ptp(points, axis=0).max()
    if rng.random() < 0.5:
        points = points * [-1, 1]
    angle = rng.normal(0, 0.16)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = points * np.exp(rng.normal(0, 0.12, 2)) @ turn * rng.uniform(0.5, 0.9)
    # A hand wanders slowly and trembles a little.
    along = np.linspace(0, 1, len(points))[:, None]
    for waves in (1, 2, 3, 5):
        points = points + 0.008 * rng.normal(size=2) * np.sin(2 * np.pi * (waves * along + rng.random(2)))
    return points + rng.normal(0, 0.003, points.shape) + 0.5


def sequences(count, rng):
    """Strokes as training data.

    Returns:
        x: float32, (count, LONGEST, 2), unit vectors, zero after a stroke's end.
        y: int, (count, LONGEST), the shape's number in SHAPES at every step.
        weight: float32, (count, LONGEST), how much a guess at this step matters: more and more, 0 after the end.
    """
    x = np.zeros((count, LONGEST, 2), "float32")
    weight = np.zeros((count, LONGEST), "float32")
    numbers = rng.integers(len(SHAPES), size=count)
    for place, number in enumerate(numbers):
        directions = steps(stroke(SHAPES[number], rng))
        x[place, : len(directions)] = directions
        weight[place, : len(directions)] = np.linspace(0, 1, len(directions)) ** 1.5
    return x, np.repeat(numbers[:, None], LONGEST, axis=1), weight


def _loop(rng, curve, start=None):
    """Once around a closed curve of a parameter from 0 to 1, not quite meeting its start."""
    begin = rng.random() if start is None else start
    t = begin + np.linspace(0, 1 + rng.uniform(-0.04, 0.08), 240)
    return curve(t if rng.random() < 0.5 else 2 * begin - t)


def _polygon(rng, corners):
    """Along straight edges from a corner back to it, the corners a little misplaced."""
    corners = corners + rng.normal(0, 0.04, corners.shape)
    corners = np.roll(corners, rng.integers(len(corners)), axis=0)
    return _edges(np.vstack([corners, corners[:1]]))


def _edges(corners):
    return np.vstack([np.linspace(a, b, 40) for a, b in itertools.pairwise(corners)])


def _around(corners, jump=1, phase=-0.25):
    angle = 2 * np.pi * (np.arange(corners) * jump / corners + phase)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _circle(rng):
    return _loop(rng, lambda t: np.stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], axis=1))


def _heart(rng):
    def curve(t):
        a = 2 * np.pi * t
        return np.stack(
            [16 * np.sin(a) ** 3, -(13 * np.cos(a) - 5 * np.cos(2 * a) - 2 * np.cos(3 * a) - np.cos(4 * a))], axis=1
        )

    return _loop(rng, curve, start=rng.choice([0.0, 0.5]) + rng.normal(0, 0.01))


def _spiral(rng):
    t = np.linspace(0, 1, 300)
    turns, begin = rng.uniform(1.9, 3.2), rng.random()
    angle = 2 * np.pi * (begin + turns * t)
    points = (0.06 + t)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points if rng.random() < 0.6 else points[::-1]


def _zigzag(rng):
    peaks = rng.integers(4, 8)
    places = np.stack([np.arange(peaks), (np.arange(peaks) % 2) * rng.uniform(0.8, 3.0)], axis=1).astype(float)
    return _edges((places + rng.normal(0, 0.08, places.shape)) * ([1, 1] if rng.random() < 0.5 else [1, -1]))


def _infinity(rng):
    def curve(t):
        a = 2 * np.pi * t
        return np.stack([np.cos(a), rng_height * np.sin(a) * np.cos(a)], axis=1) / (1 + np.sin(a) ** 2)[:, None]

    rng_height = rng.uniform(1.0, 1.6)
    return _loop(rng, curve)


_CURVES = {
    "circle": _circle,
    "triangle": lambda rng: _polygon(rng, _around(3)),
    "square": lambda rng: _polygon(rng, _around(4, phase=0.125)),
    "star": lambda rng: _polygon(rng, _around(5, jump=2)),
    "heart": _heart,
    "spiral": _spiral,
    "zigzag": _zigzag,
    "infinity": _infinity,
}
