//! The servers that are compared. Each is started, measured and ended by its own process id.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::fio::SIZE_GIB;
use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;

/// A process that ends when this value does.
pub(super) struct Running {
    child: Child,
}

impl Running {
    pub(super) fn start(command: &mut Command, name: &str) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .context(ErrorKind::Missing, || format!("starting {name}"))?;
        Ok(Self { child })
    }

    pub(super) fn stdout(&mut self) -> Result<BufReader<ChildStdout>> {
        let stdout = self.child.stdout.take();
        stdout.map(BufReader::new).ok_or_else(|| XtaskError::new(ErrorKind::Io, "the output is not piped"))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time of all threads since the start, in ticks of `getconf CLK_TCK` a second.
    pub(super) fn processor_ticks(&self) -> Result<u64> {
        let path = format!("/proc/{}/stat", self.pid());
        let stat = std::fs::read_to_string(&path).context(ErrorKind::Io, || path.clone())?;
        processor_ticks(&stat).ok_or_else(|| XtaskError::new(ErrorKind::Format, path))
    }

    /// Resident memory, in KiB.
    pub(super) fn resident_kib(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).context(ErrorKind::Io, || path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        line.and_then(|kib| kib.parse().ok()).ok_or_else(|| XtaskError::new(ErrorKind::Format, path))
    }

    /// Asks the process to end and waits until it has.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = self.pid().to_string();
        process::output(Command::new("kill").args(["-TERM", &pid]))?;
        self.child.wait().context(ErrorKind::Io, || "waiting for a server".to_owned())?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sum of `utime` and `stime`, the 14th and 15th field; the second may hold spaces but ends with `)`.
pub(super) fn processor_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// An export that fio can open.
pub(super) struct Export {
    pub(super) server: Running,
    pub(super) uri: String,
}

fn raw_file(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let file = std::fs::File::create(&path).context(ErrorKind::Io, || path.display().to_string())?;
    file.set_len(u64::from(SIZE_GIB) << 30).context(ErrorKind::Io, || path.display().to_string())?;
    Ok(path)
}

pub(super) fn qemu_nbd(workspace: &Workspace, folder: &Path) -> Result<Export> {
    let file = raw_file(folder, "qemu-nbd.raw")?;
    let socket = folder.join("qemu-nbd.sock");
    let mut command = workspace.command("qemu-nbd");
    command
        .args(["-f", "raw", "--cache=writeback", "--discard=unmap", "-t", "-e", "8", "-k"])
        .arg(&socket)
        .arg(file);
    let server = Running::start(&mut command, "qemu-nbd")?;
    await_socket(workspace, &socket, "")?;
    Ok(Export { server, uri: uri(&socket, "") })
}

/// The same past the page cache.
pub(super) fn qemu_nbd_direct(workspace: &Workspace, folder: &Path) -> Result<Export> {
    let file = raw_file(folder, "qemu-nbd.raw")?;
    let socket = folder.join("qemu-nbd.sock");
    let mut command = workspace.command("qemu-nbd");
    command
        .args(["-f", "raw", "--cache=none", "--aio=io_uring", "--discard=unmap", "-t", "-e", "8", "-k"])
        .arg(&socket)
        .arg(file);
    let server = Running::start(&mut command, "qemu-nbd")?;
    await_socket(workspace, &socket, "")?;
    Ok(Export { server, uri: uri(&socket, "") })
}

/// Serves a disk image with snapshots of its own.
pub(super) fn qemu_nbd_qcow2(workspace: &Workspace, folder: &Path, image: &Path) -> Result<Export> {
    let socket = folder.join("qemu-nbd.sock");
    let mut command = workspace.command("qemu-nbd");
    command
        .args(["-f", "qcow2", "--cache=writeback", "--discard=unmap", "-t", "-e", "8", "-k"])
        .arg(&socket)
        .arg(image);
    let server = Running::start(&mut command, "qemu-nbd")?;
    await_socket(workspace, &socket, "")?;
    Ok(Export { server, uri: uri(&socket, "") })
}

pub(super) fn nbdkit(workspace: &Workspace, folder: &Path) -> Result<Export> {
    let file = raw_file(folder, "nbdkit.raw")?;
    let socket = folder.join("nbdkit.sock");
    let mut command = workspace.command("nbdkit");
    command.args(["--foreground", "--unix"]).arg(&socket).arg("file").arg(file);
    let server = Running::start(&mut command, "nbdkit")?;
    await_socket(workspace, &socket, "")?;
    Ok(Export { server, uri: uri(&socket, "") })
}

pub(super) fn uri(socket: &Path, export: &str) -> String {
    format!("nbd+unix:///{export}?socket={}", socket.display())
}

/// Waits until the server accepts a connection. Each try is a process of its own, which paces them.
fn await_socket(workspace: &Workspace, socket: &Path, export: &str) -> Result<()> {
    const TRIES_MAX: usize = 2000;
    let uri = uri(socket, export);
    for _ in 0..TRIES_MAX {
        let mut command = workspace.command("nbdinfo");
        command.args(["--size", &uri]).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().context(ErrorKind::Missing, || "nbdinfo".to_owned())?.success() {
            return Ok(());
        }
    }
    Err(XtaskError::new(ErrorKind::Failed, format!("nobody listens at {uri}")))
}

/// Measurements ask for more, and more often, than the documented limits allow.
const CONFIGURATION: &str = "rate_limits = \"off\"\n[limits]\nsnapshots_per_disk = 1000\n";

/// An `ashlar serve` with its data under `folder`, ready for calls.
pub(super) struct Ashlar {
    pub(super) server: Running,
    pub(super) data_dir: PathBuf,
}

impl Ashlar {
    /// Starts the release binary and waits for its first line, which it prints when it accepts calls.
    pub(super) fn start(workspace: &Workspace, folder: &Path) -> Result<Self> {
        Self::start_with(workspace, folder, &[])
    }

    /// The same with more flags.
    pub(super) fn start_with(workspace: &Workspace, folder: &Path, flags: &[&str]) -> Result<Self> {
        let binary = workspace.release_binary();
        if !binary.is_file() {
            let message = format!("{} is missing: cargo build --release", binary.display());
            return Err(XtaskError::new(ErrorKind::Missing, message));
        }
        let data_dir = folder.join("data");
        let configuration = folder.join("ashlar.toml");
        std::fs::write(&configuration, CONFIGURATION)
            .context(ErrorKind::Io, || configuration.display().to_string())?;
        let mut command = workspace.command(&binary);
        command.env("XDG_CONFIG_HOME", folder.join("config"));
        command.arg("serve").arg("--config").arg(&configuration).arg("--data-dir").arg(&data_dir);
        command.args(flags).args(["--api-listen", "127.0.0.1:0", "--nbd-listen"]);
        command.arg(format!("unix:{}", data_dir.join("nbd.sock").display()));
        let log = std::fs::File::create(folder.join("ashlar.log"))
            .context(ErrorKind::Io, || "ashlar.log".to_owned())?;
        let mut server = Running::start(command.stdout(Stdio::piped()).stderr(log), "ashlar")?;
        let mut line = String::new();
        let mut stdout = server.stdout()?;
        stdout.read_line(&mut line).context(ErrorKind::Io, || "reading from ashlar".to_owned())?;
        if line.is_empty() {
            let log = std::fs::read_to_string(folder.join("ashlar.log")).unwrap_or_default();
            return Err(XtaskError::new(ErrorKind::Failed, format!("ashlar did not start: {}", log.trim())));
        }
        // Later lines have no reader and must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Ok(Self { server, data_dir })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.data_dir.join("nbd.sock")
    }
}
