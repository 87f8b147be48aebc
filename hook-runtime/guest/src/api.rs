//! What a script finds: Lua's harmless libraries, and the calls of Packets.
//!
//! Two layers: functions in Rust that never raise an error, handed to
//! `prelude.lua` in one table; and the prelude, which checks arguments, raises
//! errors as Lua itself does (texts with the script's line), and fills the globals.

use std::cell::Cell;

use mlua::{
    AnyUserData, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, LuaOptions, LuaString, MultiValue, Result, StdLib,
    Table, UserData, UserDataFields, UserDataRegistry, Value, chunk::ChunkMode,
};

use crate::door;
use crate::files::{self, Buffering};
use crate::paths;
use crate::wire::{Call, From, Mode, PATH, Start};

/// All of Lua that is loaded besides its base library. The prelude takes the
/// dangerous parts out of `os`, `string` and the base; `io`, `package` and
/// `debug` are never there.
fn libraries() -> StdLib {
    StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH | StdLib::OS
}

const PRELUDE: &str = include_str!("prelude.lua");
const FILE_METHODS: &str = "packets file";
const RUNNER: &str = "packets run";

/// The longest error text that is handed to the host, in bytes.
const ERROR_TEXT: usize = 4 << 10;
/// The longest printed line that is handed to the host, in bytes; it cuts further.
const LOG_TEXT: usize = 32 << 10;
/// By how much `os.clock` moves with each call, in seconds.
const CLOCK_STEP: f64 = 0.001;

/// Why a script did not come to its end.
pub enum Failure {
    /// It does not parse.
    Syntax(String),
    /// It raised an error.
    Script(String),
}

/// A file of `io.open`.
struct File(u32);

