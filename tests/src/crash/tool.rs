//! A package with everything that a transaction can change, in two releases, and the
//! scenes that are made of it.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::scene::Scene;
use super::tracer::Call;
use crate::bytes::{Entry, noise};
use crate::environment::TestEnvironment;
use crate::package::Package;

/// What its hooks need beyond the default.
pub const GRANT: [&str; 2] = ["--grant", "tool=/etc/tool"];

const FIRST_HOOK: &str = "
assert(os.symlink(path_join(data_dir, 'run'), path_join(packets_bin_dir, 'tool')))
assert(os.mkdir('/usr/share/tool/deep/er', 493))
local function write(path, text) local f = assert(io.open(path, 'w')) f:write(text) f:close() end
write('/usr/share/tool/state', 'made by release 1\\n')
write('/usr/share/tool/deep/er/file', 'deep\\n')
write('/usr/share/tool/gone later', 'only of release 1\\n')
write('/usr/share/tool/file then link', 'a file\\n')
assert(os.symlink('state', '/usr/share/tool/link then folder'))
assert(os.mkdir('/usr/share/tool/folder then file/below', 493))
assert(os.mkdir('/usr/share/tool/closed', 448))
assert(os.mkdir('/etc/tool', 493))
assert(os.copy(path_join(data_dir, 'tool.conf'), '/etc/tool/tool.conf'))
assert(os.copy(path_join(data_dir, 'tool.conf'), '/etc/tool/changed.conf'))
write(path_join(data_dir, 'cache'), 'made by the hook in its own folder\\n')
";

const SECOND_HOOK: &str = "
os.remove(path_join(packets_bin_dir, 'tool'))
assert(os.symlink(path_join(data_dir, 'run'), path_join(packets_bin_dir, 'tool2')))
assert(os.mkdir('/usr/share/tool/deep/er', 493))
local function write(path, text) local f = assert(io.open(path, 'w')) f:write(text) f:close() end
write('/usr/share/tool/state', 'made by release 2, which is longer\\n')
write('/usr/share/tool/deep/er/file', 'deep\\n')
write('/usr/share/tool/new', 'only of release 2\\n')
os.remove('/usr/share/tool/file then link')
assert(os.symlink('new', '/usr/share/tool/file then link'))
os.remove('/usr/share/tool/link then folder')
assert(os.mkdir('/usr/share/tool/link then folder', 493))
write('/usr/share/tool/link then folder/inside', 'x')
os.remove('/usr/share/tool/folder then file')
write('/usr/share/tool/folder then file', 'a file now\\n')
os.remove('/usr/share/tool/closed')
assert(os.mkdir('/usr/share/tool/closed', 493))
assert(os.mkdir('/etc/tool', 493))
assert(os.copy(path_join(data_dir, 'tool.conf'), '/etc/tool/tool.conf'))
assert(os.copy(path_join(data_dir, 'tool.conf'), '/etc/tool/changed.conf'))
";

const REMOVE_HOOK: &str = "
os.remove(path_join(packets_bin_dir, 'tool'))
local f = assert(io.open('/usr/share/tool/state', 'a')) f:write('on its way out') f:close()
";

fn common(version: &str, serial: u64) -> Package {
    Package::new("tool", version)
        .family("tool's family", serial)
        .permission("write = [\"/etc/tool\"]")
        .executable("run", &format!("#!/bin/sh\necho tool {version}\n"))
        .data("same", "the same in both\n")
        .data("deep/down/same", "the same in both, deep\n")
        .data("tool.conf", &format!("port = {serial}\n"))
        .bytes("large", &noise(40_000 + 1000 * serial as usize))
        .remove(REMOVE_HOOK)
}

/// The first release.
pub fn first() -> Package {
    common("1.0", 1)
        .data("dropped", "only in the first\n")
        .data("file to link", "a file\n")
        .data("folder to file/inside", "x\n")
        .data("file to folder", "a file\n")
        .link("link to file", "same")
        .link("moved link", "same")
        .install(FIRST_HOOK)
}

/// The second one: paths are changed, added, dropped, and of another type.
pub fn second() -> Package {
    common("2.0", 2)
        .data("added", "only in the second\n")
        .link("file to link", "same")
        .data("folder to file", "a file\n")
        .data("file to folder/inside", "x\n")
        .data("link to file", "a file\n")
        .link("moved link", "deep/down/same")
        .data("later", "what the administrator had first\n")
        .install(SECOND_HOOK)
}

/// Puts a release into the repository; the folder `data/moded` has this mode.
pub fn publish(environment: &TestEnvironment, package: &Package, mode: u32) {
    let more = [Entry::folder("data/moded/").mode(mode), Entry::file("data/moded/file", "x\n").mode(mode & 0o755)];
    let path = environment.repo().join(format!("{}-{}.pkt.tar.zst", package.name(), "release"));
    std::fs::write(path, package.archive_with(&more)).unwrap();
}

