"""Inner-ear model: a mono waveform becomes the spikes of bushy cells, one per frequency channel.

Chain and sources (own implementation, written from the published equations):

1. Fourth-order gammatone filter per channel, centre frequencies equally spaced on the ERB-rate scale
   (Glasberg and Moore 1990, Hear. Res. 47:103; all-pole complex form of Hohmann 2002, Acustica 88:433).
2. Inner hair cell with three transmitter reservoirs (Meddis 1986, J. Acoust. Soc. Am. 79:702; Meddis 1988, ibid. 83:1056;
   constants of the high-spontaneous-rate fibre in Meddis, Hewitt and Shackleton 1990, ibid. 87:1813, table I).
3. 40 auditory-nerve fibres per channel with 1 ms refractory period and one bushy cell that they converge on
   (chain of Cramer, Stradmann, Schemmel and Zenke 2020, arXiv:1910.07407, section II).

Departures: a gammatone bank stands for the hydrodynamic basilar membrane of that chain; the fibres of a channel are exchangeable, so one
binomial number per step is drawn instead of 40 trains; the synaptic cleft is taken quasi-static and the reservoirs are updated implicitly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tilewire.errors import DataError

STEP_S = 0.5e-3  # simulation step of hair cell, fibres and bushy cell
REFERENCE_DB = 30.0  # level of a wave with root mean square 1 on the scale of Meddis 1986
MAX_RATE_HZ = 1_000_000
MAX_BIN_S = 0.1  # a bushy cell fires at most once per refractory ms, so a longer bin could overflow 8 bits


@dataclass(frozen=True)
class Cochlea:
    """Constants of the chain; rates in 1/s, times in s, frequencies in Hz.

    level_db: level of the speech (10 ms frames within 25 dB of the loudest), root mean square 1 = 30 dB.
    coincidence: simultaneous fibre spikes that would bring a resting bushy cell to threshold.
    """

    low_hz: float = 40.0
    high_hz: float = 7600.0
    level_db: float = 66.0
    permeability_a: float = 5.0
    permeability_b: float = 300.0
    release: float = 2000.0  # g
    replenish: float = 5.05  # y
    loss: float = 2500.0  # l
    recovery: float = 6580.0  # r
    reprocess: float = 66.31  # x
    firing: float = 50000.0  # h
    fibres: int = 40
    coincidence: float = 11.0
    tau_membrane_s: float = 1e-3
    tau_synapse_s: float = 0.5e-3
    refractory_s: float = 1e-3

    def __post_init__(self) -> None:
        wrong = [name for name, value in vars(self).items() if name != "level_db" and not value > 0]
        if wrong or self.tau_membrane_s == self.tau_synapse_s or self.low_hz >= self.high_hz:
            raise DataError(
                f"{self}: constants must be positive{f' ({wrong} is not)' if wrong else ''}, "
                "the two time constants different, low_hz below high_hz"
            )


def erb_hz(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Equivalent rectangular bandwidth 24.7 (4.37 f / 1000 + 1) in Hz (Glasberg and Moore 1990, eq. 3)."""
    return 24.7 * (4.37e-3 * frequency_hz + 1.0)


