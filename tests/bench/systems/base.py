"""What the bench asks of a system."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from payloads import PROGRAM
from processes import Command

# In this order in a round; each finds the root as the one before left it.
WORKS = ("install", "nothing", "verify", "search", "refresh", "refresh by HTTP", "upgrade", "remove")


@dataclass(frozen=True)
class Repository:
    """A payload in a system's own format: one folder for each release, and an address of each."""

    payload: object
    folders: tuple
    addresses: tuple = ()


@dataclass(frozen=True)
class Step:
    """What is timed, and what has to come before it."""

    timed: Command
    before: tuple = ()


class System:
    """A package manager, or the floor. `durable` is whether its work is on the disk when it ends."""

    name = ""
    programs = ()
    needs_root = True
    durable = False
    settings = ""
    runs_hooks = True

    def __init__(self, tools):
        self.tools = tools

    def build(self, packages, release, into):
        """Makes the packages of one release, and what a repository of them needs, in the folder `into`."""
        raise NotImplementedError

    def data(self, package):
        """Where the files of a package come to stand in a root."""
        return f"opt/{package.name}/data"

    def prepare(self, root, repository):
        """What has to be in a root before the first work. Not timed."""

    def step(self, work, root, repository):
        """How `work` is done; None where the system has no such work."""
        raise NotImplementedError


def quietly(words, **options):
    """Runs a program that only builds."""
    words = [str(word) for word in words]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)[:300]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def tree(package, folder):
    """The package's files as the other systems have them: below /opt. Names for the same inodes."""
    data = folder / "opt" / package.name / "data"
    data.parent.mkdir(parents=True)
    quietly(["cp", "-al", package.files, data])


def link(package):
    """The name and the text of the link that a hook makes."""
    return f"/usr/bin/{package.name}", f"/opt/{package.name}/data/{PROGRAM}"


def make_template(folder):
    """A root with what scripts need: a shell, ln and rm with their libraries."""
    for path in ("etc", "usr/bin", "usr/lib", "usr/lib64", "opt", "var/lib", "var/cache", "tmp"):
        (folder / path).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")
    programs = [Path("/bin/bash").resolve(), Path("/usr/bin/ln"), Path("/usr/bin/rm")]
    libraries = set()
    for program in programs:
        shutil.copy2(program, folder / "usr/bin" / program.name)
        for word in quietly(["ldd", program]).split():
            if word.startswith("/"):
                libraries.add(word)
    for library in sorted(libraries):
        inside = folder / library.removeprefix("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(library), inside)
    (folder / "usr/bin/sh").symlink_to("bash")
