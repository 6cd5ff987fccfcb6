//! How new disks are encrypted: what may be asked for, and what they get.
//!
//! The reference knows no way from a plain snapshot to an encrypted disk, and the store has none: the disk would share
//! plain blocks. Disks of an encrypted snapshot are encrypted without being asked.

use ashlar_db::{EncryptType, Snapshot};

use super::CreateDisks;
use crate::error::ParameterError;
use crate::filter::invalid;

/// What the request alone can tell.
pub(super) fn check_request(wanted: &CreateDisks) -> Result<(), ParameterError> {
    let excludes = |other| Err(ParameterError::Excludes { parameter: "Encrypt", other });
    let missing = |why| Err(ParameterError::Missing { parameter: "Encrypt", why });
    if wanted.encrypt == Some(true) {
        if wanted.shareable == Some(true) {
            return excludes("Shareable");
        }
        if wanted.auto_mount.is_some() {
            return excludes("AutoMountConfiguration");
        }
        return Ok(());
    }
    if key_id(wanted).is_some() {
        return missing("KmsKeyId names the key of encrypted disks");
    }
    if wanted.encrypt_type.is_some() && wanted.snapshot.is_none() {
        return missing("EncryptType says how encrypted disks are encrypted");
    }
    Ok(())
}

/// How the disks will be encrypted. `key` is the name of the key that encrypts new disks.
pub(super) fn of_new_disks(
    wanted: &CreateDisks,
    snapshot: Option<&Snapshot>,
    key: Option<&str>,
) -> Result<Option<EncryptType>, ParameterError> {
    let encrypt_type = match snapshot {
        Some(snapshot) => of_clones(wanted, snapshot)?,
        None if wanted.encrypt == Some(true) => Some(wanted.encrypt_type.unwrap_or(EncryptType::V2)),
        None => None,
    };
    if encrypt_type.is_none() {
        return Ok(None);
    }
    let Some(key) = key else {
        return Err(ParameterError::NotOffered {
            parameter: "Encrypt",
            value: "ENCRYPT".to_owned(),
            why: "the server has no master key; its log says why",
        });
    };
    match key_id(wanted) {
        Some(other) if other != key => {
            Err(invalid("KmsKeyId", other, format!("`{key}`, the key of this service")))
        }
        _ => Ok(encrypt_type),
    }
}

fn of_clones(wanted: &CreateDisks, snapshot: &Snapshot) -> Result<Option<EncryptType>, ParameterError> {
    let Some(encrypt_type) = snapshot.encrypt_type else {
        if wanted.encrypt == Some(true) {
            let expected =
                format!("nothing: {} is not encrypted, and so are the disks made of it", snapshot.id);
            return Err(invalid("Encrypt", "ENCRYPT", expected));
        }
        return match wanted.encrypt_type {
            Some(other) => {
                let expected = format!("nothing: {} is not encrypted", snapshot.id);
                Err(invalid("EncryptType", other, expected))
            }
            None => Ok(None),
        };
    };
    if wanted.encrypt == Some(false) {
        let expected =
            format!("`ENCRYPT` or nothing: {} is encrypted, and so are the disks made of it", snapshot.id);
        return Err(invalid("Encrypt", "false", expected));
    }
    if let Some(other) = wanted.encrypt_type.filter(|other| *other != encrypt_type) {
        return Err(invalid("EncryptType", other, format!("{encrypt_type}, as {} has", snapshot.id)));
    }
    let excluded = [
        ("AutoMountConfiguration", wanted.auto_mount.is_some()),
        ("Shareable", wanted.shareable == Some(true)),
    ];
    if let Some((parameter, _)) = excluded.into_iter().find(|(_, is_given)| *is_given) {
        return Err(ParameterError::Excludes { parameter, other: "an encrypted snapshot" });
    }
    Ok(Some(encrypt_type))
}

/// An empty text counts as none.
fn key_id(wanted: &CreateDisks) -> Option<&str> {
    wanted.kms_key_id.as_deref().filter(|id| !id.is_empty())
}
