"""Constant-velocity Kalman filters of all tracks at once.

Position and velocity of each of the four box coordinates (centre x, centre y, width, height) are filtered apart: with the
usual diagonal noise the eight-dimensional filter falls into these four anyway, and no matrix is ever inverted.
Time is in seconds, so that the same filter serves one and twenty-five frames a second.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

POSITION, VELOCITY, VAR_POSITION, COVARIANCE, VAR_VELOCITY = range(5)

MEASUREMENT = 0.04
"""Standard deviation of a certain detection's coordinate, in longer sides of the box."""
DOUBT = 0.1
"""What a detection of no confidence adds to it: boxes of half-hidden things jump."""
TYPICAL = MEASUREMENT + DOUBT * 0.3
START_SPEED = np.array([1.0, 1.0, 0.2, 0.2])
"""Standard deviation of an unknown velocity, in longer sides a second: a walking person makes 0.8 of their height."""
ACCELERATION = np.array([1.0, 1.0, 0.15, 0.15])
"""Growth of the velocity's standard deviation in one second, in longer sides a second."""
MEMORY = np.array([2.0, 2.0, 0.3, 0.3])
"""Seconds in which a velocity fades to 1/e: people stop, and a box that shrinks behind a shelf does not shrink to nothing."""
WIDEST = 0.5
"""Bound on the deviation that is believed of a prediction, in longer sides: a lost track does not reach for everything."""


class BoxFilters:
    """States of `N` boxes as one `(5, N, 4)` array: position, velocity, and their (co)variances, pixels and seconds."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: F64 = np.zeros((5, 0, 4))

    def __len__(self) -> int:
        return len(self.state[POSITION])

    def start(self, boxes: F64) -> None:
        """Append filters at rest for `(M, 4)` boxes x1, y1, x2, y2."""
        fresh = np.zeros((5, len(boxes), 4))
        fresh[POSITION] = centred(boxes)
        side = _longer_side(fresh[POSITION])
        fresh[VAR_POSITION] = (TYPICAL * side) ** 2
        fresh[VAR_VELOCITY] = (START_SPEED * side) ** 2
        self.state = np.concatenate([self.state, fresh], axis=1)

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Forget all but the masked rows."""
        self.state = self.state[:, rows]

    def predict(self, dt: float) -> None:
        """Move all boxes on by `dt` >= 0 seconds."""
        position, velocity, var, cov, var_velocity = self.state
        side = _longer_side(position)
        noise = (ACCELERATION * side) ** 2 * dt
        fade = np.exp(-dt / MEMORY)
        reach = MEMORY * (1 - fade)
        position += velocity * reach
        np.maximum(position[:, 2:], 1.0, out=position[:, 2:])
        velocity *= fade
        var += reach * (2 * cov + reach * var_velocity) + noise * (dt * dt / 3)
        cov += reach * var_velocity
        cov *= fade
        cov += noise * (dt / 2)
        var_velocity *= fade * fade
        var_velocity += noise

    def correct(self, rows: npt.NDArray[np.intp], boxes: F64, confidence: npt.NDArray[np.float32]) -> None:
        """Take in `(M, 4)` measured boxes with `(M,)` confidences for the `(M,)` distinct rows."""
        part = self.state[:, rows]
        position, velocity, var, cov, var_velocity = part
        measured = centred(boxes)
        innovation = measured - position
        spread = MEASUREMENT + DOUBT * (1 - confidence[:, None].astype(np.float64))
        total = var + (spread * _longer_side(measured)) ** 2
        gain, gain_velocity = var / total, cov / total
        position += gain * innovation
        velocity += gain_velocity * innovation
        var_velocity -= gain_velocity * cov
        cov *= 1 - gain
        var *= 1 - gain
        self.state[:, rows] = part

    def boxes(self) -> F64:
        """`(N, 4)` x1, y1, x2, y2."""
        position = self.state[POSITION]
        half = position[:, 2:] / 2
        return np.concatenate([position[:, :2] - half, position[:, :2] + half], axis=1)

    def centre_distance(self, boxes: F64) -> F64:
        """`(N, M)` squared distances of centres, in variances of what was predicted (Mahalanobis): below 13.8 for 99.9%."""
        position = self.state[POSITION]
        side = _longer_side(position)
        var = np.minimum(self.state[VAR_POSITION, :, :2], (WIDEST * side) ** 2) + (TYPICAL * side) ** 2
        apart = centred(boxes)[None, :, :2] - position[:, None, :2]
        apart *= apart
        apart /= var[:, None]
        distance: F64 = apart[..., 0] + apart[..., 1]
        return distance


def centred(boxes: F64) -> F64:
    """`(N, 4)` x1, y1, x2, y2 -> centre x, centre y, width, height.

    >>> centred(np.array([[0.0, 0.0, 2.0, 4.0]])).tolist()
    [[1.0, 2.0, 2.0, 4.0]]
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def _longer_side(position: F64) -> F64:
    side: F64 = np.maximum(np.maximum(position[:, 2:3], position[:, 3:4]), 1.0)
    return side
