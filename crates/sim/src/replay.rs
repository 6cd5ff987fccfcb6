//! Replaying what a real file system wrote: a log of block requests goes to a volume on a disk that loses power, and at
//! every flush the power fails. What the pool recovers to is written out as an image, for fsck to judge.
//!
//! The log is a row of entries, little-endian: operation u8 (1 write, 2 durable write, 3 flush, 4 trim, 5 zeroes, 6 from here on
//! there is a file system), offset u64, length u32, then the data of a write. The file begins with `ASHLOG1\n` and the size of the disk, u64.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use ashlar_engine::simulated::{SimulatedDisk, Survival};
use ashlar_engine::{Background, Pool, PoolOptions, check_in};
use ashlar_types::MIB_BYTES;
use ashlar_volume::{BlockDevice, ExtentKind, VolumeError, VolumeId, VolumeStore, ZeroMode};

const MAGIC: &[u8; 8] = b"ASHLOG1\n";
const IMAGE_PIECE_BYTES: u64 = 256 << 10;

/// A request of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Bytes are written; durable at once or at the next flush.
    Write {
        /// Where.
        offset_bytes: u64,
        /// What.
        data: Vec<u8>,
        /// With FUA.
        durable: bool,
    },
    /// Everything before is durable.
    Flush,
    /// A range is given back.
    Trim {
        /// Where.
        offset_bytes: u64,
        /// How much.
        length_bytes: u64,
    },
    /// A range is zeroed.
    Zero {
        /// Where.
        offset_bytes: u64,
        /// How much.
        length_bytes: u64,
    },
    /// The file system has been made: from here on it must be sound.
    Made,
}

/// What a file system sent to its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The size of the disk.
    pub size_bytes: u64,
    /// The requests, in order.
    pub entries: Vec<Entry>,
}

impl Log {
    /// Reads a log from its file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&bytes).ok_or_else(|| format!("{}: not a whole block log", path.display()))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at_checked(count)?;
            rest = left;
            Some(taken.to_vec())
        };
        let number =
            |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let size_bytes = number(&take(8)?);
        let mut entries = Vec::new();
        while let Some(header) = take(13) {
            let (offset_bytes, length_bytes) = (number(&header[1..9]), number(&header[9..]));
            entries.push(match header[0] {
                kind @ (1 | 2) => {
                    Entry::Write { offset_bytes, data: take(length_bytes as usize)?, durable: kind == 2 }
                }
                3 => Entry::Flush,
                4 => Entry::Trim { offset_bytes, length_bytes },
                5 => Entry::Zero { offset_bytes, length_bytes },
                6 => Entry::Made,
                _ => return None,
            });
        }
        rest.is_empty().then_some(Self { size_bytes, entries })
    }

    /// How many flushes and durable writes there are.
    #[must_use]
    pub fn flushes(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_flush()).count()
    }
}

impl Entry {
    const fn is_flush(&self) -> bool {
        matches!(self, Self::Flush | Self::Write { durable: true, .. })
    }

    fn apply(&self, device: &dyn BlockDevice) -> Result<(), VolumeError> {
        match self {
            Self::Write { offset_bytes, data, durable } => {
                device.write(*offset_bytes, data)?;
                if *durable { device.flush() } else { Ok(()) }
            }
            Self::Flush => device.flush(),
            Self::Trim { offset_bytes, length_bytes } => device.discard(*offset_bytes, *length_bytes),
            Self::Made => Ok(()),
            Self::Zero { offset_bytes, length_bytes } => {
                device.write_zeroes(*offset_bytes, *length_bytes, ZeroMode::MayUnmap)
            }
        }
    }
}

fn options() -> PoolOptions {
    PoolOptions {
        journal_segment_bytes: MIB_BYTES,
        reserve_bytes: MIB_BYTES,
        background: Background::Manual,
        ..PoolOptions::default()
    }
}

