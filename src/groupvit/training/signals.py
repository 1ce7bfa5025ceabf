"""Stop requests: Ctrl-C and SIGTERM take effect at the end of the step."""

import signal
from types import FrameType, TracebackType


class StopRequest:
    """Context manager that records SIGINT and SIGTERM; a second Ctrl-C raises KeyboardInterrupt."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received: int | None = None

    @property
    def received_any(self) -> bool:
        """True after a signal."""
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """128 plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.received or signal.SIGTERM)

    def __enter__(self) -> "StopRequest":
        """Install the handlers."""
        self._before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
