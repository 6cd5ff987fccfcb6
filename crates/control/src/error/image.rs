//! Why a call on images, or on the snapshots that they stand on, was refused.

use std::fmt;

use ashlar_types::{ImageId, SnapshotId};

/// An image forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageError {
    /// The account has no such image in this region.
    NotFound(ImageId),
    /// The account has an image of this name in this region.
    NameTaken {
        /// The name.
        name: String,
    },
    /// The account has no such snapshot in this region.
    SnapshotNotFound(SnapshotId),
    /// None of the snapshots is of a system disk.
    NoSystemDisk,
    /// A second one of the snapshots is of a system disk.
    TwoSystemDisks(SnapshotId),
    /// Ids and filters exclude each other.
    IdsAndFilters,
    /// An image stands on the snapshot.
    Bound {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The image.
        image: ImageId,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(image) => write!(f, "The image `{image}` does not exist."),
            Self::NameTaken { name } => write!(f, "There is an image named `{name}` (`ImageName`) already."),
            Self::SnapshotNotFound(snapshot) => {
                write!(f, "The snapshot `{snapshot}` of the parameter `SnapshotIds` does not exist.")
            }
            Self::NoSystemDisk => {
                f.write_str("None of the snapshots of `SnapshotIds` is of a system disk: an image needs one.")
            }
            Self::TwoSystemDisks(snapshot) => write!(
                f,
                "The snapshot `{snapshot}` of the parameter `SnapshotIds` is the second one of a system disk: give one."
            ),
            Self::IdsAndFilters => {
                f.write_str("The parameters `ImageIds` and `Filters` exclude each other: give one of them.")
            }
            Self::Bound { snapshot, image } => write!(
                f,
                "The image `{image}` is made of the snapshot `{snapshot}`: delete the image first, or with it \
                 (`DeleteBindImages`)."
            ),
        }
    }
}
