"""The figures as a chart."""

from html import escape
from statistics import median

import goals
import report

# A group of bars: its title, section, payload and work.
GROUPS = (
    ("Install 200 packages, 10,000 files (tmpfs)", "M tmpfs", "M", "install"),
    ("The same with a hook each (tmpfs)", "M tmpfs", "M+hooks", "install"),
    ("Remove them (tmpfs)", "M tmpfs", "M", "remove"),
    ("Nothing to do", "M tmpfs", "M", "nothing"),
    ("Install the headers of a kernel, synced (ext4)", "D ext4", "D", "install"),
    ("Install 352 MB in two files, synced (ext4)", "L ext4", "L", "install"),
    ("Resolve 500 packages of Debian", "resolve", "", "resolve"),
)
WIDTH, LEFT, BAR, GAP = 860, 140, 14, 6
OURS, FLOOR, OTHER = "#1f6feb", "#b8bfc7", "#8a94a0"
FLOORS = ("bsdtar -x", "zstd -dc | tar x")


def svg(sections):
    parts, y = [], 14
    for title, name, payload, work in GROUPS:
        section = sections.get(name)
        systems = section["seconds"].get(payload, {}).get(work, {}) if section else {}
        if not systems:
            continue
        figures = {system: median(seconds) for system, seconds in systems.items()}
        y += 16
        parts.append(f'<text x="0" y="{y}" class="title">{escape(title)}</text>')
        y += 8
        for system, seconds in figures.items():
            parts.extend(_bar(y, system, seconds, max(figures.values())))
            y += BAR + GAP
        y += 8
    machine = "; ".join(sorted({f"{section['machine']}, {section['date']}" for section in sections.values()}))
    y += 14
    parts.append(f'<text x="0" y="{y}" class="note">Medians. {escape(machine)}.</text>')
    return _page(y + 12, parts)


def _bar(y, system, seconds, longest):
    length = max(1, (WIDTH - LEFT - 90) * seconds / longest)
    colour = OURS if system == "packets" else FLOOR if system in FLOORS else OTHER
    middle = y + BAR - 3
    yield f'<text x="{LEFT - 8}" y="{middle}" class="name">{escape(system)}</text>'
    yield f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
    yield f'<text x="{LEFT + length + 6:.1f}" y="{middle}">{escape(report.time(seconds))}</text>'


def _page(height, parts):
    style = "text{font:12px sans-serif;fill:#24292f}.title{font-weight:bold}.name{text-anchor:end}.note{fill:#57606a}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 0 {WIDTH + 24} {height}" width="{WIDTH + 24}" height="{height}">'
    ground = f'<rect x="-12" width="{WIDTH + 24}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, f"<style>{style}</style>", ground, *parts, "</svg>", ""])
