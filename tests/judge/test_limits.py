import math

import numpy as np
import pytest
import torch

from rephase.errors import InputError
from rephase.judge import limits
from rephase.judge.dqe import LOWEST_DQE

SIDE = 8
ELECTRONS = 500.0 * SIDE**2


def scan_of(phase, radius=2.2, defocus=0.0):
    """All patterns of a phase object, a probe position on each pixel; they sum to 1."""
    k = torch.fft.fftfreq(SIDE, 1 / SIDE, dtype=torch.float64)
    q = torch.hypot(k[:, None], k)
    spectrum = (q <= radius) * torch.exp(-1j * defocus * q**2)
    probe = torch.fft.ifft2(spectrum / torch.linalg.vector_norm(spectrum))
    shifts = [(i, j) for i in range(SIDE) for j in range(SIDE)]
    probes = torch.stack([torch.roll(probe, shift, (0, 1)) for shift in shifts])
    waves = torch.fft.fft2(probes * torch.exp(1j * phase.reshape(SIDE, SIDE)))
    return waves.abs() ** 2 / SIDE**2


def rough_phase(rms):
    return rms * torch.randn(SIDE**2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("defocus", [0.0, 0.5])
def test_diffraction_patterns_hold_half_of_the_quantum_information(defocus):
    def model(phase):
        return scan_of(phase, defocus=defocus)

    fisher = limits.fisher_matrix(model, rough_phase(0.1), ELECTRONS)
    share = limits.quantum_share(fisher, ELECTRONS)
    assert 0.49 <= share <= 0.50
    assert torch.linalg.eigvalsh(fisher).min() > -1e-6 * fisher.trace()


def test_the_fisher_matrix_of_a_zernike_microscope_is_the_quantum_one():
    def zernike(phase):
        return (1 + 2 * phase) / phase.numel()

    fisher = limits.fisher_matrix(zernike, torch.zeros(SIDE**2, dtype=torch.float64), ELECTRONS)
    per_pixel = ELECTRONS / SIDE**2
    quantum = torch.eye(SIDE**2, dtype=torch.float64) / limits.quantum_variance(per_pixel)
    torch.testing.assert_close(fisher, quantum)
    assert limits.quantum_share(fisher, ELECTRONS) == pytest.approx(1)


def test_the_fisher_matrix_of_a_weak_object_is_the_matched_filter():
    radius = 2.2
    fisher = limits.fisher_matrix(scan_of, torch.zeros(SIDE**2, dtype=torch.float64), ELECTRONS)
    first = fisher[0].reshape(SIDE, SIDE).numpy()
    efficiency = np.fft.fft2(first).real / (4 * ELECTRONS / SIDE**2)
    k = np.fft.fftfreq(SIDE, 1 / SIDE)
    inside = np.hypot(k[:, None], k) <= radius
    for qy in range(SIDE):
        for qx in range(SIDE):
            gamma = inside & np.roll(inside, (qy, qx), (0, 1)) ^ inside & np.roll(inside, (-qy, -qx), (0, 1))
            assert efficiency[qy, qx] == pytest.approx(gamma.sum() / (4 * inside.sum()), abs=1e-9)
    assert efficiency.max() > LOWEST_DQE


def test_forward_and_reverse_differentiation_agree():
    def wide(phase):
        return scan_of(phase)[:2].flatten() * SIDE**2 / 2

    def split(phase):
        return torch.cat([wide(phase), 0 * phase, 0 * phase])

    phase = rough_phase(0.5)
    few = limits.fisher_matrix(lambda p: p.softmax(0)[:4] / p.softmax(0)[:4].sum(), phase, 10.0)
    assert torch.linalg.matrix_rank(few) == 3
    torch.testing.assert_close(
        limits.fisher_matrix(wide, phase, 10.0), limits.fisher_matrix(split, phase, 10.0)
    )


def test_figures_of_the_mean_limit():
    assert math.sqrt(limits.diffraction_variance(200 * 0.5**2)) == pytest.approx(0.100, abs=5e-4)
    assert math.sqrt(limits.diffraction_variance(1e4 * 0.5**2)) == pytest.approx(0.014, abs=5e-4)
    assert limits.diffraction_variance(7.0) == 2 * limits.quantum_variance(7.0)
    assert limits.psnr_ceiling(2.0, 50.0) == pytest.approx(10 * math.log10(4 * 100))


def test_where_a_weak_phase_line_may_be_drawn():
    field = limits.depth_of_field(0.0197, 20.0)
    assert field == pytest.approx(49.25)
    assert limits.weak_phase_line_applies(-0.5)
    assert not limits.weak_phase_line_applies(0.501)
    assert limits.weak_phase_line_applies(0.3, 40.0, field)
    assert not limits.weak_phase_line_applies(0.3, 200.0, field)


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="electrons"):
        limits.quantum_variance(0.0)
    with pytest.raises(InputError, match="sum to 1"):
        limits.fisher_matrix(lambda p: p + 1, torch.zeros(4), 1.0)
