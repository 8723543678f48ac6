"""What a network is shown: the paper's input as its text defines it, and ours as physics demands."""

import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave.frame import KERNEL, SIZE, Frame, diffracted, intensity
from rephase.phase.exit_wave.inputs import (
    REPRESENTATIONS,
    BackProjections,
    cropped,
    features,
    fractions,
    neighbour_weights,
    prepare,
    shifted_spectra,
)

OPTICS = Optics(energy_ev=2e5, semiangle_mrad=20, cs_angstrom=1e4, defocus_angstrom=19)
FRAME = Frame.of_aperture(OPTICS, 10.0)
PIXELS = 2  # of real space in a step, so that probes are rolled copies
STEP = torch.tensor([PIXELS * FRAME.pixel_angstrom])
BOX = torch.tensor([FRAME.box_angstrom])
PROBE = FRAME.probe()[None]


def rolled_probes():
    return torch.stack(
        [torch.roll(PROBE[0], (PIXELS * row, PIXELS * col), dims=(0, 1)) for row, col in KERNEL]
    )


def bump(row, col, height=0.1, width=1.5):
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return height * torch.exp(-((y - row) ** 2 + (x - col) ** 2) / (2 * width**2))


def patterns(phase):
    return intensity(rolled_probes() * torch.exp(1j * phase))[None]


def back_projected(counts):
    return BackProjections.of(PROBE, STEP, BOX).maps(fractions(counts))


def test_shifted_spectra_are_those_of_the_probe_at_its_neighbours():
    spectra = shifted_spectra(PROBE, STEP / BOX)[0]
    torch.testing.assert_close(spectra, diffracted(rolled_probes()), atol=2e-6, rtol=0)


def test_the_papers_input_follows_its_text():
    seen = torch.poisson(300 * patterns(bump(30, 35)), generator=torch.Generator().manual_seed(0))
    found = features("paper", seen, PROBE, STEP, BOX)[0].double().numpy()
    step = float(STEP[0])
    expected = seen[0].double().numpy() ** 0.1
    for index in (1, 3, 5, 7):
        expected[index] /= 50 * step
    for index in (0, 2, 6, 8):
        expected[index] /= 50 * np.sqrt(2 * step**2)
    wave = PROBE[0].numpy()
    for maps, shown in ((expected, found[:9]), (np.abs(wave), found[9]), (np.angle(wave), found[10])):
        np.testing.assert_allclose(shown, (maps - maps.mean()) / maps.std(), atol=2e-4)


def test_neighbours_weigh_less_the_further_they_are():
    weights = neighbour_weights(torch.tensor([0.1, 0.2]))
    assert torch.all(weights[:, 4] == 1)
    torch.testing.assert_close(weights[0, 1] / weights[1, 1], torch.tensor(2.0))
    torch.testing.assert_close(weights[0, 1] / weights[0, 0], torch.tensor(2.0).sqrt())
    torch.testing.assert_close(weights[0, 1], torch.tensor(0.2))


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_maps_have_the_promised_shape_and_no_unit(name):
    fractions = patterns(bump(30, 35))
    shown = features(name, fractions, PROBE, STEP, BOX)
    known = REPRESENTATIONS[name]
    assert shown.shape == (1, known.channels, known.size, known.size)
    torch.testing.assert_close(features(name, 5e4 * fractions, PROBE, STEP, BOX), shown, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_each_sample_is_seen_by_itself(name):
    both = torch.cat([patterns(bump(30, 35)), 7 * patterns(bump(33, 32))])
    together = features(name, both, PROBE.repeat(2, 1, 1), STEP.repeat(2), BOX.repeat(2))
    alone = features(name, both[1:], PROBE, STEP, BOX)
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", REPRESENTATIONS)
@pytest.mark.parametrize("electrons", [0, 1])
def test_few_or_no_electrons_give_finite_maps(name, electrons):
    counts = torch.zeros(1, 9, SIZE, SIZE)
    counts[0, 4, 32, 30] = electrons
    shown = features(name, counts, PROBE, STEP, BOX)
    assert shown.isfinite().all() and shown.abs().max() < 1e3


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_nothing_is_seen_beyond_31_pixels(name):
    seen = patterns(bump(30, 35))
    y, x = torch.meshgrid(torch.arange(SIZE) - 32, torch.arange(SIZE) - 32, indexing="ij")
    shown = features(name, seen, PROBE, STEP, BOX)
    outside = seen + 0.1 * (torch.hypot(x.double(), y.double()) > 31)
    torch.testing.assert_close(features(name, outside, PROBE, STEP, BOX), shown, atol=0, rtol=0)
    outermost = seen + 0.1 * ((y == 0) & (x == 31))
    assert not torch.allclose(features(name, outermost, PROBE, STEP, BOX), shown, atol=0.1)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_one_probe_serves_a_whole_scan(name):
    seen = torch.cat([patterns(bump(30, 35)), 7 * patterns(bump(33, 32))])
    each = features(name, seen, PROBE.repeat(2, 1, 1), STEP.repeat(2), BOX.repeat(2))
    torch.testing.assert_close(prepare(name, PROBE, STEP, BOX)(seen), each, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("aperture_px", [10.0, 20.0])
def test_back_projection_follows_its_formula_however_wide_the_aperture(aperture_px):
    frame = Frame.of_aperture(OPTICS, aperture_px)
    counts = torch.rand(1, 9, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    lengths = torch.tensor([1.3 * frame.pixel_angstrom]), torch.tensor([frame.box_angstrom])
    found = BackProjections.of(frame.probe()[None], *lengths).maps(fractions(counts))[0]
    shares = counts[0].double().numpy() / counts[0].double().sum(dim=(1, 2)).mean().item()
    middle, plane = SIZE // 2, np.arange(SIZE) - SIZE // 2
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(frame.probe().numpy()), norm="ortho"))
    for index, (row, col) in enumerate(KERNEL):
        shifted = spectrum * np.exp(-2j * np.pi * 1.3 / SIZE * (row * plane[:, None] + col * plane))
        wave, back = (
            np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(values), norm="ortho"))
            for values in (shifted, (shares[index] - np.abs(shifted) ** 2) * shifted)
        )
        power = np.abs(wave) ** 2
        expected = wave.conj() * back / (power + 0.05 * power.max())
        near = slice(middle - 16, middle + 16)
        np.testing.assert_allclose(found[index], expected[near, near], atol=1e-5 * np.abs(expected).max())


