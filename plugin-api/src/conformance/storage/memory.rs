//! A storage format that keeps everything in memory, for tests of what uses one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hook::Grant;
use crate::ident::{Family, PackageName, TransactionId};
use crate::relpath::RelPath;
use crate::storage::{
    Access, Approval, FileRecord, Found, IndexEntry, IndexSummary, InstalledPackage, InstalledRow, MadeBy,
    PackageIndex, PreparedCopy, Rows, Storage, StorageError, StorageErrorKind, StorageFormat, TransactionRow,
};

/// A storage format without files: a path is only a key. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct MemoryFormat(Arc<Mutex<Files>>);

#[derive(Debug, Default)]
struct Files {
    installed: BTreeMap<PathBuf, Record>,
    indexes: BTreeMap<PathBuf, Vec<IndexEntry>>,
}

#[derive(Debug, Clone, Default)]
struct Record {
    packages: BTreeMap<PackageName, InstalledRow>,
    approvals: BTreeMap<(PackageName, Family), Approval>,
    history: Vec<TransactionRow>,
}

impl MemoryFormat {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self, file: &Path) -> Result<Vec<IndexEntry>, StorageError> {
        let missing =
            || StorageError::new(StorageErrorKind::NotFound, format!("cannot open the index {}", file.display()));
        self.files().indexes.get(file).cloned().ok_or_else(missing)
    }
}

impl StorageFormat for MemoryFormat {
    fn name(&self) -> &str {
        "memory"
    }

    fn open_installed(&self, file: &Path, access: Access<'_>) -> Result<Box<dyn Storage>, StorageError> {
        let writable = matches!(access, Access::Write(_));
        if writable {
            self.files().installed.entry(file.to_owned()).or_default();
        }
        Ok(Box::new(MemoryStorage { format: self.clone(), file: file.to_owned(), writable }))
    }

    fn open_index(&self, file: &Path) -> Result<Box<dyn PackageIndex>, StorageError> {
        Ok(Box::new(MemoryIndex(self.entries(file)?)))
    }

    fn verify_index(&self, file: &Path) -> Result<IndexSummary, StorageError> {
        Ok(IndexSummary { packages: self.entries(file)?.len() as u64 })
    }

