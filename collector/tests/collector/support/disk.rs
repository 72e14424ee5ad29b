//! A disk whose power can be cut before, in the middle of, or after any operation.
//!
//! It takes [`Disk`] at its word: a byte is durable when its file was synced after it was written,
//! a name when its directory was synced after it was given. What is not durable is kept or lost at
//! a power cut by the throw of a coin for each file and each name; bytes that are lost may be
//! missing or zero, and a write may survive in part. Only a rename is atomic, as POSIX demands.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use collector::disk::{Disk, DiskFile, Status};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What survives of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survival {
    /// Nothing.
    Nothing,
    /// Each file and name by the throw of a coin.
    Chance,
}

/// A disk in memory. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    files: Vec<FileState>,
    /// Every change of a name so far, in order.
    changes: Vec<Change>,
    names: BTreeMap<PathBuf, Node>,
    operations: u64,
    /// The operation in which the power goes.
    cut_at: Option<u64>,
    is_out: bool,
    random: StdRng,
}

#[derive(Debug, Clone, Default)]
struct FileState {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Debug, Clone)]
struct Change {
    kind: ChangeKind,
    is_durable: bool,
}

#[derive(Debug, Clone)]
enum ChangeKind {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl ChangeKind {
    fn touches(&self, dir: &Path) -> bool {
        let is_in = |path: &PathBuf| path.parent() == Some(dir);
        match self {
            Self::Add(path, _) | Self::Remove(path) => is_in(path),
            Self::Rename(from, to, _) => is_in(from) || is_in(to),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Add(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            files: Vec::new(),
            changes: Vec::new(),
            names: BTreeMap::from([(PathBuf::from("/"), Node::Directory)]),
            operations: 0,
            cut_at: None,
            is_out: false,
            random: StdRng::seed_from_u64(seed),
        })))
    }

    /// Lets the power go in the middle of the operation of this number from now.
    pub(crate) fn cut_after(&self, operations: u64) {
        let mut state = self.lock();
        state.cut_at = Some(state.operations + operations);
    }

    pub(crate) fn is_out(&self) -> bool {
        self.lock().is_out
    }

    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Brings the power back: what is on the disk then is all that is left.
    pub(crate) fn reboot(&self, survival: Survival) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut names = BTreeMap::from([(PathBuf::from("/"), Node::Directory)]);
        for change in &state.changes {
            let survives = change.is_durable
                || match survival {
                    Survival::Nothing => false,
                    Survival::Chance => state.random.random(),
                };
            if survives {
                change.kind.apply(&mut names);
            }
        }
        // What lies in a directory whose own name is gone is gone.
        let is_reachable = |path: &PathBuf| {
            path.ancestors().skip(1).all(|dir| names.get(dir) == Some(&Node::Directory))
        };
        let reachable: BTreeMap<PathBuf, Node> = names
            .iter()
            .filter(|(path, _)| is_reachable(path))
            .map(|(p, n)| (p.clone(), *n))
            .collect();
        for file in &mut state.files {
            file.bytes = match survival {
                Survival::Nothing => file.durable.clone(),
                Survival::Chance => torn(file, &mut state.random),
            };
            file.durable = file.bytes.clone();
        }
        state.changes = reachable
            .iter()
            .map(|(path, node)| Change {
                kind: ChangeKind::Add(path.clone(), *node),
                is_durable: true,
            })
            .collect();
        state.names = reachable;
        state.is_out = false;
        state.cut_at = None;
    }

    /// Lets the process go on after a cut as if it had only been killed: everything is still there,
    /// and still not durable.
    pub(crate) fn kill(&self) {
        let mut state = self.lock();
        state.is_out = false;
        state.cut_at = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// One operation that changes something. In the one in which the power goes, the change is
    /// made or not by the throw of a coin, and nobody learns which.
    fn operate<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.lock();
        if state.is_out {
            return Err(power_is_out());
        }
        state.operations += 1;
        if state.cut_at.is_some_and(|at| state.operations > at) {
            if state.random.random() {
                change(&mut state).ok();
            }
            state.is_out = true;
            return Err(power_is_out());
        }
        change(&mut state)
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        let state = self.lock();
        if state.is_out { Err(power_is_out()) } else { look(&state) }
    }
}

/// A file of which some unsynced bytes survive.
fn torn(file: &FileState, random: &mut StdRng) -> Vec<u8> {
    let durable = file.durable.len();
    if file.bytes.len() <= durable {
        // A truncation that was not synced.
        return if random.random() { file.bytes.clone() } else { file.durable.clone() };
    }
    let kept = random.random_range(durable..=file.bytes.len());
    let mut bytes = file.bytes[..kept].to_vec();
    if random.random() {
        // The size was written, the data was not.
        bytes.resize(file.bytes.len(), 0);
    }
    bytes
}

fn power_is_out() -> io::Error {
    io::Error::other("the power is out")
}

impl State {
    fn change(&mut self, kind: ChangeKind) {
        kind.apply(&mut self.names);
        self.changes.push(Change { kind, is_durable: false });
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.node(path)? {
            Node::File(file) => Ok(file),
            Node::Directory => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn check_free(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().ok_or(io::ErrorKind::NotFound)?;
        self.node(parent)?;
        match self.names.get(path) {
            Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            None => Ok(()),
        }
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.operate(|state| {
            state.check_free(path)?;
            state.files.push(FileState::default());
            let file = state.files.len() - 1;
            state.change(ChangeKind::Add(path.to_owned(), Node::File(file)));
            Ok(file)
        })?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.look(|state| Ok(state.files[state.file(path)?].bytes.clone()))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?;
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        let end = (start + length).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn status(&self, path: &Path) -> io::Result<Status> {
        self.look(|state| {
            let (is_dir, size) = match state.node(path)? {
                Node::Directory => (true, 0),
                Node::File(file) => (false, state.files[file].bytes.len() as u64),
            };
            Ok(Status { is_dir, size, modified: SystemTime::UNIX_EPOCH })
        })
    }

    fn entries(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.look(|state| {
            state.node(dir)?;
            let is_in = |path: &&PathBuf| path.parent() == Some(dir);
            Ok(state.names.keys().filter(is_in).cloned().collect())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            let node = state.node(from)?;
            state.node(to.parent().ok_or(io::ErrorKind::NotFound)?)?;
            state.change(ChangeKind::Rename(from.to_owned(), to.to_owned(), node));
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(|state| {
            let file = state.file(from)?;
            state.check_free(to)?;
            state.change(ChangeKind::Add(to.to_owned(), Node::File(file)));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.file(path)?;
            state.change(ChangeKind::Remove(path.to_owned()));
            Ok(())
        })
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.check_free(dir)?;
            state.change(ChangeKind::Add(dir.to_owned(), Node::Directory));
            Ok(())
        })
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.operate(|state| {
            let file = state.file(path)?;
            state.files[file].durable = state.files[file].bytes.clone();
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.operate(|state| {
            state.node(dir)?;
            for change in &mut state.changes {
                change.is_durable |= change.kind.touches(dir);
            }
            Ok(())
        })
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

impl DiskFile for SimulatedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.operate(|state| {
            state.files[self.file].bytes.extend_from_slice(bytes);
            Ok(())
        })
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.disk.operate(|state| {
            state.files[self.file].bytes.truncate(usize::try_from(length).unwrap());
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.operate(|state| {
            let file = &mut state.files[self.file];
            file.durable = file.bytes.clone();
            Ok(())
        })
    }
}
