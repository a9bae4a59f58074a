"""The cost of watching: CPU time of the process that draws against that of the one that runs the model.

Usage: ``python -m bench.runtime.live MODEL [QUESTION]`` asks with ``--show-tree`` on a terminal of 120 x 40.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import struct
import sys
import termios

import psutil

from ..common import close

QUESTION = (
    "A baker has 3 trays of 12 rolls. She sells 20 and bakes half as many as are left. How many has she?"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("question", nargs="?", default=QUESTION)
    args = parser.parse_args()
    pid, terminal = pty.fork()
    if pid == 0:
        command = ["-m", "adascale", "ask", "-T", "-g", args.model, "--seed", "1", "--no-save", args.question]
        os.execv(sys.executable, [sys.executable, *command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    parent, drawing, model = psutil.Process(pid), 0.0, 0.0
    try:
        while os.read(terminal, 65536):
            times = parent.cpu_times()
            drawing = times.user + times.system
            for child in parent.children():
                own = child.cpu_times()
                model = max(model, own.user + own.system)
    except (OSError, psutil.Error):  # it has ended
        pass
    os.waitpid(pid, 0)
    close({"cpu_share": round(drawing / (drawing + model), 4), "drawing_s": drawing, "model_s": model})


if __name__ == "__main__":
    main()
