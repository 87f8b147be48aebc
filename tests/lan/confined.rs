//! What the server may not do, tried by itself: each of its threads is made to make the calls that somebody would
//! who has taken it over (N34).

use nix::libc;
use packets_tests::inside::{Argument, Inside};

use super::*;

/// What is tried: the call, its arguments, and the errors of which one must come.
struct Try<'a> {
    what: &'static str,
    number: i64,
    arguments: Vec<Argument<'a>>,
    errors: &'static [i32],
}

/// From here on x86_64 knows each call by a second number.
const X32: i64 = 1 << 30;
/// Refused by the filter of calls, which says the same of everything.
const BY_FILTER: &[i32] = &[libc::EPERM];
/// Refused by Landlock, where files are meant, or by the file's mode.
const BY_LANDLOCK: &[i32] = &[libc::EACCES];

fn number(number: impl Into<i64>) -> Argument<'static> {
    Argument::Number(number.into())
}

fn text(text: &str) -> Argument<'_> {
    Argument::Bytes(text.as_bytes())
}

/// Files outside of its folders, and changes in them: all of these are open to everybody by their modes.
fn files<'a>(open: &'a str, open_file: &'a str, cached: &'a str) -> Vec<Try<'a>> {
    let at = number(libc::AT_FDCWD);
    let tried = |what, number, arguments| Try { what, number, arguments, errors: BY_LANDLOCK };
    let opened =
        |what, path, flags: i32| tried(what, libc::SYS_openat, vec![at, text(path), number(flags), number(0o666)]);
    vec![
        opened("read /etc/shadow", "/etc/shadow", libc::O_RDONLY),
        opened("read /etc/passwd", "/etc/passwd", libc::O_RDONLY),
        opened("read its own memory", "/proc/self/mem", libc::O_RDWR),
        opened("read a file that everybody may", open_file, libc::O_RDONLY),
        opened("write a file that everybody may", open_file, libc::O_WRONLY),
        opened("make a file where everybody may", open, libc::O_WRONLY | libc::O_TMPFILE),
        opened("write what it gives", cached, libc::O_WRONLY),
        tried("make a folder", libc::SYS_mkdirat, vec![at, text("/tmp/packets-confined"), number(0o777)]),
        tried("remove a file", libc::SYS_unlinkat, vec![at, text(open_file), number(0)]),
        tried("cut off a file", libc::SYS_truncate, vec![text(open_file), number(0)]),
        tried("make a link", libc::SYS_symlinkat, vec![text("/etc"), at, text("/tmp/packets-confined")]),
    ]
}

/// Everything that leads to other processes, other machines and the kernel.
fn calls<'a>(program: &'a str, address: &'a [u8], own: i64) -> Vec<Try<'a>> {
    let tried = |what, number, arguments| Try { what, number, arguments, errors: BY_FILTER };
    let socket =
        |what, family: i32, kind: i32| tried(what, libc::SYS_socket, vec![number(family), number(kind), number(0)]);
    let process = number(libc::SIGCHLD);
    vec![
        tried("run a program", libc::SYS_execve, vec![text(program), number(0), number(0)]),
        tried(
            "run a program",
            libc::SYS_execveat,
            vec![number(libc::AT_FDCWD), text(program), number(0), number(0), number(0)],
        ),
        tried("begin a process", libc::SYS_clone, vec![process, number(0), number(0), number(0), number(0)]),
        tried("begin a process", libc::SYS_fork, vec![]),
        tried(
            "begin one with a user of its own",
            libc::SYS_clone,
            vec![number(libc::CLONE_NEWUSER | libc::SIGCHLD), number(0)],
        ),
        Try {
            what: "begin anything",
            number: libc::SYS_clone3,
            arguments: vec![number(0), number(88)],
            errors: &[libc::ENOSYS],
        },
        tried("become root of its own", libc::SYS_unshare, vec![number(libc::CLONE_NEWUSER)]),
        socket("talk to a service of the machine", libc::AF_UNIX, libc::SOCK_STREAM),
        socket("talk to the kernel", libc::AF_NETLINK, libc::SOCK_RAW),
        socket("hear all that is sent", libc::AF_PACKET, libc::SOCK_RAW),
        socket("talk to anybody", libc::AF_INET, libc::SOCK_STREAM),
        socket("talk to anybody", libc::AF_INET6, libc::SOCK_DGRAM),
        tried("connect", libc::SYS_connect, vec![number(0), Argument::Bytes(address), number(16)]),
        tried(
            "connect by sending",
            libc::SYS_sendto,
            vec![number(0), text("x"), number(1), number(libc::MSG_FASTOPEN), Argument::Bytes(address), number(16)],
        ),
        tried("have a port", libc::SYS_bind, vec![number(0), Argument::Bytes(address), number(16)]),
        tried(
            "look into a process",
            libc::SYS_ptrace,
            vec![number(libc::PTRACE_ATTACH), number(own), number(0), number(0)],
        ),
        tried(
            "read a process's memory",
            libc::SYS_process_vm_readv,
            vec![number(own), number(0), number(0), number(0), number(0), number(0)],
        ),
        tried("take a handle of a process", libc::SYS_pidfd_getfd, vec![number(0), number(0), number(0)]),
        tried("signal a thread", libc::SYS_tkill, vec![number(own), number(0)]),
        tried("signal another process", libc::SYS_kill, vec![number(1), number(0)]),
        tried(
            "type into a terminal",
            libc::SYS_ioctl,
            vec![number(0), Argument::Number(libc::TIOCSTI.cast_signed()), text("x")],
        ),
        tried(
            "talk to anybody by a call's other number",
            X32 + libc::SYS_socket,
            vec![number(libc::AF_INET), number(libc::SOCK_STREAM), number(0)],
        ),
        tried("become root", libc::SYS_setresuid, vec![number(0), number(0), number(0)]),
        tried("have root's group", libc::SYS_setresgid, vec![number(0), number(0), number(0)]),
        tried("mount", libc::SYS_mount, vec![number(0), text("/tmp"), text("tmpfs"), number(0), number(0)]),
        tried("change its root", libc::SYS_chroot, vec![text("/")]),
        tried("pass the filter by", libc::SYS_io_uring_setup, vec![number(1), number(0)]),
        tried("load code into the kernel", libc::SYS_bpf, vec![number(0), number(0), number(0)]),
    ]
}

