//! HTTP servers as they are in use, each on 127.0.0.1 with the files of one folder.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::skip::{on_path, skip};

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(30);

/// A server; it is ended when this is dropped.
#[derive(Debug)]
pub struct RealServer {
    child: Child,
    port: u16,
    /// What stands before a file's name.
    prefix: String,
    home: TempDir,
}

impl RealServer {
    /// nginx, where the machine has it: with these further lines of its configuration.
    pub fn nginx(folder: &Path, lines: &str) -> Option<Self> {
        let program = program("nginx")?;
        Self::start("", |port, home| {
            let config = home.join("nginx.conf");
            let at = home.display();
            let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
                .concat();
            let text = format!(
                "daemon off; master_process off; pid {at}/pid; error_log {at}/error;\nevents {{}}\nhttp {{ {temporary}
                log_format asked '$status $body_bytes_sent $uri range=$http_range if_range=$http_if_range';
                access_log {at}/access asked; {lines}
                server {{ listen 127.0.0.1:{port}; root \"{}\"; }} }}",
                folder.display()
            );
            fs::write(&config, text).unwrap();
            let mut command = Command::new(&program);
            command.arg("-e").arg(home.join("error")).arg("-c").arg(config);
            command
        })
    }

    /// Caddy, where the machine has it.
    pub fn caddy(folder: &Path) -> Option<Self> {
        let program = program("caddy")?;
        Self::start("", |port, _| {
            let mut command = Command::new(&program);
            command.args(["file-server", "--listen", &format!("127.0.0.1:{port}"), "--root"]).arg(folder);
            command
        })
    }

    /// rclone as a web server, where the machine has it.
    pub fn rclone_http(folder: &Path) -> Option<Self> {
        Self::rclone("http", folder, "")
    }

    /// rclone as an object store, which answers a range with 200 and the part.
    pub fn rclone_s3(folder: &Path) -> Option<Self> {
        let name = folder.file_name()?.to_str()?.to_owned();
        Self::rclone("s3", folder.parent()?, &format!("/{name}"))
    }

    /// Docker's registry of images, where the machine has it: with what is in `blobs`, these further lines of its
    /// configuration, and these of its part `http`.
    pub fn registry(blobs: &Path, lines: &str, http: &str) -> Option<Self> {
        Self::registry_with(blobs, "", lines, http)
    }

    /// The same, with this of its part `storage` too.
    pub(crate) fn registry_with(blobs: &Path, storage: &str, lines: &str, http: &str) -> Option<Self> {
        let program = program("docker-registry")?;
        Self::start("", |port, home| {
            let config = home.join("config.yml");
            let text = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {blobs:?}}}{storage}}}\n{lines}\n\
                 http:\n  addr: 127.0.0.1:{port}\n{http}\n"
            );
            fs::write(&config, text).unwrap();
            let mut command = Command::new(&program);
            command.arg("serve").arg(config);
            command
        })
    }

    fn rclone(kind: &str, folder: &Path, prefix: &str) -> Option<Self> {
        let program = program("rclone")?;
        Self::start(prefix, |port, _| {
            let mut command = Command::new(&program);
            let address = format!("127.0.0.1:{port}");
            command
                .args(["--config", "/dev/null", "serve", kind, "--addr", &address, "--dir-cache-time", "0s"])
                .arg(folder);
            command
        })
    }

    /// On a free port; another program may take it first, then once more.
    fn start(prefix: &str, command: impl Fn(u16, &Path) -> Command) -> Option<Self> {
        for _ in 0..5 {
            let home = tempfile::Builder::new().prefix("packets-server-").tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = command(port, home.path());
            let log = fs::File::create(home.path().join("log")).unwrap();
            command.env_clear().env("HOME", home.path()).env("PATH", "/usr/bin:/bin").current_dir(home.path());
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            let mut server = Self { child: command.spawn().unwrap(), port, prefix: prefix.to_owned(), home };
            let started = Instant::now();
            while started.elapsed() < START && server.child.try_wait().unwrap().is_none() {
                if server.answers() {
                    return Some(server);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("the server does not start");
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut word = [0; 5];
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok() && stream.read_exact(&mut word).is_ok() && &word == b"HTTP/"
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a file of the folder.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{}{path}", self.port, self.prefix)
    }

    /// What nginx was asked for, a line for each request: status, bytes, path, range, if-range.
    pub fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.home.path().join("access")).unwrap_or_default();
        text.lines().filter(|line| !line.contains(" / ")).map(str::to_owned).collect()
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let found = on_path(name);
    if found.is_none() {
        skip(&format!("needs {name}"));
    }
    found
}