    fn write_index(&self, file: &Path, entries: &[IndexEntry]) -> Result<(), StorageError> {
        let refuse = |why: &str| {
            Err(StorageError::new(StorageErrorKind::Io, format!("cannot write the index {}: {why}", file.display())))
        };
        let mut files = self.files();
        if files.indexes.contains_key(file) {
            return refuse("it is there already");
        }
        let mut written: Vec<IndexEntry> = Vec::new();
        for (entry, serial) in entries.iter().zip(1..) {
            if written.iter().any(|other| other.name == entry.name) {
                return refuse("a package is there twice");
            }
            written.push(IndexEntry { serial, ..entry.clone() });
        }
        files.indexes.insert(file.to_owned(), written);
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryStorage {
    format: MemoryFormat,
    file: PathBuf,
    writable: bool,
}

impl MemoryStorage {
    fn record(&self) -> Record {
        self.format.files().installed.get(&self.file).cloned().unwrap_or_default()
    }

    fn refuse(&self, why: &str) -> StorageError {
        StorageError::new(StorageErrorKind::Io, format!("cannot write to {}: {why}", self.file.display()))
    }
}

impl Storage for MemoryStorage {
    fn installed(&self) -> Result<Vec<InstalledPackage>, StorageError> {
        Ok(self.record().packages.into_values().map(|row| row.package).collect())
    }

    fn package(&self, name: &PackageName) -> Result<Option<InstalledPackage>, StorageError> {
        Ok(self.record().packages.remove(name).map(|row| row.package))
    }

    fn files(&self, name: &PackageName) -> Result<Vec<FileRecord>, StorageError> {
        let mut files = self.record().packages.remove(name).map(|row| row.files).unwrap_or_default();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    fn owners(&self, path: &RelPath) -> Result<Vec<(PackageName, MadeBy)>, StorageError> {
        let packages = self.record().packages;
        let made_by = |row: &InstalledRow| row.files.iter().find(|file| file.path == *path).map(|file| file.made_by);
        Ok(packages.iter().filter_map(|(name, row)| Some((name.clone(), made_by(row)?))).collect())
    }

    fn approvals(&self, name: &PackageName, family: &Family) -> Result<Vec<Approval>, StorageError> {
        Ok(self.record().approvals.remove(&(name.clone(), family.clone())).into_iter().collect())
    }

    fn all_approvals(&self) -> Result<Vec<Approval>, StorageError> {
        Ok(self.record().approvals.into_values().collect())
    }

    fn history(&self, most: usize) -> Result<Vec<TransactionRow>, StorageError> {
        Ok(self.record().history.into_iter().rev().take(most).collect())
    }

    fn finish(&mut self, rows: &Rows) -> Result<(), StorageError> {
        if !self.writable {
            return Err(self.refuse("it was opened for reading"));
        }
        let mut record = self.record();
        if record.history.iter().any(|row| row.id == rows.transaction.id) {
            return Ok(());
        }
        for name in &rows.gone {
            record.packages.remove(name);
        }
        for row in &rows.installed {
            let mut paths: Vec<&RelPath> = row.files.iter().map(|file| &file.path).collect();
            paths.sort();
            if paths.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(self.refuse("a path is there twice"));
            }
            record.packages.insert(row.package.name.clone(), row.clone());
        }
        for approval in &rows.approved {
            let key = (approval.name.clone(), approval.family.clone());
            if approval.grant == Grant::default() {
                record.approvals.remove(&key);
            } else {
                record.approvals.insert(key, approval.clone());
            }
        }
        record.history.push(rows.transaction.clone());
        self.format.files().installed.insert(self.file.clone(), record);
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Storage>, StorageError> {
        let (format, file) = (self.format.clone(), self.file.clone());
        Ok(Box::new(MemoryStorage { format, file, writable: false }))
    }

    fn recorded(&self, id: &TransactionId) -> Result<bool, StorageError> {
        Ok(self.record().history.iter().any(|row| row.id == *id))
    }

    fn prepare_copy(&self, file: &Path) -> Result<Box<dyn PreparedCopy>, StorageError> {
        if file == self.file {
            return Err(self.refuse("it is the record itself"));
        }
        let (format, file) = (self.format.clone(), file.to_owned());
        let Some(record) = format.files().installed.get(&self.file).cloned() else {
            let message = format!("cannot copy {}", self.file.display());
            return Err(StorageError::new(StorageErrorKind::NotFound, message));
        };
        Ok(Box::new(MemoryCopy { format, file, record }))
    }
}

#[derive(Debug)]
struct MemoryCopy {
    format: MemoryFormat,
    file: PathBuf,
    record: Record,
}

impl PreparedCopy for MemoryCopy {
    fn keep(self: Box<Self>) -> Result<(), StorageError> {
        self.format.files().installed.insert(self.file, self.record);
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryIndex(Vec<IndexEntry>);

impl MemoryIndex {
    /// Those that `wanted` accepts, the highest serial first.
    fn find(&self, wanted: impl Fn(&IndexEntry) -> bool) -> Vec<IndexEntry> {
        self.0.iter().rev().filter(|entry| wanted(entry)).cloned().collect()
    }
}

impl PackageIndex for MemoryIndex {
    fn package(&self, name: &PackageName) -> Result<Option<IndexEntry>, StorageError> {
        Ok(self.find(|entry| entry.name == *name).pop())
    }

    fn aliased(&self, alias: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        Ok(self.find(|entry| entry.alias.as_ref() == Some(alias)))
    }

    fn providing(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        Ok(self.find(|entry| entry.provides.contains(name)))
    }

    fn answering(&self, name: &PackageName) -> Result<Vec<IndexEntry>, StorageError> {
        let answers = |entry: &IndexEntry| {
            entry.name == *name || entry.alias.as_ref() == Some(name) || entry.provides.contains(name)
        };
        Ok(self.find(answers))
    }

    fn family(&self, family: &Family) -> Result<Vec<IndexEntry>, StorageError> {
        Ok(self.find(|entry| entry.family.matches(family)))
    }

    fn all(&self) -> Result<Vec<IndexEntry>, StorageError> {
        let mut all = self.0.clone();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    fn search(&self, words: &[String]) -> Result<Vec<Found>, StorageError> {
        let found = |IndexEntry { name, alias, version, description, .. }| Found { name, alias, version, description };
        Ok(self.all()?.into_iter().map(found).filter(|found| found.has_all(words)).collect())
    }

    fn names(&self, prefix: &str, most: usize) -> Result<Vec<PackageName>, StorageError> {
        let of = |entry: &IndexEntry| {
            [entry.name.clone()]
                .into_iter()
                .chain(entry.alias.clone())
                .chain(entry.provides.clone())
                .collect::<Vec<_>>()
        };
        let names: BTreeSet<PackageName> = self.0.iter().flat_map(of).collect();
        Ok(names.into_iter().filter(|name| name.as_str().starts_with(prefix)).take(most).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::storage::{index_suite, storage_suite};

    #[test]
    fn passes_its_own_suites() {
        let format = MemoryFormat::default();
        let folder = Path::new("/nonexistent");
        storage_suite(&format, folder);
        index_suite(&format, folder);
    }
}
