//! A source whose worker answers what a test says, and when.

use std::process::{Command, Stdio};
use std::thread;

use super::*;
use crate::plugin::limits::{REPLY, REQUEST};
use crate::plugin::{Installed, PluginTable};

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(60);
/// Just within what is short, and beyond it.
const RESTS: [(Duration, bool); 2] = [(Duration::from_millis(100), true), (Duration::from_millis(1500), false)];

const PATIENT: Patience = Patience { claim: LONG, find: LONG, open: LONG, read: LONG };

/// A source with this patience, whose calls are answered so.
fn source(patience: Patience, answer: impl Fn(&UnixStream) -> io::Result<()> + Send + 'static) -> PluginSource {
    source_with(patience, move |call, _| answer(call))
}

/// The same, whose answers use the memory that comes with the question.
fn source_with(
    patience: Patience,
    answer: impl Fn(&UnixStream, Option<&File>) -> io::Result<()> + Send + 'static,
) -> PluginSource {
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        while let Ok(handles) = wire::take(&theirs) {
            if handles.is_empty() {
                break;
            }
            let mut handles = handles.into_iter();
            let call = UnixStream::from(handles.next().unwrap());
            let memory = handles.next().map(File::from);
            // Who does not want to know more hangs up.
            let _ = wire::receive::<Request>(&call, REQUEST).and_then(|_| answer(&call, memory.as_ref()));
        }
    });
    let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let plugin = Installed { name: "x".to_owned(), dir: "none".parse().unwrap(), table: PluginTable::default() };
    let state = State { worker: Some(Arc::new(Worker::of(child, ours))), ..State::default() };
    PluginSource { plugin, user_agent: String::new(), program: None, patience, state: Mutex::new(state) }
}

fn opened() -> Reply {
    Reply::Opened { size: None, version: None }
}

fn failed(message: String) -> Reply {
    Reply::Failed { kind: abi::status_of(FetchErrorKind::Denied), message, retry_after_ms: 0 }
}

fn read(source: &PluginSource) -> io::Result<Vec<u8>> {
    let mut came = Vec::new();
    let opened = source.open(&Candidate::at("x:y"), 0).map_err(io::Error::other)?;
    { opened.reader }.read_to_end(&mut came).map(|_| came)
}

fn is_too_late<T>(outcome: Result<T, impl std::error::Error>) {
    let error = outcome.map(|_| ()).unwrap_err();
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(format!("{error}: {cause}").contains("wait too long"), "{error}: {cause}");
}

#[test]
fn p08_each_answer_is_waited_for_and_no_longer() {
    let claim = |rest, is_in_time| {
        let source = source(Patience { claim: SHORT, ..PATIENT }, move |call| {
            thread::sleep(rest);
            wire::send(call, &Reply::Claims(true))
        });
        assert_eq!(source.claims("x:y"), is_in_time);
    };
    let find = |rest, is_in_time| {
        let source = source(Patience { find: SHORT, ..PATIENT }, move |call| {
            for _ in 0..6 {
                thread::sleep(rest);
                wire::send(call, &Reply::Candidate { location: "x:y".to_owned(), size: None })?;
            }
            wire::send(call, &Reply::End)
        });
        let want = packets_plugin_api::conformance::fetch::artifact(&[]);
        let mut found = 0;
        let outcome = source.find(&want, &mut |_| {
            found += 1;
            ControlFlow::Continue(())
        });
        if is_in_time {
            outcome.unwrap();
            assert_eq!(found, 6, "each place has the time for itself");
        } else {
            is_too_late(outcome);
        }
    };
    let open = |rest, is_in_time| {
        let source = source(Patience { open: SHORT, ..PATIENT }, move |call| {
            thread::sleep(rest);
            wire::send(call, &opened())
        });
        let outcome = source.open(&Candidate::at("x:y"), 0);
        if is_in_time { drop(outcome.unwrap()) } else { is_too_late(outcome) }
    };
    thread::scope(|scope| {
        for (rest, is_in_time) in RESTS {
            scope.spawn(move || claim(rest, is_in_time));
            scope.spawn(move || find(rest, is_in_time));
            scope.spawn(move || open(rest, is_in_time));
        }
    });
}

#[test]
fn p08_the_next_bytes_are_waited_for_and_no_longer() {
    let parts = || {
        let mut last = Vec::new();
        wire::send(&mut last, &Reply::End).unwrap();
        [vec![3, 0], vec![0, 0], vec![0], vec![0; 3], last]
    };
    let read_with = |rests: [Duration; 5]| {
        let source = source_with(Patience { read: SHORT, ..PATIENT }, move |mut call, memory| {
            memory.unwrap().write_all_at(b"abc", 0)?;
            wire::send(call, &opened())?;
            for (rest, part) in rests.into_iter().zip(parts()) {
                thread::sleep(rest);
                io::Write::write_all(&mut call, &part)?;
            }
            Ok(())
        });
        read(&source)
    };
    let [(within, _), (beyond, _)] = RESTS;
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(read_with([within; 5]).unwrap(), b"abc", "each part has the time for itself"));
        for late in 0..5 {
            scope.spawn(move || {
                let mut rests = [Duration::ZERO; 5];
                rests[late] = beyond;
                let error = read_with(rests).unwrap_err();
                assert!(error.to_string().contains("wait too long"), "{late}: {error}");
            });
        }
    });
}

