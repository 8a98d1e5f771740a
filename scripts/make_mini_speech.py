"""Makes the mini-speech data sets: synthetic spoken digits (0-9, English and German) as cochlea spikes.

    python scripts/make_mini_speech.py mini-speech          2,000 / 500 / 500 samples, bundled with the package
    python scripts/make_mini_speech.py mini-speech-large    8,000 / 2,000 / 2,000 samples

Needs the program espeak-ng (Debian package `espeak-ng`). The arrays are made once and their digest is pinned in
`tilewire.data.mini_speech`; another espeak-ng version gives other arrays, hence another digest.

A voice is an espeak-ng variant. Voices that sound alike (acoustic distance below LIKE_DB) form one group and a group
lies in one split only, so no test voice is a training voice under another name. espeak-ng speaks with its base voice
when a variant is missing and reports success; hence only variants whose file exists are used, and one that sounds like
the base voice is dropped.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.signal import stft

from tilewire.data.cochlea import centre_frequencies, encode, speech_level
from tilewire.data.record import SPLITS, EventPack, SpikeData, spike_data
from tilewire.data.storage import write_npz

ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
WORDS = ENGLISH + GERMAN
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp")
SETS = {"mini-speech": ((2000, 500, 500), 1), "mini-speech-large": ((8000, 2000, 2000), 2)}
CHANNELS, STEPS, STEP_S = 140, 100, 0.01
LIKE_DB = 1.5
HELD_OUT = 15  # voices of the validation split, and of the test split
PARTITION_SEED = 0

Wave = NDArray[np.float64]


@dataclass(frozen=True)
class Utterance:
    """One sample to be spoken: word, voice and the random choices (rate in words per minute, pitch and range 0..99)."""

    word: int
    voice: str
    accent: str
    rate: int
    pitch: int
    range: int
    onset_s: float
    snr_db: float
    seed: tuple[int, ...]


def speak(text: str, voice: str, rate: int = 160, pitch: int = 50, pitch_range: int = 50) -> tuple[int, Wave]:
    """Sample rate and wave of one text, silence before and after it removed."""
    markup = f'<prosody range="{2 * pitch_range}%">{text}</prosody>'  # 100 % is espeak-ng's 50
    command = ["espeak-ng", "-m", "--stdout", "-v", voice, "-s", str(rate), "-p", str(pitch), markup]
    output = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    wave = np.frombuffer(output[44:], dtype="<i2").astype(np.float64)
    if wave.size == 0 or not wave.any():
        raise RuntimeError(f"espeak-ng gave no sound for {command}")
    loud = np.flatnonzero(np.abs(wave) > 0.02 * np.abs(wave).max())
    return int.from_bytes(output[24:28], "little"), wave[loud[0] : loud[-1] + 1]


def fingerprint(voice: str) -> Wave:
    """Mean and spread in dB of 40 ERB bands over the loud frames of all digits, English and German: what a voice sounds like."""
    parts = []
    suffix = f"+{voice}" if voice else ""
    for language, words in (("en-us", ENGLISH), ("de", GERMAN)):
        rate, wave = speak(", ".join(words), language + suffix)
        frequency, _, spectrum = stft(wave / 32768, rate, nperseg=1024, noverlap=512)
        power = np.abs(spectrum) ** 2
        power = power[:, power.sum(axis=0) > power.sum(axis=0).max() * 10**-2.5]
        edges = centre_frequencies(41, 60.0, 9000.0)
        upper = np.maximum(edges[1:], edges[:-1] + 22)  # at least one bin of the transform
        band = np.stack(
            [power[(frequency >= a) & (frequency < b)].sum(axis=0) for a, b in zip(edges, upper, strict=False)]
        )
        level = 10 * np.log10(band / band.sum(axis=0).mean() + 1e-7)
        parts += [level.mean(axis=1), level.std(axis=1)]
    return np.concatenate(parts)


def partition(folder: Path) -> tuple[dict[str, tuple[str, ...]], float]:
    """Voices of each split, and the least acoustic distance in dB between voices of different splits."""
    names = [path.name for path in sorted(folder.iterdir()) if path.is_file()]
    prints = np.stack([fingerprint(name) for name in ["", *names]])
    distance = np.sqrt(np.mean((prints[:, None] - prints[None]) ** 2, axis=-1))
    keep = np.flatnonzero(distance[0, 1:] > LIKE_DB / 5)
    names = [names[i] for i in keep]
    distance = distance[1:, 1:][np.ix_(keep, keep)]
    groups = fcluster(linkage(distance[np.triu_indices(len(names), 1)], "single"), LIKE_DB, "distance")
    split = np.zeros(len(names), dtype=int)
    order = np.random.default_rng(PARTITION_SEED).permutation(np.unique(groups))
    for group in order:
        members = np.flatnonzero(groups == group)
        for held_out in (1, 2):
            if np.sum(split == held_out) + members.size <= HELD_OUT:
                split[members] = held_out
                break
    least = float(distance[split[:, None] != split[None]].min())
    if least < LIKE_DB:
        raise RuntimeError(f"voices of two splits are only {least:.2f} dB apart")
    chosen = {name: tuple(np.array(names)[split == i].tolist()) for i, name in enumerate(SPLITS)}
    return chosen, least


def plan(size: int, voices: tuple[str, ...], seed: tuple[int, int]) -> list[Utterance]:
    """`size` utterances: classes and voices in turn and shuffled independently, all else drawn uniformly."""
    rng = np.random.default_rng(seed)
    words = rng.permutation(np.arange(size) % len(WORDS))
    speakers = rng.permutation(np.arange(size) % len(voices))
    return [
        Utterance(
            word=int(word),
            voice=voices[speaker],
            accent=ACCENTS[rng.integers(len(ACCENTS))] if word < len(ENGLISH) else "de",
            rate=int(rng.integers(110, 231)),
            pitch=int(rng.integers(15, 86)),
            range=int(rng.integers(10, 91)),
            onset_s=float(rng.uniform(0.0, 0.08)),
            snr_db=float(rng.uniform(15.0, 30.0)),
            seed=(*seed, i),
        )
        for i, (word, speaker) in enumerate(zip(words, speakers, strict=True))
    ]


def red_noise(size: int, rate: int, rng: np.random.Generator) -> Wave:
    """Gaussian noise of root mean square 1 with power falling as 1 / f^2 above 50 Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(size)) / np.maximum(np.fft.rfftfreq(size, 1 / rate), 50.0)
    noise = np.fft.irfft(spectrum, size)
    return noise / np.sqrt(np.mean(np.square(noise)))


