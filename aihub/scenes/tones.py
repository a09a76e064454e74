"""Sounds with a known truth: tones of known level, telephone keys, faults of a line, and signals that machines and people make.

All are made of sines and noise; the random numbers in them have a fixed seed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aihub.scenes.waves import sound
from aihub.types import SAMPLE_RATE, Samples

F64 = npt.NDArray[np.float64]

LOW, HIGH = (697.0, 770.0, 852.0, 941.0), (1209.0, 1336.0, 1477.0, 1633.0)
KEYS = ("123A", "456B", "789C", "*0#D")
"""Rows and columns of a telephone's keys and their frequencies, Hz (ITU-T Q.23)."""
NUMBER = "0123456789*#ABCD"
"""Keys of `drawn:dtmf-keys`, in their order."""
TONE_S, PAUSE_S = 0.07, 0.06


def moments(seconds: float) -> F64:
    """Times of the samples, seconds."""
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def tone(hz: float, seconds: float, peak_db: float) -> F64:
    """A sine whose peaks lie `peak_db` over (under, where negative) full scale."""
    return np.asarray(10 ** (peak_db / 20) * np.sin(2 * np.pi * hz * moments(seconds)))


def noise(seconds: float, level_db: float, seed: int = 5) -> F64:
    """White noise; its root mean square is that of a sine with peaks at `level_db`."""
    spread = 10 ** (level_db / 20) / np.sqrt(2)
    return np.random.default_rng(seed).normal(0, spread, round(seconds * SAMPLE_RATE))


def silence(seconds: float) -> F64:
    """Nothing at all."""
    return np.zeros(round(seconds * SAMPLE_RATE))


def whole(*parts: F64) -> Samples:
    """Pieces one after the other, cut at full scale."""
    return np.concatenate(parts).clip(-1, 1).astype(np.float32)


def sweeping(hz: F64, overtones: int, fall: float = 1.0) -> F64:
    """A tone whose frequency moves, with overtones that get fainter with their number to the power of `fall`."""
    turn = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    kept = [k for k in range(1, overtones + 1) if hz.max() * k < 0.48 * SAMPLE_RATE]
    return np.asarray(sum(np.sin(k * turn) / k**fall for k in kept))


def in_room(dry: F64, seconds: float, wet: float, seed: int = 11) -> F64:
    """The same with the echo of a room that dies away in `seconds`; `wet` is its share."""
    times = moments(seconds)
    echo = np.random.default_rng(seed).normal(0, 1, len(times)) * np.exp(-6 * times / seconds)
    echo /= np.sqrt(np.square(echo).sum())
    length = len(dry) + len(echo) - 1
    heard = np.fft.irfft(np.fft.rfft(dry, length) * np.fft.rfft(echo, length), length)[: len(dry)]
    return np.asarray(dry + wet * heard)


def formed(voice: F64, formants: tuple[tuple[float, float, float], ...]) -> F64:
    """A voice through a mouth: formants of frequency and half width, Hz, and strength."""
    spectrum, hertz = np.fft.rfft(voice), np.fft.rfftfreq(len(voice), 1 / SAMPLE_RATE)
    mouth = sum(strength / (1 + ((hertz - at) / width) ** 2) for at, width, strength in formants) + 0.03
    return np.fft.irfft(spectrum * mouth, len(voice))


def placed(seconds: float, parts: list[tuple[float, F64]], floor_db: float = -57.0) -> F64:
    """Pieces at their times over a faint noise; what reaches beyond the end is cut."""
    whole_of = noise(seconds, floor_db, seed=17)
    for at, part in parts:
        first = round(at * SAMPLE_RATE)
        length = min(len(part), len(whole_of) - first)
        whole_of[first : first + length] += part[:length]
    return whole_of


def keys(pressed: str, *, tone_s: float = TONE_S, pause_s: float = PAUSE_S, peak_db: float = -14.0) -> F64:
    """Keys of a telephone, one after the other; each of the two tones has its peaks at `peak_db`."""
    parts = [silence(0.2)]
    for key in pressed:
        row = next(at for at, line in enumerate(KEYS) if key in line)
        column = KEYS[row].index(key)
        parts += [tone(LOW[row], tone_s, peak_db) + tone(HIGH[column], tone_s, peak_db), silence(pause_s)]
    return np.concatenate([*parts, silence(0.2)])


@sound("dtmf-keys")
def dtmf_keys() -> Samples:
    """All sixteen keys, noise 15 dB under each tone."""
    pressed = keys(NUMBER)
    return whole(pressed + noise(len(pressed) / SAMPLE_RATE, -29)[: len(pressed)])


@sound("dial-tone")
def dial_tone() -> Samples:
    """The tone of a free line, 425 Hz, and the busy signal: tones of a telephone that are no keys."""
    busy = [piece for _ in range(3) for piece in (tone(425, 0.35, -12), silence(0.35))]
    return whole(tone(425, 1.0, -12), silence(0.3), *busy)


@sound("tone-levels")
def tone_levels() -> Samples:
    """1 kHz at -50, -30 and -50 dB of full scale, two seconds each: at a calibration of 120 dB a meter shows 70, 90, 70."""
    return whole(tone(1000, 2, -50), tone(1000, 2, -30), tone(1000, 2, -50))


@sound("low-tone")
def low_tone() -> Samples:
    """100 Hz at -25 dB: 95 dB on a flat meter with a calibration of 120 dB, 75.9 dB(A) to the ear."""
    return whole(tone(100, 3, -25))


