"""The probe: normalisation, agreement with abTEM, position, and what is refused."""

import abtem
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.microscope.optics import Optics
from rephase.microscope.probe import probe, probe_spectrum

OPTICS = Optics(
    energy_ev=3e5,
    semiangle_mrad=21.4,
    defocus_angstrom=85.0,
    cs_angstrom=2e4,
    aberrations={"C12": 20.0, "phi12": 0.3, "C21": 300.0, "phi21": -1.0},
)
GRID, BOX = (64, 72), (11.0, 13.0)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float64", torch.complex128), ("float32", torch.complex64)]
)
@pytest.mark.parametrize("soft", [True, False])
def test_probe_is_abtem_s(precision, dtype, soft):
    positions = torch.tensor([[0.0, 0.0], [2.3, 7.1]], dtype=torch.float64)
    with abtem.config.set({"precision": precision, "diagnostics.progress_bar": False}):
        theirs = abtem.Probe(
            energy=OPTICS.energy_ev,
            semiangle_cutoff=OPTICS.semiangle_mrad,
            soft=soft,
            gpts=GRID,
            extent=BOX,
            aberrations=OPTICS.coefficients,
        )
        theirs = theirs.build(scan=abtem.CustomScan(positions.numpy()), lazy=False).array
    ours = probe(OPTICS, GRID, BOX, positions, soft=soft, dtype=dtype).numpy()
    scale = np.abs(theirs).max()
    np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-6 if precision == "float64" else 1e-5)


@given(
    semiangle=st.floats(2, 30),
    defocus=st.floats(-300, 300),
    y=st.floats(0, 12),
    x=st.floats(0, 12),
    rows=st.integers(64, 80),
)
@settings(deadline=None, max_examples=30)
def test_the_pattern_of_a_probe_sums_to_one_electron(semiangle, defocus, y, x, rows):
    optics = Optics(energy_ev=2e5, semiangle_mrad=semiangle, defocus_angstrom=defocus)
    at = torch.tensor([[y, x]], dtype=torch.float64)
    wave = probe(optics, (rows, 64), (12.0, 12.0), at, dtype=torch.complex128)
    assert torch.fft.fft2(wave).abs().square().sum().item() == pytest.approx(1)
    assert wave.abs().square().sum().item() * wave[0].numel() == pytest.approx(1)


def test_moving_the_probe_by_a_pixel_rolls_it():
    here, there = probe(
        OPTICS, GRID, BOX, torch.tensor([[0.0, 0.0], [11.0 / 64, 0.0]]), dtype=torch.complex128
    )
    torch.testing.assert_close(there, torch.roll(here, 1, 0), rtol=1e-6, atol=1e-9)


def test_probe_spectrum_is_the_transform_of_the_probe_at_the_origin():
    spectrum = probe_spectrum(OPTICS, GRID, BOX, dtype=torch.complex128)
    torch.testing.assert_close(torch.fft.ifft2(spectrum), probe(OPTICS, GRID, BOX, dtype=torch.complex128)[0])


def test_an_aperture_outside_the_antialiased_band_is_refused():
    with pytest.raises(InputError, match="at most 26.2 mrad"):
        probe(Optics(energy_ev=3e5, semiangle_mrad=30), (32, 32), (8.0, 8.0))
