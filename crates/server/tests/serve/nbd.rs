//! An NBD client as small as one can be: simple replies, one request at a time.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::harness::{DEADLINE, Home};

const GO: u32 = 7;
const ACK: u32 = 1;
const INFO: u32 = 3;

const READ: u16 = 0;
const WRITE: u16 = 1;
const FLUSH: u16 = 3;
const TRIM: u16 = 4;

pub(crate) const EIO: u32 = 5;
pub(crate) const ENOSPC: u32 = 28;

/// A connection to an export of the server.
pub(crate) struct Nbd(UnixStream);

impl Nbd {
    /// Opens the export over the server's socket.
    pub(crate) fn open(home: &Home, export: &str) -> Self {
        let mut stream = UnixStream::connect(home.data_dir().join("nbd.sock")).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut greeting = [0; 18];
        stream.read_exact(&mut greeting).unwrap();
        let name = export.as_bytes();
        let mut option = [&3_u32.to_be_bytes()[..], b"IHAVEOPT", &GO.to_be_bytes()].concat();
        option.extend((name.len() as u32 + 6).to_be_bytes());
        option.extend((name.len() as u32).to_be_bytes());
        option.extend(name);
        option.extend([0, 0]);
        stream.write_all(&option).unwrap();
        loop {
            let mut header = [0; 20];
            stream.read_exact(&mut header).unwrap();
            let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
            let mut data = vec![0; word(16) as usize];
            stream.read_exact(&mut data).unwrap();
            match word(12) {
                ACK => return Self(stream),
                INFO => {}
                other => panic!("option reply {other:#x}: {}", String::from_utf8_lossy(&data)),
            }
        }
    }

    fn call(&mut self, command: u16, offset: u64, length: u32, payload: &[u8]) -> Result<(), u32> {
        let mut request = 0x2560_9513_u32.to_be_bytes().to_vec();
        request.extend([0, 0]);
        request.extend(command.to_be_bytes());
        request.extend(7_u64.to_be_bytes());
        request.extend(offset.to_be_bytes());
        request.extend(length.to_be_bytes());
        request.extend(payload);
        self.0.write_all(&request).unwrap();
        let mut reply = [0; 16];
        self.0.read_exact(&mut reply).unwrap();
        assert_eq!(reply[..4], 0x6744_6698_u32.to_be_bytes());
        match u32::from_be_bytes(reply[4..8].try_into().unwrap()) {
            0 => Ok(()),
            error => Err(error),
        }
    }

    pub(crate) fn read(&mut self, offset: u64, length: u32) -> Result<Vec<u8>, u32> {
        self.call(READ, offset, length, &[])?;
        let mut data = vec![0; length as usize];
        self.0.read_exact(&mut data).unwrap();
        Ok(data)
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), u32> {
        self.call(WRITE, offset, data.len() as u32, data)
    }

    pub(crate) fn flush(&mut self) -> Result<(), u32> {
        self.call(FLUSH, 0, 0, &[])
    }

    pub(crate) fn trim(&mut self, offset: u64, length: u32) -> Result<(), u32> {
        self.call(TRIM, offset, length, &[])
    }
}
