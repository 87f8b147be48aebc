"""A hook alone: in the sandbox, and what starting a process costs."""

import json
import subprocess

from processes import Command

# As near as Lua without a host comes to the hook of the bench of hook-runtime, which makes a link as well.
SCRIPT = """local program = "{folder}/none/" .. "tool"
os.remove(program)
"""


def program(workspace):
    """The bench of hook-runtime, built."""
    words = ["cargo", "bench", "--quiet", "--no-run", "--message-format=json", "-p", "packets-hook-runtime", "--bench", "hook"]
    built = subprocess.run(words, cwd=workspace, check=True, capture_output=True, text=True).stdout
    made = (json.loads(line) for line in built.splitlines())
    return next(one["executable"] for one in made if one.get("executable") and one["target"]["name"] == "hook")


def usual(folder):
    """The hook that nearly every package has: it links a program."""
    return (
        'local tool = path_join(packets_bin_dir, "tool")\nos.remove(tool)\n'
        'local done, why = os.symlink(path_join(data_dir, "main"), tool)\nif not done then print(why) end\n'
    )


def run(tools, bench, folder, rounds):
    """Seconds of each, one figure a round: the median of its runs."""
    script = folder / "hook.lua"
    script.write_text(SCRIPT.format(folder=folder))
    inside = lambda key: Command([bench], environment={key: usual(folder)})
    seconds = {}
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}", flush=True)
        warm = float(tools.runner.output(inside("PACKETS_BENCH_WARM"))) / 1e6
        cold = _median([float(tools.runner.output(inside("PACKETS_BENCH_COLD"))) / 1e6 for _ in range(21)])
        lua = _median([tools.runner.run(Command(["lua5.4", script])) for _ in range(41)])
        shell = _median([tools.runner.run(Command(["sh", "-c", "true"])) for _ in range(41)])
        for name, figure in (("packets, warm", warm), ("packets, cold", cold), ("lua5.4 script", lua), ("sh -c true", shell)):
            seconds.setdefault(name, []).append(figure)
    return seconds


def _median(figures):
    return sorted(figures)[len(figures) // 2]
