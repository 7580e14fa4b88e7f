//! The folders in which something must happen before a watched path leads to something else, and the system's events
//! of them.
//!
//! Besides the folder of a file these are the folders of every link on the way to it, and the nearest one that exists
//! where the path does not. Must never fail: what cannot be listened to is looked at once a second all the same.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::Watched;

/// More links one in another than any system follows.
const MOST_LINKS: u32 = 40;

/// What is listened to.
#[derive(Debug)]
pub(crate) struct Places {
    /// None where the system has no events to give.
    watcher: Option<RecommendedWatcher>,
    /// Each folder, with what tells whether another one has taken its place.
    folders: BTreeMap<PathBuf, (u64, u64)>,
}

impl Places {
    /// Nothing yet; `heard` is told of every event.
    pub(crate) fn new(heard: Arc<Notify>) -> Self {
        let on_event = move |event: notify::Result<Event>| {
            // Looking at a folder makes events too.
            if !matches!(event, Ok(Event { kind: EventKind::Access(_), .. })) {
                heard.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(on_event);
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, "the system tells of no changes of files; they are looked at once a second");
        });
        Self { watcher: watcher.ok(), folders: BTreeMap::new() }
    }

    /// As where the system has no events to give.
    #[cfg(test)]
    pub(crate) fn deaf() -> Self {
        Self { watcher: None, folders: BTreeMap::new() }
    }

    /// Listens to what these paths lead through now, and to nothing else.
    pub(crate) fn listen_for(&mut self, watched: &Watched) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut wanted = BTreeMap::new();
        for path in watched.dirs.iter().chain(&watched.files).chain(&links(watched)) {
            note_folders(path, &mut wanted);
        }
        let gone = self.folders.extract_if(.., |folder, identity| wanted.get(folder) != Some(identity));
        for (folder, _) in gone {
            // It is gone, or another one has its name.
            let _ = watcher.unwatch(&folder);
        }
        for (folder, identity) in wanted {
            if self.folders.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.folders.insert(folder, identity)),
                Err(error) => tracing::debug!(folder = %folder.display(), %error, "not listened to"),
            }
        }
    }
}

/// The files of the directories that are links to files elsewhere.
fn links(watched: &Watched) -> Vec<PathBuf> {
    let listed = watched.dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let links = listed.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    links.map(|entry| entry.path()).collect()
}

/// Notes every folder with a name in it that decides where the path leads.
fn note_folders(path: &Path, folders: &mut BTreeMap<PathBuf, (u64, u64)>) {
    let Ok(absolute) = std::path::absolute(path) else { return };
    let mut left: Vec<PathBuf> = parts(&absolute);
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    let mut note = |folder: &Path| {
        if let Ok(found) = std::fs::metadata(folder) {
            folders.insert(folder.to_owned(), (found.dev(), found.ino()));
        }
    };
    // As the system does: name by name, and what a link says in its place.
    while let Some(name) = left.pop() {
        if name.as_os_str() == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let Ok(found) = next.symlink_metadata() else {
            note(&at);
            return;
        };
        if found.is_symlink() && links < MOST_LINKS {
            links += 1;
            note(&at);
            let Ok(target) = next.read_link() else { return };
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(parts(&target));
        } else if found.is_dir() {
            at = next;
        }
    }
    note(&at);
    // The name of the last folder stands in the one above it.
    if let Some(above) = at.parent() {
        note(above);
    }
}

/// The names of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    let mut names: Vec<PathBuf> = names.map(|part| PathBuf::from(part.as_os_str())).collect();
    names.reverse();
    names
}
