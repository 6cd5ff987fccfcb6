//! The contract suite on pools of real files.

use ashlar_engine::{Background, Pool, PoolOptions};
use ashlar_volume::VolumeStore;
use ashlar_volume::contract::Subject;

use crate::encrypted::TestMasterKey;

/// A pool in a temporary directory whose background work runs when the suite asks for it.
struct TemporaryPool {
    directory: tempfile::TempDir,
    pool: Option<Pool>,
}

impl TemporaryPool {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pool = Some(open(directory.path()));
        Self { directory, pool }
    }

    fn pool(&self) -> &Pool {
        self.pool.as_ref().unwrap()
    }
}

fn open(directory: &std::path::Path) -> Pool {
    let options = PoolOptions {
        journal_segment_bytes: 256 << 10,
        background: Background::Manual,
        key_wrapper: Some(std::sync::Arc::new(TestMasterKey::new(1))),
        ..PoolOptions::default()
    };
    Pool::open(directory, options).unwrap()
}

impl Subject for TemporaryPool {
    fn store(&self) -> &dyn VolumeStore {
        self.pool()
    }

    fn settle(&self) {
        while self.pool().run_background_step().unwrap() {}
    }

    fn reopen(&mut self) {
        self.pool().close().unwrap();
        self.pool = None;
        let report = ashlar_engine::check(self.directory.path()).unwrap();
        assert_eq!(report.findings, [""; 0]);
        self.pool = Some(open(self.directory.path()));
    }
}

ashlar_volume::contract_tests!(TemporaryPool::new());
