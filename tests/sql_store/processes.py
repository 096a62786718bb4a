import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).with_name("other_process.py")


def at_once(url: str, secret: str, *commands: tuple[str, ...]) -> list[str]:
    """Run each command in a process of its own, all let go at the same moment; return what each said."""
    processes = [
        subprocess.Popen(
            [sys.executable, _SCRIPT, url, secret, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    for process in processes:
        assert process.stdout.readline() == "READY\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said
