"""The table of phase methods with those that learn: any of them, called by name."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from rephase.errors import InputError
from rephase.files import invalid
from rephase.measurement import Scan
from rephase.microscope.optics import Optics
from rephase.phase.exit_wave import method as exit_wave
from rephase.phase.image import PhaseImage
from rephase.phase.methods import METHODS, Method

LEARNED = {"exit_wave_cnn": Method("CNN", exit_wave, exit_wave.CNNSettings)}
TABLE = METHODS | LEARNED


def method(name: str) -> Method:
    """A row of the table.

    Raises
    ------
    InputError
        If there is no such method.
    """
    if name not in TABLE:
        raise InputError("method", name, f"one of {', '.join(TABLE)}")
    return TABLE[name]


def reconstruct(name: str, scan: Scan, optics: Optics, **settings: Any) -> PhaseImage:
    """Reconstruct a scan by the method of that name, as `rephase.phase.methods.reconstruct` does.

    Parameters
    ----------
    name : str
        A key of ``TABLE``.
    scan : Scan
    optics : Optics
    **settings
        Fields of the method's settings model, besides those that its row fixes;
        a method that learns needs ``weights``.

    Raises
    ------
    InputError
        If there is no such method or setting, a value is missing or out of range,
        or the method refuses the scan.
    """
    row = method(name)
    try:
        checked = row.settings(**(settings | dict(row.fixed)))
    except ValidationError as error:
        raise invalid(f"settings of {name}", error) from None
    return row.module.reconstruct(scan, optics, checked)
