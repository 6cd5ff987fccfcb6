//! A disk in memory that loses power.
//!
//! What was written and not synced may, after a power cut, be there or not, piece by piece: a piece is
//! 4096 bytes of the data file and 512 bytes of the others. Pieces are kept or lost independently of the order in
//! which they were written, except that two writes to one piece never swap. The same seed loses the same pieces.
//! On a disk that [shares syncs](SimulatedDisk::share_syncs) what was written beside is durable with the next sync of any file.
//! These are the assumptions about the medium that `FORMAT.md` states.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use ashlar_types::{RandomSource, SeededRandom};
use parking_lot::Mutex;

use super::{Directory, File, FileRole};

const PAGE_BYTES: u64 = 4096;

/// What survives a power cut of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing unsynced survives.
    Nothing,
    /// Everything survives, as when only the process is killed.
    Everything,
    /// Each piece survives or not by the toss of a coin.
    Some,
}

/// A directory on the simulated disk. Clones share the disk.
#[derive(Debug, Clone)]
pub struct SimulatedDisk(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    files: BTreeMap<FileRole, Contents>,
    /// Changing calls that are still answered; afterwards the power is off.
    calls_left: Option<u64>,
    is_off: bool,
    calls: u64,
    capacity_bytes: u64,
    sync_to_fail: Option<FileRole>,
    written_bytes: BTreeMap<FileRole, u64>,
    shares_syncs: bool,
    interlude: Interlude,
}

/// Something that happens while a call is under way.
#[derive(Default)]
struct Interlude(Option<Box<dyn FnOnce() + Send>>);

impl fmt::Debug for Interlude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Interlude").field(&self.0.is_some()).finish()
    }
}

#[derive(Debug, Default, Clone)]
struct Contents {
    now: Image,
    durable: Image,
    unsynced: Vec<Change>,
}

#[derive(Debug, Default, Clone)]
struct Image {
    pages: BTreeMap<u64, Box<[u8]>>,
    length_bytes: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset_bytes: u64, data: Vec<u8>, is_beside: bool },
    Punch { offset_bytes: u64, length_bytes: u64 },
    SetLength(u64),
}

impl Change {
    const fn is_beside(&self) -> bool {
        matches!(self, Self::Write { is_beside: true, .. })
    }
}

impl SimulatedDisk {
    /// An empty disk of the given capacity.
    #[must_use]
    pub fn new(capacity_bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            files: BTreeMap::new(),
            calls_left: None,
            is_off: false,
            calls: 0,
            capacity_bytes,
            sync_to_fail: None,
            written_bytes: BTreeMap::new(),
            shares_syncs: false,
            interlude: Interlude::default(),
        })))
    }

    /// Whether from now on the sync of one file also makes durable what is [written beside](File::write_beside) in others.
    pub fn share_syncs(&self, shares_syncs: bool) {
        self.0.lock().shares_syncs = shares_syncs;
    }

    /// Makes `call` while the next sync of the data file is under way that is also for something written beside: what others do
    /// meanwhile, as a fixed order.
    pub fn during_next_shared_sync(&self, call: impl FnOnce() + Send + 'static) {
        self.0.lock().interlude = Interlude(Some(Box::new(call)));
    }

    /// Another disk with the same content, durable and not. Its power is on, and nothing is planned for it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let disk = self.0.lock();
        Self(Arc::new(Mutex::new(Disk {
            files: disk.files.clone(),
            calls_left: None,
            is_off: false,
            calls: 0,
            capacity_bytes: disk.capacity_bytes,
            sync_to_fail: None,
            written_bytes: BTreeMap::new(),
            shares_syncs: disk.shares_syncs,
            interlude: Interlude::default(),
        })))
    }

    /// Lets `calls` more changing calls pass; the power fails in the one after.
    pub fn cut_power_after(&self, calls: u64) {
        self.0.lock().calls_left = Some(calls);
    }

    /// Whether the power has failed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.lock().is_off
    }

    /// Changing calls answered so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Turns the power off, decides by `seed` what survives, and turns it on again. Whoever had files open
    /// must have let go of them.
    pub fn restart(&self, seed: u64, survival: Survival) {
        let random = SeededRandom::new(seed);
        let mut disk = self.0.lock();
        for (role, contents) in &mut disk.files {
            contents.lose_power(*role, &random, survival);
        }
        disk.is_off = false;
        disk.calls_left = None;
    }

    /// Makes the next sync of a file fail, as a device that cannot write does; what was to be synced stays in doubt.
    pub fn fail_next_sync(&self, role: FileRole) {
        self.0.lock().sync_to_fail = Some(role);
    }

    /// Changes how much the disk can hold.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        self.0.lock().capacity_bytes = capacity_bytes;
    }

    /// Bytes that were ever written to the file; holes are not.
    #[must_use]
    pub fn written_bytes(&self, role: FileRole) -> u64 {
        self.0.lock().written_bytes.get(&role).copied().unwrap_or(0)
    }

    /// Bytes that the file takes on the disk.
    #[must_use]
    pub fn allocated_bytes(&self, role: FileRole) -> u64 {
        self.0.lock().files.get(&role).map_or(0, |contents| contents.now.pages.len() as u64 * PAGE_BYTES)
    }
}