/// Whether a thread can be stopped where it is; one that is in no call just now, will be.
fn threads(process: u64) -> Vec<i32> {
    let entries = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

#[test]
fn n34_what_the_server_may_not_do_is_tried_by_itself() {
    if !packets_tests::crash::can_trace() {
        return packets_tests::skip("calls are made in a process's place on x86_64 only");
    }
    let Some(lan) = Lan::of(2) else { return };
    let published = Published::new(5000, NOWHERE);
    let giver = host(&lan, 2, &published.index());
    published.cache_on(&giver);
    let serving = Serving::begin(&giver, 1);
    let status = serving.status();
    let process = status["process"].as_u64().unwrap();
    let confined: Vec<_> = status["confined"].as_array().unwrap().iter().filter_map(|what| what.as_str()).collect();
    let has_landlock = confined.contains(&"landlock");
    if !has_landlock {
        packets_tests::skip("of files nothing is tried where the kernel has no Landlock");
    }
    // A place where everybody may do everything, so that only the server's own walls stand before it.
    let open = tempfile::tempdir_in("/tmp").unwrap();
    let open_file = open.path().join("file");
    fs::write(&open_file, "before").unwrap();
    for (path, mode) in [(open.path(), 0o777), (&open_file, 0o666)] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    let cached = giver.at(&format!("var/cache/packets/{}.pkt.tar.zst", published.digest()));
    let (open, open_file, cached) =
        (open.path().to_str().unwrap(), open_file.to_str().unwrap(), cached.to_str().unwrap());
    let program = packets_tests::on_path("true").unwrap();
    // Port 9123 of the other host.
    let address = [&[2, 0], &9123_u16.to_be_bytes()[..], &Lan::address(1).octets(), &[0; 8]].concat();
    let mut tried = 0;
    for thread in threads(process) {
        let inside = match Inside::stop(thread) {
            Ok(inside) => inside,
            Err(why) => return packets_tests::skip(&why),
        };
        // That what follows means something: it can say who it is, and read what it gives.
        assert_eq!(inside.call(libc::SYS_getpid, &[]), i64::try_from(process).unwrap());
        let read = [number(libc::AT_FDCWD), text(cached), number(libc::O_RDONLY)];
        let handle = inside.call(libc::SYS_openat, &read);
        assert!(handle > 0, "it reads what it gives: {handle}");
        assert_eq!(inside.call(libc::SYS_close, &[number(handle)]), 0);
        let files = if has_landlock { files(open, open_file, cached) } else { Vec::new() };
        for Try { what, number, arguments, errors } in
            files.into_iter().chain(calls(program.to_str().unwrap(), &address, i64::from(thread)))
        {
            let answer = inside.call(number, &arguments);
            let is_begun = answer > 0 && what.starts_with("begin");
            if is_begun && let Some(begun) = i32::try_from(answer).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(begun, rustix::process::Signal::KILL);
            }
            assert!(errors.iter().any(|error| answer == -i64::from(*error)), "{what}: {answer}");
            tried += 1;
        }
    }
    assert!(tried >= 4 * 24, "every thread: {tried}");
    assert_eq!(fs::read(open_file).unwrap(), b"before");
    // It goes on where it was.
    let reply = serving::get(&lan, &format!("/{}", published.digest()), "");
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
}
