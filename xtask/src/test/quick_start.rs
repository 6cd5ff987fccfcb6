//! Runs the README's quick start as a newcomer would type it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::stages::path_with_python;
use super::tally::Tally;
use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;

const README: &str = "README.md";
/// The comment before the fenced block that is run, word for word.
const MARK: &str = "<!-- quick-start: ./test runs this block -->";
const LINES_MAX: usize = 10;
/// Longer than any machine needs once the binary is built; a hang must not stop the whole run.
const TIME_LIMIT_S: u32 = 300;

/// The block runs in an empty folder below the root, so that cargo finds the workspace and the data directory is
/// a fresh one, and on free ports, which the block learns from `admin.env` as any user does.
pub(super) fn run(workspace: &Workspace) -> Result<Tally> {
    let readme = std::fs::read_to_string(workspace.root().join(README))
        .context(ErrorKind::Io, || README.to_owned())?;
    let block = block(&readme)?;
    let python = workspace.python()?;
    let folder = workspace.root().join("target/quick-start");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .context(ErrorKind::Io, || format!("emptying {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).context(ErrorKind::Io, || format!("making {}", folder.display()))?;

    let mut shell = Command::new("timeout");
    shell.arg(TIME_LIMIT_S.to_string()).args(["bash", "-euxo", "pipefail", "-c", block]);
    shell.current_dir(&folder).process_group(0);
    shell.env("PATH", path_with_python(&python)?);
    shell.env("CARGO_TARGET_DIR", workspace.target_directory());
    shell.env("HOME", &folder).envs(toolchain_homes());
    shell.env("ASHLAR_API_LISTEN", "127.0.0.1:0").env("ASHLAR_NBD_LISTEN", "unix:ashlar-data/nbd.sock");
    run_in_group(&mut shell, &folder)
}

/// The shell's home is the empty folder, so that tccli neither reads nor writes a person's settings; cargo's and
/// rustup's homes stay where they are.
fn toolchain_homes() -> Vec<(&'static str, String)> {
    let home = process::variable("HOME").unwrap_or_default();
    let of = |name: &'static str, folder: &str| {
        (name, process::variable(name).unwrap_or_else(|| format!("{home}/{folder}")))
    };
    vec![of("CARGO_HOME", ".cargo"), of("RUSTUP_HOME", ".rustup")]
}

/// Runs the shell and afterwards ends whatever it left running: the processes of its own group.
fn run_in_group(shell: &mut Command, folder: &Path) -> Result<Tally> {
    let log = std::fs::File::create(folder.join("output.log"))
        .context(ErrorKind::Io, || "the quick start's log".to_owned())?;
    let errors = log.try_clone().context(ErrorKind::Io, || "the quick start's log".to_owned())?;
    let mut child = shell
        .stdin(std::process::Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .context(ErrorKind::Io, || "starting bash".to_owned())?;
    let group = format!("-{}", child.id());
    let status = child.wait().context(ErrorKind::Io, || "waiting for bash".to_owned())?;
    // Nothing left to end is the good case, and an error for `kill`.
    let _nothing_left =
        Command::new("kill").args(["-TERM", "--", &group]).stderr(std::process::Stdio::null()).status();
    let output = std::fs::read_to_string(folder.join("output.log")).unwrap_or_default();
    print!("{output}");
    Ok(if status.success() { Tally::passed() } else { Tally::failed("quick-start", status) })
}

/// The fenced block after the mark.
pub(super) fn block(readme: &str) -> Result<&str> {
    let wrong = |what: &str| XtaskError::new(ErrorKind::Failed, format!("{README}: {what}"));
    let (_, rest) = readme.split_once(MARK).ok_or_else(|| wrong("no block is marked as the quick start"))?;
    let (_, rest) = rest.split_once("```sh\n").ok_or_else(|| wrong("no ```sh block after the mark"))?;
    let (block, _) = rest.split_once("\n```").ok_or_else(|| wrong("the quick start's block does not end"))?;
    if block.lines().count() > LINES_MAX {
        return Err(wrong("the quick start is longer than ten lines"));
    }
    Ok(block)
}
