"""The loss of Eq. 11 against its own formulas, written in NumPy and double precision."""

import math

import numpy as np
import pytest
import torch

from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import Frame, diffracted, focused
from rephase.phase.exit_wave.loss import (
    LossSettings,
    correlation,
    loss,
    object_phase,
    object_weights,
    penalties,
    terms,
)

UNWEIGHTED = LossSettings(phase_weight="none", intensity_unit="fraction")
DIRECT = LossSettings(phase_form="direct")
RANDOM = {"sin": 0.5, "cos": 0.5}  # mean squares for a random phase
VARIANTS = [LossSettings(), LossSettings(phase_weight="intensity"), UNWEIGHTED, DIRECT]
PROBE = Frame.of_aperture(Optics(energy_ev=200e3, semiangle_mrad=20.0, cs_angstrom=1e4), 10.0).probe()


def smooth(seed: int, count: int = 3) -> torch.Tensor:
    """Smooth real maps of order one, (count, 64, 64), double precision."""
    noise = torch.randn(count, 9, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.interpolate(noise[:, None], size=(64, 64), mode="bicubic")[:, 0]


def case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Predicted waves, true ones behind a phase object, and the probe; double precision."""
    probe = PROBE.to(torch.complex128).expand(3, -1, -1)
    true = probe * torch.exp(0.4j * smooth(seed))
    return true * (1 + 0.1 * smooth(seed + 1)) * torch.exp(0.2j * smooth(seed + 2)), true, probe


def in_k(wave: np.ndarray) -> np.ndarray:
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(wave, axes), norm="ortho"), axes)


def eq_7(probe: np.ndarray) -> np.ndarray:
    power = np.abs(probe) ** 2
    return np.where(power > power.max((-2, -1), keepdims=True) / 10, power, 0)


def seen(name: str, wave: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Phase, sine or cosine of a wave; they fade below the floor."""
    fading = np.abs(wave) ** 2 / (np.abs(wave) ** 2 + floor**2)
    if name == "phase":
        return np.angle(wave) * fading
    return {"sin": np.sin, "cos": np.cos}[name](np.angle(wave)) * np.sqrt(fading)


def by_hand(predicted, true, probe, settings: LossSettings, faded: bool = True) -> dict[str, float]:
    found = {}
    for plane, p, t in (("k", in_k(predicted), in_k(true)), ("r", predicted, true)):
        intensities = np.abs(p) ** 2, np.abs(t) ** 2
        unit = (intensities[1] ** 2).mean((-2, -1)) if settings.intensity_unit == "rms" else 1
        found[f"intensity_{plane}"] = np.mean(((intensities[0] - intensities[1]) ** 2).mean((-2, -1)) / unit)
        weight = np.abs(t) ** {"amplitude": 1, "intensity": 2, "none": 0}[settings.phase_weight]
        floor = (1e-3 if faded else 0) * np.sqrt((np.abs(t) ** 2).mean((-2, -1), keepdims=True))
        power = 1 if settings.phase_form == "sin_cos" else 2
        present = [(np.abs(wave) ** 2 / (np.abs(wave) ** 2 + floor**2)) ** power for wave in (t, p)]
        missing = np.maximum(present[0] - present[1], 0)
        for name, cost in (
            RANDOM.items() if settings.phase_form == "sin_cos" else (("phase", math.pi**2 / 3),)
        ):
            values = [seen(name, wave, floor) for wave in (p, t)]
            error = (values[0] - values[1]) ** 2 + cost * missing
            found[f"{name}_{plane}"] = np.average(error, (-2, -1), weight).mean()
    weight, objects = eq_7(probe), [np.angle(wave / probe) for wave in (predicted, true)]
    square = np.angle(np.exp(1j * (objects[0] - objects[1]))) ** 2
    found["object_phase"] = np.average(square, (-2, -1), weight).mean()
    correlations = []
    for x, y, w in zip(*objects, weight, strict=True):
        covariance = np.cov(x.ravel(), y.ravel(), aweights=w.ravel(), bias=True)
        correlations.append(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))
    found["object_xc"] = 1 - np.mean(correlations) / 2
    return found


