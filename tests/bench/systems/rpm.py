"""rpm, of Fedora and others, without dnf."""

from processes import Command

from .base import Step, System, link, quietly

HEAD = """%define debug_package %{nil}
%define __os_install_post %{nil}
%define _build_id_links none
%define _binary_payload w3.zstdio
%define _source_payload w3.zstdio
AutoReqProv: no
Name: bench-all
Version: RELEASE
Release: 1
Summary: Of a bench
License: none
BuildArch: noarch
%description
Of a bench.
"""
PACKAGE = """%package -n {name}
Summary: The package {name} of a bench.
AutoReqProv: no
{needs}%description -n {name}
Of a bench.
"""
HOOK = """%post -n {name} -p <lua>
os.remove("{link}")
assert(posix.symlink("{target}", "{link}"))
%preun -n {name} -p <lua>
if tonumber(arg[2]) == 0 then os.remove("{link}") end
"""


class Rpm(System):
    name = "rpm"
    programs = ("rpm", "rpmbuild")
    settings = "files are not synced, the database is; --nosignature, digests checked; hooks in rpm's own Lua, as root"

    def build(self, packages, release, into):
        top = into / "rpmbuild"
        top.mkdir()
        sources = top / "tree"
        for package in packages:
            data = sources / "opt" / package.name / "data"
            data.parent.mkdir(parents=True)
            quietly(["cp", "-al", package.files, data])
        spec = [HEAD.replace("RELEASE", str(release))]
        for package in packages:
            needs = "".join(f"Requires: {name}\n" for name in package.needs)
            spec.append(PACKAGE.format(name=package.name, needs=needs))
        spec.append(f"%install\ncp -a {sources}/. %{{buildroot}}\n")
        for package in packages:
            if package.hook:
                name, target = link(package)
                spec.append(HOOK.format(name=package.name, link=name, target=target))
            spec.append(f"%files -n {package.name}\n%defattr(-,root,root)\n/opt/{package.name}\n")
        (top / "bench.spec").write_text("".join(spec))
        defines = ["--define", f"_topdir {top}", "--define", f"_rpmdir {into}", "--define", f"_tmppath {top}"]
        quietly(["rpmbuild", "-bb", "--nodeps", *defines, top / "bench.spec"], cwd=top)
        for file in sorted((into / "noarch").iterdir()):
            file.rename(into / file.name)
        (into / "noarch").rmdir()
        quietly(["rm", "-r", top])

    def prepare(self, root, repository):
        self.tools.runner.run(self._run(root, "--initdb"))

    def _run(self, root, *words, accepted=(0,)):
        return Command(["rpm", "--root", root, "--dbpath", "/var/lib/rpm", "--nosignature", *words], accepted)

    def step(self, work, root, repository):
        files = lambda release: sorted(repository.folders[release].glob("*.rpm"))
        match work:
            case "install":
                return Step(self._run(root, "-i", *files(0)))
            case "verify":
                return Step(self._run(root, "-Va"))
            case "upgrade":
                return Step(self._run(root, "-U", *files(1)))
            case "remove":
                return Step(self._run(root, "-e", *repository.payload.names()))
