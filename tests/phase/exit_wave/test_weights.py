import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rephase.errors import InputError
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.weights import checksum, load_weights, save_weights

ARCHITECTURE = Architecture(channels=4, representation="real_space")
RANGES = Ranges(aperture_px=(9.5, 11.0), configurations=6)
LINEAGE = {"seed": 3, "training": "0123", "settings": {"epochs": 2}}
WRITE = """
import sys, torch
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.weights import save_weights
torch.manual_seed(0)
net = ExitWaveNet(Architecture(channels=4, representation="real_space"))
save_weights(sys.argv[1], net, Ranges(aperture_px=(9.5, 11.0), configurations=6),
             {"training": "0123", "settings": {"epochs": 2}, "seed": 3})
"""


def network(architecture: Architecture = ARCHITECTURE) -> ExitWaveNet:
    torch.manual_seed(0)
    return ExitWaveNet(architecture)


@pytest.fixture
def path(tmp_path):
    return save_weights(tmp_path / "folder" / "net.safetensors", network(), RANGES, LINEAGE)


def rewritten(path, change):
    """The same file with metadata and tensors changed by a function of both."""
    with safe_open(path, framework="pt") as file:
        record = json.loads(file.metadata()["rephase"])
    tensors = load_file(path)
    change(record, tensors)
    save_file(tensors, path, {"rephase": json.dumps(record)})


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_a_network_that_was_read_predicts_what_the_written_one_did(tmp_path, kind):
    net = network(Architecture(kind=kind, channels=4, representation="real_space", skip=False))
    seen, probe = torch.randn(4, 30, 32, 32), torch.randn(4, 32, 32, dtype=torch.complex64)
    net(seen, probe)  # so that running statistics are not those of the start
    found = load_weights(save_weights(tmp_path / "net", net, RANGES, LINEAGE), expected=net.architecture)
    assert torch.equal(found.net(seen, probe), net.eval()(seen, probe))
    assert not found.net.training
    assert (found.architecture, found.ranges, found.lineage) == (net.architecture, RANGES, LINEAGE)
    assert found.sha256 == checksum(net.state_dict())


def test_ranges_may_be_given_as_they_were_dumped(tmp_path):
    path = save_weights(tmp_path / "net", network(), RANGES.model_dump(mode="json"), {})
    assert load_weights(path).ranges == RANGES


def test_the_same_weights_give_the_same_bytes(path, tmp_path):
    """In another process, by another order of the lineage, and from another layout in memory."""
    other = save_weights(tmp_path / "other", network().to(memory_format=torch.channels_last), RANGES, LINEAGE)
    assert other.read_bytes() == path.read_bytes()
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", WRITE, tmp_path / "third"], check=True, env=environment)
    assert (tmp_path / "third").read_bytes() == path.read_bytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file") as error:
        load_weights(tmp_path / "net")
    assert str(tmp_path / "net") in one_line(error)


@pytest.mark.parametrize("kept", [0, 5, 500, -1])
def test_a_truncated_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="no readable safetensors") as error:
        load_weights(path)
    one_line(error)


def test_another_kind_of_file_is_refused(path):
    path.write_text("weights: none\n" * 100)
    with pytest.raises(InputError, match="no readable safetensors") as error:
        load_weights(path)
    one_line(error)


def test_a_changed_bit_is_noticed(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="checksum of the weights: found .*an unaltered file") as error:
        load_weights(path)
    one_line(error)


def test_a_file_without_metadata_is_refused(path):
    save_file(load_file(path), path)
    with pytest.raises(InputError, match="metadata: found nothing") as error:
        load_weights(path)
    one_line(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.pop("ranges"), "metadata: ranges: found nothing, expected a value"),
        (lambda record: record["architecture"].update(kind="other"), "architecture.kind: found 'other'"),
        (lambda record: record.update(colour="red"), "colour: found 'red', expected no such key"),
    ],
)
def test_wrong_metadata_is_named(path, change, message):
    rewritten(path, lambda record, tensors: change(record))
    with pytest.raises(InputError, match=message) as error:
        load_weights(path)
    one_line(error)


def test_metadata_that_is_no_json_is_refused(path):
    save_file(load_file(path), path, {"rephase": "{"})
    with pytest.raises(InputError, match="no JSON") as error:
        load_weights(path)
    one_line(error)


def test_another_architecture_than_expected_is_refused_and_both_are_named(path):
    with pytest.raises(InputError, match="channels=4.*expected .*channels=8") as error:
        load_weights(path, expected=ARCHITECTURE.model_copy(update={"channels": 8}))
    one_line(error)


def test_tensors_that_do_not_fit_the_architecture_are_named(path):
    rewritten(path, lambda record, tensors: record["architecture"].update(channels=8))
    with pytest.raises(InputError, match=r"found float32 \(1, 4, 3, 3\), expected float32 \(1, 8, 3, 3\)"):
        load_weights(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("body.phase.scale"), "scale: found no such tensor, expected float32"),
        (
            lambda tensors: tensors.update(more=torch.zeros(1)),
            "more: found float32 .*expected no such tensor",
        ),
    ],
)
def test_missing_and_unknown_tensors_are_named(path, change, message):
    rewritten(path, lambda record, tensors: change(tensors))
    with pytest.raises(InputError, match=message) as error:
        load_weights(path)
    one_line(error)


def test_weights_that_are_not_finite_are_not_written(path):
    before, net = path.read_bytes(), network()
    net.body.phase.scale.data.fill_(torch.nan)
    with pytest.raises(InputError, match="body.phase.scale: found NaN or infinite weights"):
        save_weights(path, net, RANGES, LINEAGE)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_lineage_that_json_does_not_know_is_refused(path):
    with pytest.raises(InputError, match="lineage"):
        save_weights(path, network(), RANGES, {"made": torch.nan})
    with pytest.raises(InputError, match="lineage"):
        save_weights(path, network(), RANGES, {"made": {1j}})