@pytest.mark.parametrize("settings", VARIANTS)
def test_each_term_is_its_formula(settings):
    waves = case()
    expected = by_hand(*(wave.numpy() for wave in waves), settings)
    found = terms(*waves, settings)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.item() == pytest.approx(expected[name], rel=2e-5), name


def test_phases_of_waves_above_the_floor_are_exact():
    """In the diffraction plane, with amplitudes near one everywhere."""
    amplitude, phase = 1 + 0.2 * torch.tanh(smooth(1)), 2 * smooth(0)
    waves = (focused(amplitude * torch.exp(1j * angle)) for angle in (phase + 0.3 * smooth(2), phase))
    waves = *waves, PROBE.to(torch.complex128).expand(3, -1, -1)
    expected = by_hand(*(wave.numpy() for wave in waves), UNWEIGHTED, faded=False)
    for name in ("sin_k", "cos_k"):
        assert terms(*waves, UNWEIGHTED)[name].item() == pytest.approx(expected[name], rel=1e-5)


@pytest.mark.parametrize("settings", VARIANTS)
def test_equal_waves_cost_nothing_but_the_printed_half(settings):
    _, true, probe = case()
    for name, value in terms(true, true, probe, settings).items():
        assert value.item() == pytest.approx(0.5 if name == "object_xc" else 0, abs=1e-5), name


def test_the_loss_is_the_sum_of_eq_11():
    waves, found = case(), terms(*case())
    one = sum(found.values()) + 2 * (found["sin_k"] + found["cos_k"])
    excess = sum(penalties(waves[0]).values())
    torch.testing.assert_close(loss(*waves), one + excess)
    torch.testing.assert_close(loss(*waves, 10.0), one + excess + 9 * found["object_phase"])
    plain = loss(*waves, settings=LossSettings(k_phase_weight=1.0))
    torch.testing.assert_close(plain, sum(found.values()) + excess)


def test_the_phase_itself_is_weighted_in_k_space_too():
    waves, found = case(), terms(*case(), DIRECT)
    expected = sum(found.values()) + 2 * found["phase_k"] + sum(penalties(waves[0]).values())
    torch.testing.assert_close(loss(*waves, settings=DIRECT), expected)


