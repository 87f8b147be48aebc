"""Which packages come along with 500 of Debian's: ours and apt, in the same archive."""

import subprocess

from processes import Command

APT_OPTIONS = """Dir "{folder}/apt";
Dir::State "{folder}/apt/state";
Dir::State::status "{folder}/apt/status";
Dir::Cache "{folder}/apt/cache";
Dir::Etc "{folder}/apt/etc";
Dir::Log "{folder}/apt/log";
APT::Sandbox::User "root";
APT::Architecture "amd64";
Acquire::Languages "none";
"""


class Resolve:
    """Debian's archive as an index of ours and as a repository of apt, both below `folder`."""

    def __init__(self, tools, folder):
        self.tools = tools
        self.folder = folder

    def prepare(self):
        """Whether apt has lists on this machine, of which all is made."""
        if not (self.folder / "done").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            made = subprocess.run([self.tools.archive, self.folder], check=False)
            if made.returncode:
                return False
            self._private_apt()
            (self.folder / "done").touch()
        root = self.folder / "root"
        root.mkdir(exist_ok=True)
        self.tools.runner.run(Command([self.tools.packets, "--root", root, "--quiet", "sync", self.folder / "index.db"]))
        return True

    def _private_apt(self):
        apt = self.folder / "apt"
        for inside in ("state/lists/partial", "cache/archives/partial", "etc/preferences.d", "etc/sources.list.d", "log"):
            (apt / inside).mkdir(parents=True)
        (apt / "status").touch()
        (apt / "etc/sources.list").write_text(f"deb [trusted=yes] file:{self.folder}/repository ./\n")
        (apt / "apt.conf").write_text(APT_OPTIONS.format(folder=self.folder))
        self.tools.runner.run(self._apt("update"))

    def _apt(self, *words):
        # The machine's own configuration is not read.
        options = {"APT_CONFIG": str(self.folder / "apt/apt.conf")}
        return Command(["apt-get", "-qq", *words], environment=options)

    def commands(self):
        goals = (self.folder / "goals").read_text().split()
        ours = ["--root", self.folder / "root", "--quiet", "install", "--dry-run=plan"]
        return {
            "packets": Command([self.tools.packets, *ours, *goals]),
            "apt": self._apt("install", "-s", "--no-install-recommends", *goals),
        }

    def sizes(self):
        """How many packages each answer has."""
        commands = self.commands()
        plan = Command([commands["packets"].words[0], "--json", *commands["packets"].words[1:]])
        return {
            "packets": self.tools.runner.output(plan).count('"action"'),
            "apt": sum(line.startswith("Inst ") for line in self.tools.runner.output(commands["apt"]).splitlines()),
        }

    def run(self, rounds):
        seconds = {name: [] for name in self.commands()}
        for number in range(rounds):
            print(f"  round {number + 1} of {rounds}", flush=True)
            for name, command in self.commands().items():
                seconds[name].append(self.tools.runner.run(command))
        return seconds
