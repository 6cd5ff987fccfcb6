//! A simulated NBD client: a connection that waits for its replies. Several writes may be out at once; they go in one
//! piece that is small enough to arrive in one piece, so that the session sees the same every time.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ashlar_volume::BLOCK_BYTES;

const GO: u32 = 7;
const ACK: u32 = 1;
const INFO: u32 = 3;
/// Far longer than anything takes: a session that does not answer is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that has no payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Flush = 3,
    Trim = 4,
    WriteZeroes = 6,
}

/// A connection to an export.
#[derive(Debug)]
pub(crate) struct Client(UnixStream);

fn broken(what: impl Into<String>) -> io::Error {
    io::Error::other(what.into())
}

impl Client {
    /// Opens the export.
    pub(crate) fn open(socket: &Path, export: &str) -> io::Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.read_exact(&mut [0; 18])?;
        let name = export.as_bytes();
        let mut option = [&3_u32.to_be_bytes()[..], b"IHAVEOPT", &GO.to_be_bytes()].concat();
        option.extend((name.len() as u32 + 6).to_be_bytes());
        option.extend((name.len() as u32).to_be_bytes());
        option.extend(name);
        option.extend([0, 0]);
        stream.write_all(&option)?;
        loop {
            let mut header = [0; 20];
            stream.read_exact(&mut header)?;
            let [.., a, b, c, d] = header;
            let mut data = vec![0; u32::from_be_bytes([a, b, c, d]) as usize];
            stream.read_exact(&mut data)?;
            match u32::from_be_bytes([header[12], header[13], header[14], header[15]]) {
                ACK => return Ok(Self(stream)),
                INFO => {}
                other => {
                    return Err(broken(format!(
                        "option reply {other:#x}: {}",
                        String::from_utf8_lossy(&data)
                    )));
                }
            }
        }
    }

    /// Writes blocks, all at once; an errno for each, 0 for success.
    pub(crate) fn write(&mut self, writes: &[(u64, Vec<u8>)], durable: bool) -> io::Result<Vec<u32>> {
        let mut bytes = Vec::new();
        for (cookie, (block, data)) in writes.iter().enumerate() {
            bytes.extend(request(
                1,
                u16::from(durable),
                cookie as u64,
                block * BLOCK_BYTES,
                data.len() as u32,
            ));
            bytes.extend(data);
        }
        self.0.write_all(&bytes)?;
        let mut errors = vec![0; writes.len()];
        for _ in writes {
            let (cookie, error) = self.reply()?;
            *errors.get_mut(cookie as usize).ok_or_else(|| broken("an unknown cookie"))? = error;
        }
        Ok(errors)
    }

    /// Reads one block, or gives the errno.
    pub(crate) fn read(&mut self, block: u64) -> io::Result<Result<Vec<u8>, u32>> {
        self.0.write_all(&request(0, 0, 0, block * BLOCK_BYTES, BLOCK_BYTES as u32))?;
        match self.reply()? {
            (_, 0) => {
                let mut data = vec![0; BLOCK_BYTES as usize];
                self.0.read_exact(&mut data)?;
                Ok(Ok(data))
            }
            (_, error) => Ok(Err(error)),
        }
    }

    /// Any other command: its errno, 0 for success.
    pub(crate) fn call(&mut self, command: Command, block: u64, blocks: u64) -> io::Result<u32> {
        let length = (blocks * BLOCK_BYTES) as u32;
        self.0.write_all(&request(command as u16, 0, 0, block * BLOCK_BYTES, length))?;
        Ok(self.reply()?.1)
    }

    /// Says goodbye and waits until the session is over.
    pub(crate) fn disconnect(mut self) -> io::Result<()> {
        self.0.write_all(&request(2, 0, 0, 0, 0))?;
        match self.0.read(&mut [0; 1])? {
            0 => Ok(()),
            _ => Err(broken("bytes after the goodbye")),
        }
    }

    fn reply(&mut self) -> io::Result<(u64, u32)> {
        let mut reply = [0; 16];
        self.0.read_exact(&mut reply)?;
        let [m0, m1, m2, m3, e0, e1, e2, e3, cookie @ ..] = reply;
        if u32::from_be_bytes([m0, m1, m2, m3]) != 0x6744_6698 {
            return Err(broken("not a simple reply"));
        }
        Ok((u64::from_be_bytes(cookie), u32::from_be_bytes([e0, e1, e2, e3])))
    }
}

fn request(command: u16, flags: u16, cookie: u64, offset: u64, length: u32) -> Vec<u8> {
    let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend(command.to_be_bytes());
    bytes.extend(cookie.to_be_bytes());
    bytes.extend(offset.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}
