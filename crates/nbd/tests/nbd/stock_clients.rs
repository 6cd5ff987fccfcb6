//! The clients that people have. One that is not installed is named and skipped.

use std::path::Path;
use std::process::{Command, Output};

use ashlar_types::{RandomSource, SeededRandom};

use crate::client::{Client, Style};
use crate::fixture::{SIZE_BYTES, TestServer};

/// Runs a stock client; `None` if it is not installed. Fails the test if the client fails.
pub fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = run_any(program, arguments)?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{stdout}{stderr}", output.status);
    Some(stdout.into_owned())
}

pub fn run_any(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {program} is not installed");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

/// Data with holes in it, as large as the disk.
pub fn sparse_image(path: &Path) -> Vec<u8> {
    let mut bytes = vec![0; SIZE_BYTES as usize];
    let random = SeededRandom::new(1);
    for start in [0, 5 << 20, (20 << 20) + 4096] {
        random.fill(&mut bytes[start..start + (3 << 20) + 100]);
    }
    std::fs::write(path, &bytes).unwrap();
    bytes
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn nbdinfo_reads_the_offer() {
    let server = TestServer::new();
    let Some(info) = run("nbdinfo", &["--json", &server.uri("disk")]) else { return };
    for line in [
        r#""export-name": "disk""#,
        r#""export-size": 50331648"#,
        r#""is_read_only": false"#,
        r#""can_multi_conn": true"#,
        r#""can_fua": true"#,
        r#""can_df": true"#,
        r#""can_fast_zero": true"#,
        r#""block_size_preferred": 4096"#,
        r#""block_size_maximum": 33554432"#,
        "base:allocation",
        "a test disk",
    ] {
        assert!(info.contains(line), "{line} is missing in\n{info}");
    }
    let snapshot = run("nbdinfo", &[&server.uri("snap")]).unwrap();
    assert!(snapshot.contains("is_read_only: true"), "{snapshot}");
    let list = run("nbdinfo", &["--list", &server.uri("")]).unwrap();
    assert!(list.contains(r#"export="disk""#) && list.contains(r#"export="snap""#), "{list}");
}

#[test]
fn nbdinfo_is_told_of_an_unknown_export() {
    let server = TestServer::new();
    let Some(output) = run_any("nbdinfo", &[&server.uri("nope")]) else { return };
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("nope"), "{message}");
}

#[test]
fn nbdinfo_maps_the_extents() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(0, 8192, &[1; 12_288]), 0);
    let Some(map) = run("nbdinfo", &["--map", &server.uri("disk")]) else { return };
    let fields: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        fields,
        [
            vec!["0", "8192", "3", "hole,zero"],
            vec!["8192", "12288", "0", "data"],
            vec!["20480", "50311168", "3", "hole,zero"],
        ]
    );
}

#[test]
fn nbdcopy_copies_there_and_back() {
    let server = TestServer::new();
    let (from, to) = (server.path("from.raw"), server.path("to.raw"));
    let image = sparse_image(&from);
    if run("nbdcopy", &["--flush", text(&from), &server.uri("disk")]).is_none() {
        return;
    }
    run("nbdcopy", &[&server.uri("disk"), text(&to)]).unwrap();
    assert!(std::fs::read(&to).unwrap() == image, "the copy is not what was copied");
}

