import numpy as np
import pytest

from rephase.errors import InputError
from rephase.judge.dose_law import fit_dose_law

DOSES = np.geomspace(1e2, 1e6, 5)


def ladder(b, a, s, seed, relative=0.02, seeds=5):
    """Errors of five doses: what is left, and what falls with the dose and scatters."""
    rng = np.random.default_rng(seed)
    return b + a * DOSES**-s * (1 + relative * rng.normal(size=(seeds, DOSES.size)))


@pytest.mark.parametrize("b", [0.0, 1e-4, 3e-2])
@pytest.mark.parametrize("s", [0.5, 1.0, 1.3])
def test_a_noise_free_law_is_recovered(b, s):
    law = fit_dose_law(DOSES, ladder(b, 50.0, s, 0, relative=0.0), replicates=20)
    assert law.s == pytest.approx(s, abs=2e-4)
    assert law.b == pytest.approx(b, rel=2e-3, abs=1e-9)
    assert law.a == pytest.approx(50.0, rel=2e-3)


@pytest.mark.parametrize("b", [0.0, 1e-3, 3e-2])
def test_the_interval_covers_the_slope_as_often_as_it_says(b):
    laws = [fit_dose_law(DOSES, ladder(b, 20.0, 1.0, seed), replicates=100, seed=seed) for seed in range(60)]
    covered = sum(law.s_low <= 1.0 <= law.s_high for law in laws)
    assert covered >= 54
    assert np.median([law.s_high - law.s_low for law in laws]) < 0.05
    assert all(law.b >= 0 and law.a >= 0 for law in laws)


def test_another_slope_is_told_from_one():
    law = fit_dose_law(DOSES, ladder(1e-3, 5.0, 0.7, 0))
    assert law.s_high < 1


def test_errors_that_do_not_fall_leave_the_slope_open():
    flat = 0.3 * (1 + 0.01 * np.random.default_rng(0).normal(size=(5, DOSES.size)))
    law = fit_dose_law(DOSES, flat, replicates=200)
    assert law.s_high - law.s_low > 2


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="four doses"):
        fit_dose_law(DOSES[:3], np.ones((5, 3)))
    with pytest.raises(InputError, match="doses"):
        fit_dose_law(DOSES, np.ones((5, 4)))
    with pytest.raises(InputError, match="mse_per_seed"):
        fit_dose_law(DOSES, np.zeros((5, 5)))
