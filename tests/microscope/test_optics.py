"""Wavelength, interaction parameter, aberrations and aperture agree with abTEM."""

import abtem
import numpy as np
import pytest
import torch
from abtem.core.energy import energy2sigma, energy2wavelength
from abtem.transfer import Aberrations, polar_symbols
from hypothesis import given, settings
from hypothesis import strategies as st

from rephase.errors import InputError
from rephase.microscope.grid import frequencies
from rephase.microscope.optics import (
    ABERRATIONS,
    FIELDS_OF_THEIR_OWN,
    Optics,
    aberration_phase,
    aperture,
)

energies = st.floats(2e4, 1e6)
GRID, BOX = (48, 64), (12.0, 14.0)
PIXEL = (BOX[0] / GRID[0], BOX[1] / GRID[1])


@given(energies)
def test_wavelength_and_sigma_are_abtem_s(energy):
    optics = Optics(energy_ev=energy, semiangle_mrad=20)
    assert optics.wavelength_angstrom == pytest.approx(energy2wavelength(energy), rel=1e-7)
    assert optics.sigma == pytest.approx(energy2sigma(energy), rel=1e-7)


def test_textbook_values_at_300_kv():
    optics = Optics(energy_ev=300e3, semiangle_mrad=20)
    assert optics.wavelength_angstrom == pytest.approx(0.0196875, abs=1e-7)
    assert optics.sigma == pytest.approx(6.526e-4, abs=1e-7)
    assert optics.aperture_radius == pytest.approx(1.01587, abs=1e-5)


@given(energies, st.floats(-1e8, 1e8))
def test_scherzer_defocus_is_abtem_s(energy, cs):
    optics = Optics(energy_ev=energy, semiangle_mrad=20, cs_angstrom=cs)
    expected = abtem.transfer.scherzer_defocus(cs, energy)
    assert optics.scherzer_defocus_angstrom == pytest.approx(expected, rel=1e-6)


def test_every_polar_coefficient_of_abtem_is_known():
    assert set(polar_symbols) == ABERRATIONS


def chi_of_abtem(optics: Optics) -> np.ndarray:
    with abtem.config.set({"precision": "float64"}):
        transfer = Aberrations(
            energy=optics.energy_ev,
            gpts=GRID,
            extent=BOX,
            aberration_coefficients={
                "C10": -optics.defocus_angstrom,
                "C30": optics.cs_angstrom,
                **optics.aberrations,
            },
        )
        return transfer._evaluate_kernel()


@pytest.mark.parametrize("name", sorted(n for n in ABERRATIONS if n[0] == "C"))
def test_aberration_phase_is_abtem_s(name):
    n = int(name[1])
    size = 50 / 0.05 ** (n - 1)
    settings = {"C10": {"defocus_angstrom": -size}, "C30": {"cs_angstrom": size}}
    angle = {"phi" + name[1:]: 0.4} if name[2] != "0" else {}
    optics = Optics(
        energy_ev=2e5, semiangle_mrad=20, **settings.get(name, {"aberrations": {name: size, **angle}})
    )
    ours = torch.exp(-1j * aberration_phase(optics, *frequencies(GRID, PIXEL))).numpy()
    np.testing.assert_allclose(ours, chi_of_abtem(optics), atol=2e-6)
    assert np.ptp(np.angle(ours)) > 1


@given(st.floats(-200, 200), st.floats(-50, 50), st.floats(-3, 3), st.floats(-1000, 1000))
@settings(deadline=None, max_examples=20)
def test_aberrations_together_are_abtem_s(defocus, c12, phi12, c21):
    optics = Optics(
        energy_ev=3e5,
        semiangle_mrad=20,
        defocus_angstrom=defocus,
        cs_angstrom=1e4,
        aberrations={"C12": c12, "phi12": phi12, "C21": c21, "phi21": 1.0},
    )
    ours = torch.exp(-1j * aberration_phase(optics, *frequencies(GRID, PIXEL))).numpy()
    np.testing.assert_allclose(ours, chi_of_abtem(optics), atol=2e-6)


def test_underfocus_has_a_negative_quadratic_phase():
    optics = Optics(energy_ev=3e5, semiangle_mrad=20, defocus_angstrom=100)
    k = torch.tensor([0.5], dtype=torch.float64)
    expected = -np.pi * optics.wavelength_angstrom * 100 * 0.25
    assert aberration_phase(optics, k, torch.zeros_like(k)).item() == pytest.approx(expected)


@pytest.mark.parametrize("soft", [True, False])
def test_aperture_is_abtem_s(soft):
    optics = Optics(energy_ev=2e5, semiangle_mrad=15.3)
    with abtem.config.set({"precision": "float64"}):
        theirs = abtem.transfer.Aperture(
            15.3, soft=soft, energy=2e5, gpts=GRID, extent=BOX
        )._evaluate_kernel()
    edge = (1 / BOX[0], 1 / BOX[1]) if soft else None
    np.testing.assert_allclose(aperture(optics, *frequencies(GRID, PIXEL), edge).numpy(), theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"energy_ev": -1}, "optics.energy_ev: found -1, expected greater than 0"),
        ({"semiangle_mrad": 0}, "optics.semiangle_mrad: found 0"),
        ({"defocus_angstrom": float("nan")}, "expected a finite number"),
        ({"defocus": 10}, "optics.defocus: found 10, expected a known name"),
        ({"aberrations": {"C22": 1.0}}, "expected names among C12, C21"),
        ({"aberrations": {"C10": 1.0}}, "expected defocus_angstrom to hold C10"),
    ],
)
def test_wrong_settings_say_where_and_what(settings, said):
    with pytest.raises(InputError) as error:
        Optics(**{"energy_ev": 3e5, "semiangle_mrad": 20, **settings})
    assert said in str(error.value) and "\n" not in str(error.value)


def test_settings_come_back_from_a_file():
    optics = Optics(energy_ev=3e5, semiangle_mrad=20, aberrations={"C12": 3.0, "phi12": 0.1})
    assert Optics.model_validate_json(optics.model_dump_json()) == optics
    assert FIELDS_OF_THEIR_OWN.keys() <= ABERRATIONS
