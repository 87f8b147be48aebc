"""Runs programs, and takes the time of whole processes."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

# Nothing else of the environment reaches a program.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


@dataclass(frozen=True)
class Command:
    """A program with its arguments. `accepted` are the exit codes of success."""

    words: list
    accepted: tuple = (0,)
    environment: dict = field(default_factory=dict)

    def text(self):
        text = " ".join(map(str, self.words))
        return text if len(text) < 300 else text[:300] + " ..."

    def then_sync(self, folder):
        """The same, and what it wrote on the disk."""
        script = 'folder=$1; shift; "$@" || exit; exec sync -f "$folder"'
        return Command(["/bin/sh", "-c", script, "sh", folder, *self.words], self.accepted, self.environment)


class Failed(Exception):
    """A program did not do what it had to."""


class Runner:
    """Runs commands; what they print goes into a file, which is shown when one fails."""

    def __init__(self, work, measure):
        self.log = Path(work) / "output"
        self.report = Path(work) / "memory"
        self.measure = measure

    def run(self, command):
        """The seconds from its start to its end."""
        words = [str(word) for word in command.words]
        output = (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), output, (os.POSIX_SPAWN_DUP2, 1, 2)]
        environment = ENVIRONMENT | command.environment
        began = time.perf_counter()
        child = os.posix_spawnp(words[0], words, environment, file_actions=actions)
        _, status = os.waitpid(child, 0)
        took = time.perf_counter() - began
        code = os.waitstatus_to_exitcode(status)
        if code not in command.accepted:
            tail = self.log.read_text(errors="replace")[-3000:]
            raise Failed(f"exit code {code}: {command.text()}\n{tail}")
        return took

    def output(self, command):
        """What it prints, on both streams."""
        self.run(command)
        return self.log.read_text(errors="replace")

    def memory(self, command):
        """The most bytes that it, or a process of its own, had at once."""
        words = [self.measure, self.report, *command.words]
        self.run(Command(words, command.accepted, command.environment))
        return int(self.report.read_text()) * 1024
