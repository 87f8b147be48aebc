//! The folders of packages: each comes and goes as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use packets_hook_runtime::folder::{Folder, Kind as FileKind};
use packets_plugin_api::ident::PackageName;
use packets_plugin_api::relpath::RelPath;

use super::draft::{Draft, looking, standing};
use super::extras::{self, Extra};
use super::layers::make_alike;
use crate::cores;
use crate::error::{Context, Error, Result};
use crate::hook::{Arriving, Hooked, Leaving};
use crate::journal::{Kind, Put, Spot};
use crate::ops::Kept;
use crate::target::is_no_folder;

/// The new trees come, the old ones go, and what the administrator had put into them is carried over.
pub(super) fn draft(draft: &mut Draft<'_>, hooked: &Hooked, kept: &mut Vec<Kept>) -> Result<()> {
    let by_folder: HashMap<&RelPath, &Arriving> = hooked.arriving().iter().map(|new| (&new.folder, new)).collect();
    let by_name: HashMap<&PackageName, &Arriving> =
        hooked.arriving().iter().map(|new| (&new.package.name, new)).collect();
    let mut old_trees = Vec::new();
    for leaving in hooked.leaving() {
        let successor = by_folder.get(&leaving.package.folder).copied();
        if let Some(old) = leave(draft, leaving, successor, kept)? {
            old_trees.push((leaving, old));
        }
    }
    let replaced: HashSet<&RelPath> = old_trees.iter().map(|(leaving, _)| &leaving.package.folder).collect();
    for arriving in hooked.arriving().iter().filter(|arriving| !replaced.contains(&arriving.folder)) {
        arrive(draft, arriving)?;
    }
    let mut trees = Vec::with_capacity(old_trees.len());
    for (leaving, old) in old_trees {
        let folder = &leaving.package.folder;
        let parent = looking(folder, draft.on_disk(&folder.parent().unwrap_or_default()))?;
        let successor = leaving.replaced_by.as_ref().and_then(|name| by_name.get(name)).copied();
        trees.push(OldTree { leaving, successor, old, parent });
    }
    let mut successors = HashSet::new();
    for (tree, extras) in trees.iter().zip(cores::map(&trees, OldTree::extras)) {
        // What came over from another old tree counts for this one.
        let has_got_some = tree.successor.is_some_and(|new| !successors.insert(&new.package.name));
        let extras = if has_got_some { tree.extras() } else { extras };
        carry_over(draft, tree, extras?, kept)?;
    }
    Ok(())
}

/// A tree that goes.
struct OldTree<'a> {
    leaving: &'a Leaving,
    successor: Option<&'a Arriving>,
    /// Where it goes.
    old: Spot,
    /// The folder that it stands in.
    parent: Arc<Folder>,
}

impl OldTree<'_> {
    fn name(&self) -> &str {
        self.leaving.package.folder.file_name().unwrap_or_default()
    }

    fn extras(&self) -> Result<Vec<Extra>> {
        let in_new = |path: &RelPath| self.successor.is_some_and(|new| new.staged.tree().walk(path).is_ok());
        extras::find(&self.parent, self.name(), (&self.leaving.files, &self.leaving.package.folder), &in_new)
    }
}

/// The spot that the old tree goes to; none where no folder goes.
fn leave(
    draft: &mut Draft<'_>,
    leaving: &Leaving,
    successor: Option<&Arriving>,
    kept: &mut Vec<Kept>,
) -> Result<Option<Spot>> {
    let path = &leaving.package.folder;
    let before = match draft.stands(path) {
        Err(error) if is_no_folder(&error) => return Ok(None),
        found => looking(path, found)?,
    };
    let Some(before) = before else { return Ok(None) };
    let is_folder = before.kind == Kind::Folder;
    if !is_folder && successor.is_none() {
        // The administrator has put something else there.
        kept.push(Kept { was: path.clone(), now: path.clone(), beside: None });
        return Ok(None);
    }
    let at = looking(path, draft.spot(path))?;
    let old = looking(path, draft.old_spot_named(path, leaving.package.name.as_str().to_owned()))?;
    if !is_folder {
        let now = draft.folders[old.folder].path.child(&old.name)?;
        kept.push(Kept { was: path.clone(), now, beside: None });
    }
    match successor {
        Some(arriving) => {
            let (new, after) = staged_tree(draft, arriving)?;
            draft.put(Put::swap(at, (before, old.clone()), (after, new)))
        }
        None => draft.put(Put::goes(at, before, old.clone())),
    }?;
    Ok(Some(old))
}