@pytest.mark.parametrize("settings", [LossSettings(), DIRECT])
def test_a_wave_of_random_phase_costs_the_same_however_faint(settings):
    """Else a network would first learn to scatter nothing, and would find it hard to leave off."""
    true, probe = (wave.expand(20, -1, -1, -1).flatten(0, 1) for wave in case()[1:])
    random = torch.rand(true.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    shape = focused(diffracted(true).abs() * torch.exp(2j * math.pi * random))
    costs = [terms(size * shape, true, probe, settings) for size in (1.0, 1e-3, 1e-6)]
    for name in costs[0].keys() & {"sin_k", "cos_k", "phase_k"}:
        assert [cost[name].item() for cost in costs[1:]] == pytest.approx(
            [costs[0][name].item()] * 2, rel=0.03
        )


def test_no_wave_has_no_cheap_phase():
    _, true, probe = case()
    nothing = terms(1e-6 * true, true, probe)
    assert nothing["object_phase"].item() == pytest.approx(math.pi**2 / 3, rel=0.05)


def test_a_global_phase_is_seen_by_phases_and_by_nothing_else():
    _, true, probe = case()
    found = terms(true * np.exp(0.3j), true, probe)
    blind = {"intensity_k", "intensity_r"}
    assert all(found[name] < 1e-12 for name in blind)
    assert found["object_xc"].item() == pytest.approx(0.5, abs=1e-5)
    assert found["object_phase"].item() == pytest.approx(0.09, rel=1e-4)
    assert all(found[name] > 1e-3 for name in found.keys() - blind - {"object_xc"})


def test_a_phase_across_pi_is_near():
    """Sines and the object's difference do not see the cut of the phase; the phase itself does."""
    probe = PROBE.to(torch.complex128)[None]
    waves = probe * np.exp(1j * (math.pi + 0.05)), probe * np.exp(1j * (math.pi - 0.05)), probe
    assert terms(*waves)["object_phase"].item() == pytest.approx(0.01, rel=1e-3)
    assert sum(terms(*waves)[name] for name in ("sin_r", "cos_r")).item() < 0.011
    assert terms(*waves, DIRECT)["phase_r"] > 1


def test_the_correlation_does_not_see_scale_and_offset():
    maps, weights = smooth(0), object_weights(PROBE.to(torch.complex128).expand(3, -1, -1))
    ones = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(correlation(3 * maps + 1, maps, weights), ones, rtol=0, atol=1e-5)
    torch.testing.assert_close(correlation(-maps, maps, weights), -ones, rtol=0, atol=1e-5)
    constant = torch.zeros_like(maps)
    assert correlation(constant, maps, weights).abs().max() == 0


def test_the_object_is_judged_where_the_probe_exceeds_a_tenth_of_its_maximum():
    weights, power = object_weights(PROBE[None])[0], PROBE.abs().square()
    assert torch.equal(weights > 0, power > 0.1 * power.max())
    assert 10 < (weights > 0).sum() < 60
    found = terms(*case())
    _, true, probe = case()
    noise = 0.3 * smooth(5) * (weights == 0)
    far = terms(true * torch.exp(1j * noise), true, probe)
    assert far["object_phase"] < 1e-20 < found["object_phase"]


def test_the_objects_phase_is_that_of_the_transmission():
    phase = 0.5 * smooth(3)
    probe = PROBE.to(torch.complex128).expand(3, -1, -1)
    near = object_weights(probe) > 0
    torch.testing.assert_close(
        object_phase(probe * torch.exp(1j * phase), probe)[near], phase[near], rtol=1e-4, atol=0
    )


def test_penalties_are_for_excess_alone():
    _, true, _ = case()
    phase = torch.zeros(3, 64, 64, dtype=torch.float64)
    assert all(value.item() == pytest.approx(0, abs=1e-6) for value in penalties(true, phase).values())
    assert penalties(true * 2**0.5)["excess_intensity"].item() == pytest.approx(1, rel=1e-5)
    phase[0], phase[1] = math.pi + 0.3, -math.pi - 0.6
    assert penalties(true, phase)["excess_phase"].item() == pytest.approx(0.3)
    without, within = loss(*case()), loss(*case(), added_phase=phase)
    assert (within - without).item() == pytest.approx(0.3)


@pytest.mark.parametrize("settings", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_gradients_are_finite_for_no_wave_and_for_the_bare_probe(settings, dtype):
    """The probe's spectrum is the aperture and rounding errors, whose exact phases have huge gradients."""
    true, probe = (wave.to(dtype) for wave in case()[1:])
    for start in (torch.zeros_like(true), probe.clone()):
        predicted = start.requires_grad_()
        loss(predicted, true, probe, settings=settings).backward()
        assert torch.isfinite(torch.view_as_real(predicted.grad)).all()
        assert predicted.grad.abs().max() < 1e4


@pytest.mark.parametrize("power", [10.0**-n for n in range(0, 44, 2)])
def test_gradients_are_finite_however_faint_the_wave(power):
    _, true, probe = (wave.to(torch.complex64) for wave in case())
    faint = (power**0.5 * true).requires_grad_()
    loss(faint, true, probe).backward()
    assert torch.isfinite(faint.grad).all()


@pytest.mark.parametrize("settings", VARIANTS)
def test_gradients_are_those_of_finite_differences(settings):
    predicted, true, probe = (wave[:2, 24:40, 24:40].clone() for wave in case())
    predicted.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda wave: loss(wave, true, probe, settings=settings), predicted, fast_mode=True
    )


def test_the_diffraction_plane_is_that_of_the_frame():
    np.testing.assert_allclose(diffracted(case()[0]).numpy(), in_k(case()[0].numpy()), atol=1e-12)
