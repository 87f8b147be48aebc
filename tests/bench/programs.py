"""What the bench needs of the machine."""

import os
import shutil
import subprocess

from processes import ENVIRONMENT

# A program, and Debian's package of it.
NEEDED = {
    "pacman": "pacman-package-manager",
    "repo-add": "makepkg",
    "rpm": "rpm",
    "rpmbuild": "rpm",
    "dpkg-deb": "dpkg",
    "zstd": "zstd",
    "bsdtar": "libarchive-tools",
    "lua5.4": "lua5.4",
    "nginx": "nginx-light",
    "mkfs.ext4": "e2fsprogs",
    "unshare": "util-linux",
    "sync": "coreutils",
}


def missing():
    return sorted(name for name in NEEDED if not shutil.which(name, path=ENVIRONMENT["PATH"]))


def install():
    """Installs what is missing, where that is possible; says what is missing still."""
    names = missing()
    if names and os.geteuid() == 0:
        packages = sorted({NEEDED[name] for name in names})
        print(f"installing {' '.join(packages)}", flush=True)
        apt = ["apt-get", "-qq", "--no-install-recommends", "install", *packages]
        for words in (["apt-get", "-qq", "update"], apt):
            subprocess.run(words, env=os.environ | ENVIRONMENT, stdout=subprocess.DEVNULL, check=False)
        names = missing()
    if names:
        packages = sorted({NEEDED[name] for name in names})
        print(f"skipped: what needs {', '.join(names)}; root can install {' '.join(packages)}", flush=True)
    return names
