//! What is selected from installed.db, and how its rows parse.

use packets_plugin_api::hook::Grant;
use packets_plugin_api::ident::{PackageName, TransactionId};
use packets_plugin_api::relpath::RelPath;
use packets_plugin_api::requirement::Requirement;
use packets_plugin_api::storage::{Approval, FileKind, FileRecord, InstalledPackage, MadeBy, Reason, TransactionRow};

use crate::value::{BadValue, Column, Values};

/// Version 1 alone: what it does not have is NULL.
pub(super) const SELECT_V1_PACKAGES: &str = "SELECT p.realname, p.version, p.dependencies, p.name, p.family, p.serial, \
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 FROM packages p";

/// A row without details is one that version 1 has added since.
pub(super) const SELECT_PACKAGES: &str = "SELECT p.realname, p.version, p.dependencies, p.name, p.family, p.serial, \
    d.description, d.requires, d.conflicts, d.provides, d.sha256, d.reason, d.folder, d.installed_at, d.installed_size, \
    d.held FROM packages p LEFT JOIN package_details d ON d.realname = p.realname";

/// The same of the schemas with the numbers 1 and 2.
pub(super) const SELECT_PACKAGES_2: &str = "SELECT p.realname, p.version, p.dependencies, p.name, p.family, p.serial, \
    d.description, d.requires, d.conflicts, d.provides, d.sha256, d.reason, d.folder, d.installed_at, d.installed_size, \
    0 FROM packages p LEFT JOIN package_details d ON d.realname = p.realname";

pub(super) const SELECT_FILES: &str = "SELECT f.path, f.made_by, f.kind, f.mode, f.size, f.sha256, f.asked, f.target, \
    f.displaced FROM files f WHERE f.package = (SELECT id FROM package_details WHERE realname = ?1)";

/// Of the schemas with the numbers 1 to 3.
pub(super) const SELECT_OWNERS_3: &str = "SELECT d.realname, f.made_by FROM files f \
    JOIN package_details d ON d.id = f.package WHERE f.path = ?1 ORDER BY d.realname";

/// The owners of a path, which is the first parameter; the others are the folders that it may lie in, so many.
pub(super) fn select_owners(folders: usize) -> String {
    let folders = vec!["?"; folders].join(", ");
    format!(
        "SELECT d.realname, f.made_by FROM files f JOIN package_details d ON d.id = f.package \
         WHERE f.path = ?1 AND f.made_by <> 'data' UNION ALL \
         SELECT d.realname, f.made_by FROM package_details d CROSS JOIN files f ON f.package = d.id \
         WHERE f.path = ?1 AND f.made_by = 'data' AND d.folder IN ({folders}) ORDER BY 1"
    )
}

pub(super) const SELECT_APPROVALS: &str =
    "SELECT name, family, approved FROM approvals WHERE name = ?1 AND family = ?2";

pub(super) const SELECT_ALL_APPROVALS: &str = "SELECT name, family, approved FROM approvals ORDER BY name, family";

pub(super) const SELECT_HISTORY: &str =
    "SELECT id, time, command, summary, origins, undoes FROM transactions ORDER BY number DESC LIMIT ?1";

/// The same of the schema with the number 1.
pub(super) const SELECT_HISTORY_1: &str =
    "SELECT id, time, command, summary, NULL, NULL FROM transactions ORDER BY number DESC LIMIT ?1";

pub(super) const SELECT_MOMENTS: &str = "SELECT id, time FROM transactions ORDER BY number DESC LIMIT ?1";

/// What can be in one list; the file is this machine's own.
const MOST: usize = 1_000_000;

const REALNAME: Column = Column(0, "realname");
const VERSION: Column = Column(1, "version");
const DEPENDENCIES: Column = Column(2, "dependencies");
const NAME: Column = Column(3, "name");
const FAMILY: Column = Column(4, "family");
const SERIAL: Column = Column(5, "serial");
const DESCRIPTION: Column = Column(6, "description");
const REQUIRES: Column = Column(7, "requires");
const CONFLICTS: Column = Column(8, "conflicts");
const PROVIDES: Column = Column(9, "provides");
const SHA256: Column = Column(10, "sha256");
const REASON: Column = Column(11, "reason");
const FOLDER: Column = Column(12, "folder");
const INSTALLED_AT: Column = Column(13, "installed_at");
const INSTALLED_SIZE: Column = Column(14, "installed_size");
const HELD: Column = Column(15, "held");

const ID: Column = Column(0, "id");
const TIME: Column = Column(1, "time");

