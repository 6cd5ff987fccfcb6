//! The one place where a request is judged. What comes out of it needs no further check.

use ashlar_volume::ZeroMode;

use crate::codec::{Command, CommandFlags, PAYLOAD_BYTES_MAX, Request, StatusPayload};
use crate::contexts::ContextSet;
use crate::errno::{CommandError, Errno};
use crate::features::Features;

/// A range that lay within the export when it was judged; sizes only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) offset_bytes: u64,
    /// 1 at least.
    pub(crate) length_bytes: u64,
}

impl Range {
    /// The length, as memory counts.
    pub(crate) const fn length(self) -> usize {
        self.length_bytes as usize
    }

    /// The first `length_bytes` and what is left, if there is so much. Cut where offsets are multiples of it, so that no
    /// block is cut.
    pub(crate) fn split(self, length_bytes: u64) -> (Self, Option<Self>) {
        let end = self.offset_bytes + self.length_bytes;
        let cut = (self.offset_bytes / length_bytes + 1).saturating_mul(length_bytes);
        if cut >= end {
            return (self, None);
        }
        let first = Self { length_bytes: cut - self.offset_bytes, ..self };
        (first, Some(Self { offset_bytes: cut, length_bytes: end - cut }))
    }
}

/// The longest range that is read ahead for one request: 1 GiB.
const CACHE_BYTES_MAX: u64 = 1 << 30;

/// A request that can be carried out as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Read {
        range: Range,
        /// The reply may come in several chunks.
        may_fragment: bool,
    },
    /// The payload is as long as the range.
    Write {
        range: Range,
        durable: bool,
    },
    Flush,
    Trim {
        range: Range,
        durable: bool,
    },
    Cache {
        range: Range,
    },
    WriteZeroes {
        range: Range,
        mode: ZeroMode,
        durable: bool,
    },
    BlockStatus {
        range: Range,
        contexts: ContextSet,
        only_one: bool,
    },
}

/// Judges `request` for an export of `size_bytes` now. `Disconnect` is no operation and ends before. `payload` is what
/// came with the request, that of a write apart.
pub(crate) fn validate(
    request: &Request,
    payload: &[u8],
    features: Features,
    size_bytes: u64,
) -> Result<Operation, CommandError> {
    let command = Command::from_wire(request.command)
        .ok_or_else(|| CommandError::new(Errno::Invalid, format!("unknown command {}", request.command)))?;
    check_flags(request, command, features)?;
    let durable = request.flags.has(CommandFlags::FORCE_UNIT_ACCESS);
    match command {
        Command::Read => {
            check_payload_length(request)?;
            let may_fragment =
                features.style.has_chunks() && !request.flags.has(CommandFlags::DO_NOT_FRAGMENT);
            Ok(Operation::Read { range: range_of(request, size_bytes, Errno::Invalid)?, may_fragment })
        }
        Command::Write => {
            check_writable(features)?;
            check_payload_flag(request, features)?;
            Ok(Operation::Write { range: range_of(request, size_bytes, Errno::NoSpace)?, durable })
        }
        Command::Flush => check_no_range(request).map(|()| Operation::Flush),
        Command::Trim => {
            check_writable(features)?;
            Ok(Operation::Trim { range: range_of(request, size_bytes, Errno::Invalid)?, durable })
        }
        Command::Cache => {
            let range = range_of(request, size_bytes, Errno::Invalid)?;
            check_cache_length(range).map(|()| Operation::Cache { range })
        }
        Command::WriteZeroes => {
            check_writable(features)?;
            let range = range_of(request, size_bytes, Errno::NoSpace)?;
            Ok(Operation::WriteZeroes { range, mode: zero_mode(request.flags)?, durable })
        }
        Command::BlockStatus => block_status(request, payload, features, size_bytes),
        Command::Disconnect => Err(CommandError::new(Errno::Invalid, "the session has ended")),
    }
}

fn block_status(
    request: &Request,
    payload: &[u8],
    features: Features,
    size_bytes: u64,
) -> Result<Operation, CommandError> {
    if features.contexts == 0 {
        return Err(CommandError::new(Errno::Invalid, "no metadata context was chosen"));
    }
    let only_one = request.flags.has(CommandFlags::REQUEST_ONE);
    if !request.flags.has(CommandFlags::PAYLOAD_LENGTH) {
        let range = range_of(request, size_bytes, Errno::Invalid)?;
        return Ok(Operation::BlockStatus {
            range,
            contexts: ContextSet::first(features.contexts),
            only_one,
        });
    }
    let wrong = || {
        CommandError::new(
            Errno::Invalid,
            "expected a length of 64 bits and the numbers of chosen metadata contexts, each once",
        )
    };
    let StatusPayload { length_bytes, contexts } = StatusPayload::decode(payload).ok_or_else(wrong)?;
    let contexts = ContextSet::of(&contexts, features.contexts).ok_or_else(wrong)?;
    let range = range_of(&Request { length_bytes, ..*request }, size_bytes, Errno::Invalid)?;
    Ok(Operation::BlockStatus { range, contexts, only_one })
}

