"""pacman, of Arch Linux."""

from processes import Command

from .base import Step, System, link, quietly, tree

ABOUT = """pkgname = {name}
pkgbase = {name}
pkgver = {release}-1
pkgdesc = The package {name} of a bench.
url = file:///
builddate = 1700000000
packager = bench
size = {size}
arch = any
"""
HOOK = """post_install() {{
    ln -sf {target} {link}
}}
post_upgrade() {{
    post_install
}}
pre_remove() {{
    rm -f {link}
}}
"""
CONFIG = """[options]
RootDir = {root}
DBPath = {root}/var/lib/pacman
CacheDir = {root}/var/cache/pacman
LogFile = {root}/var/log/pacman.log
HookDir = {root}/etc/pacman.d/hooks
GPGDir = {root}/etc/pacman.d/gnupg
Architecture = auto
SigLevel = Never
ParallelDownloads = 5
[bench]
Server = {server}
"""


class Pacman(System):
    name = "pacman"
    programs = ("pacman", "repo-add", "bsdtar", "zstd")
    settings = "nothing is synced; SigLevel = Never, no CheckSpace; the hash of every package checked; hooks as root"

    def build(self, packages, release, into):
        for package in packages:
            folder = into / "folder"
            folder.mkdir()
            tree(package, folder)
            members = [".PKGINFO", "opt"]
            size = sum(path.lstat().st_size for path in package.files.rglob("*") if path.is_file())
            about = ABOUT.format(name=package.name, release=release, size=size)
            about += "".join(f"depend = {name}\n" for name in package.needs)
            (folder / ".PKGINFO").write_text(about)
            if package.hook:
                name, target = link(package)
                (folder / ".INSTALL").write_text(HOOK.format(link=name, target=target))
                members.insert(1, ".INSTALL")
            self._archive(folder, members, into / f"{package.name}-{release}-1-any.pkg.tar.zst")
            quietly(["rm", "-r", folder])
        files = sorted(into.glob("*.pkg.tar.zst"))
        quietly(["repo-add", "--quiet", into / "bench.db.tar.gz", *files])

    @staticmethod
    def _archive(folder, members, file):
        # As makepkg does it.
        fields = "!all,use-set,type,uid,gid,mode,time,size,md5,sha256,link"
        list_words = ["bsdtar", "--uid=0", "--gid=0", "-czf", ".MTREE", "--format=mtree", f"--options={fields}"]
        quietly([*list_words, *members], cwd=folder)
        script = 'file=$1; shift; bsdtar --uid=0 --gid=0 --no-fflags -cf - "$@" | zstd -q -3 -o "$file"'
        quietly(["/bin/sh", "-c", script, "sh", file, ".MTREE", *members], cwd=folder)

    def prepare(self, root, repository):
        for folder in ("var/lib/pacman", "var/cache/pacman", "var/log", "etc/pacman.d/hooks", "etc/pacman.d/gnupg"):
            (root / folder).mkdir(parents=True)
        servers = [f"file://{folder}" for folder in repository.folders]
        for at, server in enumerate([*servers, *repository.addresses[:1]]):
            self._config(root, at).write_text(CONFIG.format(root=root, server=server))
        self.tools.runner.run(self._run(root, 0, "-Sy"))

    @staticmethod
    def _config(root, at):
        return root / f"etc/pacman-{at}.conf"

    def _run(self, root, config, *words):
        base = ["pacman", "--root", root, "--config", self._config(root, config), "--noconfirm"]
        bar = [] if words[0].startswith("-Q") else ["--noprogressbar"]
        return Command([*base, *words, *bar])

    def step(self, work, root, repository):
        names = repository.payload.names()
        run = lambda config, *words: self._run(root, config, *words)
        match work:
            case "install":
                return Step(run(0, "-S", *names))
            case "nothing":
                return Step(run(0, "-S", "--needed", *names))
            case "verify":
                return Step(run(0, "-Qkkq"))
            case "search":
                return Step(run(0, "-Ss", repository.payload.word))
            case "refresh":
                return Step(run(0, "-Sy"))
            case "refresh by HTTP":
                served = len(repository.folders)
                return Step(run(served, "-Sy"), (run(served, "-Syy"),))
            case "upgrade":
                return Step(run(1, "-Su"), (run(1, "-Syy"),))
            case "remove":
                return Step(run(0, "-R", *names))
