"""How long a frame waits for a core: c cores, frames that come at random, work of S milliseconds each, busy share rho.

    P(wait)    = rho ** (sqrt(2 (c + 1)) - 1)            Sakasegawa's approximation; exact for one core
    mean wait  = P(wait) * S / (c (1 - rho))
    95 % wait  = max(0, ln(P(wait) / 0.05)) * S / (c (1 - rho))

Cameras send at even intervals, which is kinder than at random: what is measured is shorter than this, not longer.
"""

from __future__ import annotations

import math

TAIL = 0.05


def waiting_share(load: float, cores: int) -> float:
    """Share of the frames that must wait; `load` in [0, 1)."""
    return float(load ** (math.sqrt(2 * (cores + 1)) - 1))


def mean_wait_ms(load: float, cores: int, service_ms: float) -> float:
    """Mean wait of all frames, ms."""
    return waiting_share(load, cores) * service_ms / (cores * (1.0 - load))


def tail_wait_ms(load: float, cores: int, service_ms: float) -> float:
    """95 % of the frames wait no longer, ms."""
    share = waiting_share(load, cores)
    if share <= TAIL:
        return 0.0
    return math.log(share / TAIL) * service_ms / (cores * (1.0 - load))


def most_load(cores: int, service_ms: float, latency_ms: float, ceiling: float) -> float:
    """The highest load, at most `ceiling`, at which 95 % of the frames are done in time; 0 where none is."""
    if service_ms > latency_ms:
        return 0.0
    if service_ms + tail_wait_ms(ceiling, cores, service_ms) <= latency_ms:
        return ceiling
    low, high = 0.0, ceiling
    for _ in range(60):
        middle = (low + high) / 2
        if service_ms + tail_wait_ms(middle, cores, service_ms) <= latency_ms:
            low = middle
        else:
            high = middle
    return low