/// Each command has its flags; `FORCE_UNIT_ACCESS` goes with all of them wherever it was offered.
fn check_flags(request: &Request, command: Command, features: Features) -> Result<(), CommandError> {
    let mut allowed = match command {
        Command::Read if features.style.has_chunks() => CommandFlags::DO_NOT_FRAGMENT,
        Command::Write if features.style.is_extended() => CommandFlags::PAYLOAD_LENGTH,
        Command::WriteZeroes => CommandFlags::NO_HOLE.and(CommandFlags::FAST_ZERO),
        Command::BlockStatus if features.style.is_extended() && features.contexts > 0 => {
            CommandFlags::REQUEST_ONE.and(CommandFlags::PAYLOAD_LENGTH)
        }
        Command::BlockStatus => CommandFlags::REQUEST_ONE,
        Command::Read
        | Command::Write
        | Command::Disconnect
        | Command::Flush
        | Command::Trim
        | Command::Cache => CommandFlags::NONE,
    };
    if !features.is_read_only {
        allowed = allowed.and(CommandFlags::FORCE_UNIT_ACCESS);
    }
    if allowed.has(request.flags) {
        return Ok(());
    }
    let strange = request.flags.0 & !allowed.0;
    Err(CommandError::new(
        Errno::Invalid,
        format!("flags {strange:#x} do not go with command {command:?} of this export"),
    ))
}

fn check_writable(features: Features) -> Result<(), CommandError> {
    if features.is_read_only {
        return Err(CommandError::new(Errno::NotPermitted, "the export is read-only"));
    }
    Ok(())
}

fn check_payload_length(request: &Request) -> Result<(), CommandError> {
    if request.length_bytes > u64::from(PAYLOAD_BYTES_MAX) {
        return Err(CommandError::new(
            Errno::Invalid,
            format!("a read of {} bytes: expected at most {PAYLOAD_BYTES_MAX}", request.length_bytes),
        ));
    }
    Ok(())
}

/// An extended write says itself that its length is that of its payload.
fn check_payload_flag(request: &Request, features: Features) -> Result<(), CommandError> {
    if features.style.is_extended() && !request.flags.has(CommandFlags::PAYLOAD_LENGTH) {
        return Err(CommandError::new(
            Errno::Invalid,
            "an extended write without the flag that announces its payload",
        ));
    }
    Ok(())
}

fn check_cache_length(range: Range) -> Result<(), CommandError> {
    if range.length_bytes > CACHE_BYTES_MAX {
        return Err(CommandError::new(
            Errno::Overflow,
            format!(
                "{} bytes are more than is read ahead: expected at most {CACHE_BYTES_MAX}",
                range.length_bytes
            ),
        ));
    }
    Ok(())
}

fn check_no_range(request: &Request) -> Result<(), CommandError> {
    if request.offset_bytes != 0 || request.length_bytes != 0 {
        return Err(CommandError::new(
            Errno::Invalid,
            "a flush has no range: expected offset 0 and length 0",
        ));
    }
    Ok(())
}

fn range_of(request: &Request, size_bytes: u64, beyond_the_end: Errno) -> Result<Range, CommandError> {
    let Request { offset_bytes, length_bytes, .. } = *request;
    if length_bytes == 0 {
        return Err(CommandError::new(Errno::Invalid, "the length is 0: expected at least 1"));
    }
    match offset_bytes.checked_add(length_bytes) {
        Some(end) if end <= size_bytes => Ok(Range { offset_bytes, length_bytes }),
        _ => Err(CommandError::new(
            beyond_the_end,
            format!("{length_bytes} bytes at {offset_bytes} do not lie within {size_bytes}"),
        )),
    }
}

fn zero_mode(flags: CommandFlags) -> Result<ZeroMode, CommandError> {
    match (flags.has(CommandFlags::NO_HOLE), flags.has(CommandFlags::FAST_ZERO)) {
        (false, _) => Ok(ZeroMode::MayUnmap),
        (true, false) => Ok(ZeroMode::KeepAllocated),
        // Zeroes that keep their space are written like data: never faster, so fail, as was asked for.
        (true, true) => Err(CommandError::new(Errno::NotSupported, "zeroes without a hole are not fast")),
    }
}

#[cfg(test)]
mod tests;
