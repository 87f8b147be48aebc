//! The one place where somebody else's code is loaded.
#![allow(unsafe_code, reason = "dlopen, and the entry of a plugin")]

use std::os::fd::{AsRawFd, BorrowedFd};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use packets_plugin_api::native::ENTRY;
use packets_plugin_api::native::abi::Entry;
use packets_plugin_api::native::foreign::ForeignPlugin;

/// Loads the library that lies behind a handle; it is never unloaded (P10).
pub(super) fn load(library: BorrowedFd<'_>) -> Result<ForeignPlugin, String> {
    let path = format!("/proc/self/fd/{}", library.as_raw_fd());
    // SAFETY: the library's constructors run here. The host has checked whose file it was and that its SHA-256 is the
    // approved one; this process has given up what it could, and nothing of the host's lies in it.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| format!("it cannot be loaded: {}", one_line(&error)))?;
    // SAFETY: the header says what this symbol is; a library that lies harms only this process.
    let entry: Entry =
        unsafe { *library.get::<Entry>(ENTRY).map_err(|error| format!("it has no {ENTRY}: {}", one_line(&error)))? };
    // What it gives out points into it.
    std::mem::forget(library);
    // SAFETY: as above; it is never unloaded.
    unsafe { ForeignPlugin::load(entry) }.map_err(|refused| refused.to_string())
}

fn one_line(error: &libloading::Error) -> String {
    crate::fetch::one_line(error)
}

/// A plugin that is part of this program.
#[cfg(test)]
pub(super) mod made {
    use std::ffi::c_void;

    use packets_plugin_api::native::abi::{Call, FetchTable, PluginTable, SettingsTable};
    use packets_plugin_api::native::export;

    use super::ForeignPlugin;
    use crate::plugin::worker::tests::make;

    unsafe extern "C" fn create(call: *const Call, settings: *const SettingsTable, source: *mut *mut c_void) -> i32 {
        // SAFETY: passed on as it is.
        unsafe { export::create(call, settings, source, make) }
    }

    static FETCH: FetchTable = export::fetch_table(create);
    static PLUGIN: PluginTable = export::plugin_table("made", "1", &FETCH);

    extern "C" fn entry() -> *const PluginTable {
        &PLUGIN
    }

    pub(in crate::plugin::worker) fn plugin() -> ForeignPlugin {
        // SAFETY: the tables live as long as the program.
        unsafe { ForeignPlugin::load(entry) }.unwrap()
    }
}
