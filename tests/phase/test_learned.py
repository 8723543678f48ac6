"""The table of all phase methods."""

import numpy as np
import pytest

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase import methods
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.weights import save_weights
from rephase.phase.learned import LEARNED, TABLE, method, reconstruct

LENS = Ranges().optics(300e3, 20.0)


@pytest.fixture(scope="module")
def scan():
    patterns = np.random.default_rng(0).random((4, 5, 64, 64), dtype=np.float32)
    return Scan(patterns, (0.4, 0.4), (2.0, 2.0))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_weights(path, ExitWaveNet(Architecture(channels=4)), Ranges(), {})
    return path


def test_the_table_holds_the_classical_methods_and_those_that_learn():
    assert set(TABLE) == set(methods.METHODS) | {"exit_wave_cnn"}
    assert set(LEARNED).isdisjoint(methods.METHODS)


def test_a_learned_method_is_called_by_name(scan, weights):
    image = reconstruct("exit_wave_cnn", scan, LENS, weights=weights)
    assert image.unit == "rad" and np.isfinite(image.values).all()


def test_a_classical_method_is_the_same_in_both_tables(scan):
    lens = Optics(energy_ev=300e3, semiangle_mrad=20.0)
    here, there = (table("icom", scan, lens).values for table in (reconstruct, methods.reconstruct))
    assert np.array_equal(here, there)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({}, "settings of exit_wave_cnn: weights: found nothing, expected a value"),
        ({"weights": "w", "colour": "red"}, "settings of exit_wave_cnn: colour: .*no such key"),
        ({"weights": "w", "batch": 0}, "settings of exit_wave_cnn: batch: found 0"),
        ({"weights": "w", "repeat_box": 4}, "settings of exit_wave_cnn: repeat_box: found 4.*odd"),
    ],
)
def test_wrong_settings_are_one_line(scan, settings, message):
    with pytest.raises(InputError, match=message) as error:
        reconstruct("exit_wave_cnn", scan, LENS, **settings)
    assert "\n" not in str(error.value)


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(InputError, match="found wdd, expected one of .*exit_wave_cnn"):
        method("wdd")