def test_back_projection_is_the_adjoint_of_the_change_by_a_phase():
    phase = torch.zeros(SIZE, SIZE, requires_grad=True)
    counts = torch.rand(1, 9, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    counts = counts / counts[0].sum(dim=(-2, -1)).mean()
    waves = rolled_probes()
    weights = counts[0] - intensity(waves)
    power = waves.abs().square()
    damping = power + 0.05 * power.amax(dim=(-2, -1), keepdim=True)
    found = back_projected(counts)[0].imag
    for index in range(9):
        seen = intensity(waves[index] * torch.exp(1j * phase))
        (gradient,) = torch.autograd.grad((weights[index] * seen).sum(), phase)
        expected = cropped(gradient / damping[index] / 2, 32)
        torch.testing.assert_close(found[index], expected, atol=1e-3 * expected.abs().max(), rtol=1e-3)


def test_back_projection_is_zero_in_vacuum_and_peaks_at_an_atom():
    vacuum = back_projected(patterns(torch.zeros(SIZE, SIZE)))
    atom = back_projected(patterns(bump(30, 35)))
    assert vacuum.abs().max() < 1e-3 * atom.abs().max()
    peak = atom[0].imag.sum(0).argmax()
    assert np.hypot(peak // 32 - (30 - 16), peak % 32 - (35 - 16)) <= 1.5


def test_the_dark_field_is_what_lies_beyond_the_aperture():
    counts = torch.zeros(1, 9, SIZE, SIZE)
    counts[:, :, 32, 32 + 9] = 60  # the aperture has a radius of 10 px
    counts[:, 3, 32, 32 + 11] = 40
    counts[:, 4, 32 - 20, 32] = 20
    found = BackProjections.of(PROBE, STEP, BOX).dark_field(fractions(counts))[0]
    torch.testing.assert_close(found[3:5], torch.tensor([40.0, 20.0]) / (60 + 60 / 9))
    assert found.count_nonzero() == 2
    shown = features("real_space", counts, PROBE, STEP, BOX)[0, 21:]
    assert shown[3].min() == shown[3].max() > shown[4].max() > shown[5].max()


def test_noise_does_not_bias_back_projection():
    clean = patterns(bump(30, 35, height=0.5))
    generator = torch.Generator().manual_seed(2)
    draws = 200
    electrons = torch.poisson(1e4 * clean.repeat(draws, 1, 1, 1), generator=generator)
    many = back_projected(electrons)
    exact = back_projected(clean)[0].imag
    error = (many.imag.mean(0) - exact).square().mean().sqrt()
    spread = many.imag.var(0).mean().sqrt()
    assert error < 1.3 * spread / np.sqrt(draws)


def test_the_probe_stays_in_the_middle_of_a_crop():
    centre = torch.zeros(SIZE, SIZE)
    centre[32, 32] = 1
    assert cropped(centre, 32)[16, 16] == 1


def test_an_unknown_representation_is_refused():
    with pytest.raises(InputError, match="representation: found 'fourier', expected one of paper"):
        features("fourier", patterns(bump(1, 1)), PROBE, STEP, BOX)
