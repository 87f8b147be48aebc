//! The plugins that are compiled in: the only file that names a plugin crate. Each source can be left out, by a
//! feature of cargo with its name.

use packets_plugin_api::registry::{DuplicateName, Plugin, Registry};

/// A registry with everything that is shipped.
///
/// # Errors
/// Two plugins of the same kind and name.
pub fn registry() -> Result<Registry, DuplicateName> {
    let mut registry = Registry::default();
    let shipped: &[&dyn Plugin] = &[
        #[cfg(feature = "file")]
        &packets_plugin_file::FilePlugin,
        #[cfg(feature = "http")]
        &packets_plugin_http::HttpPlugin,
        #[cfg(feature = "lan")]
        &packets_plugin_lan::LanPlugin,
        &packets_plugin_lua::LuaPlugin,
        #[cfg(feature = "oci")]
        &packets_plugin_oci::OciPublish,
        &packets_plugin_sqlite::SqlitePlugin,
    ];
    for plugin in shipped {
        plugin.register(&mut registry)?;
    }
    Ok(registry)
}

/// A source that is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// Its name, and that of its feature.
    pub name: &'static str,
    /// What locations begin with that no other shipped source understands.
    pub begins: &'static [&'static str],
    /// Whether it is in this program.
    pub is_here: bool,
}

/// All sources that are shipped.
pub const SOURCES: [Shipped; 3] = [
    Shipped { name: "file", begins: &["/", "file:"], is_here: cfg!(feature = "file") },
    Shipped { name: "http", begins: &["http://", "https://"], is_here: cfg!(feature = "http") },
    Shipped { name: "lan", begins: &[], is_here: cfg!(feature = "lan") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_that_are_here_are_registered() {
        let registry = registry().unwrap();
        let here: Vec<&str> = SOURCES.iter().filter(|source| source.is_here).map(|source| source.name).collect();
        assert_eq!(registry.fetch_names().collect::<Vec<_>>(), here);
        for source in SOURCES.iter().filter(|source| source.is_here && !source.begins.is_empty()) {
            let made = registry.fetch(source.name).unwrap()(&Default::default());
            for begin in source.begins {
                let location = format!("{begin}{}", if *begin == "file:" { "///x" } else { "x/y" });
                assert!(made.claims(&location), "{location}");
            }
        }
    }
}
