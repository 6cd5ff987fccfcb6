//! Tags.

use crate::model::model;

model! {
    /// A tag of a resource. Reference: `cbs/data-types`, `Tag`.
    pub struct Tag("Tag"): both {
        /// The key.
        pub key: String = "Key",
        /// The value.
        pub value: String = "Value",
    }
}
