"""Ours."""

from processes import Command

from .base import PROGRAM, Step, System, quietly

MANIFEST = """[Info]
name = "{name}"
version = "{release}"
description = "The package {name} of a bench."
dependencies = [{needs}]
author = "bench"
family = "bench/{name}"
serial = {release}
"""
HOOKS = """
[Hooks]
install = "install.lua"
remove = "remove.lua"
"""
INSTALL = """local program = path_join(packets_bin_dir, "{name}")
os.remove(program)
local done, why = os.symlink(path_join(data_dir, "{program}"), program)
if not done then error(why) end
"""
REMOVE = 'os.remove(path_join(packets_bin_dir, "{name}"))\n'


class Packets(System):
    name = "packets"
    needs_root = False
    durable = True
    settings = (
        "files, folders, journal and database synced before it ends; SHA-256 of every package checked, "
        "and of every file recorded; what `undo` needs is kept; hooks in the sandbox"
    )

    def build(self, packages, release, into):
        for package in packages:
            folder = into / "folder"
            folder.mkdir()
            needs = ", ".join(f'"{name}"' for name in package.needs)
            manifest = MANIFEST.format(name=package.name, release=release, needs=needs)
            if package.hook:
                manifest += HOOKS
                (folder / "install.lua").write_text(INSTALL.format(name=package.name, program=PROGRAM))
                (folder / "remove.lua").write_text(REMOVE.format(name=package.name))
            (folder / "manifest.toml").write_text(manifest)
            quietly(["cp", "-al", package.files, folder / "data"])
            # Its default is zstd's level 3.
            quietly([self.tools.packets, "--quiet", "pack", folder, "-o", into / f"{package.name}.pkt.tar.zst"])
            quietly(["rm", "-r", folder])
        quietly([self.tools.packets, "--quiet", "index", into])

    def _run(self, root, *words):
        return Command([self.tools.packets, "--root", root, "--yes", "--quiet", *words])

    def data(self, package):
        return f"opt/packets/{package.name}/data"

    def prepare(self, root, repository):
        self.tools.runner.run(self._run(root, "sync", repository.folders[0] / "index.db"))

    def step(self, work, root, repository):
        names = repository.payload.names()
        run = lambda *words: self._run(root, *words)
        match work:
            case "install" | "nothing":
                return Step(run("install", *names))
            case "verify" | "search":
                return Step(run(work, *([repository.payload.word] if work == "search" else [])))
            case "refresh":
                return Step(run("sync"))
            case "refresh by HTTP":
                return Step(run("sync"), (run("sync", repository.addresses[0] + "/index.db"),))
            case "upgrade":
                return Step(run("upgrade"), (run("sync", repository.folders[1] / "index.db"),))
            case "remove":
                return Step(run("remove", *names))
