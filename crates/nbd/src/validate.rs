//! The one place where a request is judged. What comes out of it needs no further check.

use ashlar_volume::ZeroMode;

use crate::codec::{Command, CommandFlags, PAYLOAD_BYTES_MAX, Request};
use crate::errno::{CommandError, Errno};
use crate::features::Features;

/// A range that lay within the export when it was judged; sizes only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) offset_bytes: u64,
    /// 1 at least.
    pub(crate) length_bytes: u32,
}

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
        only_one: bool,
    },
}

/// Judges `request` for an export of `size_bytes` now. `Disconnect` is no operation and ends before.
pub(crate) fn validate(
    request: &Request,
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
                features.structured_replies && !request.flags.has(CommandFlags::DO_NOT_FRAGMENT);
            Ok(Operation::Read { range: range_of(request, size_bytes, Errno::Invalid)?, may_fragment })
        }
        Command::Write => {
            check_writable(features)?;
            Ok(Operation::Write { range: range_of(request, size_bytes, Errno::NoSpace)?, durable })
        }
        Command::Flush => check_no_range(request).map(|()| Operation::Flush),
        Command::Trim => {
            check_writable(features)?;
            Ok(Operation::Trim { range: range_of(request, size_bytes, Errno::Invalid)?, durable })
        }
        Command::Cache => Ok(Operation::Cache { range: range_of(request, size_bytes, Errno::Invalid)? }),
        Command::WriteZeroes => {
            check_writable(features)?;
            let range = range_of(request, size_bytes, Errno::NoSpace)?;
            Ok(Operation::WriteZeroes { range, mode: zero_mode(request.flags)?, durable })
        }
        Command::BlockStatus => {
            if !features.block_status {
                return Err(CommandError::new(Errno::Invalid, "no metadata context was chosen"));
            }
            let only_one = request.flags.has(CommandFlags::REQUEST_ONE);
            Ok(Operation::BlockStatus { range: range_of(request, size_bytes, Errno::Invalid)?, only_one })
        }
        Command::Disconnect => Err(CommandError::new(Errno::Invalid, "the session has ended")),
    }
}

/// Each command has its flags; `FORCE_UNIT_ACCESS` goes with all of them wherever it was offered.
fn check_flags(request: &Request, command: Command, features: Features) -> Result<(), CommandError> {
    let mut allowed = match command {
        Command::Read if features.structured_replies => CommandFlags::DO_NOT_FRAGMENT,
        Command::WriteZeroes => CommandFlags::NO_HOLE.and(CommandFlags::FAST_ZERO),
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
    if request.length_bytes > PAYLOAD_BYTES_MAX {
        return Err(CommandError::new(
            Errno::Invalid,
            format!("a read of {} bytes: expected at most {PAYLOAD_BYTES_MAX}", request.length_bytes),
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
    match offset_bytes.checked_add(u64::from(length_bytes)) {
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
