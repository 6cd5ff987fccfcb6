//! One seeded world: the engine on a disk that loses power, the records, the jobs, the NBD server and its clients.
//!
//! [`run`] plays one history. Everything that a server does happens in it through the same code: calls of the
//! control plane write records and run jobs, jobs change the pool, clients read and write over NBD. The clock is
//! a [`ManualClock`](ashlar_types::ManualClock), the disk a [`SimulatedDisk`](ashlar_engine::simulated::SimulatedDisk),
//! the dice come from the seed. One thing happens at a time: a call is awaited before the next begins, a client
//! waits for its replies, and while a job is inside the pool the clients act at chosen moments. So the same seed
//! gives the same history, and its digest says so.
//!
//! What is not simulated: SQLite's own file. It lies in a temporary directory; at a power cut the world keeps it
//! as it was between two transactions, which is what its write-ahead log promises.
//!
//! In some lives of the server the medium lies, too: then a block that was hit may be an error, and nothing else may be
//! wrong.
//!
//! The order of reading: `history` (what happens), `machine` (what dies with the power), `store` (where jobs and
//! clients meet), `oracle` (what must hold), `lies` and `history::damage` (media that lie), `client`.

mod client;
mod digest;
pub mod faults;
mod history;
mod keys;
mod lies;
mod machine;
mod oracle;
pub mod replay;
mod store;

pub use history::{Report, run};
