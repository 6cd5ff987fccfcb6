//! The files that TLS takes, and what is said of wrong ones.

use std::os::unix::fs::PermissionsExt;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn keys(text: &str, mode: u32) -> Result<TlsServer, TlsError> {
    let folder = Folder(tempfile::tempdir().unwrap());
    let psk_file = Some(folder.write("keys", text, mode));
    TlsServer::new(&TlsFiles { certificates: None, psk_file })
}

#[test]
fn a_file_of_keys_is_read_with_comments_and_odd_names() {
    let key = "0123456789abcdefABCDEF0123456789";
    keys(&format!("# ours\n\nins-00000001:{key}\nname:with:colons:{key}{key}\n"), 0o600).unwrap();
}

#[test]
fn wrong_keys_are_refused_with_their_line() {
    for (text, what) in [
        ("", "has no keys"),
        ("# nothing\n", "has no keys"),
        ("a\n", "line 1: expected NAME:KEY"),
        ("\n:00112233445566778899aabbccddeeff\n", "line 2: expected a name"),
        ("a:0011223344556677\n", "16 to 64 bytes"),
        (&format!("a:{}\n", "00".repeat(65)), "16 to 64 bytes"),
        ("a:00112233445566778899aabbccddeef\n", "hexadecimal"),
        ("a:00112233445566778899aabbccddee+f\n", "hexadecimal"),
        (
            "a:00112233445566778899aabbccddeeff\na:00112233445566778899aabbccddeeff\n",
            "line 2: the name is there twice",
        ),
    ] {
        let error = keys(text, 0o600).unwrap_err().to_string();
        assert!(error.contains(what), "{text:?}: {error}");
    }
}

#[test]
fn secrets_that_everybody_may_read_are_refused() {
    let text = "a:00112233445566778899aabbccddeeff\n";
    let error = keys(text, 0o644).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    keys(text, 0o640).unwrap();
}

#[test]
fn missing_and_wrong_files_are_named() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let wrong = folder.write("wrong.pem", "no certificate", 0o600);
    let missing = folder.0.path().join("missing.pem");
    for (certificate, key, client_ca, named) in [
        (&missing, &wrong, &wrong, "missing.pem"),
        (&wrong, &missing, &wrong, "missing.pem"),
        (&wrong, &wrong, &missing, "missing.pem"),
        (&wrong, &wrong, &wrong, "wrong.pem is no certificate in PEM"),
    ] {
        let certificates = Some(CertificateFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: client_ca.clone(),
        });
        let error = TlsServer::new(&TlsFiles { certificates, psk_file: None }).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    assert!(TlsServer::new(&TlsFiles::default()).is_err(), "nothing to offer");
}
