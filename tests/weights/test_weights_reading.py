"""Reading tensors without running code."""

from __future__ import annotations

import pickle

import pytest

from mildbench import weights
from mildbench.errors import UserError

torch = pytest.importorskip("torch")


@pytest.fixture
def state():
    return {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.count": torch.tensor(3)}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_checkpoint_is_read(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    assert same(weights.load_state_dict(tmp_path / "a.pth"), state)


def test_lightning_checkpoints_are_unwrapped(tmp_path, state):
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "a.ckpt")
    assert same(weights.load_state_dict(tmp_path / "a.ckpt"), state)


def test_safetensors_are_read(tmp_path, state):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(state, tmp_path / "a.safetensors")
    assert same(weights.load_state_dict(tmp_path / "a.safetensors"), state)
    (tmp_path / "b.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"not a valid \.safetensors file"):
        weights.load_state_dict(tmp_path / "b.safetensors")


class _Evil:
    def __reduce__(self):
        return pytest.fail, ("code ran",)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: torch.save({"a": _Evil()}, path), id="code"),
        pytest.param(lambda path: path.write_bytes(pickle.dumps(_Evil(), protocol=2)), id="plain pickle"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"<html>"), id="html"),
        pytest.param(lambda path: path.write_bytes(b"PK\x03\x04" + b"\0" * 99), id="broken archive"),
        pytest.param(lambda path: torch.save([1, 2], path), id="a list"),
        pytest.param(lambda path: torch.save({"a": 1}, path), id="no tensors"),
    ],
)
def test_anything_else_is_one_clear_error(tmp_path, write):
    write(tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth") as error:
        weights.load_state_dict(tmp_path / "a.pth")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="weights not found"):
        weights.load_state_dict(tmp_path / "nothing.pth")
