"""The table of sequence methods: any of them, called by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from rephase.errors import InputError
from rephase.files import invalid
from rephase.sequence import compressed, gaussian_process, joint, linear, modes, pchip
from rephase.sequence.completed import Completed, Frames, Mask, Times
from rephase.sequence.diffusion import method as diffusion
from rephase.sequence.gaussian_process import GaussianProcessSettings
from rephase.sequence.networks import method as network


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Parameters
    ----------
    title : str
        Name in figures and tables.
    module : module
        Holds ``complete``.
    settings : type
        Model of its settings.
    fixed : mapping
        Settings that make this row what its name says.
    """

    title: str
    module: ModuleType
    settings: type[BaseModel]
    fixed: Mapping[str, Any] = field(default_factory=dict)


METHODS = {
    "linear": Method("linear interpolation", linear, linear.LinearSettings),
    "pchip": Method("PCHIP", pchip, pchip.PchipSettings),
    "modes": Method("PCA + interpolation", modes, modes.ModesSettings),
    "gp_modes": Method("GP per mode", gaussian_process, GaussianProcessSettings, {"series": "mode"}),
    "gp_sequence": Method("GP", gaussian_process, GaussianProcessSettings, {"series": "sequence"}),
    "joint": Method("joint estimate", joint, joint.JointSettings),
    "compressed": Method("CS-STEM", compressed, compressed.CompressedSettings),
    "network": Method("network", network, network.NetworkSettings),
    "diffusion": Method("video diffusion", diffusion, diffusion.DiffusionSettings),
}


def method(name: str) -> Method:
    """A row of the table.

    Raises
    ------
    InputError
        If there is no such method.
    """
    if name not in METHODS:
        raise InputError("method", name, f"one of {', '.join(METHODS)}")
    return METHODS[name]


def complete(name: str, times: Times, frames: Frames, mask: Mask, **settings: Any) -> Completed:
    """Complete a sequence by the method of that name.

    Parameters
    ----------
    name : str
        A key of ``METHODS``.
    times : array (time,)
        Increasing, in any unit.
    frames : array (time, position, row, col)
        Whatever stands where the mask is False is ignored.
    mask : bool array (time, position)
        True where a frame is observed.
    **settings
        Fields of the method's settings model, besides those that its row fixes.

    Raises
    ------
    InputError
        If there is no such method or setting, a value is out of range, or the
        sequence cannot be completed.
    """
    row = method(name)
    try:
        checked = row.settings(**(settings | dict(row.fixed)))
    except ValidationError as error:
        raise invalid(f"settings of {name}", error) from None
    return row.module.complete(times, frames, mask, checked)
