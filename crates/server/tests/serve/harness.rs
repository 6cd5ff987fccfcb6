//! A server process and the commands around it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes on a busy machine; only a broken server waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A data directory that vanishes with the test.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file beside the data directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The command line with the data directory as `--data-dir`.
    pub(crate) fn ashlar(&self, arguments: &[&str]) -> Command {
        let mut command = ashlar(arguments);
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command.arg("--data-dir").arg(self.data_dir());
        command
    }

    /// Starts a server on a free port, with only the socket for NBD, and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        self.start_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(&self, arguments: &[&str]) -> Server {
        let mut command = self.ashlar(&["serve", "--api-listen", "127.0.0.1:0"]);
        command.arg("--nbd-listen").arg(format!("unix:{}", self.data_dir().join("nbd.sock").display()));
        command.args(arguments);
        Server::start(command)
    }

    /// The value of a key in `admin.env`.
    pub(crate) fn admin_env(&self, key: &str) -> String {
        let text = std::fs::read_to_string(self.data_dir().join("admin.env")).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_else(|| panic!("{key} in {text}"))
            .to_owned()
    }
}

fn ashlar(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ashlar"));
    for name in
        ["CONFIG", "DATA_DIR", "API_LISTEN", "NBD_LISTEN", "JSON_LOG", "LOG", "MASTER_KEY", "MASTER_KEY_FILE"]
    {
        command.env_remove(format!("ASHLAR_{name}"));
    }
    command.args(arguments);
    command
}

/// A running server. Ended by its own process id when dropped.
pub(crate) struct Server {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// What it printed until it was ready.
    pub(crate) greeting: Vec<String>,
    /// `http://HOST:PORT`.
    pub(crate) endpoint: String,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        let mut greeting = Vec::new();
        let endpoint = loop {
            match stdout.recv_timeout(DEADLINE) {
                Ok(line) => {
                    let endpoint = line
                        .strip_prefix("Ashlar is ready: API at ")
                        .and_then(|rest| rest.split(',').next())
                        .map(str::to_owned);
                    greeting.push(line);
                    if let Some(endpoint) = endpoint {
                        break endpoint;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("not ready in time: {greeting:?}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended: {:?}; {}", child.wait(), stderr.iter().collect::<Vec<_>>().join("\n"))
                }
            }
        };
        Self { child, stdout, stderr, greeting, endpoint }
    }

    /// The next line on standard output.
    pub(crate) fn next_line(&self) -> String {
        self.stdout.recv_timeout(DEADLINE).unwrap()
    }

    /// Waits for a log line with this text and gives it.
    pub(crate) fn log_line(&self, text: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(DEADLINE).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until the server has ended by itself: its standard output closes then.
    pub(crate) fn wait(self) -> ExitStatus {
        self.wait_with_log().0
    }

    /// The same, with what it logged that nobody has looked at.
    pub(crate) fn wait_with_log(mut self) -> (ExitStatus, Vec<String>) {
        loop {
            match self.stdout.recv_timeout(DEADLINE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the server does not end"),
            }
        }
        (self.child.wait().unwrap(), self.stderr.iter().collect())
    }

    /// Asks it to stop and waits.
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails when it has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines on a thread of its own, which ends with the pipe.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Runs a command to its end and asserts the exit code. Gives standard output and standard error.
pub(crate) fn run(command: &mut Command, code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert_eq!(status.code(), Some(code), "{command:?}\n{stdout}\n{stderr}");
    (stdout, stderr)
}

/// Asserts that a command is refused with exit code 2 and one line on standard error, and gives that line.
pub(crate) fn refused(command: &mut Command) -> String {
    let (stdout, stderr) = run(command, 2);
    assert_eq!(stdout, "");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr.trim().to_owned()
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}
