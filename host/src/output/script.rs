//! What is written for other programs.

use std::path::Path;

use super::Output;
use crate::error::Result;

impl Output {
    /// Prints the script that a shell completes words by.
    pub fn script(&self, shell: &str, script: &str) -> Result<()> {
        if self.json {
            return self.print_json(&serde_json::json!({ "shell": shell, "script": script }));
        }
        self.print(script)
    }

    /// Prints where the manual's pages are; the first is the program's own.
    pub fn manual(&self, folder: &Path, pages: &[String]) -> Result<()> {
        if self.json {
            return self.print_json(&serde_json::json!({ "folder": folder, "pages": pages }));
        }
        let first = pages.first().map(|page| format!("{}\n", folder.join(page).display()));
        self.print(&first.unwrap_or_default())
    }
}
