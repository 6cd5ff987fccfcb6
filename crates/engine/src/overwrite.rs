//! Many blocks written at one time; see `blocks` for one after the other.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use ashlar_volume::BLOCK_BYTES;

use crate::blocks::{Cipher, Span};
use crate::checksums::HeldPage;
use crate::core::Core;
use crate::format::{ChecksumPage, crc32c};

impl Core {
    /// Writes whole blocks in place over blocks that the metadata refers to and that do not overlap, all at once. For each:
    /// whether it was written, or `None` where it has to take the ordinary way, because its page has no write intent or it
    /// lies in two of them.
    pub(crate) fn overwrite_many(
        &self,
        cipher: Cipher<'_>,
        spans: &[(Span, &[u8])],
    ) -> Vec<Option<io::Result<()>>> {
        let pages = self.hold_pages(spans);
        let open = |span: &Span, length: usize| {
            let page = pages.get(&span.page()).filter(|page| page.is_open())?;
            (span.last(length).page() == span.page()).then_some(page)
        };
        let chosen: Vec<_> = spans
            .iter()
            .map(|(span, bytes)| open(span, bytes.len()).map(|page| (page, *span, *bytes)))
            .collect();
        let stored: Vec<Option<Vec<u8>>> = chosen
            .iter()
            .map(|chosen| {
                let ((_, span, bytes), cipher) = (chosen.as_ref()?, cipher?);
                let mut stored = vec![0; bytes.len()];
                cipher.encrypt_into(span.block, bytes, &mut stored);
                Some(stored)
            })
            .collect();
        let parts: Vec<(u64, &[u8])> = chosen
            .iter()
            .zip(&stored)
            .filter_map(|(chosen, stored)| {
                chosen.map(|(_, span, bytes)| (span.offset_bytes, stored.as_deref().unwrap_or(bytes)))
            })
            .collect();
        if parts.is_empty() {
            return chosen.iter().map(|_| None).collect();
        }
        let ranges = chosen.iter().flatten().map(|(_, span, bytes)| (span.offset_bytes, bytes.len() as u64));
        let _nobody_else_writes = self.checksums.lock_ranges(ranges);
        let written = self.data.write_parts(&parts);
        self.mark_data_dirty(parts.iter().map(|(_, bytes)| bytes.len() as u64).sum());
        let results = chosen.iter().zip(&stored).map(|(chosen, stored)| {
            let (page, span, bytes) = (*chosen)?;
            let bytes = stored.as_deref().unwrap_or(bytes);
            Some(self.note_overwritten(page, span, bytes, &written))
        });
        results.collect()
    }

    /// Writes whole blocks to places that nothing refers to yet and that do not overlap, all at once; answers the checksums of
    /// each part.
    pub(crate) fn write_new_parts<'a>(
        &self,
        cipher: Cipher<'_>,
        spans: impl Iterator<Item = (Span, &'a [u8])>,
    ) -> io::Result<Vec<Vec<u32>>> {
        let stored: Vec<(u64, Cow<'_, [u8]>)> = spans
            .map(|(span, bytes)| {
                let bytes = cipher.map_or(Cow::Borrowed(bytes), |cipher| {
                    let mut stored = vec![0; bytes.len()];
                    cipher.encrypt_into(span.block, bytes, &mut stored);
                    Cow::Owned(stored)
                });
                (span.offset_bytes, bytes)
            })
            .collect();
        let parts: Vec<(u64, &[u8])> = stored.iter().map(|(at, bytes)| (*at, &**bytes)).collect();
        let written = self.data.write_parts(&parts);
        self.mark_data_dirty(parts.iter().map(|(_, bytes)| bytes.len() as u64).sum());
        written?;
        let sums = |bytes: &[u8]| bytes.chunks_exact(BLOCK_BYTES as usize).map(crc32c).collect();
        Ok(parts.into_iter().map(|(_, bytes)| sums(bytes)).collect())
    }

    /// Stores the checksums of what was written; the chunks are locked.
    fn note_overwritten(
        &self,
        page: &HeldPage<'_>,
        span: Span,
        bytes: &[u8],
        written: &io::Result<()>,
    ) -> io::Result<()> {
        if let Err(error) = written {
            self.settle_failed_write(page, span, bytes);
            return Err(error
                .raw_os_error()
                .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error));
        }
        for (at, block) in
            (0_u64..).step_by(BLOCK_BYTES as usize).zip(bytes.chunks_exact(BLOCK_BYTES as usize))
        {
            page.set_in_place(span.offset_bytes + at, crc32c(block));
        }
        self.damage.forget(self, span, bytes.len() as u64);
        Ok(())
    }

    /// Holds each page once, in ascending order. Those that cannot be had are left to the ordinary way, which says why.
    fn hold_pages(&self, spans: &[(Span, &[u8])]) -> BTreeMap<ChecksumPage, HeldPage<'_>> {
        let mut pages: Vec<ChecksumPage> = spans.iter().map(|(span, _)| span.page()).collect();
        pages.sort_unstable();
        pages.dedup();
        pages.into_iter().filter_map(|page| Some((page, self.page(page).ok()?))).collect()
    }
}