/// The first release is installed.
pub fn install_first(environment: &TestEnvironment) {
    publish(environment, &first(), 0o700);
    environment.run_with_repo(&[&["install", "tool"], &GRANT[..]].concat()).ok();
}

/// What an administrator does to what is installed.
pub fn administrate(environment: &TestEnvironment) {
    environment.put("opt/packets/tool/data/my/own.conf", "mine\n");
    environment.put("opt/packets/tool/data/later", "mine before it was the release's\n");
    symlink("own.conf", environment.at("opt/packets/tool/data/my/link")).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(environment.at("opt/packets/tool/data/my/own.conf"), private).unwrap();
    environment.put("etc/tool/changed.conf", "port = 7\n");
    environment.put("usr/share/tool/notes", "the administrator's, beside the package's\n");
    approve(environment);
}

/// What a question at a terminal would have left.
fn approve(environment: &TestEnvironment) {
    let database = rusqlite::Connection::open(environment.at("etc/packets/installed.db")).unwrap();
    let approved = r#"{"allow":[],"write":["etc/tool"],"read":[],"replace":[]}"#;
    let insert = "INSERT INTO approvals (name, family, approved) VALUES ('tool', 'tool''s family', ?1)";
    database.execute(insert, [approved]).unwrap();
}

/// The second release is the newest in the repository.
pub fn publish_second(environment: &TestEnvironment) {
    publish(environment, &second(), 0o755);
}

/// The second release is installed.
pub fn upgrade(environment: &TestEnvironment) {
    publish_second(environment);
    environment.run_with_repo(&[&["upgrade", "tool"], &GRANT[..]].concat()).ok();
}

/// Installing the first release.
pub fn scene_install() -> Scene {
    Scene::new("install", &[&["install", "tool"], &GRANT[..]].concat())
        .step(|environment| publish(environment, &first(), 0o700))
}

/// Upgrading what an administrator has changed.
pub fn scene_upgrade() -> Scene {
    Scene::new("upgrade", &[&["upgrade", "tool"], &GRANT[..]].concat())
        .step(install_first)
        .step(administrate)
        .step(publish_second)
}

/// Removing the same.
pub fn scene_remove() -> Scene {
    Scene::new("remove", &["remove", "tool"]).step(install_first).step(administrate)
}

/// Taking the upgrade back.
pub fn scene_undo() -> Scene {
    Scene::new("undo", &["undo"]).step(install_first).step(administrate).step(upgrade)
}

/// Taking the removal back.
pub fn scene_undo_remove() -> Scene {
    Scene::new("undo of a removal", &["undo"])
        .step(install_first)
        .step(administrate)
        .step(|environment| drop(environment.run(&["remove", "tool"]).ok()))
}

/// Moving it to another folder of packages, on the same mount unless something is mounted there.
pub fn scene_relocate() -> Scene {
    Scene::new("relocate", &["relocate"]).without_repo().step(install_first).step(administrate).step(other_data_dir)
}

/// Taking that back.
pub fn scene_undo_relocate() -> Scene {
    Scene::new("undo of a move", &["undo"])
        .step(install_first)
        .step(administrate)
        .step(other_data_dir)
        .step(|environment| drop(environment.run(&["relocate"]).ok()))
}

/// Both keys, so that nothing is left to be written into the config.
fn other_data_dir(environment: &TestEnvironment) {
    std::fs::create_dir_all(environment.at("srv/packets")).unwrap();
    let config = environment.read("etc/packets/config.toml").replace("\"/opt/packets\"", "\"/srv/packets\"");
    environment.put("etc/packets/config.toml", &config);
}

/// Files of each release of [`scene_many_files`]; with so many their rows are written by a thread of their own.
const MANY: usize = 600;

/// Upgrading a package of many files, which [`is_one_of_many`] tells from all else that happens.
pub fn scene_many_files() -> Scene {
    Scene::new("upgrade of many files", &["upgrade", "tool"])
        .step(|environment| {
            publish_many(environment, "1");
            environment.run_with_repo(&["install", "tool"]).ok();
        })
        .step(|environment| publish_many(environment, "2"))
}

fn publish_many(environment: &TestEnvironment, version: &str) {
    let hook = format!("assert(os.symlink(path_join(data_dir, 'own'), path_join(packets_bin_dir, 'tool-{version}')))");
    let package = Package::new("tool", version).data("own", version).install(&hook);
    let mut more = vec![Entry::folder("data/many/")];
    more.extend((0..MANY).map(|at| Entry::file(&format!("data/many/{at}"), if at % 10 == 0 { version } else { "" })));
    std::fs::write(environment.repo().join("tool-release.pkt.tar.zst"), package.archive_with(&more)).unwrap();
}

/// Whether a call is about one of the many files, of which one is like the other.
pub fn is_one_of_many(call: &Call) -> bool {
    call.on.contains("/data/many/")
}
