"""Networks are judged on the electrons and the grid of the classical methods."""

import numpy as np
import pytest
import torch

from rephase.judge.ladder import INFINITE, climb
from rephase.judge.networks import climb_methods, climb_networks, every
from rephase.judge.region import Grid
from rephase.measurement import Scan
from rephase.microscope.acquire import acquire_phase_object, scan_of, white_noise_phase
from rephase.microscope.camera import expose
from rephase.microscope.field import sample
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.weights import save_weights
from rephase.phase.methods import reconstruct

LENS = Ranges().optics(300e3, 20.0)
FIELD = sample((10.0, 10.0), LENS, 0.5, 0.1, 64.0)


def scan_up_to(frequency: float) -> Scan:
    phase = white_noise_phase(FIELD, 0.02, frequency, seed=0)
    seen = acquire_phase_object(phase, {"scherzer": LENS}, FIELD, "cpu", soft=True)["scherzer"]
    return scan_of(seen, FIELD, LENS, {})


@pytest.fixture(scope="module")
def scan() -> Scan:
    return scan_up_to(1.0)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    return {"net": save_weights(path, ExitWaveNet(Architecture(channels=2)), Ranges(), {})}


def test_images_lie_on_the_grid_asked_for_one_for_each_seed(scan, networks):
    found = climb_networks(scan, LENS, networks, [INFINITE, 1e4], 2)
    assert {name: stack.shape for name, stack in found.items()} == {
        "net/infinite": (1, 77, 77),
        "net/1e+04": (2, 77, 77),
    }
    fine = Grid.of(every(scan, 1, (19, 19)))
    coarse = climb_networks(every(scan, 2, (19, 19)), LENS, networks, [INFINITE], 1, fine)
    assert coarse["net/infinite"].shape[1:] == fine.shape == (73, 73)


def test_networks_get_the_counts_of_the_classical_methods(scan, networks, monkeypatch):
    given = []
    monkeypatch.setattr("rephase.judge.networks.apply_network", lambda seen, *_: given.append(seen) or None)
    monkeypatch.setattr("rephase.judge.networks.as_scanned", lambda *_: np.zeros((20, 20)))
    climb_networks(scan, LENS, networks, [1e4], 2)
    assert all(np.array_equal(s.load(), expose(scan, 1e4, seed).load()) for seed, s in enumerate(given))


def test_classical_images_pass_through_those_on_the_scan(scan):
    doses = [INFINITE, 1e5]
    there = climb(scan, LENS, {"ssb_sqrt": {}}, doses, 2)
    found = climb_methods(scan, LENS, {"ssb_sqrt": {}}, doses, 2)
    for name, stack in found.items():
        gap = stack[:, ::4, ::4] - there[name]
        assert stack.shape[1:] == (77, 77) and np.abs(stack.mean(axis=(1, 2))).max() < 1e-6
        assert np.ptp(gap, axis=(1, 2)).max() < 1e-5 * np.ptp(stack)  # but for their means


def test_only_an_image_that_is_not_whole_ends_at_twice_the_aperture(scan):
    wide = {"ptychography": {"iterations": 2, "periodic": True}}
    grid = Grid((80, 80), (0.125, 0.125))  # a whole period
    q = np.hypot(*np.meshgrid(*[np.fft.fftfreq(80, 0.125)] * 2))
    beyond = q > 2.01 * LENS.aperture_radius
    for whole in (False, True):
        (image,) = climb_methods(scan, LENS, wide, [INFINITE], 1, grid, whole=whole)["ptychography/infinite"]
        power = np.abs(np.fft.fft2(image)) ** 2
        assert (power[beyond].sum() > 1e-6 * power.sum()) == whole


def test_summed_patterns_at_twice_the_step_still_show_what_is_coarse(monkeypatch):
    scan, given = scan_up_to(0.25), []
    alone = climb_methods(scan, LENS, {"icom": {}}, [INFINITE], 1)["icom/infinite"]

    def watched(name, seen, optics, **settings):
        given.append(seen)
        return reconstruct(name, seen, optics, **settings)

    monkeypatch.setattr("rephase.judge.networks.reconstruct", watched)
    widened = climb_methods(scan, LENS, {"icom": {}}, [INFINITE], 1, repeat=2)["icom/infinite"]
    assert given[0].shape[:2] == (10, 10) and given[0].step_angstrom == (1.0, 1.0)
    assert widened.shape == alone.shape
    assert np.corrcoef(widened.ravel(), alone.ravel())[0, 1] > 0.6


def test_every_second_position_has_twice_the_step(scan):
    part = every(scan, 2, (19, 15))
    assert part.shape[:2] == (10, 8) and part.step_angstrom == (1.0, 1.0)
    assert np.array_equal(part.load()[3, 2], scan.load()[6, 4])