def record(utterance: Utterance) -> tuple[NDArray[np.uint8], float]:
    """Spike counts uint8 [STEPS, CHANNELS] of one utterance, and the time in s when its word ends."""
    u = utterance
    rng = np.random.default_rng(u.seed)
    rate, word = speak(WORDS[u.word], f"{u.accent}+{u.voice}", u.rate, u.pitch, u.range)
    start = round(u.onset_s * rate)
    wave = np.zeros(round(STEPS * STEP_S * rate))
    part = word[: wave.size - start]
    wave[start : start + part.size] = part / speech_level(part, rate)
    wave += red_noise(wave.size, rate, rng) * 10 ** (-u.snr_db / 20)
    counts = encode(wave, rate, channels=CHANNELS, steps=STEPS, step_s=STEP_S, rng=rng)
    return counts, (start + word.size) / rate


def data_folder() -> tuple[str, Path]:
    """Version line of espeak-ng and its folder of voice variants."""
    text = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    match = re.match(r"(.*?)\s+Data at: (.*)", text)
    if match is None:
        raise RuntimeError(f"cannot read the version line of espeak-ng: {text!r}")
    return match[1], Path(match[2]) / "voices" / "!v"


def assemble(name: str, jobs: dict[str, list[Utterance]], counts: dict[str, NDArray[np.uint8]]) -> SpikeData:
    """The data set of all recordings; speaker = rank of the voice among all voice names."""
    voices = sorted({utterance.voice for split in SPLITS for utterance in jobs[split]})
    packs = {
        split: EventPack.from_dense(
            counts[split], [u.word for u in jobs[split]], [voices.index(u.voice) for u in jobs[split]], STEP_S
        )
        for split in SPLITS
    }
    return spike_data(name, "synthetic", WORDS, packs)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=sorted(SETS))
    parser.add_argument("--out", type=Path, help="folder to write to (default: where the set is looked for)")
    parser.add_argument("--workers", type=int, default=1)
    choice = parser.parse_args(arguments)
    version, folder = data_folder()
    voices, least = partition(folder)
    print(f"{version}; voices {[len(voices[split]) for split in SPLITS]}, splits at least {least:.2f} dB apart")
    sizes, seed = SETS[choice.set]
    jobs = {
        split: plan(size, voices[split], (seed, i)) for i, (split, size) in enumerate(zip(SPLITS, sizes, strict=True))
    }
    counts = {}
    with ProcessPoolExecutor(choice.workers, mp_context=get_context("spawn")) as pool:
        for split in SPLITS:
            made = list(pool.map(record, jobs[split], chunksize=50))
            counts[split] = np.stack([sample for sample, _ in made])
            late = np.mean([end > STEPS * STEP_S for _, end in made])
            print(
                f"{split}: {len(made)} samples, {counts[split].sum(axis=(1, 2)).mean():.0f} spikes each, {late:.2%} cut short"
            )
    data = assemble(choice.set, jobs, counts)
    repository = Path(__file__).resolve().parents[1]
    home = repository / ("src/tilewire/data" if choice.set == "mini-speech" else "data")
    path = (choice.out or home) / f"{choice.set.replace('-', '_')}.npz"
    write_npz(data, path)
    print(f"{path}: {path.stat().st_size} bytes, sha256 of the content {data.digest}")


if __name__ == "__main__":
    main(sys.argv[1:])
