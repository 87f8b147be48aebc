-- What scripts find, in Lua. It keeps what it uses in locals, so that nothing a
-- script does to the globals changes how the calls behave.

local core = ...
local error, pcall, select, tonumber, tostring, type = error, pcall, select, tonumber, tostring, type
local load, collectgarbage = load, collectgarbage
local concat, pack, unpack = table.concat, table.pack, table.unpack
local byte, find, format, sub = string.byte, string.find, string.format, string.sub
local tointeger, number_type, randomseed = math.tointeger, math.type, math.randomseed

-- Raises an error with the script's own line before it.
local function raise(message, ...)
  error(core.where() .. format(message, ...), 0)
end

local function kind_of(value)
  return value == nil and "no value" or type(value)
end

local function text(position, name, value)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return tostring(value) end
  raise("bad argument #%d to '%s' (string expected, got %s)", position, name, kind_of(value))
end

local function integer(position, name, value)
  local number = type(value) == "string" and tonumber(value) or value
  if type(number) ~= "number" then
    raise("bad argument #%d to '%s' (number expected, got %s)", position, name, kind_of(value))
  end
  local whole = tointeger(number)
  if not whole then raise("bad argument #%d to '%s' (number has no integer representation)", position, name) end
  return whole
end

-- os -----------------------------------------------------------------------

local time, date, difftime = os.time, os.date, os.difftime

os = {
  time = time,
  date = date,
  difftime = difftime,
  clock = function() return (core.clock()) end,
}

function os.remove(path)
  return core.remove(text(1, "remove", path))
end

function os.rename(old, new)
  return core.rename(text(1, "rename", old), text(2, "rename", new))
end

function os.copy(source, target)
  return core.copy(text(1, "copy", source), text(2, "copy", target))
end

function os.symlink(target, link)
  return core.symlink(text(1, "symlink", target), text(2, "symlink", link))
end

function os.mkdir(path, mode)
  path = text(1, "mkdir", path)
  mode = integer(2, "mkdir", mode == nil and 493 or mode) -- 0755
  if mode < 0 or mode > 4095 then
    return false, format("%s: the mode %d is not one of 0 to 07777", path, mode)
  end
  return core.mkdir(path, mode)
end

function path_join(...)
  local parts = pack(...)
  for position = 1, parts.n do
    parts[position] = text(position, "path_join", parts[position])
  end
  return core.join(unpack(parts, 1, parts.n))
end

function print(...)
  local parts = pack(...)
  for position = 1, parts.n do
    parts[position] = tostring(parts[position])
  end
  core.log(concat(parts, "\t", 1, parts.n))
end

-- io -----------------------------------------------------------------------

local methods = {}

-- Raises an error where `file` is not an open file.
local function check(file, name)
  local state = core.state(file)
  if not state then raise("bad argument #1 to '%s' (FILE* expected, got %s)", name, kind_of(file)) end
  if state == "closed file" then raise("attempt to use a closed file") end
end

-- One value, or nil and a message.
local function one(value, message)
  if message then return nil, message end
  return value
end

-- One value, as `formats[position]` asks; nil at the end of the file.
local function read_one(file, wanted, position, name)
  if type(wanted) == "number" then
    return core.read_bytes(file, integer(position, name, wanted))
  end
  wanted = text(position, name, wanted)
  local letter = byte(wanted, byte(wanted) == 42 and 2 or 1)
  if letter == 108 then -- l
    return core.read_line(file, false)
  elseif letter == 76 then -- L
    return core.read_line(file, true)
  elseif letter == 110 then -- n
    local numeral, message = core.read_numeral(file)
    return numeral and tonumber(numeral), message
  elseif letter == 97 then -- a
    local all, message = core.read_bytes(file, -1)
    if message then return nil, message end
    return all or ""
  end
  raise("bad argument #%d to '%s' (invalid format)", position, name)
end

local function read(file, formats, name)
  if formats.n == 0 then return one(core.read_line(file, false)) end
  local values = {}
  for position = 1, formats.n do
    local value, message = read_one(file, formats[position], position, name)
    if message then return nil, message end
    values[position] = value
    if value == nil then return unpack(values, 1, position) end
  end
  return unpack(values, 1, formats.n)
end

