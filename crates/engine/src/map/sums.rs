//! The checksums of the map's pages (`map.sums`).

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::file::File;
use crate::format::crc32c;

/// The unit that has a checksum. The embedded store writes whole ones but for its header, the first.
pub(super) const PAGE_BYTES: u64 = 4096;

/// Changed in place, and has checksums in itself.
const HEADER_PAGE: u64 = 0;
const SUM_BYTES: u64 = 4;
const SUMS_PER_BLOCK: usize = (PAGE_BYTES / SUM_BYTES) as usize;

/// For each page the checksum of what was last written to it.
///
/// It is written in place. A crash leaves each entry old or new, and only entries of pages that nobody needs differ.
#[derive(Debug)]
pub(super) struct PageSums {
    file: Arc<dyn File>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// 0: nothing is known of the page.
    sums: Vec<u32>,
    /// Blocks of the file that hold something else.
    changed: BTreeSet<usize>,
}

impl PageSums {
    /// Reads all that is there. Takes a thousandth of the map's length in memory.
    pub(super) fn load(file: Arc<dyn File>) -> io::Result<Self> {
        let mut bytes = vec![0; (file.length_bytes()? / PAGE_BYTES * PAGE_BYTES) as usize];
        file.read_at(0, &mut bytes)?;
        let (words, _) = bytes.as_chunks::<{ SUM_BYTES as usize }>();
        let sums = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        Ok(Self { file, state: Mutex::new(State { sums, changed: BTreeSet::new() }) })
    }

    /// Whether there is an entry for each page of a map of this length.
    pub(super) fn covers(&self, map_length_bytes: u64) -> bool {
        self.state.lock().sums.len() as u64 >= map_length_bytes.div_ceil(PAGE_BYTES)
    }

    /// The first page of a range of the map that is not what was last written there.
    pub(super) fn first_damaged(&self, offset_bytes: u64, data: &[u8]) -> Option<u64> {
        let pages: Vec<_> =
            whole_pages(offset_bytes, data).filter(|(page, _)| *page != HEADER_PAGE).collect();
        let expected: Vec<u32> = {
            let state = self.state.lock();
            pages.iter().map(|(page, _)| state.sums.get(*page as usize).copied().unwrap_or(0)).collect()
        };
        let mut damaged =
            pages.iter().zip(expected).filter(|((_, bytes), sum)| *sum != 0 && page_sum(bytes) != *sum);
        damaged.next().map(|((page, _), _)| *page)
    }

    /// Takes over what was written to the map.
    pub(super) fn note(&self, offset_bytes: u64, data: &[u8]) {
        let end_bytes = offset_bytes + data.len() as u64;
        let mut state = self.state.lock();
        // What is written in part can be compared with nothing.
        for edge in [offset_bytes, end_bytes].into_iter().filter(|edge| !edge.is_multiple_of(PAGE_BYTES)) {
            state.set((edge / PAGE_BYTES) as usize, 0);
        }
        for (page, bytes) in whole_pages(offset_bytes, data) {
            state.set(page as usize, page_sum(bytes));
        }
    }

    /// Makes room for the entries of a longer map, durably and before the map is longer; forgets those of pages that a
    /// shorter one lacks.
    pub(super) fn resize(&self, map_length_bytes: u64) -> io::Result<()> {
        let pages = map_length_bytes.div_ceil(PAGE_BYTES) as usize;
        let have = self.state.lock().sums.len();
        if pages > have {
            let blocks = pages.div_ceil(SUMS_PER_BLOCK);
            self.file.set_length(blocks as u64 * PAGE_BYTES)?;
            self.file.sync_data()?;
            self.state.lock().sums.resize(blocks * SUMS_PER_BLOCK, 0);
        }
        let mut state = self.state.lock();
        (pages..have).for_each(|page| state.set(page, 0));
        Ok(())
    }

    /// Makes all entries durable. After an error nobody knows which are.
    pub(super) fn sync(&self) -> io::Result<()> {
        let blocks: Vec<(usize, Vec<u8>)> = {
            let mut state = self.state.lock();
            let changed = std::mem::take(&mut state.changed);
            changed.into_iter().map(|block| (block, state.encoded(block))).collect()
        };
        if blocks.is_empty() {
            return Ok(());
        }
        for (block, bytes) in blocks {
            self.file.write_at(block as u64 * PAGE_BYTES, &bytes)?;
        }
        self.file.sync_data()
    }
}

impl State {
    fn set(&mut self, page: usize, sum: u32) {
        if let Some(entry) = self.sums.get_mut(page).filter(|entry| **entry != sum) {
            *entry = sum;
            self.changed.insert(page / SUMS_PER_BLOCK);
        }
    }

    fn encoded(&self, block: usize) -> Vec<u8> {
        let sums = &self.sums[block * SUMS_PER_BLOCK..][..SUMS_PER_BLOCK];
        sums.iter().flat_map(|sum| sum.to_le_bytes()).collect()
    }
}

/// The pages that lie wholly in a range of the map.
fn whole_pages(offset_bytes: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let first = offset_bytes.div_ceil(PAGE_BYTES);
    let skipped = ((first * PAGE_BYTES - offset_bytes) as usize).min(data.len());
    (first..).zip(data[skipped..].chunks_exact(PAGE_BYTES as usize))
}

/// Never 0.
fn page_sum(bytes: &[u8]) -> u32 {
    crc32c(bytes).max(1)
}
