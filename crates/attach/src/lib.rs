//! Putting disks into machines: exports
