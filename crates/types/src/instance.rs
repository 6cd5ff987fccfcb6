//! What a machine can be.

use crate::wire_enum::wire_enum;

wire_enum! {
    /// The product that a machine belongs to.
    pub enum InstanceProduct {
        /// Cloud Virtual Machine: `ins-xxxxxxxx`.
        Cvm = "cvm",
        /// Lighthouse: `lhins-xxxxxxxx`.
        Lighthouse = "lighthouse",
    }
}
