//! Random work against a plain model, and against the same work on real folders.

use std::collections::BTreeMap;

use packets_plugin_api::hook::{EffectKind, StagedView};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::world::{Given, Work, World};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Thing {
    File(String),
    Link(String),
    Folder,
}

#[derive(Debug, Clone)]
enum Op {
    Put(String, String),
    Remove(String),
    Rename(String, String),
    Copy(String, String),
    Link(String),
    Make(String),
    Abandon,
    Finish,
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..4).prop_map(|names| names.join("/"))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (name(), "[a-z]{0,4}").prop_map(|(name, text)| Op::Put(name, text)),
        3 => name().prop_map(Op::Remove),
        3 => (name(), name()).prop_map(|(old, new)| Op::Rename(old, new)),
        3 => (name(), name()).prop_map(|(old, new)| Op::Copy(old, new)),
        2 => name().prop_map(Op::Link),
        4 => name().prop_map(Op::Make),
        1 => Just(Op::Abandon),
        1 => Just(Op::Finish),
    ]
}

/// What stands below the granted folder, by path.
type Model = BTreeMap<String, Thing>;

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn is_folder(model: &Model, path: &str) -> bool {
    path.is_empty() || model.get(path) == Some(&Thing::Folder)
}

fn within(model: &Model, path: &str) -> Vec<(String, Thing)> {
    let inner = format!("{path}/");
    model
        .iter()
        .filter(|(name, _)| *name == path || name.starts_with(&inner))
        .map(|(n, t)| (n.clone(), t.clone()))
        .collect()
}

/// Makes the folder with its parents; false where something else is in the way.
fn make(model: &mut Model, path: &str) -> bool {
    if is_folder(model, path) {
        return true;
    }
    if model.contains_key(path) || !make(model, parent(path)) {
        return false;
    }
    model.insert(path.to_owned(), Thing::Folder);
    true
}

/// Links of the model lead nowhere, so a path through or to one fails where it is followed.
fn step(model: &Model, op: &Op) -> Option<Model> {
    let mut new = model.clone();
    match op {
        Op::Put(path, text) => {
            if !is_folder(model, parent(path)) || matches!(model.get(path), Some(Thing::Folder | Thing::Link(_))) {
                return None;
            }
            new.insert(path.clone(), Thing::File(text.clone()));
        }
        Op::Remove(path) => {
            let mut above = parent(path);
            while !above.is_empty() {
                if matches!(model.get(above), Some(Thing::File(_) | Thing::Link(_))) {
                    return None;
                }
                above = parent(above);
            }
            within(model, path).iter().for_each(|(name, _)| drop(new.remove(name)));
        }
        Op::Rename(old, target) => {
            let moved = within(model, old);
            if moved.is_empty() || !is_folder(model, parent(old)) || !is_folder(model, parent(target)) {
                return None;
            }
            if old == target {
                return Some(new);
            }
            let folder = is_folder(model, old);
            match model.get(target) {
                Some(Thing::Folder) if !folder || within(model, target).len() > 1 => return None,
                Some(Thing::File(_) | Thing::Link(_)) if folder => return None,
                _ => {}
            }
            if target.starts_with(&format!("{old}/")) {
                return None;
            }
            moved.iter().for_each(|(name, _)| drop(new.remove(name)));
            new.extend(moved.into_iter().map(|(name, thing)| (format!("{target}{}", &name[old.len()..]), thing)));
        }
        Op::Copy(old, target) => {
            if matches!(model.get(old), None | Some(Thing::Link(_)))
                || target.starts_with(&format!("{old}/"))
                || old == target
            {
                return None;
            }
            if !make(&mut new, parent(target)) {
                return None;
            }
            for (name, thing) in within(model, old) {
                let to = format!("{target}{}", &name[old.len()..]);
                match (&thing, new.get(&to)) {
                    (Thing::Folder, None | Some(Thing::Folder)) => {}
                    (Thing::Folder, _) | (_, Some(Thing::Folder)) => return None,
                    _ => {}
                }
                new.insert(to, thing);
            }
        }
        Op::Link(path) => {
            if !is_folder(model, parent(path)) {
                return None;
            }
            within(model, path).iter().for_each(|(name, _)| drop(new.remove(name)));
            new.insert(path.clone(), Thing::Link("/srv/nowhere/at/all".into()));
        }
        Op::Make(path) => {
            if !make(&mut new, path) {
                return None;
            }
        }
        Op::Abandon | Op::Finish => {}
    }
    Some(new)
}

