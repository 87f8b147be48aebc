//! Hook runner: Lua in the sandbox.
