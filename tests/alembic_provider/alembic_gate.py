"""Where a script that runs in the test's own process waits for the test."""

import threading


class Gate:
    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        if not self.opened.wait(30):
            raise TimeoutError("nobody opened the gate")

    def close(self) -> None:
        self.reached.clear()
        self.opened.clear()


gate = Gate()
