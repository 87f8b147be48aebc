"""Places to install into: a tmpfs, and an ext4 of its own on a loop device."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

INSIDE = "PACKETS_BENCH_INSIDE"


def enter_name_space():
    """Begins anew in a mount name space of its own, so that no mount outlives the bench."""
    if os.geteuid() == 0 and INSIDE not in os.environ:
        words = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
        os.execvpe("unshare", words, os.environ | {INSIDE: "1"})


class Disk:
    """A file system below `work`, there between `with` and its end."""

    def __init__(self, kind, work, size):
        self.kind = kind
        self.path = Path(work) / kind
        self.image = Path(work) / f"{kind}.image"
        self.size = size

    def __enter__(self):
        self.path.mkdir()
        self._mount()
        return self

    def renew(self):
        """An empty one. An ext4 is made anew: it passes by the numbers of files that were deleted a minute ago, one by
        one, so who creates files after somebody deleted as many would pay for that."""
        if self.kind == "ext4":
            self._unmount()
            self._mount()

    def _mount(self):
        if os.geteuid() != 0:
            return
        if self.kind == "tmpfs":
            self._call("mount", "-t", "tmpfs", "-o", f"size={self.size},mode=755", "none", self.path)
        else:
            with open(self.image, "wb") as image:
                image.truncate(self.size)
            self._call("mkfs.ext4", "-q", "-E", "lazy_itable_init=1,lazy_journal_init=1", self.image)
            self._call("mount", "-o", "loop,noinit_itable", self.image, self.path)

    def _unmount(self):
        if os.geteuid() == 0:
            self._call("umount", self.path)
            self.image.unlink(missing_ok=True)

    def __exit__(self, *_):
        self._unmount()
        shutil.rmtree(self.path)

    @staticmethod
    def _call(*words):
        subprocess.run([str(word) for word in words], check=True, env=os.environ)
