//! A scripted server on this machine.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packets_plugin_api::fetch::{Candidate, FetchError, FetchSource};
use packets_plugin_oci::OciSource;
use packets_plugin_oci::client::{Account, Client, Options};
use packets_plugin_oci::place::Repository;

pub(crate) const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const NAME: &str = "team/packages";
/// `reader:hush` in base64.
pub(crate) const BASIC: &str = "Basic cmVhZGVyOmh1c2g=";

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn login(&self) -> Option<&str> {
        self.header("authorization")
    }
}

/// Stops listening when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// `answer` writes what it likes to each request; with `false` the connection is closed.
    pub(crate) fn start(answer: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::new(AtomicBool::new(false)));
        let script = Arc::new((answer, requests.clone(), stop.clone()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if script.2.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(mut stream), script) = (stream, script.clone()) else { continue };
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                std::thread::spawn(move || {
                    while let Some(request) = read_request(&mut stream) {
                        script.1.lock().unwrap().push(request.clone());
                        if !(script.0)(&request, &mut stream) {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, requests, stop }
    }

    /// Answers by the text that the script gives.
    pub(crate) fn saying(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |request, stream| stream.write_all(answer(request).as_bytes()).is_ok())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn repository(&self) -> Repository {
        Repository::new(&self.address.to_string(), NAME, true).unwrap()
    }

    /// Where the blob [`HEX`] is.
    pub(crate) fn blob(&self) -> String {
        format!("{}@sha256:{HEX}", self.repository())
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

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 200_000 || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    assert!(["GET", "HEAD", "POST", "PUT"].contains(&method.as_str()) && head.contains(" HTTP/1.1\r\n"), "{head}");
    let mut request = Request { method, target, head, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// A whole reply with this status line and these headers, each ended by a line break.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn ok(body: &str) -> String {
    reply("200 OK", "", body)
}

/// A redirect to this place.
pub(crate) fn redirect(to: &str) -> String {
    reply("307 Elsewhere", &format!("Location: {to}\r\n"), "")
}

/// A refusal that names this token server.
pub(crate) fn wants_token(realm: &str) -> String {
    let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s p\",scope=\"repository:x:*\"\r\n");
    reply("401 Unauthorized", &challenge, "")
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

/// A source without an account.
pub(crate) fn source() -> OciSource {
    OciSource::new(Client::new(options(), None), None)
}

/// The account of the registry at this server.
pub(crate) fn account(server: &Server) -> Account {
    Account::new(server.repository().registry(), "reader", "hush")
}

pub(crate) fn with(account: Account) -> OciSource {
    OciSource::new(Client::new(options(), Some(account)), None)
}

/// All bytes, as text.
pub(crate) fn get(source: &OciSource, location: &str, offset: u64) -> Result<String, FetchError> {
    let mut opened = source.open(&Candidate::at(location), offset)?;
    let mut bytes = String::new();
    opened.reader.read_to_string(&mut bytes).unwrap();
    Ok(bytes)
}

/// The error with which `location` cannot be opened; it says nothing that is secret.
pub(crate) fn refusal(source: &OciSource, location: &str) -> FetchError {
    let error = match source.open(&Candidate::at(location), 0) {
        Ok(_) => panic!("{location} was opened"),
        Err(error) => error,
    };
    let text = text(&error);
    assert!(!text.contains("hush") && !text.contains("cmVh") && !text.contains("T0ken"), "{text}");
    error
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
