//! The engine seen from outside: the contract of volumes, real files, and seeded simulations of power cuts.

mod contract;
mod oracle;
mod real_files;
mod simulation;
