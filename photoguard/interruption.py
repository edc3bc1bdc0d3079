"""Ctrl-C that lets work in hand be finished."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def graceful_sigint(tell: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, to be asked between two pieces of work; `tell` is called when it is.

    A second one does not wait.
    """
    pressed = threading.Event()

    def hear(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        tell()

    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield pressed.is_set
        return
    before = signal.signal(signal.SIGINT, hear)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


def ignore_sigint(*_: object) -> None:
    """Leave Ctrl-C to the process that this one works for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
