//! Hook runner: Lua in the sandbox.
//!
//! Everything that matters is in [`packets_hook_runtime::engine`]: this crate
//! gives it the name under which it is registered.

use std::sync::Arc;

use packets_hook_runtime::engine;
use packets_plugin_api::hook::{
    Grant, HookCall, HookError, HookLimits, HookLog, HookRunner, HookSource, HookUsage, StagedView,
};
use packets_plugin_api::registry::{DuplicateName, Plugin, Registry};

/// The runner's name in the registry.
const NAME: &str = "lua";
/// The ending of the names of its hooks.
const ENDING: &str = ".lua";

/// Registers the runner for hooks whose names end in `.lua`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LuaPlugin;

impl Plugin for LuaPlugin {
    fn register(&self, registry: &mut Registry) -> Result<(), DuplicateName> {
        registry.add_hooks(NAME, |limits| Arc::new(LuaRunner { limits: *limits }))
    }
}

/// Runs Lua hooks, each in a sandbox of its own.
#[derive(Debug, Clone, Copy)]
pub struct LuaRunner {
    limits: HookLimits,
}

impl HookRunner for LuaRunner {
    fn name(&self) -> &str {
        NAME
    }

    fn handles(&self, hook: &HookSource) -> bool {
        hook.name.as_str().ends_with(ENDING)
    }

    fn check(&self, hook: &HookSource) -> Result<(), HookError> {
        engine::check(hook, &self.limits)
    }

    fn run(
        &self,
        hook: &HookSource,
        call: &HookCall,
        _grant: &Grant,
        view: &mut dyn StagedView,
        log: &mut dyn HookLog,
    ) -> Result<HookUsage, HookError> {
        engine::run(hook, call, &self.limits, view, log)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use packets_plugin_api::hook::HookErrorKind;

    use super::*;

    fn runner() -> Arc<dyn HookRunner> {
        let mut registry = Registry::default();
        LuaPlugin.register(&mut registry).unwrap();
        let (name, factory) = registry.hooks().next().unwrap();
        assert_eq!(name, "lua");
        let second = Duration::from_secs(1);
        factory(&HookLimits { memory: 16 << 20, cpu: second, wall: second })
    }

    fn hook(name: &str, text: &str) -> HookSource {
        HookSource { name: name.parse().unwrap(), text: text.into() }
    }

    #[test]
    fn handles_only_lua() {
        assert!(runner().handles(&hook("scripts/install.lua", "")));
        for name in ["install.sh", "install.luac", "lua", "install.lua.txt"] {
            assert!(!runner().handles(&hook(name, "")), "{name}");
        }
    }

    #[test]
    fn check_only_parses() {
        runner().check(&hook("install.lua", "error('not run')")).unwrap();
        let error = runner().check(&hook("install.lua", "\nx = ")).unwrap_err();
        assert_eq!(error.kind, HookErrorKind::Syntax);
        assert_eq!(error.message, "install.lua:2: unexpected symbol near <eof>");
    }

    #[test]
    fn a_second_registration_is_refused() {
        let mut registry = Registry::default();
        LuaPlugin.register(&mut registry).unwrap();
        assert!(LuaPlugin.register(&mut registry).is_err());
    }
}
