"""What is installed: the same files, names and needs for every system."""

import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

WORDS = [f"{first}{second}" for first in ("ba", "ke", "li", "mo", "tu", "ser", "an") for second in ("n", "da", "rit", "x")]
PROGRAM = "main"


@dataclass(frozen=True)
class Package:
    """A package in the making. `files` is a folder; `hook` links its program into /usr/bin."""

    name: str
    files: Path
    needs: tuple
    hook: bool


@dataclass(frozen=True)
class Payload:
    """Packages that go together, in two releases: all files of the second differ from the first's."""

    name: str
    about: str
    releases: tuple
    # A word that a search finds.
    word: str

    def names(self):
        return [package.name for package in self.releases[0]]


def text(source, size):
    """Text that compresses about as source code does."""
    noise = source.randbytes(size // 5).hex()
    words = " ".join(source.choices(WORDS, k=size // 4))
    mixed = "".join(noise[at : at + 40] + words[at * 2 : at * 2 + 120] + "\n" for at in range(0, len(noise), 40))
    return (mixed * 2)[:size].encode()


def small(folder, _quick):
    return _many(folder, "S", "one small program with a hook", count=1, files=1, size=3500, hook=True)


def many(folder, quick):
    count, files = (10, 20) if quick else (200, 50)
    about = f"{count} packages with {count * files:,} files of 3.5 kB, package i needs package i/2"
    return _many(folder, "M", about, count, files, 3500, hook=False)


def many_with_hooks(folder, quick):
    count, files = (10, 20) if quick else (200, 50)
    about = "the same as M, each package with a hook that links its program into /usr/bin"
    return _many(folder, "M+hooks", about, count, files, 3500, hook=True)


def tiny(folder, count):
    return _many(folder, "tiny", f"{count} packages of two small files", count, files=2, size=300, hook=False)


def _many(folder, name, about, count, files, size, hook):
    releases = []
    for release in (1, 2):
        source = random.Random(release)
        packages = []
        for number in range(count):
            package = f"bench-{number}"
            place = folder / f"files-{release}" / package
            # Five folders: as packages have them.
            for file in range(files):
                inside = place / (PROGRAM if file == 0 else f"part-{file % 5}/file-{file}")
                inside.parent.mkdir(parents=True, exist_ok=True)
                inside.write_bytes(text(source, size))
            (place / PROGRAM).chmod(0o755)
            needs = (f"bench-{number // 2}",) if number else ()
            packages.append(Package(package, place, needs, hook))
        releases.append(packages)
    return Payload(name, about, tuple(releases), "bench")


def debian(folder, quick):
    """The header files of a kernel: what Debian's package holds, real in names, sizes and depth."""
    place = folder / "files-1" / "headers"
    if quick:
        source = random.Random(3)
        for file in range(300):
            inside = place / f"include/part-{file % 7}/deep/er/file-{file}.h"
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.write_bytes(text(source, 400 + 37 * file))
    else:
        _unpack_headers(folder, place)
    second = folder / "files-2" / "headers"
    second.parent.mkdir()
    subprocess.run(["cp", "-a", place, second], check=True)
    for path in sorted(second.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with open(path, "ab") as file:
                file.write(b"\n")
    count = sum(1 for path in place.rglob("*") if path.is_file())
    releases = tuple([Package("headers", files, (), False)] for files in (place, second))
    return Payload("D", f"one package with {count:,} files: the header files of a Linux kernel", releases, "headers")


def _unpack_headers(folder, place):
    found = subprocess.run(
        ["apt-cache", "search", "--names-only", "^linux-headers-.*-common$"], check=True, capture_output=True, text=True
    )
    names = sorted(line.split()[0] for line in found.stdout.splitlines())
    if not names:
        raise RuntimeError("apt knows no linux-headers-*-common: its lists are missing, or Debian's archive is not in them")
    get = folder / "debian"
    get.mkdir()
    subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", names[-1]], check=True, cwd=get)
    subprocess.run(["dpkg-deb", "--extract", next(get.glob("*.deb")), get / "tree"], check=True)
    place.parent.mkdir()
    (get / "tree" / "usr" / "src" / names[-1]).rename(place)
    shutil.rmtree(get)


def large(folder, quick):
    size = (4 if quick else 168) << 20
    source = random.Random(4)
    place = folder / "files-1" / "large"
    place.mkdir(parents=True)
    words = text(source, 1 << 20)
    for name in ("first", "second"):
        with open(place / name, "wb") as file:
            for _ in range(size >> 20):
                # Half of it compresses not at all, as in programs with packed data.
                at = source.randrange(1 << 19)
                file.write(source.randbytes(1 << 19) + words[at : at + (1 << 19)])
    about = f"one package of {2 * size / 1e6:.0f} MB in two files"
    return Payload("L", about, ([Package("large", place, (), False)],), "large")


MAKERS = {"S": small, "M": many, "M+hooks": many_with_hooks, "D": debian, "L": large}
