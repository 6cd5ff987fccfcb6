//! Putting disks into machines: which export may be opened, by how many sessions it is, and how it is taken away.
//!
//! [`ExportTable`] knows every attached disk and every snapshot by the name a client asks for. It opens a
//! device with the first session and drops it with the last, so an attached disk that nobody reads costs a
//! table entry. It knows no protocol: a session is whatever holds a [`Lease`].

mod error;
mod export_name;
mod export_table;
mod limit_table;
mod slot;
#[cfg(test)]
mod tests;

pub use error::{AttachError, AttachErrorKind};
pub use export_name::ExportName;
pub use export_table::ExportTable;
pub use slot::{ChangesSince, EndSession, Lease, Withdrawal};