#[test]
fn qemu_img_converts_maps_and_compares() {
    let server = TestServer::new();
    let (from, to) = (server.path("from.raw"), server.path("to.qcow2"));
    let image = sparse_image(&from);
    let uri = server.uri("disk");
    let convert = ["convert", "-n", "-f", "raw", "-O", "raw", text(&from), &uri];
    if run("qemu-img", &convert).is_none() {
        return;
    }
    run("qemu-img", &["compare", "-f", "raw", "-F", "raw", text(&from), &uri]).unwrap();
    run("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", &uri, text(&to)]).unwrap();
    run("qemu-img", &["compare", "-f", "raw", "-F", "qcow2", text(&from), text(&to)]).unwrap();
    let map = run("qemu-img", &["map", "--output=json", "-f", "raw", &uri]).unwrap();
    assert!(map.contains(r#""data": true"#) && map.contains(r#""data": false"#), "{map}");
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    assert!(client.read(0, 32 << 20) == image[..32 << 20]);
}

#[test]
fn qemu_io_writes_and_verifies() {
    let server = TestServer::new();
    let commands = [
        "write -P 0xa1 0 1M",
        "write -f -P 0xa2 4097 513",
        "aio_write -P 0xa3 2M 4M",
        "aio_flush",
        "discard 64k 64k",
        "write -z 256k 64k",
        "write -z -u 512k 64k",
        "flush",
        "read -P 0xa1 0 4097",
        "read -P 0xa2 4097 513",
        "read -P 0xa3 2M 4M",
        "read -P 0 64k 64k",
        "read -P 0 256k 64k",
        "read -P 0 512k 64k",
    ];
    let uri = server.uri("disk");
    let mut arguments = vec!["-f", "raw"];
    commands.iter().for_each(|command| arguments.extend(["-c", *command]));
    arguments.push(&uri);
    let Some(output) = run("qemu-io", &arguments) else { return };
    assert!(!output.contains("Pattern verification failed"), "{output}");
    assert!(server.device.calls("flush") >= 2);
}

#[test]
fn fio_verifies_what_it_wrote() {
    let server = TestServer::new();
    let uri = format!("--uri={}", server.uri("disk"));
    let arguments = [
        "--name=verify",
        "--ioengine=nbd",
        &uri,
        "--rw=randrw",
        "--bssplit=512/20:4k/50:9k/20:300k/10",
        "--iodepth=32",
        "--size=48m",
        "--io_size=48m",
        "--verify=crc32c",
        "--verify_fatal=1",
        "--verify_state_save=0",
        "--randseed=7",
        "--thread",
    ];
    let Some(output) = run("fio", &arguments) else { return };
    assert!(output.contains("err= 0"), "{output}");
}

#[test]
fn nbdsh_sees_the_flags_of_replies() {
    let server = TestServer::new();
    let script = "h.pwrite(b'x' * 4096, 4096); h.flush(); assert h.pread(4, 4094) == b'\\0\\0xx'; \
                  assert h.can_multi_conn(); h.cache(8192, 0); h.zero(4096, 4096, nbd.CMD_FLAG_NO_HOLE)";
    // Its module belongs to the system's Python, whichever Python comes first here.
    let arguments = ["PATH=/usr/bin:/bin", "nbdsh", "-u", &server.uri("disk"), "-c", script];
    let Some(output) = run_any("env", &arguments) else { return };
    match output.status.code() {
        Some(127) => eprintln!("skipped: nbdsh is not installed"),
        code => assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn nbdkit_passes_an_export_on() {
    let server = TestServer::new();
    let (from, to) = (server.path("from.raw"), server.path("to.raw"));
    let image = sparse_image(&from);
    let command = format!("nbdcopy --flush '{}' \"$uri\" && nbdcopy \"$uri\" '{}'", text(&from), text(&to));
    let (socket, uri) = (format!("socket={}", text(server.socket())), server.uri("disk"));
    if run("nbdkit", &["-U", "-", "nbd", &socket, "export=disk", "--run", &command]).is_none() {
        return;
    }
    assert!(std::fs::read(&to).unwrap() == image, "what came back is not what was sent");
    let info = run("nbdkit", &["-U", "-", "nbd", &uri, "--run", "nbdinfo --map \"$uri\""]).unwrap();
    assert!(info.contains("hole,zero") && info.contains("data"), "{info}");
}

#[test]
fn nbdinfo_maps_the_blocks_that_changed() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(0, 8192, &[1; 12_288]), 0);
    let Some(map) = run("nbdinfo", &["--map=ashlar:changed-since:snap", &server.uri("disk")]) else { return };
    let fields: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().collect()).collect();
    // The snapshot has one block, at 4096, which the disk discarded.
    let expected: [&[&str]; 4] =
        [&["0", "4096", "0"], &["4096", "4096", "3"], &["8192", "12288", "1"], &["20480", "50311168", "0"]];
    assert_eq!(fields.iter().map(|line| &line[..3]).collect::<Vec<_>>(), expected, "{map}");
    let listed = run("nbdinfo", &[&server.uri("disk")]).unwrap();
    assert!(listed.contains("ashlar:changed-since:snap"), "{listed}");
}
