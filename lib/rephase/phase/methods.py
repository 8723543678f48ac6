"""The table of phase methods: any of them, called by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from rephase.errors import InputError
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase import com, dpc, idpc, parallax, ptychography, ssb, virtual
from rephase.phase.image import PhaseImage


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Parameters
    ----------
    title : str
        Name in figures and tables.
    module : module
        Holds ``reconstruct``.
    settings : type
        Model of its settings.
    scan : {'focus', 'defocus'}
        The probe that the method is made for.
    fixed : mapping
        Settings that make this row what its name says.
    """

    title: str
    module: ModuleType
    settings: type[BaseModel]
    scan: Literal["focus", "defocus"] = "focus"
    fixed: Mapping[str, Any] = field(default_factory=dict)


METHODS = {
    "bf": Method("BF", virtual, virtual.VirtualSettings, fixed={"detector": "BF"}),
    "abf": Method("ABF", virtual, virtual.VirtualSettings, fixed={"detector": "ABF"}),
    "laadf": Method("LAADF", virtual, virtual.VirtualSettings, fixed={"detector": "LAADF"}),
    "haadf": Method("HAADF", virtual, virtual.VirtualSettings, fixed={"detector": "HAADF"}),
    "icom": Method("iCOM", com, com.ICOMSettings),
    "idpc": Method("iDPC (4 segments)", idpc, idpc.IDPCSettings),
    "dpc": Method("DPC (py4DSTEM)", dpc, dpc.DPCSettings),
    "ssb_normalised": Method("SSB / area", ssb, ssb.SSBSettings, fixed={"weighting": "normalised"}),
    "ssb_sqrt": Method("SSB / root area", ssb, ssb.SSBSettings, fixed={"weighting": "sqrt"}),
    "ssb_plain": Method("SSB plain sum", ssb, ssb.SSBSettings, fixed={"weighting": "plain"}),
    "parallax": Method("parallax", parallax, parallax.ParallaxSettings, "defocus"),
    "ptychography": Method("ptychography", ptychography, ptychography.PtychographySettings, "defocus"),
    "multislice": Method(
        "multislice ptychography", ptychography, ptychography.MultislicePtychographySettings, "defocus"
    ),
}
DIRECT = ("icom", "idpc", "ssb_normalised", "ssb_sqrt", "ssb_plain")
VIRTUAL = ("bf", "abf", "laadf", "haadf")


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


def reconstruct(name: str, scan: Scan, optics: Optics, **settings: Any) -> PhaseImage:
    """Reconstruct a scan by the method of that name.

    Parameters
    ----------
    name : str
        A key of ``METHODS``.
    scan : Scan
    optics : Optics
    **settings
        Fields of the method's settings model, besides those that its row fixes.

    Raises
    ------
    InputError
        If there is no such method or setting, a value is out of range, or the
        method refuses the scan.
    """
    row = method(name)
    try:
        checked = row.settings(**(settings | dict(row.fixed)))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"settings of {name}: {key}", repr(first["input"]), first["msg"]) from None
    return row.module.reconstruct(scan, optics, checked)
