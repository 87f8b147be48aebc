"""Every system in turn, several rounds, on one disk."""

import os
import shutil
import subprocess

from processes import Failed
from systems.base import WORKS, Repository

# After these something waits to be written to the disk.
WRITES = ("install", "upgrade", "remove")
# Only for this payload: the address of the repository makes no difference to the others.
SERVED = "M"


def repositories(system, payload, folder, server):
    """The payload's releases in the system's own format; made once, and kept."""
    folders = []
    for release, packages in enumerate(payload.releases, start=1):
        into = folder / system.name.replace(" ", "-").replace("|", "") / str(release)
        done = into / "done"
        if not done.exists():
            shutil.rmtree(into, ignore_errors=True)
            into.mkdir(parents=True)
            system.build(packages, release, into)
            done.touch()
        folders.append(into)
    addresses = [server.address(into) for into in folders] if server and payload.name == SERVED else []
    return Repository(payload, tuple(folders), tuple(addresses))


def expect(root, payload, system, there):
    """A system that did not do the work is not compared."""
    for package in payload.releases[0]:
        file = next(path for path in sorted(package.files.rglob("*")) if path.is_file())
        inside = file.relative_to(package.files)
        paths = [root / system.data(package) / inside]
        if package.hook and system.runs_hooks:
            paths.append(root / "usr/bin" / package.name)
        for path in paths:
            if os.path.lexists(path) != there:
                raise Failed(f"{system.name} {'lacks' if there else 'left'} {path}")


class Series:
    """What a number of rounds has measured: seconds by payload, work and system; bytes by payload and system."""

    def __init__(self, tools, disk, template):
        self.tools = tools
        self.disk = disk
        self.template = template
        self.seconds = {}
        self.bytes = {}

    def run(self, subjects, rounds):
        """`subjects` are pairs of a system and its repository."""
        with self.disk:
            for number in range(rounds):
                print(f"  round {number + 1} of {rounds}", flush=True)
                for system, repository in subjects:
                    self._round(system, repository)
            for system, repository in subjects:
                root = self._root(system, repository)
                step = system.step("install", root, repository)
                peak = self.tools.runner.memory(step.timed)
                self.bytes.setdefault(repository.payload.name, {})[system.name] = peak
                self._clear(root)

    def _round(self, system, repository):
        root = self._root(system, repository)
        for work in WORKS:
            if work == "upgrade" and len(repository.folders) < 2 or work == "refresh by HTTP" and not repository.addresses:
                continue
            step = system.step(work, root, repository)
            if step is None:
                continue
            for command in step.before:
                self.tools.runner.run(command)
            timed = step.timed
            if self.disk.kind == "ext4":
                if work in WRITES and not system.durable:
                    timed = timed.then_sync(root)
                # What came before is not to be paid for now.
                subprocess.run(["sync", "-f", root], check=True)
            took = self.tools.runner.run(timed)
            if work in ("install", "remove"):
                expect(root, repository.payload, system, there=work == "install")
            works = self.seconds.setdefault(repository.payload.name, {})
            works.setdefault(work, {}).setdefault(system.name, []).append(took)
        self._clear(root)

    def _root(self, system, repository):
        self.disk.renew()
        root = self.disk.path / "root"
        subprocess.run(["cp", "-a", self.template, root], check=True)
        system.prepare(root, repository)
        return root

    def _clear(self, root):
        shutil.rmtree(root)
