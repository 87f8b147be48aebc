//! What a package's hooks may reach: never more than somebody approved.

use std::cell::OnceCell;
use std::collections::HashMap;

use packets_hook_runtime::sandbox::{self, DefaultAllow, GrantError, Places, Right};
use packets_plugin_api::hook::{Denial, Grant};
use packets_plugin_api::ident::{Family, PackageName};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::storage::{Approval, Storage};

use crate::config::Sandbox;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Permissions;
use crate::ops::ExtraGrant;
use crate::report::{Events, Permission};

/// Everything that approves.
pub struct Approvals<'a> {
    /// The config.
    pub sandbox: &'a Sandbox,
    /// `--grant`.
    pub extra: &'a [ExtraGrant],
    /// The folder for programs, canonical.
    pub bin_dir: &'a RelPath,
    /// The program's own things, which nobody can grant.
    pub places: &'a Places,
    /// The config in use, for messages.
    pub config: &'a str,
    /// Who is asked at a terminal.
    pub events: &'a dyn Events,
    /// A dry run goes on with what is asked for, and says so.
    pub dry_run: bool,
    /// What somebody has approved before.
    pub stored: StoredGrants<'a>,
    /// The config's default, read when the first package asks.
    pub allow: OnceCell<DefaultAllow>,
}

/// The approvals on record, read when the first package asks.
pub struct StoredGrants<'a> {
    storage: &'a dyn Storage,
    /// None where they cannot all be read.
    read: OnceCell<Option<HashMap<(PackageName, Family), Grant>>>,
}

impl<'a> StoredGrants<'a> {
    /// Those of this record.
    pub fn of(storage: &'a dyn Storage) -> Self {
        Self { storage, read: OnceCell::new() }
    }

    fn grant(&self, name: &PackageName, family: &Family) -> Result<Grant> {
        // Where one of them cannot be read it is no reason not to read this one.
        let read = self.read.get_or_init(|| {
            let all = self.storage.all_approvals().ok()?;
            Some(all.into_iter().map(|Approval { name, family, grant }| ((name, family), grant)).collect())
        });
        let grant = match read {
            Some(read) => read.get(&(name.clone(), family.clone())).cloned(),
            None => self.storage.approvals(name, family)?.into_iter().next().map(|approval| approval.grant),
        };
        Ok(grant.unwrap_or_default())
    }
}

/// What a package's hooks get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permitted {
    /// In force.
    pub grant: Grant,
    /// Asked for and approved by nobody; in force in a dry run only.
    pub would_ask: Option<Grant>,
    /// What somebody has approved just now, with all that was approved before: to be recorded.
    pub approved: Option<Approval>,
}

impl Approvals<'_> {
    /// What the hooks of a package get that asks for `asked`.
    ///
    /// # Errors
    /// Something that nobody has approved, with the lines that would.
    pub fn permit(&self, name: &PackageName, family: &Family, asked: &Permissions) -> Result<Permitted> {
        let allow = self.allowed(name)?;
        let refused =
            |error: GrantError| Error::request(format!("cannot use what was granted to {name}")).because(&error);
        for extra in self.extra.iter().filter(|extra| extra.package == *name) {
            sandbox::folder(Right::Write, &extra.path.absolute(), self.places).map_err(refused)?;
        }
        let granted = self.sandbox.granted(name, family);
        self.check(&granted).map_err(refused)?;
        let extra = self.extra.iter().filter(|extra| extra.package == *name).map(|extra| extra.path.clone()).collect();
        // Merged with nothing: in the order and without the repetitions that a grant has.
        let stored = sandbox::merge([&self.stored.grant(name, family)?]);
        let by_default = Grant { allow, ..Grant::default() };
        let beyond = sandbox::merge([&Grant { write: extra, ..Grant::default() }, &granted, &stored]);
        // Most packages have nothing beyond what all have.
        let approved = match beyond == Grant::default() {
            true => by_default,
            false => sandbox::merge([&by_default, &beyond]),
        };
        let asked = Grant {
            allow: Vec::new(),
            write: asked.write.clone(),
            read: asked.read.clone(),
            replace: asked.replace.clone(),
        };
        self.check(&asked).map_err(|error| {
            Error::new(ErrorKind::Hook, format!("{name} asks for what nobody can approve")).because(&error)
        })?;
        let missing = sandbox::missing(&asked, &approved);
        if missing == Grant::default() {
            return Ok(Permitted { grant: approved, would_ask: None, approved: None });
        }
        if self.dry_run {
            return Ok(Permitted {
                grant: sandbox::merge([&approved, &asked]),
                would_ask: Some(missing),
                approved: None,
            });
        }
        if self.events.approve(&Permission { package: name, approved: &stored, missing: &missing }) {
            let grant = sandbox::merge([&stored, &missing]);
            let approval = Approval { name: name.clone(), family: family.clone(), grant };
            let grant = sandbox::merge([&approved, &missing]);
            return Ok(Permitted { grant, would_ask: None, approved: Some(approval) });
        }
        Err(Error::new(ErrorKind::Hook, format!("the hooks of {name} ask for what nobody has approved"))
            .caused_by(describe(&missing))
            .hint("at a terminal you are asked; --yes approves nothing")
            .hint(format!("to approve it, add to {}:\n{}", self.config, policy(name, family, &missing))))
    }
}

