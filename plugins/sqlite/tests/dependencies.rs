//! v1's column `dependencies`, which is filled where a transaction may have changed it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the test makes and looks at files of its own")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use packets_plugin_api::ident::PackageName;
use packets_plugin_api::storage::{Access, Adopted, Adopter, InstalledPackage, Rows, StorageError, StorageFormat};
use rusqlite::Connection;
use support::FORMAT;
use support::record::{name, package, rows, write};

/// Numbers that are always the same ones.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    /// A package of few names, which needs, provides and is called what others may be.
    fn package(&mut self) -> InstalledPackage {
        let names = ["a", "aa", "b", "lib", "lib-x", "go1", "go2"];
        let mut one = package(names[self.below(names.len())]);
        one.version = ["1", "2", "3"][self.below(3)].parse().unwrap();
        one.serial = self.below(9) as u64;
        one.alias = [None, Some("go"), Some("li")][self.below(3)].map(name);
        one.provides.extend([None, Some("any"), Some("a")][self.below(3)].map(name));
        let needs = ["a", "aa>=2", "go", "go<3", "lib | any", "any", "gone", "li | b", "lib-x=1"];
        one.requires = (0..self.below(4)).map(|_| needs[self.below(needs.len())].parse().unwrap()).collect();
        one
    }
}

fn column(file: &Path) -> BTreeMap<String, String> {
    let connection = Connection::open(file).unwrap();
    let mut select =
        connection.prepare("SELECT realname, dependencies FROM packages WHERE realname NOT LIKE 'other%'").unwrap();
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    found.map(Result::unwrap).collect()
}

/// The column where all packages are looked at: so many are written that there is no other way.
fn of_all(file: &Path) -> BTreeMap<String, String> {
    let whole = file.with_file_name("whole.db");
    fs::copy(file, &whole).unwrap();
    write(&whole).finish(&rows(1 << 40, (0..9).map(|at| package(&format!("other{at}"))).collect())).unwrap();
    column(&whole)
}

#[test]
fn what_a_transaction_leaves_alone_is_right_too() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    let mut storage = write(&file);
    let mut numbers = Numbers(7);
    for number in 1..400 {
        let mut installed: BTreeMap<_, _> = BTreeMap::new();
        for _ in 0..numbers.below(3) {
            let one = numbers.package();
            installed.insert(one.name.clone(), one);
        }
        let gone = numbers.package().name;
        let goes = numbers.below(3) == 0 && !installed.contains_key(&gone);
        let gone = goes.then_some(gone).into_iter().collect();
        storage.finish(&Rows { gone, ..rows(number, installed.into_values().collect()) }).unwrap();
        assert_eq!(column(&file), of_all(&file), "transaction {number}");
    }
}

/// What version 1 installed has a folder, and nothing in it.
struct OneFolder;

impl Adopter for OneFolder {
    fn adopt(&self, name: &PackageName) -> Result<Adopted, StorageError> {
        let folder = format!("opt/packets/{name}").parse().unwrap();
        Ok(Adopted { folder, description: String::new(), files: Vec::new() })
    }
}

#[test]
fn what_version_1_has_changed_since_is_seen() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("installed.db");
    let needy = InstalledPackage { requires: vec!["go".parse().unwrap()], ..package("needy") };
    let go = InstalledPackage { alias: Some(name("go")), ..package("go1") };
    write(&file).finish(&rows(1, vec![needy, go])).unwrap();
    let open = || FORMAT.open_installed(&file, Access::Write(&OneFolder)).unwrap();
    let of_needy = || column(&file)["needy"].clone();
    let run = |sql: &str| assert_eq!(Connection::open(&file).unwrap().execute(sql, []).unwrap(), 1);
    run("INSERT INTO packages VALUES ('go2', '2', '', 'go', '', 9)");
    assert_eq!(of_needy(), "go1");
    open().finish(&rows(2, vec![package("alone")])).unwrap();
    assert_eq!(of_needy(), "go2", "the highest serial");
    run("DELETE FROM packages WHERE realname = 'go2'");
    open().finish(&rows(3, vec![package("alone")])).unwrap();
    assert_eq!(of_needy(), "go1");
}
