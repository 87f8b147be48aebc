"""The figures as Markdown."""

from statistics import median

import goals
from systems import ALL
from systems.base import WORKS

INTRODUCTION = """# Measured side by side

`tests/bench/run` makes this page. Whole processes, each system in turn, so many rounds as stated: the median, the
minimum in brackets, and behind it the ratio of ours to it in the medians and, from the least to the most, in each
round (under 1: ours is faster). Compare ratios, and figures of one table only: disks and neighbours change from hour to hour.
"""


def time(seconds):
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def ratio(value):
    return f"{value:.4f}" if value < 0.02 else f"{value:.2f}"


def cell(figures, ours):
    """A system's median, minimum, and the ratio of ours to it."""
    if not figures:
        return "–"
    text = f"{time(median(figures))} ({time(min(figures))})"
    if ours is None:
        return text
    whole, rounds = goals.ratio(ours, figures)
    return f"{text} · {ratio(whole)} [{ratio(min(rounds))}–{ratio(max(rounds))}]"


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n"


def lifecycle(section):
    """A table for each payload of a series."""
    parts = []
    for payload, works in section["seconds"].items():
        found = {system for work in works.values() for system in work}
        names = [system.name for system in ALL if system.name in found]
        rows = []
        for work in WORKS:
            if work not in works:
                continue
            ours = works[work].get("packets")
            rows.append([work] + [cell(works[work].get(name, []), None if name == "packets" else ours) for name in names])
        peaks = section["bytes"].get(payload, {})
        memory = [f"{peaks[name] / 1e6:.0f} MB" if name in peaks else "–" for name in names]
        parts.append(f"{payload}: {section['about'][payload]}.\n\n" + table([payload, *(name.replace("|", "\\|") for name in names)], rows + [["peak memory of install", *memory]]))
    return "\n".join(parts)


def alone(section):
    """Figures that are no work of a series."""
    (works,) = section["seconds"].values()
    ((work, systems),) = works.items()
    ours = next(iter(systems.values()))
    rows = [[name, cell(figures, None if at == 0 else ours)] for at, (name, figures) in enumerate(systems.items())]
    return f"{section['about']['']}.\n\n" + table([work, "time"], rows)


def markdown(sections):
    parts = [INTRODUCTION, "## What must be reached\n"]
    parts.append(
        table(
            ["ours / other", "at most", "medians", "rounds", ""],
            [
                [goal.about, f"{goal.most}", ratio(whole), f"{ratio(min(rounds))}–{ratio(max(rounds))}", "reached" if met else "**not reached**"]
                for goal, whole, rounds, met in goals.reached(sections)
            ],
        )
    )
    parts.append("## Settings\n")
    parts.append("\n".join(f"- **{system.name}**: {system.settings}." for system in ALL))
    parts.append("- Packages are compressed with zstd at level 3. On ext4 what is not synced gets `sync -f` in its time, for\n  install, upgrade and remove.\n")
    for name, section in sections.items():
        parts.append(f"## {name}\n")
        parts.append(f"{section['machine']}; {section['date']}; {section['rounds']} rounds.\n")
        parts.append(lifecycle(section) if section["bytes"] else alone(section))
    return "\n".join(parts)
