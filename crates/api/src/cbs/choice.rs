//! The enumerations that belong to the wire alone; those of the domain are in `ashlar_types`.

use crate::decode::{Decode, Location, bad_value, boolean, choice};
use crate::error::ApiError;
use crate::schema::{Rules, Shape, TextFormat};
use crate::value::Value;

/// Declares an enumeration with its names on the wire.
macro_rules! wire_choice {
    ($($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ })+) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|choice| choice.as_str() == text).ok_or(())
            }
        }

        choice! { $name, }
    )+ };
}

pub(crate) use wire_choice;

wire_choice! {
    /// The direction of a list.
    pub enum Order {
        /// Least first.
        Ascending = "ASC",
        /// Greatest first.
        Descending = "DESC",
    }

    /// What a list of disks is sorted by.
    pub enum DiskOrderField {
        /// The time of creation; the default.
        CreateTime = "CREATE_TIME",
        /// The end of the prepaid period.
        Deadline = "DEADLINE",
    }

    /// What a list of snapshots is sorted by.
    pub enum SnapshotOrderField {
        /// The time of creation; the default.
        CreateTime = "CREATE_TIME",
    }

    /// What `DescribeDiskConfigQuota` is asked for.
    pub enum InquiryType {
        /// Disk configurations.
        CbsConfig = "INQUIRY_CBS_CONFIG",
        /// Disk configurations together with the instances they fit.
        CvmConfig = "INQUIRY_CVM_CONFIG",
    }

    /// Switches bursting on or off.
    pub enum BurstPerformanceOperation {
        /// On.
        Create = "CREATE",
        /// Off.
        Cancel = "CANCEL",
    }

    /// How a disk is put into a bare-metal instance.
    pub enum AttachMode {
        /// Physical function.
        PhysicalFunction = "PF",
        /// Virtual function.
        VirtualFunction = "VF",
    }

    /// The kind of machine a disk is in.
    pub enum InstanceType {
        /// A cloud virtual machine.
        Cvm = "CVM",
        /// A node of an elastic cluster.
        Eks = "EKS",
    }

    /// The generation of disk encryption.
    pub enum EncryptType {
        /// The first.
        V1 = "ENCRYPT_V1",
        /// The second.
        V2 = "ENCRYPT_V2",
    }

    /// The file system that `AutoMountConfiguration` makes.
    pub enum FileSystemType {
        /// ext4.
        Ext4 = "ext4",
        /// XFS.
        Xfs = "xfs",
    }

    /// What happens to the sharing of a snapshot.
    pub enum SharePermissionOperation {
        /// It begins.
        Share = "SHARE",
        /// It ends.
        Cancel = "CANCEL",
    }

    /// Where a snapshot's data lies.
    pub enum SnapshotMode {
        /// In the disk's own pool.
        Instant = "INSTANT_SNAPSHOT",
        /// In snapshot storage.
        Standard = "STANDARD_SNAPSHOT",
    }
}

/// `CreateDisks.Encrypt`: the documents fix it at `ENCRYPT`; real clients also send a boolean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptFlag(pub bool);

impl Decode for EncryptFlag {
    const SHAPE: Shape = Shape::Text(TextFormat::Plain);

    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError> {
        if let Some(flag) = boolean(&value) {
            return Ok(Self(flag));
        }
        match String::decode(value, at, rules)?.as_str() {
            "ENCRYPT" => Ok(Self(true)),
            other => Err(bad_value(at, other, "ENCRYPT")),
        }
    }
}

/// `InstanceType` of a request: not documented there, sent in small letters by one real client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceTypeHint(pub InstanceType);

impl Decode for InstanceTypeHint {
    const SHAPE: Shape = <InstanceType as Decode>::SHAPE;

    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError> {
        let text = String::decode(value, at, rules)?.to_ascii_uppercase();
        InstanceType::decode(Value::Text(text), at, rules).map(Self)
    }
}
