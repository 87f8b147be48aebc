"""The floor: all files of the payload out of one archive, and nothing else."""

from processes import Command

from .base import Step, System, quietly, tree


class Floor(System):
    needs_root = False
    runs_hooks = False
    settings = "one archive of all files; nothing is checked, recorded or synced"

    def build(self, packages, release, into):
        folder = into / "folder"
        folder.mkdir()
        for package in packages:
            tree(package, folder)
        script = 'tar --create --owner=0 --group=0 opt | zstd -q -3 -o "$1"'
        quietly(["/bin/sh", "-c", script, "sh", into / "all.tar.zst"], cwd=folder)
        quietly(["rm", "-r", folder])

    def step(self, work, root, repository):
        if work != "install":
            return None
        return Step(self.unpack(root, repository.folders[0] / "all.tar.zst"))

    def unpack(self, root, archive):
        raise NotImplementedError


class Bsdtar(Floor):
    name = "bsdtar -x"
    programs = ("bsdtar",)

    def unpack(self, root, archive):
        return Command(["bsdtar", "-xf", archive, "-C", root])


class Tar(Floor):
    name = "zstd -dc | tar x"
    programs = ("zstd",)

    def unpack(self, root, archive):
        return Command(["/bin/sh", "-c", 'zstd -dc "$1" | tar -xf - -C "$2"', "sh", archive, root])
