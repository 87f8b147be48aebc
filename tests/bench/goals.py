"""What must be reached: the ratio of ours to another's, at most."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Goal:
    about: str
    section: str
    # Payload, work and system of either side.
    ours: tuple
    other: tuple
    most: float


GOALS = (
    Goal("M install, tmpfs, no hooks / pacman", "M tmpfs", ("M", "install", "packets"), ("M", "install", "pacman"), 0.20),
    Goal("M install, tmpfs, no hooks / rpm", "M tmpfs", ("M", "install", "packets"), ("M", "install", "rpm"), 0.24),
    Goal("M install, tmpfs, a hook each / none", "M tmpfs", ("M+hooks", "install", "packets"), ("M", "install", "packets"), 1.10),
    Goal("D install, ext4 / pacman and sync -f", "D ext4", ("D", "install", "packets"), ("D", "install", "pacman"), 0.5),
    Goal("L install, ext4 / pacman and sync -f", "L ext4", ("L", "install", "packets"), ("L", "install", "pacman"), 0.8),
    Goal("M remove, tmpfs / pacman", "M tmpfs", ("M", "remove", "packets"), ("M", "remove", "pacman"), 0.4),
    Goal("nothing to do / pacman", "M tmpfs", ("M", "nothing", "packets"), ("M", "nothing", "pacman"), 0.4),
    Goal("refresh, file / pacman", "M tmpfs", ("M", "refresh", "packets"), ("M", "refresh", "pacman"), 0.5),
    Goal("refresh, nginx / pacman", "M tmpfs", ("M", "refresh by HTTP", "packets"), ("M", "refresh by HTTP", "pacman"), 0.5),
    Goal("a hook, warm / lua5.4 as a process", "hook", ("", "hook", "packets, warm"), ("", "hook", "lua5.4 script"), 0.05),
    Goal("resolve 500 of Debian / apt-get -s", "resolve", ("", "resolve", "packets"), ("", "resolve", "apt"), 0.01),
    Goal("peak memory, L / pacman", "L ext4", ("L", "memory", "packets"), ("L", "memory", "pacman"), 2.0),
)


def figures(section, payload, work, system):
    """The figures of one system; none where it was not measured."""
    if work == "memory":
        found = section["bytes"].get(payload, {}).get(system)
        return [] if found is None else [found]
    return section["seconds"].get(payload, {}).get(work, {}).get(system, [])


def ratio(ours, other):
    """The ratio of the medians, and that of each round."""
    return median(ours) / median(other), [one / another for one, another in zip(ours, other)]


def reached(sections):
    """Each goal with the ratio of medians, those of the rounds, and whether it is met; of what was measured."""
    for goal in GOALS:
        section = sections.get(goal.section)
        if section is None:
            continue
        ours, other = figures(section, *goal.ours), figures(section, *goal.other)
        if ours and other:
            whole, rounds = ratio(ours, other)
            yield goal, whole, rounds, whole <= goal.most