/// Replays the log. At each flush the power fails twice on copies of the disk: right after it, when nothing more
/// survives, and right before the next one, when some of what came since survives. Each time `judge` is shown the image
/// that the pool recovers to. Gives how many images were judged.
pub fn replay(
    log: &Log,
    image: &Path,
    mut judge: impl FnMut(&str) -> Result<(), String>,
) -> Result<u64, String> {
    let text = |error: VolumeError| error.to_string();
    let volume = VolumeId::new("disk").map_err(text)?;
    let disk = SimulatedDisk::new(1 << 40);
    let pool = Pool::open_in(Arc::new(disk.clone()), options()).map_err(text)?;
    pool.create_volume(&volume, log.size_bytes).map_err(text)?;
    let device = pool.open_volume(&volume).map_err(text)?;
    let (mut flushes, mut judged) = (0_u64, 0);
    let made = log.entries.iter().position(|entry| *entry == Entry::Made).unwrap_or(0);
    for (at, entry) in log.entries.iter().enumerate() {
        if entry.is_flush() && at > made && flushes > 0 {
            let copy = disk.fork();
            copy.restart(flushes, Survival::Some);
            write_image(&copy, &volume, image)?;
            judge(&format!("the power fails before flush {}", flushes + 1))?;
            judged += 1;
        }
        entry.apply(&*device).map_err(text)?;
        if entry.is_flush() {
            flushes += 1;
            pool.run_background_step().map_err(text)?;
            if at < made {
                continue;
            }
            let copy = disk.fork();
            copy.restart(flushes, Survival::Nothing);
            write_image(&copy, &volume, image)?;
            judge(&format!("the power fails after flush {flushes}"))?;
            judged += 1;
        }
    }
    Ok(judged)
}

/// Recovers the pool and writes what the volume holds as a sparse file.
fn write_image(disk: &SimulatedDisk, volume: &VolumeId, image: &Path) -> Result<(), String> {
    let text = |error: VolumeError| error.to_string();
    let report = check_in(Arc::new(disk.clone())).map_err(text)?;
    if !report.findings.is_empty() {
        return Err(format!("the pool is broken: {:?}", report.findings));
    }
    let pool = Pool::open_in(Arc::new(disk.clone()), options()).map_err(text)?;
    let device = pool.open_volume(volume).map_err(text)?;
    let written = write_sparse(&*device, image);
    written.map_err(|error| format!("{}: {error}", image.display()))
}

fn write_sparse(device: &dyn BlockDevice, image: &Path) -> std::io::Result<()> {
    let file = File::create(image)?;
    file.set_len(device.size_bytes())?;
    let mut buffer = vec![0; IMAGE_PIECE_BYTES as usize];
    let mut at = 0;
    while at < device.size_bytes() {
        let extents = device.extents(at, device.size_bytes() - at, 1).map_err(std::io::Error::other)?;
        let Some(extent) = extents.first() else { break };
        let end = at + extent.length_bytes;
        while extent.kind == ExtentKind::Data && at < end {
            let piece = &mut buffer[..IMAGE_PIECE_BYTES.min(end - at) as usize];
            device.read(at, piece).map_err(std::io::Error::other)?;
            file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        at = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_whole_or_not_at_all() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((1_u64 << 20).to_le_bytes());
        for (kind, offset, length, data) in
            [(1_u8, 4096_u64, 3_u32, &b"abc"[..]), (3, 0, 0, b""), (4, 8192, 4096, b"")]
        {
            bytes.push(kind);
            bytes.extend(offset.to_le_bytes());
            bytes.extend(length.to_le_bytes());
            bytes.extend(data);
        }
        let log = Log::parse(&bytes).unwrap();
        assert_eq!((log.size_bytes, log.entries.len(), log.flushes()), (1 << 20, 3, 1));
        assert_eq!(
            log.entries[0],
            Entry::Write { offset_bytes: 4096, data: b"abc".to_vec(), durable: false }
        );
        assert_eq!(Log::parse(&bytes[..bytes.len() - 1]), None, "cut short");
        assert_eq!(Log::parse(&bytes[1..]), None);
    }

    #[test]
    fn every_flush_is_judged_before_and_after() {
        let write = |byte: u8| Entry::Write { offset_bytes: 0, data: vec![byte; 4096], durable: false };
        let entries = vec![write(1), Entry::Flush, write(2), write(3), Entry::Flush];
        let log = Log { size_bytes: 1 << 20, entries };
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        let mut seen = Vec::new();
        let judged = replay(&log, &image, |_| {
            seen.push(std::fs::read(&image).unwrap()[0]);
            Ok(())
        });
        assert_eq!(judged, Ok(3));
        assert_eq!((seen[0], seen[2]), (1, 3), "what was flushed is there");
        assert!((1..=3).contains(&seen[1]), "what was not may be");
    }
}
