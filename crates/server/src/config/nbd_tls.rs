//! `[nbd_tls]` in the configuration file: how NBD clients and the server prove who they are, and who may open what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ashlar_attach::ExportName;
use ashlar_nbd::{CertificateFiles, TlsFiles};
use ashlar_types::InstanceId;
use serde::Deserialize;

use crate::failure::Failure;

/// The section as written. File names are relative to the folder of the configuration file.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NbdTlsSetting {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    psk_file: Option<PathBuf>,
    #[serde(default)]
    clients: BTreeMap<String, ClientSetting>,
}

/// What one client may open, as written.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientSetting {
    #[serde(default)]
    instances: Vec<String>,
    #[serde(default)]
    exports: Vec<String>,
}

/// TLS for NBD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NbdTls {
    /// What the server proves itself with, and how clients do.
    pub(crate) files: TlsFiles,
    /// What clients may open.
    pub(crate) permissions: NbdPermissions,
}

/// What clients may open, by the name that they proved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NbdPermissions(BTreeMap<String, Permission>);

/// What one client may open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Permission {
    /// The disks of these instances.
    instances: Vec<InstanceId>,
    /// These disks and snapshots.
    exports: Vec<ExportName>,
    /// Everything.
    all: bool,
}

impl NbdPermissions {
    /// Whether a client of one of `names` may open `export`, a disk of which is attached to `instance`.
    ///
    /// A client that goes by the id of an instance may open the disks of that instance, whatever else is said of it.
    pub(crate) fn allow(&self, names: &[String], export: ExportName, instance: Option<InstanceId>) -> bool {
        names.iter().any(|name| {
            let is_the_instance = instance.is_some_and(|instance| *name == instance.to_string());
            let permission = self.0.get(name);
            is_the_instance
                || permission.is_some_and(|permission| {
                    permission.all
                        || permission.exports.iter().any(|listed| {
                            listed.content() == export
                                && listed.instance().is_none_or(|of| instance == Some(of))
                        })
                        || instance.is_some_and(|instance| permission.instances.contains(&instance))
                })
        })
    }
}

impl NbdTlsSetting {
    /// Checks the section against itself; the files are read when the server starts.
    pub(super) fn check(self, folder: &Path) -> Result<NbdTls, Failure> {
        let at = |path: PathBuf| folder.join(path);
        let certificates = match (self.certificate, self.key, self.client_ca) {
            (Some(certificate), Some(key), Some(client_ca)) => Some(CertificateFiles {
                certificate: at(certificate),
                key: at(key),
                client_ca: at(client_ca),
            }),
            (None, None, None) => None,
            _ => {
                return Err(Failure::setup(
                    "nbd_tls: `certificate`, `key` and `client_ca` go together: the server proves itself with \
                     the first two, its clients with certificates of the third",
                ));
            }
        };
        if certificates.is_none() && self.psk_file.is_none() {
            return Err(Failure::setup(
                "nbd_tls: clients have no way to prove who they are: set `certificate`, `key` and `client_ca`, or \
                 `psk_file`, or both",
            ));
        }
        let permissions: Result<_, Failure> =
            self.clients.into_iter().map(|(name, client)| Ok((name.clone(), client.check(&name)?))).collect();
        Ok(NbdTls {
            files: TlsFiles { certificates, psk_file: self.psk_file.map(at) },
            permissions: NbdPermissions(permissions?),
        })
    }
}

impl ClientSetting {
    fn check(self, client: &str) -> Result<Permission, Failure> {
        let wrong = |key: &str, value: &str, expected: &str| {
            Failure::setup(format!("nbd_tls.clients.\"{client}\".{key} `{value}`: expected {expected}"))
        };
        let mut permission = Permission::default();
        for text in self.instances {
            let instance = text.parse();
            permission.instances.push(
                instance.map_err(|_| wrong("instances", &text, "the id of an instance, ins-xxxxxxxx"))?,
            );
        }
        for text in self.exports {
            if text == "*" {
                permission.all = true;
                continue;
            }
            let export = text.parse();
            permission.exports.push(export.map_err(|_| {
                wrong("exports", &text, "the id of a disk or snapshot, DISK@INSTANCE, or `*` for all")
            })?);
        }
        Ok(permission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<NbdTls, String> {
        let setting: NbdTlsSetting = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        setting.check(Path::new("/etc/ashlar")).map_err(|failure| failure.to_string())
    }

    #[test]
    fn files_are_found_beside_the_configuration() {
        let tls =
            check("psk_file = 'keys.psk'\ncertificate = '/a/b.pem'\nkey = 'c.key'\nclient_ca = 'ca.pem'\n")
                .unwrap();
        assert_eq!(tls.files.psk_file, Some("/etc/ashlar/keys.psk".into()));
        let certificates = tls.files.certificates.unwrap();
        assert_eq!(certificates.certificate, PathBuf::from("/a/b.pem"));
        assert_eq!(certificates.client_ca, PathBuf::from("/etc/ashlar/ca.pem"));
    }

    #[test]
    fn half_a_configuration_is_refused_with_the_mend() {
        for (text, named) in [
            ("", "psk_file"),
            ("certificate = 'a'\nkey = 'b'\n", "client_ca"),
            ("client_ca = 'a'\npsk_file = 'k'\n", "certificate"),
            ("psk_file = 'k'\ncertifcate = 'a'\n", "certifcate"),
            (
                "psk_file = 'k'\n[clients.a]\ninstances = ['disk-00000001']\n",
                "nbd_tls.clients.\"a\".instances `disk-00000001`",
            ),
            ("psk_file = 'k'\n[clients.a]\nexports = ['all']\n", "exports `all`"),
            ("psk_file = 'k'\n[clients.a]\nexport = ['*']\n", "export"),
        ] {
            let error = check(text).expect_err(text);
            assert!(error.contains(named), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_client_may_open_what_is_said_of_one_of_its_names() {
        let text = "psk_file = 'k'\n[clients.backup]\nexports = ['*']\n[clients.'web.example']\n\
                    instances = ['ins-00000002']\nexports = ['snap-00000001', 'disk-00000003@ins-00000003']\n[clients.none]\n";
        let permissions = check(text).unwrap().permissions;
        let allow = |name: &str, export: &str, instance: Option<&str>| {
            let names = ["unknown".to_owned(), name.to_owned()];
            permissions.allow(&names, export.parse().unwrap(), instance.map(|id| id.parse().unwrap()))
        };
        let (disk, snap) = ("disk-00000001", "snap-00000001");
        assert!(allow("backup", disk, Some("ins-00000009")) && allow("backup", "snap-00000009", None));
        assert!(allow("web.example", disk, Some("ins-00000002")) && allow("web.example", snap, None));
        assert!(
            !allow("web.example", disk, Some("ins-00000001")) && !allow("web.example", "snap-00000002", None)
        );
        assert!(allow("ins-00000001", disk, Some("ins-00000001")), "an instance opens its own disks");
        assert!(!allow("ins-00000001", disk, Some("ins-00000002")) && !allow("ins-00000001", snap, None));
        assert!(!allow("none", disk, Some("ins-00000001")) && !allow("else", disk, None));
        assert!(allow("web.example", "disk-00000003", Some("ins-00000003")), "as this machine");
        assert!(!allow("web.example", "disk-00000003", Some("ins-00000004")), "and as no other");
    }
}
