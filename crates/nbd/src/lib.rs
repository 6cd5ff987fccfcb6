//! NBD codec and session over any block device