def centre_frequencies(channels: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """`channels` frequencies in Hz, ascending, equally spaced in ERB rate 21.4 log10(4.37 f / 1000 + 1), ends included."""
    low, high = np.log10(4.37e-3 * low_hz + 1.0), np.log10(4.37e-3 * high_hz + 1.0)
    rate = np.linspace(low, high, channels) if channels > 1 else np.array([(low + high) / 2])
    return np.asarray((10.0**rate - 1.0) / 4.37e-3)


def speech_level(samples: NDArray[np.float64], rate_hz: int) -> float:
    """Root mean square over the 10 ms frames within 25 dB of the loudest frame (0.0 for a silent wave)."""
    frame = max(1, min(rate_hz // 100, samples.size))
    power = np.square(samples[: samples.size // frame * frame]).reshape(-1, frame).mean(axis=1)
    loud = power[power >= power.max(initial=0.0) * 10**-2.5]
    return float(np.sqrt(loud.mean())) if loud.size else 0.0


def encode(
    samples: NDArray[np.floating],
    rate_hz: int,
    *,
    channels: int,
    steps: int,
    step_s: float,
    rng: np.random.Generator,
    cochlea: Cochlea | None = None,
) -> NDArray[np.uint8]:
    """Spike counts uint8 [steps, channels] of one mono wave, low frequencies first.

    samples: real [n], any scale (the level is set to `cochlea.level_db`); what lies beyond steps * step_s is cut, a shorter wave is
    followed by silence. rng: draws steps * step_s / 0.5 ms uniform numbers per channel. Raises DataError on an impossible request.
    """
    cochlea = cochlea or Cochlea()
    high_hz = min(cochlea.high_hz, rate_hz / 2)
    fine = channels >= 1 and steps >= 1 and STEP_S <= step_s <= MAX_BIN_S
    if not fine or high_hz <= cochlea.low_hz or rate_hz > MAX_RATE_HZ:
        raise DataError(
            f"cannot encode {samples.size} samples at {rate_hz} Hz into {steps} steps of {step_s} s on {channels} channels: "
            f"needs channels and steps >= 1, steps of {STEP_S} to {MAX_BIN_S} s, and more than {2 * cochlea.low_hz:g} "
            f"up to {MAX_RATE_HZ} samples/s"
        )
    if not np.all(np.isfinite(samples)):
        raise DataError("the wave holds values that are not finite numbers")
    ticks = int(np.ceil(steps * step_s / STEP_S - 1e-9))
    wave = _levelled(samples, rate_hz, max(1, round(ticks * STEP_S * rate_hz)), cochlea.level_db)
    frequencies = centre_frequencies(channels, cochlea.low_hz, high_hz)
    poles = np.exp(2 * np.pi / rate_hz * (-1.019 * erb_hz(frequencies) + 1j * frequencies))
    edges = np.minimum(np.rint(np.arange(ticks + 1) * STEP_S * rate_hz).astype(np.int64), wave.size)
    a, b, release = cochlea.permeability_a, cochlea.permeability_b, cochlea.release
    pool = (cochlea.replenish, cochlea.loss, cochlea.recovery, cochlea.reprocess, cochlea.firing)
    probability = _release(_permeability(wave, poles, edges, a, b, release), release * a / (a + b), *pool, STEP_S)
    uniform = rng.random((channels, ticks), dtype=np.float32)
    counts = np.zeros((channels, steps), dtype=np.uint8)
    bins = np.minimum((np.arange(ticks) * (STEP_S / step_s) + 1e-9).astype(np.int64), steps - 1)
    _bushy(probability, uniform, bins, *_cell_constants(cochlea), counts)
    return np.ascontiguousarray(counts.T)


def _levelled(samples: NDArray[np.floating], rate_hz: int, size: int, level_db: float) -> NDArray[np.float64]:
    """The first `size` samples, silence appended if there are fewer, speech at `level_db`."""
    wave = np.zeros(size)
    part = np.asarray(samples, dtype=np.float64)[:size]
    level = speech_level(part, rate_hz)
    wave[: part.size] = part * (10 ** ((level_db - REFERENCE_DB) / 20) / level if level > 0 else 1.0)
    return wave


def _cell_constants(cochlea: Cochlea) -> tuple[int, int, float, float, float, float]:
    """Fibres, refractory ticks, decay of membrane and synapse per tick, membrane gain of the current, jump of the current per spike.

    With tau_m dv/dt = -v + i, tau_s di/dt = -i, threshold 1, a current step of 1 peaks at
    v = (tau_s / tau_m)^(tau_m / (tau_m - tau_s)), so `coincidence` spikes of 1 / (coincidence * peak) each just reach threshold.
    """
    membrane, synapse = cochlea.tau_membrane_s, cochlea.tau_synapse_s
    decay, decay_current = float(np.exp(-STEP_S / membrane)), float(np.exp(-STEP_S / synapse))
    gain = synapse / (membrane - synapse) * (decay - decay_current)
    peak = (synapse / membrane) ** (membrane / (membrane - synapse))
    refractory = max(1, round(cochlea.refractory_s / STEP_S))
    return cochlea.fibres, refractory, decay, decay_current, gain, 1.0 / (cochlea.coincidence * peak)


@njit(cache=True)
def _permeability(
    wave: NDArray[np.float64],
    poles: NDArray[np.complex128],
    edges: NDArray[np.int64],
    a: float,
    b: float,
    release: float,
) -> NDArray[np.float64]:
    """Mean over each tick of k = g (s + A) / (s + A + B) for s + A > 0, else 0; s = gammatone output; [channels, ticks].

    Filter: four equal complex poles p, y_j[n] = (1 - |p|) y_{j-1}[n] + p y_j[n-1], s = 2 Re y_4 (gain 1 at the centre frequency).
    """
    ticks = edges.size - 1
    result = np.empty((poles.size, ticks))
    for channel in range(poles.size):
        pr, pi = poles[channel].real, poles[channel].imag
        gain = 2.0 * (1.0 - np.sqrt(pr * pr + pi * pi)) ** 4
        r1 = i1 = r2 = i2 = r3 = i3 = r4 = i4 = 0.0
        mean = release * a / (a + b)
        for tick in range(ticks):
            total = 0.0
            for n in range(edges[tick], edges[tick + 1]):
                x = wave[n] * gain + 1e-30  # keeps silence out of the slow denormal numbers
                r1, i1 = x + pr * r1 - pi * i1, pr * i1 + pi * r1
                r2, i2 = r1 + pr * r2 - pi * i2, i1 + pr * i2 + pi * r2
                r3, i3 = r2 + pr * r3 - pi * i3, i2 + pr * i3 + pi * r3
                r4, i4 = r3 + pr * r4 - pi * i4, i3 + pr * i4 + pi * r4
                drive = max(r4 + a, 0.0)
                total += drive / (drive + b)
            if edges[tick + 1] > edges[tick]:  # below 2 kHz some ticks hold no sample: the last value stays
                mean = release * total / (edges[tick + 1] - edges[tick])
            result[channel, tick] = mean
    return result


@njit(cache=True)
def _release(
    permeability: NDArray[np.float64],
    rest: float,
    replenish: float,
    loss: float,
    recovery: float,
    reprocess: float,
    firing: float,
    dt: float,
) -> NDArray[np.float64]:
    """Probability that a fibre fires in a tick, h c dt, [channels, ticks].

    dq/dt = y (1 - q) + x w - k q,  dw/dt = r c - x w,  cleft quasi-static c = k q / (l + r); backward Euler from the steady state of
    k = `rest`. q, w, c = transmitter in pool, store and cleft.
    """
    returned = recovery / (loss + recovery)
    store = 1.0 / (1.0 + reprocess * dt)
    result = np.empty_like(permeability)
    for channel in range(permeability.shape[0]):
        q = replenish / (replenish + rest * (1.0 - returned))
        w = returned * rest * q / reprocess
        for tick in range(permeability.shape[1]):
            k = permeability[channel, tick]
            # w' = store (w + dt r c') put into the equation of q' leaves one that is linear in q'
            inflow = q + dt * (replenish + reprocess * store * w)
            q = inflow / (1.0 + dt * (replenish + k - reprocess * store * dt * returned * k))
            w = store * (w + dt * returned * k * q)
            result[channel, tick] = min(firing * dt * k * q / (loss + recovery), 0.999)
    return result


@njit(cache=True)
def _bushy(
    probability: NDArray[np.float64],
    uniform: NDArray[np.float32],
    bins: NDArray[np.int64],
    fibres: int,
    refractory: int,
    decay: float,
    decay_current: float,
    gain: float,
    jump: float,
    counts: NDArray[np.uint8],
) -> None:
    """Adds each channel's bushy-cell spikes to counts [channels, steps].

    Fibre spikes of a tick ~ Binomial(fibres - those that fired less than `refractory` ticks ago, p), by inversion of `uniform`; after a
    spike the cell rests at 0 for `refractory` ticks.
    """
    recent = np.zeros(refractory, dtype=np.int64)
    for channel in range(probability.shape[0]):
        recent[:] = 0
        resting = fibres
        v = current = 0.0
        silent = 0
        for tick in range(probability.shape[1]):
            slot = tick % refractory
            resting += recent[slot]
            p = probability[channel, tick]
            odds = p / (1.0 - p)
            mass = (1.0 - p) ** resting
            below = mass
            fired = 0
            while uniform[channel, tick] > below and fired < resting:
                mass *= odds * (resting - fired) / (fired + 1)
                fired += 1
                below += mass
            recent[slot] = fired
            resting -= fired
            current += jump * fired
            v = v * decay + gain * current
            current *= decay_current
            if silent > 0:
                silent -= 1
                v = 0.0
            elif v >= 1.0:
                counts[channel, bins[tick]] += 1
                silent = refractory
                v = 0.0
