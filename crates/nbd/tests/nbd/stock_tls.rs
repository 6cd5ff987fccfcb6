//! Stock clients through TLS, with certificates and with pre-shared keys.

use ashlar_nbd::{NbdLimits, TlsServer};

use crate::certificates::Certificates;
use crate::fixture::TestServer;
use crate::stock_clients::{run, run_any, sparse_image, text};

struct World {
    certificates: Certificates,
    server: TestServer,
    /// The socket on which TLS is demanded.
    socket: String,
}

impl World {
    fn new() -> Self {
        let certificates = Certificates::new();
        let tls = TlsServer::new(&certificates.server_files()).unwrap();
        let server = TestServer::with(NbdLimits::default(), Some(tls));
        let socket = text(&server.serve_tls_only()).to_owned();
        Self { certificates, server, socket }
    }

    /// Addresses of the disk for clients of libnbd, one for each way to prove oneself.
    fn uris(&self) -> [String; 2] {
        let Self { certificates, socket, .. } = self;
        let keys = certificates.path("keys.psk");
        [
            format!("nbds+unix:///disk?socket={socket}&tls-certificates={}", certificates.folder()),
            format!("nbds+unix://ins-00000001@/disk?socket={socket}&tls-psk-file={}", text(&keys)),
        ]
    }
}

#[test]
fn libnbd_speaks_tls_with_certificates_and_keys() {
    let world = World::new();
    let (from, to) = (world.server.path("from.raw"), world.server.path("to.raw"));
    let image = sparse_image(&from);
    for uri in world.uris() {
        let Some(info) = run("nbdinfo", &[&uri]) else { return };
        assert!(info.contains("with TLS") && info.contains("export-size: 50331648"), "{info}");
        run("nbdcopy", &["--flush", text(&from), &uri]).unwrap();
        run("nbdcopy", &[&uri, text(&to)]).unwrap();
        assert!(std::fs::read(&to).unwrap() == image, "the copy is not what was copied");
        let map = run("nbdinfo", &["--map", &uri]).unwrap();
        assert!(map.contains("hole,zero"), "{map}");
    }
    let plain = format!("nbd+unix:///disk?socket={}", world.socket);
    let refused = run_any("nbdinfo", &[&plain]).unwrap();
    assert!(!refused.status.success(), "without TLS");
}

#[test]
fn a_stranger_gets_nothing_through_libnbd() {
    let world = World::new();
    let wrong = world.server.path("wrong.psk");
    std::fs::write(&wrong, format!("ins-00000001:{}\n", "ab".repeat(32))).unwrap();
    let uri = format!("nbds+unix://ins-00000001@/disk?socket={}&tls-psk-file={}", world.socket, text(&wrong));
    let Some(refused) = run_any("nbdinfo", &[&uri]) else { return };
    assert!(!refused.status.success());
    world.server.leases.wait_until_count(0);
}

#[test]
fn qemu_speaks_tls_with_certificates_and_keys() {
    let world = World::new();
    let from = world.server.path("from.raw");
    sparse_image(&from);
    let folder = world.certificates.folder();
    let target = format!(
        "driver=nbd,server.type=unix,server.path={},export=disk,tls-creds=tls0,tls-hostname=localhost",
        world.socket
    );
    for proof in ["tls-creds-x509,verify-peer=on", "tls-creds-psk,username=ins-00000001"] {
        let object = format!("{proof},id=tls0,dir={folder},endpoint=client");
        let convert =
            ["convert", "--object", &object, "-n", "--target-image-opts", "-f", "raw", text(&from), &target];
        if run("qemu-img", &convert).is_none() {
            return;
        }
        let image_options = format!(
            "driver=raw,file.driver=nbd,file.{}",
            target["driver=nbd,".len()..].replace(',', ",file.")
        );
        let file = format!("driver=raw,file.driver=file,file.filename={}", text(&from));
        run("qemu-img", &["compare", "--object", &object, "--image-opts", &file, &image_options]).unwrap();
    }
}

#[test]
fn nbdkit_passes_on_what_it_gets_through_tls() {
    let world = World::new();
    let (from, to) = (world.server.path("from.raw"), world.server.path("to.raw"));
    let image = sparse_image(&from);
    let command = format!("nbdcopy --flush '{}' \"$uri\" && nbdcopy \"$uri\" '{}'", text(&from), text(&to));
    let socket = format!("socket={}", world.socket);
    let certificates = format!("tls-certificates={}", world.certificates.folder());
    let keys = format!("tls-psk={}", text(&world.certificates.path("keys.psk")));
    for proof in [&[&*certificates][..], &[&*keys, "tls-username=ins-00000001"]] {
        let plugin = ["-U", "-", "nbd", &socket, "export=disk", "tls=require"];
        let arguments = [&plugin[..], proof, &["--run", &command]].concat();
        if run("nbdkit", &arguments).is_none() {
            return;
        }
        assert!(std::fs::read(&to).unwrap() == image, "what came back is not what was sent");
    }
}
