"""Projected potentials of atoms: separable structure factors times Lobato's form factors.

The wave sees each atom's potential projected along the beam and assigned whole to
the slice that holds the atom's nucleus. In k space

    V(k) = (h^2 / 2 pi m e) sum_species f(k) sum_atoms exp(-2 pi i k r)

and the inner sum factorises into a matrix product over the two axes, so that atoms
sit exactly where they are, not on the nearest pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import torch
from jaxtyping import Complex, Float, Int
from scipy import constants

from rephase.errors import InputError
from rephase.microscope.grid import frequencies, pixel_size

# h^2 / (2 pi m e) in V angstrom^2: from f(k) in angstrom to a potential in V angstrom^3
VOLTS_PER_SCATTERING_FACTOR = 1e20 * constants.h**2 / (2 * math.pi * constants.m_e * constants.e)
ROUNDING = 1e-9  # a ratio of lengths this close to a whole number is one


@cache
def lobato_parameters() -> tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]:
    """Lobato and Van Dyck's ``(a, b)`` of each element in order of atomic number, hydrogen first."""
    table = json.loads(files("rephase.microscope").joinpath("lobato.json").read_text())
    return tuple((tuple(a), tuple(b)) for a, b in table["parameters"].values())


def scattering_factor(atomic_number: int, k2: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
    """Electron scattering factor of a neutral atom, in angstrom.

    f(k) = sum_i a_i (2 + b_i k^2) / (1 + b_i k^2)^2  (Lobato & Van Dyck 2014)

    Parameters
    ----------
    atomic_number : int
    k2 : tensor
        Squared spatial frequency ``|k|^2`` (no factor 2 pi), in 1/angstrom^2.

    Raises
    ------
    InputError
        If the table does not hold the element.
    """
    table = lobato_parameters()
    if not 1 <= atomic_number <= len(table):
        raise InputError("numbers", f"atomic number {atomic_number}", f"1 to {len(table)}")
    return sum(a * (2 + b * k2) / (1 + b * k2) ** 2 for a, b in zip(*table[atomic_number - 1], strict=True))


def slice_thicknesses(depth_angstrom: float, slice_angstrom: float) -> tuple[float, ...]:
    """Equal slices that fill a depth, none thicker than asked for, in angstrom.

    Raises
    ------
    InputError
        If the specimen is thinner than one slice.
    """
    if not 0 < slice_angstrom * (1 - ROUNDING) <= depth_angstrom:
        found = f"slices of {slice_angstrom:g} angstrom in a depth of {depth_angstrom:g} angstrom"
        raise InputError("slice_angstrom", found, "a thickness above 0, up to the depth of the specimen")
    count = math.ceil(depth_angstrom / slice_angstrom * (1 - ROUNDING))
    return (depth_angstrom / count,) * count


def sliced_potential(
    positions: Float[torch.Tensor, "batch atom 3"],
    numbers: Int[torch.Tensor, " atom"],
    box_angstrom: tuple[float, float, float],
    shape: tuple[int, int],
    thicknesses_angstrom: Sequence[float],
    dtype: torch.dtype = torch.float32,
) -> Float[torch.Tensor, "batch slice row col"]:
    """Projected potential of each slice, in V angstrom, for a batch of atomic configurations.

    Periodic in the plane. Along the beam, atoms beyond a surface belong to the
    outermost slice. Differentiable with respect to the positions in the plane.

    Parameters
    ----------
    positions : tensor (batch, atom, 3)
        Coordinates along (axis 0, axis 1, beam), in angstrom.
    numbers : tensor (atom,)
        Atomic numbers, the same for all configurations.
    box_angstrom : (float, float, float)
        Side lengths of the periodic box.
    shape : (int, int)
        Grid points along axes 0 and 1.
    thicknesses_angstrom : sequence of float
        Thickness of each slice; together the depth of the box.
    dtype : torch.dtype
        float32 or float64; phases are computed in double precision either way.

    Raises
    ------
    InputError
        If the slices do not fill the box, a coordinate is not finite, or an
        element is unknown.
    """
    _check(positions, box_angstrom, thicknesses_angstrom)
    slices, batch = len(thicknesses_angstrom), len(positions)
    layer = _layer(positions[..., 2], thicknesses_angstrom)
    layer = layer + slices * torch.arange(batch, device=layer.device)[:, None]
    pixel = pixel_size(box_angstrom[:2], shape)
    ky, kx = frequencies(shape, pixel, torch.float64, positions.device)
    ky, kx = ky[:, 0], kx[0, : shape[1] // 2 + 1].abs()
    k2 = ky[:, None] ** 2 + kx**2
    spectrum = 0
    for number in numbers.unique().tolist():
        atoms = numbers == number
        plane, present = _grouped(positions[:, atoms, :2], layer[:, atoms], slices * batch)
        waves_y = _plane_waves(ky, shape[0], plane[..., 0]).to(dtype.to_complex())
        waves_x = (_plane_waves(kx, shape[1], plane[..., 1]) * present[:, None]).to(dtype.to_complex())
        structure_factor = waves_y @ waves_x.mT
        spectrum = spectrum + scattering_factor(number, k2).to(dtype) * structure_factor
    volts = VOLTS_PER_SCATTERING_FACTOR / math.prod(pixel)
    return volts * torch.fft.irfft2(spectrum, s=shape).unflatten(0, (batch, slices))


def _check(positions: torch.Tensor, box: Sequence[float], thicknesses: Sequence[float]) -> None:
    if not math.isclose(sum(thicknesses), box[2], rel_tol=1e-5):
        found = f"slices that add up to {sum(thicknesses):g} angstrom"
        raise InputError("thicknesses_angstrom", found, f"the depth of the box, {box[2]:g} angstrom")
    if not torch.isfinite(positions).all():
        raise InputError("positions", "a coordinate that is not finite", "finite coordinates in angstrom")


def _layer(
    depth: Float[torch.Tensor, "batch atom"], thicknesses: Sequence[float]
) -> Int[torch.Tensor, "batch atom"]:
    """Index of the slice that holds each atom; an atom on a boundary belongs to the later slice."""
    boundaries = torch.tensor(thicknesses, dtype=torch.float64, device=depth.device).cumsum(0)[:-1]
    return torch.bucketize(depth.detach().to(torch.float64).contiguous(), boundaries, right=True)


def _grouped(
    plane: Float[torch.Tensor, "batch atom 2"], group: Int[torch.Tensor, "batch atom"], groups: int
) -> tuple[Float[torch.Tensor, "group most 2"], Float[torch.Tensor, "group most"]]:
    """Atoms sorted into equally long rows, one for each group, and which entries hold an atom."""
    group, order = group.flatten().sort()
    counts = torch.bincount(group, minlength=groups)
    rank = torch.arange(len(group), device=group.device) - (counts.cumsum(0) - counts)[group]
    most = int(counts.max())
    rows = plane.new_zeros(groups, most, 2, dtype=torch.float64)
    rows[group, rank] = plane.flatten(0, 1)[order].to(torch.float64)
    present = rows.new_zeros(groups, most)
    present[group, rank] = 1.0
    return rows, present


def _plane_waves(
    k: Float[torch.Tensor, " frequency"], size: int, at: Float[torch.Tensor, "group atom"]
) -> Complex[torch.Tensor, "group frequency atom"]:
    """``exp(-2 pi i k r)`` on a grid of ``size`` points.

    An even grid's Nyquist frequency stands for both signs: there the wave is the cosine.
    """
    angle = 2 * math.pi * k[:, None] * at[:, None, :]
    signed = torch.ones_like(k)
    if size % 2 == 0:
        signed[size // 2] = 0
    return torch.complex(torch.cos(angle), -signed[:, None] * torch.sin(angle))