fn arrive(draft: &mut Draft<'_>, arriving: &Arriving) -> Result<()> {
    let path = &arriving.folder;
    if looking(path, draft.stands(path))?.is_some() {
        return Err(Error::storage(format!("cannot put {} in place", path.absolute()))
            .caused_by("something stands there already")
            .hint("no package owns what stands there: move it away, then try again"));
    }
    let at = looking(path, draft.spot(path))?;
    let (new, after) = staged_tree(draft, arriving)?;
    draft.put(Put::comes(at, new, after))
}

fn staged_tree(draft: &mut Draft<'_>, arriving: &Arriving) -> Result<(Spot, crate::journal::Standing)> {
    let name = arriving.package.name.as_str();
    let named = || format!("cannot look at the staged {name}");
    let path = draft.area.new_trees_path()?;
    let trees = draft.on_disk(&path).context(named)?;
    let after = standing(&trees, name).context(named)?.ok_or_else(|| Error::storage(named()))?;
    let folder = draft.standing_folder(&trees, path).context(named)?;
    Ok((Spot { folder, name: name.to_owned() }, after))
}

/// What the administrator put into a package's folder moves to the release that takes its place.
fn carry_over(draft: &mut Draft<'_>, tree: &OldTree<'_>, extras: Vec<Extra>, kept: &mut Vec<Kept>) -> Result<()> {
    let OldTree { leaving, successor, old, parent } = tree;
    let folder = &leaving.package.folder;
    if extras.is_empty() {
        return Ok(());
    }
    let old_path = draft.folders[old.folder].path.child(&old.name)?;
    let stands = looking(folder, parent.open(tree.name()))?;
    let goes = looking(folder, draft.tree_that_goes(folder, &stands))?;
    for extra in extras {
        let carried = match successor {
            Some(arriving) if !extra.nameless => carry(draft, &extra.path, (&stands, &goes), &old_path, arriving)?,
            _ => None,
        };
        let was = folder.join(&extra.path)?;
        let now = carried.map_or_else(|| old_path.join(&extra.path), Ok)?;
        if was != now {
            kept.push(Kept { was, now, beside: None });
        }
    }
    Ok(())
}

/// Moves one of them into the new tree; none where that has no folder for it, or lies on another mount: it stays
/// in the old one.
fn carry(
    draft: &mut Draft<'_>,
    path: &RelPath,
    (old_tree, goes): (&Folder, &Folder),
    old_path: &RelPath,
    arriving: &Arriving,
) -> Result<Option<RelPath>> {
    let named = || format!("cannot carry {path} over");
    let (parent, name) = (path.parent().unwrap_or_default(), path.file_name().unwrap_or_default());
    let mut new_folder = arriving.staged.tree().again().context(named)?;
    let mut old_folder = old_tree.again().context(named)?;
    if new_folder.mount().context(named)? != old_folder.mount().context(named)? {
        return Ok(None);
    }
    for part in parent.components() {
        old_folder = old_folder.open(part).context(named)?;
        match new_folder.stat(part).context(named)? {
            Some(stat) if stat.kind != FileKind::Folder => return Ok(None),
            Some(_) => {}
            None => make_alike(&new_folder, part, &old_folder).context(named)?,
        }
        new_folder = new_folder.open(part).context(named)?;
    }
    let new_path = arriving.folder.join(&parent)?;
    let mut to = Spot { folder: draft.coming(&new_folder, new_path.clone()).context(named)?, name: name.to_owned() };
    while draft.is_taken(&to) || new_folder.stat(&to.name).context(named)?.is_some() {
        to.name.push_str(".old");
    }
    let from_folder = goes.walk(&parent).context(named)?;
    // Files come to where they are carried from, folders are there.
    let what = match standing(&from_folder, name).context(named)? {
        None => {
            draft.raise(&old_folder, name, &arriving.folder).context(named)?;
            standing(&old_folder, name).context(named)?
        }
        there => there,
    };
    let Some(what) = what else { return Ok(None) };
    let from =
        Spot { folder: draft.coming(&from_folder, old_path.join(&parent)?).context(named)?, name: name.to_owned() };
    let now = new_path.child(&to.name)?;
    draft.carry(from, to, what);
    Ok(Some(now))
}
