//! The calls of a worker, whose plugin waits until it is told to go on.

use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use packets_plugin_api::fetch::{Artifact, Candidate, FetchError, FetchErrorKind, FetchSource, Opened};

use super::*;
use crate::plugin::limits::REPLY;

/// Whether those that wait may go on.
static MAY_GO_ON: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Claims all locations; `wait` as soon as it may go on.
#[derive(Debug)]
pub(super) struct Waiting;

impl FetchSource for Waiting {
    fn name(&self) -> &str {
        "made"
    }

    fn claims(&self, location: &str) -> bool {
        if location == "wait" {
            drop(MAY_GO_ON.1.wait_while(MAY_GO_ON.0.lock().unwrap(), |may| !*may).unwrap());
        }
        true
    }

    fn find(&self, _: &Artifact, _: &mut dyn FnMut(Candidate) -> ControlFlow<()>) -> Result<(), FetchError> {
        Ok(())
    }

    fn open(&self, _: &Candidate, _: u64) -> Result<Opened, FetchError> {
        Err(FetchError::new(FetchErrorKind::NotFound, "it is not there"))
    }
}

pub(super) fn make(_: &Settings) -> Result<Waiting, String> {
    Ok(Waiting)
}

struct Worker {
    source: ForeignSource,
    calls: Arc<AtomicUsize>,
}

impl Worker {
    fn new() -> Self {
        Self { source: load::made::plugin().create(&Settings::default()).unwrap(), calls: Arc::default() }
    }

    fn call(&self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        begin_call(theirs, None, &self.source, &self.calls);
        ours
    }

    fn ask(&self, location: &str) -> UnixStream {
        let call = self.call();
        wire::send(&call, &Request::Claims(location.to_owned())).unwrap();
        call
    }
}

#[test]
fn p08_calls_that_hang_up_to_a_bound() {
    let worker = Worker::new();
    let hanging: Vec<_> = (1..CALLS).map(|_| worker.ask("wait")).collect();
    let claims = |call: UnixStream| matches!(wire::receive(&call, REPLY).unwrap(), Reply::Claims(true));
    assert!(claims(worker.ask("x")), "one more is answered");
    // A call counts until its thread has ended.
    while worker.calls.load(Ordering::SeqCst) == CALLS {
        thread::sleep(Duration::from_millis(1));
    }
    let last = worker.ask("wait");
    match wire::receive(&worker.call(), REPLY).unwrap() {
        Reply::Failed { message, .. } => assert!(message.contains("have not come back"), "{message}"),
        other => panic!("{other:?}"),
    }
    *MAY_GO_ON.0.lock().unwrap() = true;
    MAY_GO_ON.1.notify_all();
    for call in hanging.into_iter().chain([last]) {
        assert!(claims(call), "who hung is answered");
    }
    while worker.calls.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(claims(worker.ask("x")), "there is room again");
}

#[test]
fn p09_requests_as_large_as_may_be() {
    let worker = Worker::new();
    // The kind of the request and the length of its text, which has more bytes than any may have.
    let of_size = |size: usize| Request::Claims("x".repeat(size - 5));
    let ask = |size| {
        let call = worker.call();
        // Who refuses the message hangs up before it has all come.
        let _ = wire::send(&call, &of_size(size));
        wire::receive(&call, REPLY)
    };
    assert_eq!(postcard_size(&of_size(REQUEST)), REQUEST);
    assert!(matches!(ask(REQUEST).unwrap(), Reply::Claims(false)), "the plugin is not asked");
    assert!(ask(REQUEST + 1).is_err());
}

fn postcard_size(request: &Request) -> usize {
    let mut bytes = Vec::new();
    wire::send(&mut bytes, request).unwrap();
    bytes.len() - 4
}
