//! What was pushed, as people read of it.

use super::{Output, packages, shown, size};
use crate::error::Result;
use crate::ops::Pushed;

impl Output {
    /// Prints what was pushed, or would be.
    pub fn pushed(&self, pushed: &Pushed) -> Result<()> {
        if self.json {
            return self.print_json(pushed);
        }
        self.print(&format!("{}\n", shown(&pushed.index.file.location)))?;
        if self.quiet {
            return Ok(());
        }
        let count = pushed.packages.len() as u64;
        let place = shown(&pushed.to);
        let sent = size(pushed.sent);
        if pushed.pushed {
            let path = shown(&pushed.index.path.display().to_string());
            self.say(format_args!("{} in {place}, {sent} sent; {path} is their index", packages(count)));
            self.say(format_args!(
                "`packets sync {place}:{}` follows this and every later push",
                pushed.index.file.tag
            ));
        } else {
            self.say(format_args!("{} would be in {place}, {sent} would be sent", packages(count)));
        }
        Ok(())
    }
}