impl Disk {
    fn allocated_bytes(&self) -> u64 {
        self.files.values().map(|contents| contents.now.pages.len() as u64 * PAGE_BYTES).sum()
    }

    /// Counts one changing call. The call in which the power fails still reaches the disk's cache.
    fn step(&mut self) -> io::Result<bool> {
        if self.is_off {
            return Err(io::Error::other("simulated power cut"));
        }
        self.calls += 1;
        match &mut self.calls_left {
            Some(0) => {
                self.is_off = true;
                Ok(false)
            }
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => Ok(true),
        }
    }

    fn change(&mut self, role: FileRole, change: Change) -> io::Result<()> {
        let has_power = self.step()?;
        if let Change::Write { offset_bytes, data, .. } = &change {
            let new_pages = self.file(role)?.now.missing_pages(*offset_bytes, data.len() as u64);
            if self.allocated_bytes() + new_pages * PAGE_BYTES > self.capacity_bytes {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            *self.written_bytes.entry(role).or_default() += data.len() as u64;
        }
        let contents = self.file(role)?;
        contents.now.apply(&change);
        contents.unsynced.push(change);
        if has_power { Ok(()) } else { Err(io::Error::other("simulated power cut")) }
    }

    fn interlude_of_sync(&mut self, role: FileRole) -> Option<Box<dyn FnOnce() + Send>> {
        let is_shared = role == FileRole::Data
            && self.files.values().any(|contents| contents.unsynced.iter().any(Change::is_beside));
        if is_shared { self.interlude.0.take() } else { None }
    }

    fn file(&mut self, role: FileRole) -> io::Result<&mut Contents> {
        self.files.get_mut(&role).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Contents {
    fn lose_power(&mut self, role: FileRole, random: &SeededRandom, survival: Survival) {
        let piece_bytes = if role == FileRole::Data { PAGE_BYTES } else { 512 };
        let survives = || match survival {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Some => random.below(2) == 0,
        };
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { offset_bytes, data, .. } => {
                    for piece in pieces(offset_bytes, data.len() as u64, piece_bytes) {
                        if survives() {
                            let from = (piece.start - offset_bytes) as usize;
                            let to = (piece.end - offset_bytes) as usize;
                            self.durable.write(piece.start, &data[from..to]);
                        }
                    }
                }
                Change::Punch { offset_bytes, length_bytes } => {
                    for piece in pieces(offset_bytes, length_bytes, PAGE_BYTES) {
                        if survives() {
                            self.durable.punch(piece.start, piece.end - piece.start);
                        }
                    }
                }
                Change::SetLength(length_bytes) => {
                    if survives() {
                        self.durable.set_length(length_bytes);
                    }
                }
            }
        }
        self.now = self.durable.clone();
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            self.durable.apply(&change);
        }
    }

    /// The sync of another file.
    fn sync_beside(&mut self) {
        for change in self.unsynced.extract_if(.., |change| change.is_beside()) {
            self.durable.apply(&change);
        }
    }
}

/// Cuts a range at multiples of `piece_bytes`.
fn pieces(offset_bytes: u64, length_bytes: u64, piece_bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let end = offset_bytes + length_bytes;
    let mut start = offset_bytes;
    std::iter::from_fn(move || {
        (start < end).then(|| {
            let piece = start..end.min((start / piece_bytes + 1) * piece_bytes);
            start = piece.end;
            piece
        })
    })
}

