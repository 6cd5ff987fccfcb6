//! The wire: typed requests, signatures, decoding, routing
