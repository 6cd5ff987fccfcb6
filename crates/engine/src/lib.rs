//! The local volume store: layers, map, journal, recovery, check
