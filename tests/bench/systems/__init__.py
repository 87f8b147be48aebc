"""The systems that are compared, one file each."""

from .dpkg import Dpkg
from .floor import Bsdtar, Tar
from .packets import Packets
from .pacman import Pacman
from .rpm import Rpm

ALL = (Packets, Pacman, Rpm, Dpkg, Bsdtar, Tar)
