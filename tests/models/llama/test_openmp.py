"""OpenMP's threads wait as a busy machine needs it, and as a user says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from adascale.models.llama.openmp import limit_spinning


@pytest.mark.parametrize("own", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_a_setting_of_the_user_wins(own: dict[str, str]) -> None:
    environment = dict(own)
    limit_spinning(environment)
    assert environment == own


def test_the_environment_is_set_before_llama_cpp_is_loaded() -> None:
    code = (
        "import os, sys\n"
        "for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'): os.environ.pop(name, None)\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Watch(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'llama_cpp': print(os.environ.get('GOMP_SPINCOUNT'))\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import adascale.models.session\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout == "10000\n", done.stderr
