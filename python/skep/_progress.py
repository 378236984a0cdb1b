# SPDX-License-Identifier: Apache-2.0
"""A bar that shows how far a map has come: tqdm's where it is installed, else our own; none where nobody looks."""
import sys
import time

_WIDTH = 30
_SECONDS = 0.1  # between two looks of the bar


def bar(total, wanted):
    """Something with update(count) and close(); None: not wanted, or standard error is no terminal."""
    if not wanted or sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Bar(total)
    return tqdm(total=total)


class _Bar:
    def __init__(self, total):
        self._total, self._done, self._shown, self._start = total, 0, 0.0, time.monotonic()
        self._show()

    def update(self, count):
        self._done += count
        if time.monotonic() - self._shown >= _SECONDS:
            self._show()

    def close(self):
        self._show()
        sys.stderr.write('\n')
        sys.stderr.flush()

    def _show(self):
        self._shown = time.monotonic()
        seconds = self._shown - self._start
        if self._total:
            filled = _WIDTH * self._done // self._total
            head = f'{100 * self._done // self._total:3d} % |{"#" * filled}{" " * (_WIDTH - filled)}| {self._done}/{self._total}'
        else:
            head = str(self._done)
        sys.stderr.write(f'\r{head} {seconds:.1f} s')
        sys.stderr.flush()
