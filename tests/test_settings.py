"""A wrong number in params.yaml is one clear line."""

from pathlib import Path

import pandas as pd
import pytest

from rephase.errors import InputError
from rephase.sequence.tuning import DEFAULT, best
from rephase.settings import read_params

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "params.yaml"


def changed(tmp_path, old, new):
    text = PARAMS.read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_committed_parameters_are_valid_for_smoke_and_laptop():
    params = read_params(PARAMS)
    assert {"smoke", "laptop"} <= set(params.baselines)


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("draws: 16", "draws: 1", ("baselines.smoke.dqe.draws", "1")),
        ("draws: 16", "draw: 16", ("baselines.smoke.dqe.draw",)),
        (
            "doses: [1.0e2, 1.0e3",
            "doses: [-1, 1.0e3",
            ("baselines.smoke.direct.doses.0", "-1", "greater than 0"),
        ),
        ("scales: [smoke, laptop]", "scales: [tiny]", ("scales.0", "tiny", "laptop")),
        ("  smoke:", "  smok:", ("baselines.smok", "smoke")),
        ("seeds: 3", "seeds: [", ("valid YAML",)),
        ("thicknesses_nm: [20]", "thicknesses_nm: [3]", ("thicknesses_nm.0", "3", "2, 5, 10 or 20")),
    ],
)
def test_a_mistake_names_file_key_found_and_expected(tmp_path, old, new, names):
    with pytest.raises(InputError) as error:
        read_params(changed(tmp_path, old, new))
    message = str(error.value)
    assert "\n" not in message and "params.yaml" in message
    assert all(name in message for name in names)


def test_an_unknown_scale_names_the_known_ones():
    with pytest.raises(InputError, match="found huge, expected one of smoke, laptop"):
        read_params(PARAMS).section("baselines", "huge")


def test_laptop_completes_sequences_with_the_settings_that_the_search_found():
    """What the search left at the defaults is not repeated."""
    table = pd.read_csv(ROOT / "results/tuning/sequences.csv", float_precision="round_trip")
    laptop = read_params(PARAMS).neural_cde["laptop"]
    for method, settings in best(table).items():
        own = table[table["method"] == method]
        kept = own.loc[own["trial"] == DEFAULT, "score"].item() <= own["score"].min()
        given = laptop.train.tuned.get(method, {}) | laptop.complete.tuned.get(method, {})
        rounded = {
            key: pytest.approx(value, rel=0.01) if isinstance(value, float) else value
            for key, value in settings.items()
        }
        assert given == ({} if kept else rounded), method
