//! A scripted server on this machine, and tests that run once more in a process of their own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packets_plugin_api::fetch::{Candidate, FetchError, FetchErrorKind, FetchSource};
use packets_plugin_http::{HttpSource, Options};

/// A connection, plain or TLS.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// The head of a request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) head: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Stops listening when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// `answer` writes what it likes to each request; with `false` the connection is closed.
    pub(crate) fn start(answer: impl Fn(&Request, &mut dyn Stream) -> bool + Send + Sync + 'static) -> Self {
        Self::start_with(answer, |stream| Some(Box::new(stream)))
    }

    pub(crate) fn start_with(
        answer: impl Fn(&Request, &mut dyn Stream) -> bool + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let script = Arc::new((answer, wrap, requests.clone(), stop.clone()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if script.3.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(stream), script) = (stream, script.clone()) else { continue };
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                std::thread::spawn(move || {
                    let Some(mut stream) = (script.1)(stream) else { return };
                    while let Some(request) = read_request(&mut *stream) {
                        script.2.lock().unwrap().push(request.clone());
                        if !(script.0)(&request, &mut *stream) || stream.flush().is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, requests, stop }
    }

    /// Answers every request with these bytes and closes.
    pub(crate) fn saying(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::start(move |_, stream| {
            let _ = stream.write_all(&reply);
            false
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn read_request(stream: &mut dyn Stream) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 100_000 || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.split(' ').nth(1)?.to_owned();
    assert!(head.starts_with("GET ") && head.contains(" HTTP/1.1\r\n"), "{head}");
    Some(Request { target, head })
}

/// A whole reply of status 200.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    let mut reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    reply.extend_from_slice(body);
    reply
}

pub(crate) fn options() -> Options {
    Options {
        user_agent: "packets-test/1".to_owned(),
        connect_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(10),
        redirect_time: Duration::from_secs(20),
        environment_proxies: false,
    }
}

pub(crate) fn source() -> HttpSource {
    HttpSource::with_options(options())
}

/// One with so short timeouts that a test can wait for them.
pub(crate) fn impatient() -> HttpSource {
    HttpSource::with_options(Options { idle_timeout: Duration::from_millis(300), ..options() })
}

pub(crate) fn at(location: impl Into<String>) -> Candidate {
    Candidate::at(location)
}

/// All bytes, or the error of the opening.
pub(crate) fn get(source: &HttpSource, location: &str, offset: u64) -> Result<std::io::Result<Vec<u8>>, FetchError> {
    let mut opened = source.open(&at(location), offset)?;
    let mut bytes = Vec::new();
    Ok(opened.reader.read_to_end(&mut bytes).map(|_| bytes))
}

/// The kind of the error with which `location` cannot be opened.
pub(crate) fn refusal(source: &HttpSource, location: &str, offset: u64) -> FetchErrorKind {
    match source.open(&at(location), offset) {
        Ok(_) => panic!("{location} was opened"),
        Err(error) => error.kind,
    }
}

/// The error and all its causes.
pub(crate) fn text(error: &FetchError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

const CHILD: &str = "PACKETS_TEST_CHILD";

/// Whether this is the process that [`run_in_child`] has started.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the test that calls it once more, alone, with exactly this environment.
pub(crate) fn run_in_child(environment: &[(&str, &str)]) {
    let name = std::thread::current().name().unwrap().to_owned();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env_clear()
        .env(CHILD, "1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{environment:?}\n{said}\n{complained}");
}