impl UserData for File {
    fn register(registry: &mut UserDataRegistry<Self>) {
        for name in ["__index", "__tostring", "__close", "__name"] {
            registry.add_meta_field_with(name, move |lua| {
                lua.named_registry_value::<Table>(FILE_METHODS)?.raw_get::<Value>(name)
            });
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if files::is_open(self.0) {
            // Collected without a close: there is nobody to tell.
            let _ = files::close(0, self.0);
        }
    }
}

/// Makes the interpreter as every script finds it.
pub fn interpreter() -> Result<Lua> {
    let lua = Lua::new_with(libraries(), LuaOptions::default())?;
    let core = core_table(&lua)?;
    let prelude = lua.load(PRELUDE).set_name(door::PRELUDE).set_mode(ChunkMode::Text).into_function()?;
    let (methods, runner) = prelude.call::<(Table, Function)>(core)?;
    lua.set_named_registry_value(FILE_METHODS, methods)?;
    lua.set_named_registry_value(RUNNER, runner)?;
    // The type's metatable is made with its first value.
    drop(lua.create_userdata(File(0))?);
    lua.gc_collect()?;
    lua.gc_collect()?;
    Ok(lua)
}

/// Parses the script; nothing of it runs.
pub fn parse(lua: &Lua, start: &Start<'_>) -> std::result::Result<Function, Failure> {
    let name = format!("@{}", start.script);
    door::name_script(&name);
    let chunk = lua.load(source(start.text.0)).set_name(name).set_mode(ChunkMode::Text);
    chunk.into_function().map_err(|error| {
        Failure::Syntax(match error {
            mlua::Error::SyntaxError { message, .. } => cut(&message, ERROR_TEXT),
            other => cut(&other.to_string(), ERROR_TEXT),
        })
    })
}

/// Runs the script to its end, and writes out its files.
pub fn run(lua: &Lua, start: &Start<'_>) -> std::result::Result<(), Failure> {
    let script = parse(lua, start)?;
    let broken = |error: mlua::Error| Failure::Script(cut(&error.to_string(), ERROR_TEXT));
    let globals = lua.globals();
    let set = |name: &str, value: &str| globals.raw_set(name, value).map_err(broken);
    set("script", start.script)?;
    set("packets_package_dir", start.packages_dir)?;
    set("packets_bin_dir", start.bin_dir)?;
    set("data_dir", start.data_dir)?;
    let [first, second] = start.seed;
    let runner: Function = lua.named_registry_value(RUNNER).map_err(broken)?;
    let message: Option<LuaString> = runner.call((script, first, second)).map_err(broken)?;
    match message {
        Some(message) => Err(Failure::Script(cut_bytes(&message.as_bytes(), ERROR_TEXT))),
        None => files::close_all().map_err(|message| Failure::Script(cut(&message, ERROR_TEXT))),
    }
}

/// The script without a byte order mark and without a first line that begins
/// with `#`, as Lua loads files; lines keep their numbers.
fn source(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.first() != Some(&b'#') {
        return text;
    }
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    &text[end..]
}

fn cut(text: &str, most: usize) -> String {
    cut_bytes(text.as_bytes(), most)
}

fn cut_bytes(text: &[u8], most: usize) -> String {
    if text.len() <= most {
        return String::from_utf8_lossy(text).into_owned();
    }
    // Three bytes more or less may be a broken character at the cut.
    String::from_utf8_lossy(&text[..most]).trim_end_matches('\u{fffd}').to_owned() + "..."
}

/// The functions in Rust. An error is a value: `nil` and a text, or `false` and a text.
fn core_table(lua: &Lua) -> Result<Table> {
    let core = lua.create_table()?;
    add_system(lua, &core)?;
    add_files(lua, &core)?;
    let ticks = Cell::new(0_u32);
    // Deterministic, and it moves, so that a script that waits by it comes to an end.
    define(lua, &core, "clock", move |_, ()| {
        ticks.set(ticks.get().wrapping_add(1));
        f64::from(ticks.get()) * CLOCK_STEP
    })?;
    define(lua, &core, "log", |lua, text: LuaString| {
        let text = cut_bytes(&text.as_bytes(), LOG_TEXT);
        door::call(door::line(lua), Call::Log { text: &text }).is_ok()
    })?;
    define(lua, &core, "where", |lua, ()| door::place(lua))?;
    define(lua, &core, "join", |lua, elements: mlua::Variadic<LuaString>| {
        let elements: Vec<Vec<u8>> = elements.iter().map(|element| element.as_bytes().to_vec()).collect();
        lua.create_string(paths::join(&elements)).ok()
    })?;
    Ok(core)
}

fn add_system(lua: &Lua, core: &Table) -> Result<()> {
    define(lua, core, "remove", |lua, path: LuaString| {
        done(with_text(&path, |path| door::call(door::line(lua), Call::Remove { path })))
    })?;
    define(lua, core, "rename", |lua, (old, new): (LuaString, LuaString)| {
        done(with_texts(&old, &new, |old, new| door::call(door::line(lua), Call::Rename { old, new })))
    })?;
    define(lua, core, "copy", |lua, (source, target): (LuaString, LuaString)| {
        done(with_texts(&source, &target, |source, target| door::call(door::line(lua), Call::Copy { source, target })))
    })?;
    define(lua, core, "symlink", |lua, (target, link): (LuaString, LuaString)| {
        done(with_texts(&target, &link, |target, link| door::call(door::line(lua), Call::Symlink { target, link })))
    })?;
    define(lua, core, "mkdir", |lua, (path, mode): (LuaString, u32)| {
        done(with_text(&path, |path| door::call(door::line(lua), Call::Mkdir { path, mode })))
    })
}

fn add_files(lua: &Lua, core: &Table) -> Result<()> {
    define(lua, core, "open", |lua, (path, mode): (LuaString, LuaString)| {
        let mode = match mode.as_bytes().as_ref() {
            b"r" => Mode::Read,
            b"w" => Mode::Write,
            b"a" => Mode::Append,
            b"r+" => Mode::ReadUpdate,
            b"w+" => Mode::WriteUpdate,
            _ => Mode::AppendUpdate,
        };
        or_nil(with_text(&path, |path| files::open(door::line(lua), path, mode)).map(File))
    })?;
    define(lua, core, "state", |_, value: Value| match number(&value) {
        Some(file) if files::is_open(file) => Some("file"),
        Some(_) => Some("closed file"),
        None => None,
    })?;
    define(lua, core, "number", |_, value: Value| number(&value))?;
    file_call(lua, core, "close", |line, file, ()| files::close(line, file).map(|()| true))?;
    file_call(lua, core, "flush", |line, file, ()| files::flush(line, file).map(|()| true))?;
    file_call(lua, core, "write", |line, file, bytes: LuaString| {
        files::write(line, file, &bytes.as_bytes()).map(|()| true)
    })?;
    file_call(lua, core, "seek", |line, file, (from, offset): (LuaString, i64)| {
        let from = match from.as_bytes().as_ref() {
            b"set" => From::Start,
            b"end" => From::End,
            _ => From::Current,
        };
        files::seek(line, file, from, offset)
    })?;
    file_call(lua, core, "set_buffering", |line, file, buffering: LuaString| {
        let buffering = match buffering.as_bytes().as_ref() {
            b"no" => Buffering::None,
            b"line" => Buffering::Line,
            _ => Buffering::Full,
        };
        files::set_buffering(line, file, buffering).map(|()| true)
    })?;
    file_call(lua, core, "read_line", |line, file, keep_end: bool| {
        files::read_line(line, file, keep_end).map(|found| found.map(Text))
    })?;
    file_call(lua, core, "read_bytes", |line, file, most: i64| {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        files::read_bytes(line, file, most).map(|found| found.map(Text))
    })?;
    file_call(lua, core, "read_numeral", |line, file, ()| files::read_numeral(line, file).map(Text))
}

/// Bytes that become a Lua string.
struct Text(Vec<u8>);

impl IntoLua for Text {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        lua.create_string(self.0).map(Value::String)
    }
}

