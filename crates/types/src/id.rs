//! One type for each kind of id.

use std::fmt;
use std::str::FromStr;

use crate::random::RandomSource;

/// Text that is not an id of the kind wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdError {
    /// The kind of id, as its type is called.
    pub kind: &'static str,
    /// What was given.
    pub given: String,
    /// How an id of this kind looks.
    pub form: &'static str,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a {}: expected {}", self.given, self.kind, self.form)
    }
}

impl std::error::Error for IdError {}

const SUFFIX_LENGTH: usize = 8;
const SUFFIX_ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Declares the id of one kind of cloud resource: a prefix and eight characters of `[0-9a-z]`, as the
/// service writes them (`disk-96jhcorq`).
macro_rules! cloud_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; SUFFIX_LENGTH]);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new random id. 36^8 values: the caller still checks that it is free.
            #[must_use]
            pub fn random(random: &dyn RandomSource) -> Self {
                Self(std::array::from_fn(|_| SUFFIX_ALPHABET[random.below(36) as usize]))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                self.0.iter().try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .and_then(|suffix| <[u8; SUFFIX_LENGTH]>::try_from(suffix.as_bytes()).ok())
                    .filter(|suffix| suffix.iter().all(|byte| SUFFIX_ALPHABET.contains(byte)))
                    .map(Self)
                    .ok_or_else(|| IdError {
                        kind: stringify!($name),
                        given: text.to_owned(),
                        form: concat!("`", $prefix, "` and eight characters of 0-9 and a-z"),
                    })
            }
        }
    };
}

cloud_id!(
    /// A cloud disk: `disk-xxxxxxxx`. Also the name of its NBD export and its serial in a guest.
    DiskId, "disk-"
);
cloud_id!(
    /// A snapshot of a cloud disk: `snap-xxxxxxxx`. Also the name of its read-only NBD export.
    SnapshotId, "snap-"
);
cloud_id!(
    /// A backup point of a cloud disk: `dbp-xxxxxxxx`.
    DiskBackupId, "dbp-"
);
cloud_id!(
    /// A group of snapshots that were taken at one moment: `csnap-xxxxxxxx`.
    SnapshotGroupId, "csnap-"
);
cloud_id!(
    /// A machine that disks can be attached to: `ins-xxxxxxxx`.
    InstanceId, "ins-"
);
cloud_id!(
    /// A scheduled snapshot policy: `asp-xxxxxxxx`.
    SnapshotPolicyId, "asp-"
);
cloud_id!(
    /// An image made of snapshots: `img-xxxxxxxx`.
    ImageId, "img-"
);
cloud_id!(
    /// A machine of Lighthouse: `lhins-xxxxxxxx`. Inside it is an instance with the same eight characters.
    LighthouseInstanceId, "lhins-"
);
cloud_id!(
    /// The disk of a machine of Lighthouse: `lhdisk-xxxxxxxx`, inside a disk with the same eight characters.
    LighthouseDiskId, "lhdisk-"
);
cloud_id!(
    /// A snapshot of such a disk: `lhsnap-xxxxxxxx`, inside a snapshot with the same eight characters.
    LighthouseSnapshotId, "lhsnap-"
);

/// Two names for the same thing.
macro_rules! same_thing {
    ($($one:ident = $other:ident,)+) => { $(
        impl From<$one> for $other {
            fn from(id: $one) -> Self {
                Self(id.0)
            }
        }

        impl From<$other> for $one {
            fn from(id: $other) -> Self {
                Self(id.0)
            }
        }
    )+ };
}

same_thing! {
    InstanceId = LighthouseInstanceId,
    DiskId = LighthouseDiskId,
    SnapshotId = LighthouseSnapshotId,
}

/// Declares an id that is a number.
macro_rules! number_id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number_id!(
    /// The number of an account (Uin), which owns resources.
    AccountUin
);
number_id!(
    /// The number of a user of an account. Accounts and users draw from one sequence.
    UserUin
);
number_id!(
    /// The number of a role. No account or user has one that is so great.
    RoleId
);
number_id!(
    /// The second number of an account (AppId).
    AppId
);
number_id!(
    /// A project; 0 is the default one.
    ProjectId
);

/// Declares an id that is a short piece of ASCII.
macro_rules! text_id {
    ($(#[$meta:meta])* $name:ident, $form:literal, $valid:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { kind: stringify!($name), given: text.to_owned(), form: $form })
                }
            }
        }
    };
}

fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(area), Some(city), None) = (parts.next(), parts.next(), parts.next()) else { return false };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    area.len() <= 8 && city.len() <= 24 && word(area) && word(city)
}

fn is_zone(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(region, number)| {
        is_region(region) && (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit())
    })
}

text_id!(
    /// A region: `ap-guangzhou`. One pool and its zones.
    Region, "a region such as `ap-guangzhou`", is_region
);
text_id!(
    /// An availability zone: a region and a number, `ap-guangzhou-3`.
    Zone, "a zone such as `ap-guangzhou-3`", is_zone
);
text_id!(
    /// The public half of an API key.
    SecretId, "1 to 64 letters and digits",
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
);

impl Zone {
    /// The region that the zone lies in.
    #[must_use]
    pub fn region(&self) -> Region {
        let region = self.0.rsplit_once('-').map_or("", |(region, _)| region);
        Region(region.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRandom;

    #[test]
    fn cloud_ids_survive_the_way_through_text() {
        let random = SeededRandom::new(7);
        for _ in 0..200 {
            let id = DiskId::random(&random);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().len(), 13, "fits a virtio serial of 20");
        }
    }

    #[test]
    fn foreign_text_is_refused() {
        for text in
            ["", "disk-", "disk-1234567", "disk-123456789", "disk-ABCDEFGH", "snap-12345678", "disk-1234567é"]
        {
            assert!(text.parse::<DiskId>().is_err(), "{text}");
        }
        for text in ["", "ap", "ap-", "ap-guangzhou-1", "AP-guangzhou"] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
        for text in ["ap-guangzhou", "ap-guangzhou-", "ap-guangzhou-x", "guangzhou-1"] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_zone_knows_its_region() {
        let zone: Zone = "ap-guangzhou-3".parse().unwrap();
        assert_eq!(zone.region().as_str(), "ap-guangzhou");
    }
}
