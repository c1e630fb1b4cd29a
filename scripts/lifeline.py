"""Ties a child process's life to its parent's, so that nothing is left running when the parent is killed outright."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded here: nothing may be imported or allocated between fork and exec


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Return a ``preexec_fn`` after which the child gets ``death_signal`` when this process ends for any reason.

    The kernel watches the *thread* that started the child, so call Popen from the main thread only.
    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    parent_pid = os.getpid()
    signal_number = int(death_signal)

    def arm() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent_pid:  # the parent ended between fork and prctl: no signal will come any more
            os._exit(1)

    return arm


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent ends, so that they can be found and ended.

    Source: prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