fn define<A, R>(lua: &Lua, table: &Table, name: &str, function: impl Fn(&Lua, A) -> R + 'static) -> Result<()>
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    table.raw_set(name, lua.create_function(move |lua, arguments| Ok(function(lua, arguments)))?)
}

/// A function whose first argument is an open file.
fn file_call<A, R>(
    lua: &Lua,
    table: &Table,
    name: &str,
    function: impl Fn(u32, u32, A) -> std::result::Result<R, String> + 'static,
) -> Result<()>
where
    A: FromLuaMulti,
    R: IntoLua,
{
    define(lua, table, name, move |lua, mut arguments: MultiValue| {
        let file = arguments.pop_front().as_ref().and_then(number);
        let result = match (file, A::from_lua_multi(arguments, lua)) {
            (Some(file), Ok(arguments)) => function(door::line(lua), file, arguments),
            _ => Err("Invalid argument".to_owned()),
        };
        or_nil(result)
    })
}

/// The number of a file; none for any other value.
fn number(value: &Value) -> Option<u32> {
    let data: &AnyUserData = value.as_userdata()?;
    data.borrow::<File>().ok().map(|file| file.0)
}

/// `true, nil` or `false, message`.
fn done(result: std::result::Result<door::Answer, String>) -> (bool, Option<String>) {
    match result {
        Ok(_) => (true, None),
        Err(message) => (false, Some(message)),
    }
}

/// The value, or `nil, message`.
fn or_nil<T: IntoLua>(result: std::result::Result<T, String>) -> (Option<T>, Option<String>) {
    match result {
        Ok(value) => (Some(value), None),
        Err(message) => (None, Some(message)),
    }
}

fn with_text<T>(
    text: &LuaString,
    act: impl FnOnce(&str) -> std::result::Result<T, String>,
) -> std::result::Result<T, String> {
    let length = text.as_bytes().len();
    if length > PATH {
        return Err(format!("a path of {length} bytes is longer than {PATH}"));
    }
    match str::from_utf8(&text.as_bytes()) {
        Ok(text) => act(text),
        Err(_) => Err(format!("{}: the path is not UTF-8", text.to_string_lossy())),
    }
}

fn with_texts<T>(
    first: &LuaString,
    second: &LuaString,
    act: impl FnOnce(&str, &str) -> std::result::Result<T, String>,
) -> std::result::Result<T, String> {
    with_text(first, |first| with_text(second, |second| act(first, second)))
}
