"""Files of weights give back what was saved, or say what is wrong with them."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rephase.errors import InputError
from rephase.nets.stored import KEY
from rephase.sequence.diffusion.weights import load_weights, save_weights

LINEAGE = {"seed": 3, "training": "0123"}


@pytest.fixture
def path(tmp_path, net):
    return save_weights(tmp_path / "folder" / "net.safetensors", net, LINEAGE)


def rewritten(path, change):
    with safe_open(path, framework="pt") as file:
        record = json.loads(file.metadata()[KEY])
    tensors = load_file(path)
    change(record, tensors)
    save_file(tensors, path, {KEY: json.dumps(record)})


def test_what_is_read_is_what_was_written(path, net):
    found = load_weights(path)
    assert found.lineage == LINEAGE and found.net.architecture == net.architecture
    assert not found.net.training
    for name, values in net.state_dict().items():
        assert torch.equal(found.net.state_dict()[name], values)


def test_the_same_weights_give_the_same_bytes(path, tmp_path, make_net):
    other = save_weights(tmp_path / "other", make_net(), dict(reversed(LINEAGE.items())))
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kept", [0, 5, 500, -1])
def test_a_truncated_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="no readable safetensors"):
        load_weights(path)


def test_a_changed_bit_is_noticed(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="checksum of the weights"):
        load_weights(path)


def test_another_file_is_refused(path):
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(InputError, match="metadata: found None"):
        load_weights(path)
    with pytest.raises(InputError, match="no such file"):
        load_weights(path.with_name("none"))


def test_tensors_that_are_not_the_architectures_are_named(path):
    rewritten(path, lambda record, tensors: record["architecture"].update(channels=16))
    with pytest.raises(InputError, match="expected float32"):
        load_weights(path)
    rewritten(path, lambda record, tensors: record["architecture"].update(channels="many"))
    with pytest.raises(InputError, match="metadata: architecture.channels"):
        load_weights(path)


def test_what_cannot_be_stored_is_refused(tmp_path, net):
    with pytest.raises(InputError, match="lineage"):
        save_weights(tmp_path / "net", net, {"loss": float("nan")})
    net.last.bias.data[0] = torch.inf
    with pytest.raises(InputError, match="last.bias: found NaN or infinite"):
        save_weights(tmp_path / "net", net, {})
    assert not (tmp_path / "net").exists()
