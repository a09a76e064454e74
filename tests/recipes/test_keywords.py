"""The recipe of the keyword spotter: two steps on eight made-up clips, and the served stage gives what training computed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="the extra `recipes` is not installed: make recipetest")
soundfile = pytest.importorskip("soundfile", reason="the extra `speech` is not installed")

from aihub.algorithms.sound import keywords as stage  # noqa: E402
from aihub.algorithms.sound.mel import mel_bands  # noqa: E402
from aihub.engine.engine import Engine  # noqa: E402
from aihub.engine.store import ModelStore  # noqa: E402
from aihub.errors import InputError  # noqa: E402
from aihub.types import SAMPLE_RATE, ModelCard, Sound  # noqa: E402
from models.recipes import keywords  # noqa: E402
from models.recipes.ds_cnn import features  # noqa: E402
from models.recipes.keywords import DONORS, Plan, blended, make, masked  # noqa: E402
from models.recipes.sounds import (  # noqa: E402
    LABELS,
    UNKNOWN,
    WINDOW,
    Mixer,
    active,
    at_other_speed,
    centred,
    placed,
    read_clips,
    spoken_by_another,
)
from models.recipes.spotter import Ears, Head, Spectrum, Spotter, export, shares_of  # noqa: E402

# The exporter that detectors use too, and sizes that are fixed on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

PLAN = Plan(windows=8, heads=2, steps=2, batch=4, every=1)


def tone(pitch: float, seconds: float = 0.5) -> np.ndarray:
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    loud = np.hanning(len(moments)) * 0.5
    return (loud * np.sin(2 * np.pi * pitch * moments)).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sets of tones that stand for words, and of noise: eight clips to learn from, and as many to check on."""
    root = tmp_path_factory.mktemp("sets")
    random = np.random.default_rng(0)
    held = {
        "speech_commands": {"yes": tone(300), "no": tone(500), "unknown": tone(900)},
        "spoken_words_zh_en": {"上海": tone(700, 0.9), "Open": tone(1100)},
        "esc10": {"rain": random.normal(0, 0.1, 40_000), "clock_tick": random.normal(0, 0.1, 9000)},
    }
    for name, clips in held.items():
        (root / name).mkdir()
        rows = ["path,label,split"]
        for split in ("train", "val", "test"):
            for at, (label, samples) in enumerate(clips.items()):
                soundfile.write(root / name / f"{split}{at}.flac", np.pad(samples, 1600), SAMPLE_RATE)
                rows.append(f"{split}{at}.flac,{label},{split}")
        (root / name / "clips.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def convolutions(*shapes: tuple[int, int, int | tuple[int, int], int, int]) -> Any:
    """From (channels before and after, kernel, stride, groups)."""
    made: list[Any] = []
    for before, after, kernel, stride, groups in shapes:
        padding = (4, 1) if isinstance(kernel, tuple) else kernel // 2
        made += [torch.nn.Conv2d(before, after, kernel, stride, padding, groups=groups), torch.nn.ReLU()]
    return torch.nn.Sequential(*made)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The donors as far as they are read, with weights drawn at random."""
    torch.manual_seed(5)
    root = tmp_path_factory.mktemp("donors")
    (root / "models/audio").mkdir(parents=True)
    wide = ((1, 32, 64), (2, 64, 128), (1, 128, 128), (2, 128, 256), (1, 256, 256))
    pairs = [one for s, b, a in wide for one in ((b, b, 3, s, b), (b, a, 1, 1, 1))]
    yamnet = convolutions((1, 32, 3, 2, 1), *pairs)
    ds_cnn = convolutions((1, 64, (10, 4), 2, 1), *((64, 64, 3, 1, 64), (64, 64, 1, 1, 1)) * 4)
    for name, net, size in zip(DONORS, (yamnet, ds_cnn), ((1, 1, 98, 64), (1, 1, 49, 10)), strict=True):
        torch.onnx.export(net, (torch.zeros(size),), str(root / name), dynamo=False)
    return root


@pytest.fixture(scope="module")
def mixer(data: Path) -> Mixer:
    sets = ("speech_commands", "spoken_words_zh_en", "esc10")
    return Mixer([clip for name in sets for clip in read_clips(data, name, "train")], 3)


def served(net: Spotter, folder: Path) -> Iterator[Engine]:
    path = folder / "keywords.onnx"
    export(net, path, {"license": "Apache-2.0", "labels": ",".join(LABELS)})
    card = ModelCard.model_validate({
        "name": "keywords", "task": "sound-event-detection", "summary": "Untrained.", "labels": LABELS, "roles": ["kws"],
        "artifact": {"uri": "file:keywords.onnx", "sha256": _digest(path), "bytes": path.stat().st_size, "license": "Apache-2.0"},
    })  # fmt: skip
    with Engine(ModelStore([(card, folder)], cache=folder / "cache"), threads=1) as engine:
        yield engine


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_steps_on_eight_clips_make_a_model(data: Path, weights: Path, tmp_path: Path) -> None:
    made = make(data, weights, tmp_path, PLAN)
    rows = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert rows[0]["plan"]["seed"] == PLAN.seed
    assert [(row["head"], row["step"]) for row in rows[1:]] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert made["doubt"] in keywords.DOUBTS
    assert all(row["loss"] > 0 and set(row) >= {"val_loss", "val_accuracy"} for row in rows[1:])
    assert made["clips"] == {"train": 7, "val": 7}
    assert set(made["data"]) == {f"{name}/clips.csv" for name in ("speech_commands", "spoken_words_zh_en", "esc10")}  # fmt: skip
    assert made["sha256"] == _digest(tmp_path / "keywords.onnx")
    assert json.loads((tmp_path / "made.json").read_text()) == made
    graph = onnx.load(str(tmp_path / "keywords.onnx"))
    assert {entry.key: entry.value for entry in graph.metadata_props} == {"license": "Apache-2.0", "labels": ",".join(LABELS)}  # fmt: skip
    assert graph.opset_import[0].version == 17
    assert made["bytes"] <= 2 << 20


def test_a_set_that_is_not_there_is_named(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="speech_commands"):
        make(tmp_path, weights, tmp_path, PLAN)


def test_the_served_stage_gives_what_training_computed(weights: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = Spotter(Ears(*(weights / name for name in DONORS)), [Head(), Head()], doubt=0.5)
    for one in net.modules():  # so that a network that learned nothing still tells windows apart
        if isinstance(one, torch.nn.BatchNorm2d):
            one.running_var.fill_(1e-3)
    random = np.random.default_rng(1)
    samples = np.concatenate(
        [tone(400, 1.0), random.normal(0, 0.1, 20_000).astype(np.float32), tone(900, 1.0)]
    )
    for engine in served(net, tmp_path):
        heard = stage.SpotKeywords(stage.SpotParams(), engine).shares(Sound(samples))
    expected = stage.smoothed(shares_of(net, np.concatenate(list(stage.batches(samples)))))[:, :-2]
    assert heard.shape == expected.shape
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(heard, expected, atol=2e-4)


def test_the_spectrum_is_that_of_fourier() -> None:
    front = Spectrum(400, 160, 64, 125.0, 7500.0, 1e-3)
    samples = tone(1000, 1.0) + tone(3000, 1.0)
    seen = front(torch.from_numpy(samples)[None])
    assert seen.shape == (1, 1, 98, 64)
    at = 50
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitudes = np.abs(np.fft.rfft(samples[at * 160 : at * 160 + 400] * window, 512))
    expected = np.log(magnitudes @ mel_bands(64, 257, 125.0, 7500.0) + 1e-3)
    np.testing.assert_allclose(seen[0, 0, at].numpy(), expected, atol=2e-3)


@pytest.mark.weights
def test_the_ears_hear_what_the_donors_hear(mirror: Path) -> None:
    yamnet, ds_cnn = (mirror / name for name in DONORS)
    samples = np.random.default_rng(0).normal(0, 0.1, (1, WINDOW)).astype(np.float32)
    ears = Ears(yamnet, ds_cnn)
    with torch.no_grad():
        sounds, commands = ears(torch.from_numpy(samples))
        samples = ears.levelled(torch.from_numpy(samples)).numpy()
    assert (tuple(sounds.shape), tuple(commands.shape)) == ((1, 256, 12, 8), (1, 64, 25, 5))
    theirs = inside(ds_cnn, 8, {"input_1": features(samples[0])[None]})
    np.testing.assert_allclose(commands.numpy(), theirs, atol=2e-3)
    # Its table of the Fourier transform is in 8 bits, and it hears two frames less at the end.
    theirs = inside(yamnet, 10, {"input_1": samples[:, :15600] * 0.5})
    np.testing.assert_allclose(sounds.numpy()[:, :, :10], theirs[:, :, :10], atol=0.2)


def inside(path: Path, layer: int, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """What a layer of an ONNX file gives."""
    model = onnx.load(str(path))
    name = [node for node in model.graph.node if node.op_type == "Relu"][layer].output[0]
    model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return np.asarray(session.run([name], feeds)[0])


def test_windows_are_the_same_for_the_same_seed(mixer: Mixer) -> None:
    seen = set()
    for at in range(40):
        (samples, label), (again, same) = mixer.make(at), mixer.make(at)
        assert samples.shape == (WINDOW,)
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert np.abs(samples).max() <= 1.0001
        np.testing.assert_array_equal(samples, again)
        assert label == same
        seen.add(LABELS[label])
    assert seen == {"yes", "no", "上海", "open", "unknown", "silence"}


def test_talk_without_words_is_as_long_as_asked(mixer: Mixer) -> None:
    assert mixer.nonsense(3).shape == (3 * WINDOW,)


def test_a_clip_is_placed_by_its_loud_part() -> None:
    clip = np.concatenate([np.zeros(8000, np.float32), tone(400), np.zeros(4000, np.float32)])
    first, last = active(clip)
    assert first == pytest.approx(8000, abs=2000)
    assert last == pytest.approx(16000, abs=2000)
    loud = np.flatnonzero(np.abs(centred(clip)) > 0.1)
    assert (loud[0] + loud[-1]) / 2 == pytest.approx(WINDOW / 2, abs=400)
    assert not placed(clip, WINDOW).any()
    assert not placed(clip, -len(clip)).any()


def test_a_click_is_no_part_of_a_word() -> None:
    clip = np.concatenate([np.zeros(8000, np.float32), tone(400) * 0.1, np.zeros(9600, np.float32)])
    quiet = active(clip)
    clip[-1600:-1500] = 1.0  # a hundred and sixtieth of a second, twenty times as loud as the word
    assert active(clip) == quiet


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.1, 1.25])
def test_speed_changes_and_pitch_does_not(speed: float) -> None:
    made = at_other_speed(tone(440), speed)
    assert len(made) == pytest.approx(len(tone(440)) / speed, abs=2)
    spectrum = np.abs(np.fft.rfft(made, SAMPLE_RATE))
    assert spectrum.argmax() == pytest.approx(440, abs=6)
    assert np.abs(made).max() == pytest.approx(0.5, abs=0.1)


def test_what_is_too_short_to_move_stays() -> None:
    short = tone(440, 0.05)
    np.testing.assert_array_equal(at_other_speed(short, 1.2), short)


def test_another_voice_is_another_pitch_and_length() -> None:
    made = [spoken_by_another(tone(440), np.random.default_rng(seed)) for seed in range(20)]
    pitches = [np.abs(np.fft.rfft(one, SAMPLE_RATE)).argmax() for one in made]
    assert 350 < min(pitches) < 400
    assert 480 < max(pitches) < 550
    # The one says nothing of the other.
    assert abs(np.corrcoef(pitches, [len(one) for one in made])[0, 1]) < 0.6


def test_loudness_is_not_decided_by_a_click(weights: Path) -> None:
    ears = Ears(*(weights / name for name in DONORS))
    word = np.pad(tone(400, 0.9), 800)[None, :WINDOW]
    clicked = word.copy()
    clicked[0, 200:204] = 3.0
    with torch.no_grad():
        heard, same, fainter = (ears.wide(_as_heard(ears, one)) for one in (word, clicked, word * np.float32(0.01)))  # fmt: skip
    assert torch.allclose(heard[0, 0, 20:], same[0, 0, 20:], atol=0.05)
    assert torch.allclose(heard, fainter, atol=0.05)


def _as_heard(ears: Ears, samples: np.ndarray) -> Any:
    return ears.levelled(torch.from_numpy(samples))


def test_doubt_is_the_least_that_names_most() -> None:
    def says(sounds: Any, commands: Any) -> Any:
        return logits

    logits = torch.zeros(4, len(LABELS))
    logits[:, LABELS.index(UNKNOWN)] = torch.tensor([0.9, 0.2, 5.0, 1.9])
    logits[:, 0] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    truth = torch.tensor([0, 0, LABELS.index(UNKNOWN), 0])
    logits[:2, 0] = 0.1
    checks = keywords.Bank(torch.zeros(4, 1), torch.zeros(4, 1), truth)
    assert keywords.doubt_of(cast("list[Head]", [says, says]), checks) == 1.0


def test_masked_and_blended_keep_the_shape() -> None:
    sounds, commands, truth = torch.rand(4, 8, 12, 8), torch.rand(4, 3, 25, 5), torch.eye(4)
    hidden = masked(sounds)
    assert bool(((hidden == 0) | (hidden == sounds)).all())
    assert float((hidden == sounds).float().mean()) > 0.8
    made = blended(sounds, commands, truth)
    assert [one.shape for one in made] == [sounds.shape, commands.shape, truth.shape]
    assert torch.allclose(made[2].sum(1), torch.ones(4))


def test_ds_cnn_hears_no_loudness() -> None:
    part = np.pad(tone(440, 0.9), 800)
    made = features(part)
    assert made.shape == (49, 10, 1)
    np.testing.assert_allclose(features(part * np.float32(0.1)), made, atol=0.01)


def test_labels_are_words_and_what_is_none() -> None:
    assert len(set(LABELS)) == len(LABELS) == 32
    assert set(LABELS[-2:]) == set(stage.OTHERS)
    assert keywords.NAME == "keywords"
