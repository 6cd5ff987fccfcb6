//! Runs the reconcilers, by signal and by timer, and remembers how each fared.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use ashlar_control::{Control, ControlError, Leadership, Reconciled, Reconciler};
use ashlar_types::{Clock, UnixMillis};
use parking_lot::Mutex;

use crate::clock::steady_now;
use crate::stop::Stop;

/// How long nobody has to ask before the reconcilers look by themselves for what is due.
const INTERVAL: Duration = Duration::from_secs(5);

/// How a reconciler has fared since the server started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// When it ran last.
    pub(crate) last_run: Option<UnixMillis>,
    /// How long that took.
    pub(crate) last_duration: Duration,
    /// What it brought on its way then.
    pub(crate) last: Reconciled,
    /// Why it broke off then, if it did.
    pub(crate) last_error: Option<String>,
    /// How often it has run.
    pub(crate) runs: u64,
    /// What it has brought on its way in all runs.
    pub(crate) total: Reconciled,
}

/// The reconcilers of a server and their histories. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Reconcilers {
    control: Control,
    clock: Arc<dyn Clock>,
    histories: Arc<Mutex<BTreeMap<Reconciler, History>>>,
    /// One round at a time.
    round: Arc<tokio::sync::Mutex<()>>,
}

impl Reconcilers {
    /// The reconcilers of these rules; none has run.
    pub(crate) fn new(control: Control, clock: Arc<dyn Clock>) -> Self {
        Self { control, clock, histories: Arc::default(), round: Arc::default() }
    }

    /// How each has fared, in the order in which they run. One that has not run has an empty history.
    pub(crate) fn histories(&self) -> Vec<(Reconciler, History)> {
        let histories = self.histories.lock();
        let of =
            |reconciler: &Reconciler| (*reconciler, histories.get(reconciler).cloned().unwrap_or_default());
        Reconciler::ALL.iter().map(of).collect()
    }

    /// Runs them until `stop`.
    pub(crate) async fn run(self, stop: Stop) {
        self.run_every(INTERVAL, stop).await;
    }

    async fn run_every(self, interval: Duration, mut stop: Stop) {
        loop {
            tokio::select! {
                biased;
                () = stop.wanted() => return,
                () = self.control.reconcile_wanted(interval) => {}
            }
            self.round().await;
        }
    }

    /// Runs each once, if this server leads. Gives how many things were brought on their way.
    pub(crate) async fn round(&self) -> u64 {
        let _alone = self.round.lock().await;
        let leader = match self.control.lead().await {
            Ok(Some(leader)) => leader,
            Ok(None) => return 0,
            Err(error) => {
                warn("lead", &error);
                return 0;
            }
        };
        let mut items = 0;
        for reconciler in Reconciler::ALL {
            items += self.one(*reconciler, leader).await.items;
        }
        items
    }

    async fn one(&self, reconciler: Reconciler, leader: Leadership) -> Reconciled {
        let begun = steady_now();
        let outcome = self.control.run_reconciler(reconciler, leader).await;
        let mut histories = self.histories.lock();
        let history = histories.entry(reconciler).or_default();
        history.last_run = Some(self.clock.now());
        history.last_duration = steady_now() - begun;
        history.runs += 1;
        (history.last, history.last_error) = match outcome {
            Ok(done) => (done, None),
            Err(error) => {
                warn(reconciler.name(), &error);
                (Reconciled { items: 0, failures: 1 }, Some(error.to_string()))
            }
        };
        history.total.items += history.last.items;
        history.total.failures += history.last.failures;
        history.last
    }
}

fn warn(reconciler: &str, error: &ControlError) {
    let cause = error.source().map(ToString::to_string);
    tracing::warn!(reconciler, %error, cause, "looking for due work failed; it is tried again");
}

#[cfg(test)]
mod tests {
    use ashlar_attach::ExportTable;
    use ashlar_control::{
        ControlParts, CreateSnapshotPolicy, FIRST_ACCOUNT, NewRule, RequestId, Settings, Stores,
    };
    use ashlar_db::Db;
    use ashlar_types::{ManualClock, Region, SeededRandom};
    use ashlar_volume::model::ModelStore;
    use ashlar_volume::{VolumeError, VolumeStore};

    use super::*;

    struct OnePool(ModelStore);

    impl Stores for OnePool {
        fn store(&self, _: &Region) -> Result<Arc<dyn VolumeStore>, VolumeError> {
            Ok(Arc::new(self.0.clone()))
        }

        fn encryption_key(&self) -> Option<String> {
            None
        }
    }

    #[tokio::test]
    async fn a_call_that_makes_something_due_does_not_wait_for_the_timer() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(UnixMillis(1_767_225_600_000)));
        let control = Control::new(ControlParts {
            db: Db::open(&directory.path().join("control.db")).await.unwrap(),
            stores: Arc::new(OnePool(ModelStore::new())),
            exports: Arc::new(ExportTable::new()),
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
            settings: Settings::default(),
            server_name: "one".to_owned(),
        });
        control.ensure_first_records().await.unwrap();
        control.start().await.unwrap();
        let reconcilers = Reconcilers::new(control.clone(), clock);
        let (stop, stopped) = crate::stop::channel();
        let running = tokio::spawn(reconcilers.clone().run_every(Duration::from_secs(3600), stopped));

        let region = "ap-guangzhou".parse().unwrap();
        let caller = ashlar_control::Caller::owner(FIRST_ACCOUNT, region, RequestId("test".to_owned()));
        let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
        let wanted = CreateSnapshotPolicy { rules: vec![rule], ..CreateSnapshotPolicy::default() };
        control.create_snapshot_policy(&caller, wanted).await.unwrap();
        // The history is written after the work: what was made due may be seen before.
        let has_run = || {
            let (reconciler, history) = reconcilers.histories().remove(1);
            assert_eq!(reconciler, Reconciler::SnapshotPolicies);
            history.runs > 0 && history.last_run.is_some()
        };
        let seen = async {
            while control.schedules().await.unwrap()[0].next_trigger.is_none() || !has_run() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), seen).await.unwrap();
        stop.stop();
        running.await.unwrap();
        control.shutdown().await;
    }
}
