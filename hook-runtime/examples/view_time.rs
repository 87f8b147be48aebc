use packets_hook_runtime::{folder::Folder, sandbox::Places, view::*};
use packets_plugin_api::hook::*;
use std::time::Instant;
fn main() {
    let p = |t: &str| packets_plugin_api::relpath::RelPath::from_absolute(t).unwrap();
    let staging = tempfile::tempdir().unwrap();
    let target = Target { root: Folder::open_ambient("/".as_ref()).unwrap(), relocated: false, trusted_uid: 0, root_owner_is_caller: true };
    let places = Places { config: p("/etc/packets"), state: p("/var/lib/packets"), cache: p("/var/cache/packets"), plugins: p("/usr/lib/packets/plugins"), packages: vec![p("/opt/packets")], program: Some(p("/usr/bin/packets")) };
    let mut overlay = Overlay::new(target, places, Box::new(PrivateStaging::new(Folder::open_ambient(staging.path()).unwrap())));
    let allow: Vec<_> = ["/usr/bin","/usr/share/hello","/usr/share/applications","/usr/share/doc","/usr/share/fonts","/usr/share/icons","/usr/share/licenses","/usr/share/locale","/usr/share/man","/usr/share/metainfo","/usr/share/pixmaps","/usr/share/bash-completion/completions","/usr/share/zsh/site-functions","/usr/share/fish/vendor_completions.d"].iter().map(|t| p(t)).collect();
    let mut times = vec![];
    for i in 0..1001 {
        let context = HookContext { package: "hello".parse().unwrap(), kind: HookKind::Install, folder: p("/opt/packets/hello"), readable: vec![], grant: Grant { allow: allow.clone(), ..Grant::default() }, may_replace: vec![], owners: &NoOwners, limits: ViewLimits::default() };
        let t = Instant::now();
        let session = overlay.begin(context).unwrap();
        let a = t.elapsed();
        let mut session = session;
        let t = Instant::now();
        if i > 0 { session.remove("/usr/bin/tool-x").unwrap(); session.symlink("/opt/packets/hello/data/x", "/usr/bin/tool-x").unwrap(); }
        let b = t.elapsed();
        let t = Instant::now();
        session.finish().unwrap();
        times.push((a, b, t.elapsed()));
    }
    println!("cold begin {:?} finish {:?}", times[0].0, times[0].2);
    let mid = |f: fn(&(std::time::Duration, std::time::Duration, std::time::Duration)) -> std::time::Duration| { let mut v: Vec<_> = times[1..].iter().map(f).collect(); v.sort(); v[500] };
    println!("warm begin {:?} remove+symlink {:?} finish {:?}", mid(|t| t.0), mid(|t| t.1), mid(|t| t.2));
    // copy of 10,000 small files
    let src = tempfile::tempdir_in("/opt").unwrap();
    let tree = src.path(); std::fs::create_dir(tree.join("data")).unwrap();
    for i in 0..10000 { std::fs::write(tree.join(format!("data/{i}")), [0u8; 3000]).unwrap(); }
    overlay.place(&"hello".parse().unwrap(), &p("/opt/packets/hello"), Folder::open_ambient(tree).unwrap()).unwrap();
    let context = HookContext { package: "hello".parse().unwrap(), kind: HookKind::Install, folder: p("/opt/packets/hello"), readable: vec![], grant: Grant { allow: allow.clone(), ..Grant::default() }, may_replace: vec![], owners: &NoOwners, limits: ViewLimits::default() };
    let mut session = overlay.begin(context).unwrap();
    let t = Instant::now(); session.copy("/opt/packets/hello/data", "/usr/share/hello").unwrap(); println!("copy 10,000 files {:?}", t.elapsed());
    let t = Instant::now(); session.finish().unwrap(); println!("finish {:?}", t.elapsed());
}
