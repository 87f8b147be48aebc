//! The asynchronous client in a thread of its own, for callers that wait.
//!
//! Nobody waits for it to begin: what is asked meanwhile waits in its queue. The client of reqwest that blocks makes
//! its maker wait until it stands, which is as long as a question to a server that is near.

use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{StatusCode, Url};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use crate::Options;
use crate::client::{self, Connector};

/// What is asked: an address, and the headers beside those of all requests.
pub(crate) type Question = (Url, Vec<(HeaderName, String)>);
type Outcome = Result<reqwest::Response, Failure>;
type Job = (Question, oneshot::Sender<Outcome>);

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no client.
    Setup(String),
    /// The request failed; with it, why no certificate can be checked, where that is so.
    Request(reqwest::Error, Option<String>),
    /// Nothing came in time.
    Silence,
}

/// See the module. Its thread ends when this and all replies are gone.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    jobs: Arc<mpsc::UnboundedSender<Job>>,
    idle_timeout: Duration,
}

impl Worker {
    /// Begins, with or without certificates.
    pub(crate) fn begin(options: &Options, is_secure: bool) -> Result<Self, String> {
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (idle_timeout, options) = (options.idle_timeout, options.clone());
        let run = move || run(&options, is_secure, waiting);
        thread::Builder::new().name("http".to_owned()).spawn(run).map_err(|error| error.to_string())?;
        Ok(Self { jobs: Arc::new(jobs), idle_timeout })
    }

    /// Sends a `GET`.
    pub(crate) fn ask(&self, question: Question) -> Asked {
        let (sender, receiver) = oneshot::channel();
        // Where the thread has ended the sender is dropped, and the receiver knows.
        let _ = self.jobs.send((question, sender));
        Asked { receiver, worker: self.clone() }
    }
}

/// A request that is on its way; it is taken back where this is dropped.
pub(crate) struct Asked {
    receiver: oneshot::Receiver<Outcome>,
    worker: Worker,
}

impl Asked {
    /// Its reply, of any status.
    pub(crate) fn reply(self) -> Result<Reply, Failure> {
        let outcome = wait(self.receiver, self.worker.idle_timeout).ok_or(Failure::Silence)?;
        let response = outcome.map_err(|_| Failure::Setup("its thread has ended".to_owned()))??;
        Ok(Reply { response, came: Vec::new().into(), worker: self.worker })
    }
}

fn run(options: &Options, is_secure: bool, mut waiting: mpsc::UnboundedReceiver<Job>) {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string());
    let made = runtime.and_then(|runtime| {
        let connector = if is_secure { Connector::secure(options) } else { Connector::plain(options) };
        connector.map(|connector| (runtime, connector))
    });
    match made {
        Ok((runtime, connector)) => runtime.block_on(async {
            while let Some((question, reply)) = waiting.recv().await {
                tokio::spawn(answer(connector.clone(), question, reply));
            }
        }),
        Err(problem) => {
            while let Some((_, reply)) = waiting.blocking_recv() {
                // Who has gone needs no answer.
                let _ = reply.send(Err(Failure::Setup(problem.clone())));
            }
        }
    }
}

/// Asks, as long as somebody waits for it.
async fn answer(connector: Connector, (url, headers): Question, mut reply: oneshot::Sender<Outcome>) {
    let request =
        headers.into_iter().fold(connector.client.get(url), |request, (name, value)| request.header(name, value));
    let mut asking = pin!(request.send());
    let outcome = poll_fn(|context| match asking.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => reply.poll_closed(context).map(|()| None),
    });
    if let Some(outcome) = outcome.await {
        let _ = reply.send(outcome.map_err(|error| Failure::Request(error, connector.without_roots)));
    }
}

/// A reply, whose body is read as it comes.
pub(crate) struct Reply {
    response: reqwest::Response,
    /// What came and was not read yet.
    came: bytes::Bytes,
    worker: Worker,
}

impl Reply {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }
}

impl Read for Reply {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.came.is_empty() && !buffer.is_empty() {
            let silence = || io::Error::other(client::Silence);
            match wait(self.response.chunk(), self.worker.idle_timeout).ok_or_else(silence)? {
                Ok(Some(bytes)) => self.came = bytes,
                Ok(None) => return Ok(0),
                Err(error) => return Err(io::Error::other(error.without_url())),
            }
        }
        let length = self.came.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.came.split_to(length));
        Ok(length)
    }
}

/// Wakes the thread that waits.
struct Waiting(Thread);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What the other thread makes come true; none where that takes longer than this.
fn wait<F: Future>(future: F, time: Duration) -> Option<F::Output> {
    let begun = Instant::now();
    let waker = Waker::from(Arc::new(Waiting(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(outcome);
        }
        thread::park_timeout(time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero())?);
    }
}