impl Approvals<'_> {
    /// What the config lets every package's hooks reach, with this name filled in.
    fn allowed(&self, name: &PackageName) -> Result<Vec<RelPath>> {
        let lines = match self.allow.get() {
            Some(lines) => Ok(lines),
            None => DefaultAllow::new(&self.sandbox.allow, self.bin_dir).map(|lines| self.allow.get_or_init(|| lines)),
        };
        lines
            .and_then(|lines| lines.of(name))
            .map_err(|error| Error::request("cannot use the config's Sandbox.allow").because(&error))
    }

    fn check(&self, grant: &Grant) -> Result<(), GrantError> {
        for (right, paths) in
            [(Right::Write, &grant.write), (Right::Read, &grant.read), (Right::Replace, &grant.replace)]
        {
            for path in paths {
                sandbox::folder(right, &path.absolute(), self.places)?;
            }
        }
        Ok(())
    }
}

fn absolute(paths: &[RelPath]) -> Vec<String> {
    paths.iter().map(RelPath::absolute).collect()
}

fn describe(grant: &Grant) -> String {
    let part =
        |verb: &str, paths: &[RelPath]| (!paths.is_empty()).then(|| format!("{verb} {}", absolute(paths).join(", ")));
    let parts = [part("write in", &grant.write), part("read", &grant.read), part("replace", &grant.replace)];
    format!("they want to {}", parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// The `[[Sandbox.grant]]` that gives `grant` to the package.
fn policy(name: &PackageName, family: &Family, grant: &Grant) -> String {
    let mut text = format!("[[Sandbox.grant]]\npackage = \"{name}\"\n");
    if !family.is_none() {
        text.push_str(&format!("family = {}\n", toml::Value::from(family.as_str())));
    }
    for (right, paths) in [("write", &grant.write), ("read", &grant.read), ("replace", &grant.replace)] {
        if !paths.is_empty() {
            text.push_str(&format!("{right} = {}\n", toml::Value::from(absolute(paths))));
        }
    }
    text
}

/// The error for a hook that tried what it may not.
pub(super) fn denied(name: &PackageName, family: &Family, hook: &str, denials: &[Denial], config: &str) -> Error {
    let mut error = Error::new(ErrorKind::Hook, format!("{hook} of {name} tried what it may not"));
    let mut grant = Grant::default();
    for denial in denials {
        let path = packets_plugin_api::ident::escape(&denial.path, 200);
        error = error.caused_by(format!("{hook}:{}: {} {path}: {}", denial.line, denial.operation, denial.reason));
        if let Some(line) = &denial.would_allow
            && let Ok(path) = RelPath::from_absolute(&line.path)
        {
            let list = match line.right.as_str() {
                "read" => &mut grant.read,
                "replace" => &mut grant.replace,
                _ => &mut grant.write,
            };
            if !list.contains(&path) {
                list.push(path);
            }
        }
    }
    if grant == Grant::default() {
        return error.hint("nothing can allow this");
    }
    error.hint(format!("if you trust it with that, add to {config}:\n{}", policy(name, family, &grant)))
}