#[test]
fn p09_chunks_up_to_a_bound() {
    let with_chunk = |size: usize| {
        let source = source_with(PATIENT, move |mut call, memory| {
            wire::send(call, &opened())?;
            memory.unwrap().write_all_at(&[7; CHUNK], 0)?;
            let length = u32::try_from(size).unwrap().to_le_bytes();
            io::Write::write_all(&mut call, &[&length[..], &[0; 4]].concat())?;
            wire::send(call, &Reply::End)
        });
        read(&source)
    };
    assert_eq!(with_chunk(CHUNK).unwrap(), [7; CHUNK]);
    let error = with_chunk(CHUNK + 1).unwrap_err();
    assert!(error.to_string().contains("a chunk of 262145 bytes"), "{error}");
}

#[test]
fn each_slot_is_given_back_once_it_has_been_taken() {
    let source = source_with(PATIENT, move |mut call, memory| {
        let memory = memory.unwrap();
        wire::send(call, &opened())?;
        for number in 0..3 * SLOTS {
            if number >= SLOTS {
                call.read_exact(&mut [0])?;
            }
            memory.write_all_at(&[u8::try_from(number).unwrap(); 100], (number % SLOTS * CHUNK) as u64)?;
            io::Write::write_all(&mut call, &100_u32.to_le_bytes())?;
        }
        io::Write::write_all(&mut call, &[0; 4])?;
        wire::send(call, &Reply::End)
    });
    let expected: Vec<u8> = (0..3 * SLOTS).flat_map(|number| [u8::try_from(number).unwrap(); 100]).collect();
    assert_eq!(read(&source).unwrap(), expected);
}

/// It can take away nothing that the host looks at, and what it changes later the host does not see.
#[test]
fn p09_shared_memory_keeps_its_size_and_is_read_once() {
    let source = source_with(PATIENT, move |mut call, memory| {
        let memory = memory.unwrap();
        assert!(memory.set_len(0).is_err() && memory.set_len(1 << 30).is_err());
        memory.write_all_at(b"first", 0)?;
        wire::send(call, &opened())?;
        io::Write::write_all(&mut call, &5_u32.to_le_bytes())?;
        call.read_exact(&mut [0])?;
        memory.write_all_at(b"later", 0)?;
        io::Write::write_all(&mut call, &[0; 4])?;
        wire::send(call, &Reply::End)
    });
    assert_eq!(read(&source).unwrap(), b"first");
}

/// One that never takes a slot back keeps nobody waiting but for what it gives.
#[test]
fn p08_a_worker_that_takes_no_slot_back() {
    let source = source_with(PATIENT, move |mut call, _| {
        wire::send(call, &opened())?;
        for _ in 0..10_000 {
            io::Write::write_all(&mut call, &1_u32.to_le_bytes())?;
        }
        io::Write::write_all(&mut call, &[0; 4])?;
        wire::send(call, &Reply::End)
    });
    assert_eq!(read(&source).unwrap(), vec![0; 10_000]);
}

#[test]
fn p09_replies_as_large_as_may_be() {
    let with_reply = |size: usize| {
        let overhead = {
            let mut bytes = Vec::new();
            wire::send(&mut bytes, &failed("x".repeat(size))).unwrap();
            bytes.len() - 4 - size
        };
        let source = source(PATIENT, move |call| wire::send(call, &failed("x".repeat(size - overhead))));
        let error = source.open(&Candidate::at("x:y"), 0).map(|_| ()).unwrap_err();
        (error.kind, std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
    };
    assert_eq!(with_reply(REPLY), (FetchErrorKind::Denied, String::new()));
    let (kind, cause) = with_reply(REPLY + 1);
    assert_eq!(kind, FetchErrorKind::Unreachable);
    assert!(cause.contains("a message of 65537 bytes, where 65536 are allowed"), "{cause}");
}

#[test]
fn p09_no_request_is_larger_than_a_worker_takes() {
    let source = source(PATIENT, |call| wire::send(call, &Reply::Claims(true)));
    let worker = source.worker().unwrap();
    // The kind of the request and the length of its text.
    let ask = |size: usize| worker.ask(&Request::Claims("x".repeat(size - 5)), None);
    let call = ask(REQUEST).unwrap();
    assert!(matches!(worker.receive(&call, LONG).unwrap(), Reply::Claims(true)));
    let error = ask(REQUEST + 1).unwrap_err();
    assert!(error.to_string().contains("a message of 4194305 bytes, where 4194304 are allowed"), "{error}");
}
