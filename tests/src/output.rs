//! What a run of the program said.

use std::process::ExitStatus;

use packets_plugin_api::ident::acts_on_terminal;

use crate::schema::Schemas;

/// The end of one run.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; 128 + n for signal n.
    pub code: i32,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
    command: String,
}

impl Output {
    pub(crate) fn new(command: String, status: ExitStatus, stdout: &[u8], stderr: &[u8]) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let output = Self { code, stdout: text(stdout), stderr: text(stderr), command };
        // Whatever comes in: no panic, no abort, no segmentation fault.
        assert!(![101, 134, 139].contains(&code) && !output.stderr.contains("panicked at"), "it crashed: {output}");
        output.is_clean();
        output
    }

    /// Nothing of it may act on a terminal, wherever its text came from; JSON escapes in its own way.
    fn is_clean(&self) {
        let is_json = self.stdout.starts_with(['{', '[']);
        let shown = [&self.stderr, &self.stdout].into_iter().take(if is_json { 1 } else { 2 });
        for text in shown {
            // Lua's print puts tabs between what it is given.
            let acting = text.chars().find(|c| !matches!(c, '\n' | '\t') && acts_on_terminal(*c));
            assert_eq!(acting, None, "this acts on a terminal, in\n{self}");
        }
    }

    /// The end of a run that a test has begun itself.
    pub fn of(command: &str, output: &std::process::Output) -> Self {
        Self::new(command.to_owned(), output.status, &output.stdout, &output.stderr)
    }

    /// The run must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self}");
        self
    }

    /// The run must have failed with this exit code, and with an error that people can read.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        assert!(self.stderr.contains("error: "), "{self}");
        self
    }

    /// Its stderr must hold this.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.stderr.contains(part), "{part:?} is not in the errors of\n{self}");
        self
    }

    /// Its stdout must hold this.
    #[track_caller]
    pub fn prints(self, part: &str) -> Self {
        assert!(self.stdout.contains(part), "{part:?} is not in the output of\n{self}");
        self
    }

    /// Its stdout, which must be JSON, and what the schema of its command says.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let value = match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}): {self}"),
        };
        if let Some(fault) = Schemas::get().fault(&self.command, &value) {
            panic!("{fault}\n{self}");
        }
        value
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\nexit code {}\n--- stdout\n{}--- stderr\n{}", self.command, self.code, self.stdout, self.stderr)
    }
}