function methods.read(file, ...)
  check(file, "read")
  local values = pack(read(file, pack(...), "read"))
  return unpack(values, 1, values.n)
end

function methods.lines(file, ...)
  check(file, "lines")
  local formats = pack(...)
  if formats.n > 250 then raise("bad argument #252 to 'lines' (too many arguments)") end
  return function()
    if core.state(file) ~= "file" then raise("file is already closed") end
    local values = pack(read(file, formats, "lines"))
    if values[1] == nil and values[2] ~= nil then raise("%s", values[2]) end
    return unpack(values, 1, values.n)
  end
end

function methods.write(file, ...)
  check(file, "write")
  for position = 1, select("#", ...) do
    local value = (select(position, ...))
    local kind = type(value)
    if kind == "number" then
      value = number_type(value) == "integer" and format("%d", value) or format("%.14g", value)
    elseif kind ~= "string" then
      raise("bad argument #%d to 'write' (string expected, got %s)", position, kind)
    end
    local done, message = core.write(file, value)
    if not done then return nil, message end
  end
  return file
end

function methods.seek(file, whence, offset)
  check(file, "seek")
  whence = whence == nil and "cur" or text(1, "seek", whence)
  offset = offset == nil and 0 or integer(2, "seek", offset)
  if whence ~= "set" and whence ~= "cur" and whence ~= "end" then
    raise("bad argument #1 to 'seek' (invalid option '%s')", whence)
  end
  return one(core.seek(file, whence, offset))
end

function methods.setvbuf(file, mode, size)
  check(file, "setvbuf")
  mode = text(1, "setvbuf", mode)
  if size ~= nil then integer(2, "setvbuf", size) end
  if mode ~= "no" and mode ~= "line" and mode ~= "full" then
    raise("bad argument #1 to 'setvbuf' (invalid option '%s')", mode)
  end
  return one(core.set_buffering(file, mode))
end

function methods.flush(file)
  check(file, "flush")
  return one(core.flush(file))
end

function methods.close(file)
  check(file, "close")
  return one(core.close(file))
end

local metatable = {
  __index = methods,
  __name = "FILE*",
  __tostring = function(file)
    if core.state(file) == "closed file" then return "file (closed)" end
    return format("file (0x%08x)", core.number(file) or 0)
  end,
  __close = function(file)
    if core.state(file) == "file" then core.close(file) end
  end,
}

io = {}

function io.open(path, mode)
  path = text(1, "open", path)
  mode = mode == nil and "r" or text(2, "open", mode)
  if not find(mode, "^[rwa]%+?b*$") then
    raise("bad argument #2 to 'open' (invalid mode)")
  end
  local update = byte(mode, 2) == 43
  local file, message = core.open(path, sub(mode, 1, update and 2 or 1))
  if file then return file end
  return nil, message
end

function io.type(value)
  return core.state(value)
end

function io.close(file)
  check(file, "close")
  return one(core.close(file))
end

-- The base library -----------------------------------------------------------

dofile, loadfile, warn, require, package, debug = nil, nil, nil, nil, nil, nil
string.dump = nil

-- Text only: byte code is not checked by Lua.
_G.load = function(chunk, name, mode, ...)
  if mode ~= nil and not find(text(3, "load", mode), "t", 1, true) then
    return nil, "attempt to load a chunk that is not text (only text is loaded here)"
  end
  return load(chunk, name, "t", ...)
end

-- Nothing that would let memory grow without need.
_G.collectgarbage = function(option, argument)
  option = option == nil and "collect" or text(1, "collectgarbage", option)
  if option == "count" or option == "collect" then return collectgarbage(option) end
  if option == "step" then return collectgarbage("step") end
  raise("bad argument #1 to 'collectgarbage' (invalid option '%s')", option)
end

-- How a script is run ----------------------------------------------------------

-- Runs `script`; its error as a text, or nothing.
local function run(script, first, second)
  randomseed(first, second)
  local done, problem = pcall(script)
  if done then return nil end
  if type(problem) == "string" or type(problem) == "number" then return tostring(problem) end
  if type(problem) == "nil" then return "nil" end
  local shown, message = pcall(tostring, problem)
  if type(problem) == "table" and not (shown and find(message, "^table: ") == nil) then
    return "(error object is a table value)"
  end
  return shown and message or format("(error object is a %s value)", type(problem))
end

return metatable, run