impl Image {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { offset_bytes, data, .. } => self.write(*offset_bytes, data),
            Change::Punch { offset_bytes, length_bytes } => self.punch(*offset_bytes, *length_bytes),
            Change::SetLength(length_bytes) => self.set_length(*length_bytes),
        }
    }

    fn write(&mut self, offset_bytes: u64, data: &[u8]) {
        for piece in pieces(offset_bytes, data.len() as u64, PAGE_BYTES) {
            let page = self
                .pages
                .entry(piece.start / PAGE_BYTES)
                .or_insert_with(|| vec![0; PAGE_BYTES as usize].into_boxed_slice());
            let at = (piece.start % PAGE_BYTES) as usize;
            let from = &data[(piece.start - offset_bytes) as usize..(piece.end - offset_bytes) as usize];
            page[at..at + from.len()].copy_from_slice(from);
        }
        self.length_bytes = self.length_bytes.max(offset_bytes + data.len() as u64);
    }

    fn punch(&mut self, offset_bytes: u64, length_bytes: u64) {
        for piece in pieces(offset_bytes, length_bytes, PAGE_BYTES) {
            if piece.end - piece.start == PAGE_BYTES {
                self.pages.remove(&(piece.start / PAGE_BYTES));
            } else if let Some(page) = self.pages.get_mut(&(piece.start / PAGE_BYTES)) {
                let at = (piece.start % PAGE_BYTES) as usize;
                page[at..at + (piece.end - piece.start) as usize].fill(0);
            }
        }
    }

    fn set_length(&mut self, length_bytes: u64) {
        let end = self.length_bytes.max(length_bytes).next_multiple_of(PAGE_BYTES);
        self.punch(length_bytes, end - length_bytes);
        self.length_bytes = length_bytes;
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let length_bytes = buffer.len() as u64;
        if offset_bytes + length_bytes > self.length_bytes {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        for piece in pieces(offset_bytes, length_bytes, PAGE_BYTES) {
            let into =
                &mut buffer[(piece.start - offset_bytes) as usize..(piece.end - offset_bytes) as usize];
            match self.pages.get(&(piece.start / PAGE_BYTES)) {
                Some(page) => {
                    let at = (piece.start % PAGE_BYTES) as usize;
                    into.copy_from_slice(&page[at..at + into.len()]);
                }
                None => into.fill(0),
            }
        }
        Ok(())
    }

    fn missing_pages(&self, offset_bytes: u64, length_bytes: u64) -> u64 {
        pieces(offset_bytes, length_bytes, PAGE_BYTES)
            .filter(|piece| !self.pages.contains_key(&(piece.start / PAGE_BYTES)))
            .count() as u64
    }
}

impl Directory for SimulatedDisk {
    fn exists(&self, role: FileRole) -> io::Result<bool> {
        Ok(self.0.lock().files.contains_key(&role))
    }

    fn open(&self, role: FileRole) -> io::Result<Arc<dyn File>> {
        let mut disk = self.0.lock();
        if !disk.files.contains_key(&role) {
            disk.step()?;
            disk.files.insert(role, Contents::default());
        }
        Ok(Arc::new(SimulatedFile { disk: self.clone(), role }))
    }

    fn rename(&self, from: FileRole, to: FileRole) -> io::Result<()> {
        let mut disk = self.0.lock();
        if !disk.step()? {
            return Err(io::Error::other("simulated power cut"));
        }
        let contents = disk.files.remove(&from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        disk.files.insert(to, contents);
        Ok(())
    }

    fn available_bytes(&self) -> io::Result<u64> {
        let disk = self.0.lock();
        Ok(disk.capacity_bytes.saturating_sub(disk.allocated_bytes()))
    }

    fn capacity_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().capacity_bytes)
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    role: FileRole,
}

impl SimulatedFile {
    fn change(&self, change: Change) -> io::Result<()> {
        self.disk.0.lock().change(self.role, change)
    }
}

impl File for SimulatedFile {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.disk.0.lock().file(self.role)?.now.length_bytes)
    }

    fn set_length(&self, length_bytes: u64) -> io::Result<()> {
        self.change(Change::SetLength(length_bytes))
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut disk = self.disk.0.lock();
        if disk.is_off {
            return Err(io::Error::other("simulated power cut"));
        }
        disk.file(self.role)?.now.read(offset_bytes, buffer)
    }

    fn try_read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<bool> {
        self.read_at(offset_bytes, buffer).map(|()| true)
    }

    fn write_at(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write { offset_bytes, data: data.to_vec(), is_beside: false })
    }

    fn can_write_beside(&self) -> bool {
        self.disk.0.lock().shares_syncs
    }

    fn write_beside(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write { offset_bytes, data: data.to_vec(), is_beside: true })
    }

    fn sync_data(&self) -> io::Result<()> {
        let interlude = self.disk.0.lock().interlude_of_sync(self.role);
        if let Some(call) = interlude {
            call();
        }
        let mut disk = self.disk.0.lock();
        if !disk.step()? {
            return Err(io::Error::other("simulated power cut"));
        }
        if disk.sync_to_fail == Some(self.role) {
            disk.sync_to_fail = None;
            return Err(io::Error::other("simulated failure of a sync"));
        }
        disk.file(self.role)?.sync();
        if disk.shares_syncs {
            disk.files.values_mut().for_each(Contents::sync_beside);
        }
        Ok(())
    }

    fn punch_hole(&self, offset_bytes: u64, length_bytes: u64) -> io::Result<()> {
        self.change(Change::Punch { offset_bytes, length_bytes })
    }

    fn next_allocated(&self, from_bytes: u64, to_bytes: u64) -> io::Result<Option<Range<u64>>> {
        if from_bytes >= to_bytes {
            return Ok(None);
        }
        let mut disk = self.disk.0.lock();
        let contents = disk.file(self.role)?;
        let mut pages = contents.now.pages.range(from_bytes / PAGE_BYTES..to_bytes.div_ceil(PAGE_BYTES));
        let Some((first, _)) = pages.next() else { return Ok(None) };
        let mut end = first + 1;
        while contents.now.pages.contains_key(&end) {
            end += 1;
        }
        Ok(Some((first * PAGE_BYTES).max(from_bytes)..end * PAGE_BYTES))
    }
}