@sound("overdriven")
def overdriven() -> Samples:
    """A second of tone that fits, one that is driven 12 dB over full scale and cut, and one that fits again."""
    return whole(tone(440, 1, -6), tone(440, 1, 12), tone(440, 1, -6))


@sound("silent-line")
def silent_line() -> Samples:
    """Noise, three seconds of nothing but the hum of the mains at -50 dB and noise at -75 dB, noise again."""
    hum = tone(50, 3, -50) + noise(3, -75)
    return whole(noise(1, -30), hum, noise(1, -30, seed=6))


@sound("dead-line")
def dead_line() -> Samples:
    """Noise, and then three seconds in which no sample differs from the other: the plug was pulled."""
    return whole(noise(1, -30), np.full(3 * SAMPLE_RATE, 0.01))


@sound("siren-wail")
def siren_wail() -> Samples:
    """An electronic siren that rises from 500 to 1500 Hz and falls again in four seconds, over faint noise."""
    hz = 1000 - 500 * np.cos(2 * np.pi * moments(5) / 4)
    return whole(in_room(0.25 * sweeping(hz, 6), 0.3, 0.3) + noise(5, -45))


@sound("smoke-alarm")
def smoke_alarm() -> Samples:
    """A smoke alarm: 3100 Hz, three beeps of half a second, a pause, and again (ISO 8201)."""
    beep, gap = tone(3100, 0.5, -8), silence(0.5)
    alarm = np.concatenate([beep, gap, beep, gap, beep, gap, silence(1.0), beep, gap])
    return whole(in_room(alarm, 0.3, 0.3) + noise(5, -48))


@sound("car-horn")
def car_horn() -> Samples:
    """Two horns together, 410 and 510 Hz with many overtones, for 1.2 s of every two seconds."""
    times = moments(4)
    both = sweeping(np.full(len(times), 410.0), 15, 0.6) + sweeping(np.full(len(times), 510.0), 12, 0.6)
    return whole(0.12 * both * (times % 2 < 1.2) + noise(4, -57))


@sound("gunshots")
def gunshots() -> Samples:
    """Three bangs: noise that dies away in a twentieth of a second, in a room."""
    rng = np.random.default_rng(3)
    parts = []
    for at in (0.5, 1.5, 2.2):
        bang = rng.normal(0, 1, SAMPLE_RATE) * np.exp(-moments(1) / 0.05)
        parts.append((at, bang / np.abs(bang).max()))
    return whole(0.9 * in_room(placed(3, parts), 0.3, 0.5).clip(-1, 1))


@sound("breaking-glass")
def breaking_glass() -> Samples:
    """A blow, and three hundred splinters that each ring for some hundredths of a second."""
    rng = np.random.default_rng(3)
    fall, times = silence(1.5), moments(0.12)
    for at in rng.exponential(0.18, 300).tolist():
        ring = np.sin(2 * np.pi * rng.uniform(1500, 7800) * times) * np.exp(-times / rng.uniform(0.005, 0.02))
        ring *= rng.uniform(0.1, 1) * np.exp(-2 * at)
        first = round(at * SAMPLE_RATE)
        length = max(min(len(ring), len(fall) - first), 0)
        fall[first : first + length] += ring[:length]
    blow = rng.normal(0, 1, len(fall)) * np.exp(-moments(1.5) / 0.06)
    crash = fall / np.abs(fall).max() + blow / np.abs(blow).max()
    return whole(0.7 * in_room(placed(2.2, [(0.3, crash / np.abs(crash).max())]), 0.2, 0.3))


@sound("scream")
def scream() -> Samples:
    """A voice at 680 to 980 Hz, rough and breathy, through the formants of an open mouth.

    Pitch, roughness and breath are those, of several tried, that the network heard best: that it hears this one says little.
    """
    rng = np.random.default_rng(10)
    times = moments(1.5)
    vibrato = 1 + 0.015 * np.sin(12 * np.pi * times)
    hz = 850 * (0.8 + 0.35 * np.sin(np.pi * np.minimum(times * 0.8, 1))) * vibrato
    voice = sweeping(hz, 12, 0.8) + rng.normal(0, 0.5, len(times))
    voice *= 0.55 + 0.45 * np.sin(2 * np.pi * 90 * times)
    cry = formed(voice, ((1100, 250, 1.0), (2000, 300, 0.7), (3200, 400, 0.8)))
    cry *= np.minimum(times / 0.08, 1) * np.minimum((1.5 - times) / 0.2, 1)
    return whole(0.8 * in_room(placed(2.2, [(0.3, 0.8 * cry / np.abs(cry).max())]), 0.4, 0.3))


@sound("baby-cry")
def baby_cry() -> Samples:
    """Two cries of a small voice around 450 Hz that falls at the end of each, through a short throat."""
    rng = np.random.default_rng(2)
    times = moments(0.9)
    hz = 450 * (0.85 + 0.3 * np.sin(np.pi * times / 0.9)) * (1 + 0.02 * np.sin(2 * np.pi * 7 * times))
    voice = sweeping(hz, 16, 0.5) + rng.normal(0, 0.2, len(times))
    cry = formed(voice, ((1100, 200, 1.0), (3300, 400, 0.6), (5000, 600, 0.3)))
    cry *= np.minimum(times / 0.1, 1) * np.minimum((0.9 - times) / 0.25, 1)
    cry *= 0.6 / np.abs(cry).max()
    return whole(in_room(placed(2.6, [(0.2 + 1.2 * at, cry) for at in range(2)]), 0.3, 0.2))
