"""What the front page shows in Python runs."""

import re
from pathlib import Path

import numpy as np
import torch

from rephase.files import write_scan
from rephase.measurement import Scan
from rephase.phase.exit_wave.frame import Frame, intensity
from rephase.phase.exit_wave.network import Architecture, ExitWaveNet
from rephase.phase.exit_wave.sampling import Ranges
from rephase.phase.exit_wave.weights import save_weights

PAGE = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_a_scan_is_reconstructed_and_live_as_the_front_page_says(tmp_path, monkeypatch):
    section = PAGE.split("## The exit-wave network")[1].split("\n## ")[0]
    whole, live = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    optics = Ranges().optics(300e3, 20.0)
    frame = Frame.of_aperture(optics, 10.0)
    patterns = np.tile(intensity(frame.probe()).numpy(), (4, 5, 1, 1))
    write_scan("my_scan.h5", Scan(patterns, (0.3, 0.3), (frame.pixel_mrad,) * 2), optics)
    torch.manual_seed(0)
    net = ExitWaveNet(Architecture(channels=2, representation="real_space"))
    net.body.phase.scale.data.fill_(0.1)
    save_weights(re.search(r'weights = "(.*)"', whole)[1], net, Ranges(), {})

    shown = {}
    exec(whole, shown)
    image = shown["image"].values
    assert image.shape == tuple(round(count * 0.3 / frame.pixel_angstrom) + 1 for count in (3, 4))
    assert image.std() > 0
    exec(live, shown)
    np.testing.assert_allclose(shown["image"].values, image, atol=1e-5)
