"""dpkg, of Debian, without apt."""

import hashlib

from processes import Command

from .base import Step, System, link, quietly, tree

CONTROL = """Package: {name}
Version: {release}
Architecture: all
Maintainer: bench <bench@localhost>
{needs}Description: The package {name} of a bench.
"""


class Dpkg(System):
    name = "dpkg"
    programs = ("dpkg", "dpkg-deb")
    durable = True
    settings = "every file and its database synced; packages have no signature and no hash of their own; hooks as root"

    def build(self, packages, release, into):
        for package in packages:
            folder = into / "folder"
            folder.mkdir()
            tree(package, folder)
            control = folder / "DEBIAN"
            control.mkdir()
            needs = f"Depends: {', '.join(package.needs)}\n" if package.needs else ""
            (control / "control").write_text(CONTROL.format(name=package.name, release=release, needs=needs))
            files = [path for path in sorted((folder / "opt").rglob("*")) if path.is_file() and not path.is_symlink()]
            sums = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
            (control / "md5sums").write_text("".join(sums))
            if package.hook:
                name, target = link(package)
                self._script(control / "postinst", f"ln -sf {target} {name}\n")
                self._script(control / "prerm", f"rm -f {name}\n")
            build = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z3", "--build"]
            quietly([*build, folder, into / f"{package.name}_{release}_all.deb"])
            quietly(["rm", "-r", folder])

    @staticmethod
    def _script(path, text):
        path.write_text("#!/bin/sh\nset -e\n" + text)
        path.chmod(0o755)

    def prepare(self, root, repository):
        for folder in ("info", "updates", "triggers", "parts"):
            (root / "var/lib/dpkg" / folder).mkdir(parents=True)
        for file in ("status", "available"):
            (root / "var/lib/dpkg" / file).touch()

    def _run(self, root, *words):
        return Command(["dpkg", f"--root={root}", "--force-bad-path", "--log=/dev/null", *words])

    def step(self, work, root, repository):
        files = lambda release: sorted(repository.folders[release].glob("*.deb"))
        match work:
            case "install":
                return Step(self._run(root, "--install", *files(0)))
            case "nothing":
                return Step(self._run(root, "--skip-same-version", "--install", *files(0)))
            case "verify":
                return Step(self._run(root, "--verify"))
            case "upgrade":
                return Step(self._run(root, "--install", *files(1)))
            case "remove":
                return Step(self._run(root, "--remove", *repository.payload.names()))