pub(super) fn package(values: Values<'_>) -> Result<InstalledPackage, BadValue> {
    let name: PackageName = values.parsed(REALNAME)?;
    let has_details = !values.is_null(REASON)?;
    Ok(InstalledPackage {
        alias: values.optional_parsed(NAME)?.filter(|alias| *alias != name),
        version: values.parsed(VERSION)?,
        description: values.optional_text(DESCRIPTION)?.unwrap_or_default().to_owned(),
        requires: if has_details { values.list(REQUIRES, MOST)? } else { v1_requires(values)? },
        conflicts: values.list(CONFLICTS, MOST)?,
        provides: values.list(PROVIDES, MOST)?,
        family: values.parsed(FAMILY)?,
        serial: values.optional_number(SERIAL)?.unwrap_or(0),
        digest: values.optional_digest(SHA256)?,
        reason: if has_details { reason(values)? } else { Reason::Asked },
        folder: if has_details { values.parsed(FOLDER)? } else { RelPath::root() },
        installed_at: values.optional_number(INSTALLED_AT)?.unwrap_or(0),
        installed_size: values.optional_number(INSTALLED_SIZE)?.unwrap_or(0),
        held: values.optional_number(HELD)?.unwrap_or(0) != 0,
        name,
    })
}

fn v1_requires(values: Values<'_>) -> Result<Vec<Requirement>, BadValue> {
    let names: Vec<PackageName> = values.words(DEPENDENCIES, MOST)?;
    Ok(names.into_iter().map(Requirement::of).collect())
}

fn reason(values: Values<'_>) -> Result<Reason, BadValue> {
    match values.text(REASON)? {
        "asked" => Ok(Reason::Asked),
        "needed" => Ok(Reason::Needed),
        _ => Err(BadValue::new(REASON, "neither \"asked\" nor \"needed\"")),
    }
}

/// The text of a reason in its column.
pub(super) fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Asked => "asked",
        Reason::Needed => "needed",
    }
}

fn made_by(values: Values<'_>, column: Column) -> Result<MadeBy, BadValue> {
    match values.text(column)? {
        "data" | ELSEWHERE => Ok(MadeBy::Data),
        "hook" => Ok(MadeBy::Hook),
        _ => Err(BadValue::new(column, "neither \"data\" nor \"hook\"")),
    }
}

/// What a package brought that does not lie below its folder: it is found by its path.
const ELSEWHERE: &str = "data elsewhere";

/// The text of who made a path in its column, for a package with this folder.
pub(super) fn made_by_text(file: &FileRecord, folder: &RelPath) -> &'static str {
    match file.made_by {
        MadeBy::Data if file.path.starts_with(folder) => "data",
        MadeBy::Data => ELSEWHERE,
        MadeBy::Hook => "hook",
    }
}

pub(super) fn file(values: Values<'_>) -> Result<FileRecord, BadValue> {
    const KIND: Column = Column(2, "kind");
    const MODE: Column = Column(3, "mode");
    const FILE_SHA256: Column = Column(5, "sha256");
    let kind = match values.text(KIND)? {
        "file" => FileKind::File {
            mode: values.mode(MODE)?,
            size: values.number(Column(4, "size"))?,
            sha256: values.optional_digest(FILE_SHA256)?.ok_or_else(|| BadValue::new(FILE_SHA256, "empty (NULL)"))?,
        },
        "symlink" => FileKind::Symlink {
            asked: values.text(Column(6, "asked"))?.to_owned(),
            stored: values.text(Column(7, "target"))?.to_owned(),
        },
        "folder" => FileKind::Folder { mode: values.mode(MODE)? },
        _ => return Err(BadValue::new(KIND, "none of \"file\", \"symlink\" and \"folder\"")),
    };
    Ok(FileRecord {
        path: values.parsed(Column(0, "path"))?,
        made_by: made_by(values, Column(1, "made_by"))?,
        kind,
        displaced: values.optional_parsed(Column(8, "displaced"))?,
    })
}

pub(super) fn owner(values: Values<'_>) -> Result<(PackageName, MadeBy), BadValue> {
    Ok((values.parsed(Column(0, "realname"))?, made_by(values, Column(1, "made_by"))?))
}

pub(super) fn approval(values: Values<'_>) -> Result<Approval, BadValue> {
    const APPROVED: Column = Column(2, "approved");
    let grant: Grant = serde_json::from_str(values.text(APPROVED)?).map_err(|error| BadValue::new(APPROVED, error))?;
    Ok(Approval { name: values.parsed(Column(0, "name"))?, family: values.parsed(Column(1, "family"))?, grant })
}

pub(super) fn moment(values: Values<'_>) -> Result<(TransactionId, u64), BadValue> {
    Ok((values.parsed(ID)?, values.number(TIME)?))
}

pub(super) fn transaction(values: Values<'_>) -> Result<TransactionRow, BadValue> {
    const ORIGINS: Column = Column(4, "origins");
    let origins = values.optional_text(ORIGINS)?.unwrap_or("[]");
    Ok(TransactionRow {
        id: values.parsed(ID)?,
        time: values.number(TIME)?,
        command: values.text(Column(2, "command"))?.to_owned(),
        summary: values.list(Column(3, "summary"), MOST)?,
        origins: serde_json::from_str(origins).map_err(|error| BadValue::new(ORIGINS, error))?,
        undoes: values.optional_parsed(Column(5, "undoes"))?,
    })
}
