"""What counts as a change of code, and what a source reaches."""

import subprocess
import sys

from rephase.publish.source import canonical, closure

CODE = '''"""Module."""

import numpy as np


def f(x):  # a comment
    """Say what it does,
    at length.
    """
    text = "# no comment"

    return np.sin(x) + len(text)
'''


def test_comments_docstrings_and_blank_lines_change_nothing():
    edited = CODE.replace("# a comment", "# another").replace("at length", "briefly").replace("Module", "M")
    assert canonical(edited.replace("\n\n    return", "\n\n\n    return")) == canonical(CODE)


def test_code_changes_something():
    assert canonical(CODE.replace("np.sin", "np.cos")) != canonical(CODE)
    assert canonical(CODE.replace("# no comment", "# other")) != canonical(CODE)


def test_strings_that_are_not_docstrings_stay():
    assert "# no comment" in canonical(CODE)
    assert '"""Module."""' not in canonical(CODE)


def test_the_closure_covers_what_python_really_loads():
    code = "from rephase.publish.runner import run\nfrom rephase.measurement import Scan\n"
    own, _ = closure(code)
    script = f"{code}import sys; print(*[m for m in sys.modules if m.split('.')[0] == 'rephase'])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(loaded.stdout.split()) <= set(own)


def test_a_package_left_out_is_not_entered():
    own, _ = closure("import rephase.publish.runner", without=("rephase.publish",))
    assert not any(name.startswith("rephase.publish") for name in own)
