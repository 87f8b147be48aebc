//! The one door: every call to the host goes through [`call`].

use std::cell::RefCell;

use mlua::Lua;

use crate::wire::{self, Call, DENIED_PREFIX, Failure, Request, Response};

/// The way out.
mod import {
    #[link(wasm_import_module = "packets")]
    unsafe extern "C" {
        fn call(request: *const u8, length: usize, response: *mut u8, capacity: usize) -> i32;
    }

    /// Sends `request`; the response stands at the start of `response` afterwards.
    pub(super) fn send(request: &[u8], response: &mut [u8]) -> usize {
        // SAFETY: both ranges are valid for the call, and the host keeps to them.
        let length = unsafe { call(request.as_ptr(), request.len(), response.as_mut_ptr(), response.len()) };
        usize::try_from(length).unwrap_or(0)
    }
}

thread_local! {
    /// What `@` and the script's name stand for in the interpreter, to find its lines.
    static SCRIPT: RefCell<String> = const { RefCell::new(String::new()) };
    /// Kept for the next call, so that small calls allocate nothing.
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// The chunk name of the prelude.
pub const PRELUDE: &str = "=packets";
/// How far up the stack the script's own line is looked for.
const LEVELS: usize = 32;

/// What the host answered, in the guest's own memory.
pub enum Answer {
    /// It is done.
    Done,
    /// A file's number.
    File(u32),
    /// Bytes that were read.
    Data(Vec<u8>),
    /// A place in a file.
    Place(u64),
}

/// Names the script's chunk.
pub fn name_script(chunk: &str) {
    SCRIPT.set(chunk.to_owned());
}

/// The line of the script that is running; 0 where unknown.
pub fn line(lua: &Lua) -> u32 {
    SCRIPT.with_borrow(|script| {
        for level in 1..LEVELS {
            let found = lua.inspect_stack(level, |debug| {
                let ours = debug.source().source.is_some_and(|source| source == script.as_str());
                ours.then(|| debug.current_line()).flatten()
            });
            match found {
                None => return 0,
                Some(Some(line)) => return u32::try_from(line).unwrap_or(0),
                Some(None) => {}
            }
        }
        0
    })
}

/// Where Lua code outside the prelude is running, as Lua's own errors begin; "" where unknown.
pub fn place(lua: &Lua) -> String {
    for level in 1..LEVELS {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let line = debug.current_line()?;
            let name = source.short_src?;
            (source.source? != PRELUDE).then(|| format!("{name}:{line}: "))
        });
        match found {
            None => return String::new(),
            Some(Some(place)) => return place,
            Some(None) => {}
        }
    }
    String::new()
}

/// Asks the host. The error is the text for the script.
pub fn call(line: u32, call: Call<'_>) -> Result<Answer, String> {
    let (request, response) = BUFFERS.take();
    let mut request = request;
    request.clear();
    let capacity = match call {
        Call::Read { .. } => wire::RESPONSE + wire::CHUNK,
        _ => wire::RESPONSE,
    };
    let Some(request) = wire::encode(&Request { line, call }, request) else {
        return Err("the request is too large".to_owned());
    };
    let mut response = response;
    if response.len() < capacity {
        response.resize(capacity, 0);
    }
    let length = import::send(&request, &mut response).min(response.len());
    let answer = match wire::decode::<Response<'_>>(&response[..length]) {
        Some(Response::Done) => Ok(Answer::Done),
        Some(Response::File(file)) => Ok(Answer::File(file)),
        Some(Response::Data(bytes)) => Ok(Answer::Data(bytes.0.to_vec())),
        Some(Response::Place(place)) => Ok(Answer::Place(place)),
        Some(Response::Failed { kind: Failure::Denied, message }) if !message.starts_with(DENIED_PREFIX) => {
            Err(format!("{DENIED_PREFIX}{message}"))
        }
        Some(Response::Failed { message, .. }) => Err(message.to_owned()),
        None => Err("the answer of the host cannot be read".to_owned()),
    };
    BUFFERS.set((request, response));
    answer
}