fn disk(world: &World) -> Model {
    let mut model = Model::new();
    for (path, text) in
        [("a", None), ("a/b", None), ("a/b/c", Some("deep")), ("a/c", Some("disk")), ("b", Some("file"))]
    {
        let at = world.at(&format!("srv/web/{path}"));
        match text {
            None => std::fs::create_dir(at).unwrap(),
            Some(text) => std::fs::write(at, text).unwrap(),
        }
        model.insert(path.into(), text.map_or(Thing::Folder, |text| Thing::File(text.into())));
    }
    model
}

fn run(world: &World, on_disk: &Model, ops: &[Op]) {
    let given = Given::write(&["/srv/web"]);
    let mut overlay = world.overlay();
    let (mut model, mut kept) = (on_disk.clone(), on_disk.clone());
    let mut hook = world.begin(&mut overlay, "hello", &given);
    let full = |path: &String| format!("/srv/web/{path}");
    for op in ops {
        let done = match op {
            Op::Put(path, text) => hook.put(&full(path), text),
            Op::Remove(path) => hook.remove(&full(path)),
            Op::Rename(old, new) => hook.rename(&full(old), &full(new)),
            Op::Copy(old, new) => hook.copy(&full(old), &full(new)),
            Op::Link(path) => hook.symlink("/srv/nowhere/at/all", &full(path)),
            Op::Make(path) => hook.mkdir(&full(path), 0o755),
            Op::Abandon | Op::Finish => {
                if matches!(op, Op::Abandon) {
                    hook.abandon();
                    model.clone_from(&kept);
                } else {
                    hook.finish().unwrap();
                    kept.clone_from(&model);
                }
                hook = world.begin(&mut overlay, "hello", &given);
                continue;
            }
        };
        let expected = step(&model, op);
        assert_eq!(done.is_ok(), expected.is_some(), "{op:?} on {model:?}: {done:?}");
        model = expected.unwrap_or(model);
    }
    for (path, thing) in &model {
        if let Thing::File(text) = thing {
            assert_eq!(hook.get(&full(path)).unwrap(), *text, "{path}");
        }
    }
    let effects = hook.finish().unwrap().effects;
    // The effects of the last hook lead from what was kept to the model.
    for effect in &effects {
        let path = effect.path.as_str().strip_prefix("srv/web/").unwrap();
        assert_eq!(model.contains_key(path), effect.becomes != EffectKind::Absent, "{path}");
    }
    // The changes of all hooks lead from the disk to the model.
    let mut carried = on_disk.clone();
    let changes = overlay.changes().unwrap();
    for change in &changes {
        use packets_hook_runtime::view::Becomes;
        let path = change.path.as_str().strip_prefix("srv/web/").unwrap().to_owned();
        assert_eq!(change.old.is_some(), carried.contains_key(&path), "{path}");
        match &change.becomes {
            Becomes::Absent => drop(carried.remove(&path)),
            Becomes::Folder { .. } => drop(carried.insert(path, Thing::Folder)),
            Becomes::Symlink { stored, .. } => drop(carried.insert(path, Thing::Link(stored.clone()))),
            Becomes::File { staged, .. } => {
                let text = std::fs::read_to_string(world.staged_file(&staged.name)).unwrap();
                carried.insert(path, Thing::File(text));
            }
        }
    }
    assert_eq!(carried, model);
    let files =
        changes.iter().filter(|change| matches!(change.becomes, packets_hook_runtime::view::Becomes::File { .. }));
    assert_eq!(files.count(), world.staged(), "each staged file belongs to one path");
}

#[test]
fn random_work_is_what_the_model_says() {
    let mut world = World::new();
    std::fs::remove_file(world.at("srv/web/closed")).unwrap();
    let on_disk = disk(&world);
    world.settle();
    let config = ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() };
    let checked = TestRunner::new(config).run(&proptest::collection::vec(op(), 1..40), |ops| {
        run(&world, &on_disk, &ops);
        Ok(())
    });
    checked.unwrap();
}
