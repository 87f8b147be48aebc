//! The plugins that are compiled in: the only file that names a plugin crate.

use packets_plugin_api::registry::{DuplicateName, Plugin, Registry};

/// A registry with everything that is shipped.
///
/// # Errors
/// Two plugins of the same kind and name.
pub fn registry() -> Result<Registry, DuplicateName> {
    let mut registry = Registry::default();
    let shipped: [&dyn Plugin; 6] = [
        &packets_plugin_file::FilePlugin,
        &packets_plugin_http::HttpPlugin,
        &packets_plugin_lan::LanPlugin,
        &packets_plugin_lua::LuaPlugin,
        &packets_plugin_oci::OciPublish,
        &packets_plugin_sqlite::SqlitePlugin,
    ];
    for plugin in shipped {
        plugin.register(&mut registry)?;
    }
    Ok(registry)
}
