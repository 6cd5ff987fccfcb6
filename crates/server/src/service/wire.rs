//! The whole wire over the rules over pools in memory, for tests: bytes in, bytes out, with a real signature.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use ashlar_api::signature::tc3::{self, SignedRequest};
use ashlar_api::{Action, Date, Gateway, GatewayConfig, RateLimits, RawRequest, UtcOffset};
use ashlar_attach::ExportTable;
use ashlar_control::{Control, ControlParts, Settings, Stores};
use ashlar_db::Db;
use ashlar_types::{Clock as _, ManualClock, Region, SeededRandom, UnixMillis};
use ashlar_volume::model::ModelStore;
use ashlar_volume::{ErrorKind, VolumeError, VolumeStore};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use super::Service;
use crate::access::ControlKeys;

/// Where calls for a pool wait.
struct Gate {
    /// So many calls pass before.
    passing: usize,
    wait: Receiver<()>,
}

/// A pool for every region, which can be told to refuse and to wait.
#[derive(Default)]
pub(crate) struct TestPools {
    pools: Mutex<BTreeMap<Region, ModelStore>>,
    /// Every call for a pool is refused with this kind while it is set.
    pub(crate) refusal: Mutex<Option<ErrorKind>>,
    gate: Mutex<Option<Gate>>,
    /// Told when a call begins to wait.
    pub(crate) held: Notify,
}

impl TestPools {
    /// One call for a pool waits until what this returns is dropped: the one after so many others. All others pass.
    pub(crate) fn hold_after(&self, passing: usize) -> Sender<()> {
        let (open, wait) = channel();
        *self.gate.lock() = Some(Gate { passing, wait });
        open
    }

    fn wait(&self) {
        let mut gate = self.gate.lock();
        match &mut *gate {
            None => return,
            Some(Gate { passing: 0, .. }) => {}
            Some(gate) => return gate.passing -= 1,
        }
        let waiting = gate.take();
        // The lock is let go before the wait: other calls pass.
        drop(gate);
        self.held.notify_one();
        // Nothing is ever sent: the wait ends with the sender.
        let _ = waiting.map(|gate| gate.wait.recv());
    }
}

impl Stores for TestPools {
    fn store(&self, region: &Region) -> Result<Arc<dyn VolumeStore>, VolumeError> {
        self.wait();
        match *self.refusal.lock() {
            Some(kind) => Err(VolumeError::new(kind, format!("the pool of {region} refuses"))),
            None => Ok(Arc::new(self.pools.lock().entry(region.clone()).or_default().clone())),
        }
    }

    fn encryption_key(&self) -> Option<String> {
        None
    }
}

/// A key as a client has it.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) token: Option<String>,
}

/// The gateway over the rules over a pool in memory.
pub(crate) struct Wire {
    gateway: Gateway<Service, ControlKeys>,
    pub(crate) control: Control,
    pub(crate) db: Db,
    pub(crate) pools: Arc<TestPools>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) owner: Secret,
    _directory: tempfile::TempDir,
}

impl Wire {
    pub(crate) async fn new(settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(UnixMillis(1_767_225_600_000)));
        let random = Arc::new(SeededRandom::new(5));
        let pools = Arc::new(TestPools::default());
        let db = Db::open(&directory.path().join("control.db")).await.unwrap();
        let control = Control::new(ControlParts {
            db: db.clone(),
            stores: pools.clone(),
            exports: Arc::new(ExportTable::new()),
            clock: clock.clone(),
            random: random.clone(),
            settings,
            server_name: "one".to_owned(),
        });
        let first = control.ensure_first_records().await.unwrap().key;
        control.start().await.unwrap();
        let config = GatewayConfig {
            regions: control.regions().await.unwrap().into_iter().collect(),
            default_region: "ap-guangzhou".parse().unwrap(),
            rate_limits: RateLimits::Off,
        };
        let keys = ControlKeys(control.clone());
        let gateway = Gateway::new(Service::new(control.clone()), keys, config, clock.clone(), random);
        let owner = Secret { id: first.secret_id.to_string(), key: first.secret_key, token: None };
        Self { gateway, control, db, pools, clock, owner, _directory: directory }
    }

    /// What stands in `Response`.
    pub(crate) async fn call(&self, secret: &Secret, action: Action, request: &Value) -> Value {
        self.call_from(secret, action, request, [127, 0, 0, 1]).await
    }

    pub(crate) async fn call_from(
        &self,
        secret: &Secret,
        action: Action,
        request: &Value,
        from: [u8; 4],
    ) -> Value {
        let body = request.to_string();
        let now = self.clock.now();
        let timestamp = now.seconds().to_string();
        let date = Date::from_unix(now, UtcOffset::UTC).to_string();
        let headers: [(&str, &[u8]); 2] = [("content-type", b"application/json"), ("host", b"ashlar")];
        let signed = SignedRequest {
            method: "POST",
            query: "",
            headers: &headers,
            payload: body.as_bytes(),
            timestamp: &timestamp,
        };
        let signature = tc3::sign(&secret.key, &date, "any", &signed);
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={}/{date}/any/tc3_request, SignedHeaders=content-type;host, Signature={signature}",
            secret.id
        );
        let spec = action.spec();
        let mut headers = vec![
            ("Host", "ashlar"),
            ("Content-Type", "application/json"),
            ("Authorization", &authorization),
            ("X-TC-Action", spec.name),
            ("X-TC-Version", spec.version),
            ("X-TC-Timestamp", &timestamp),
            ("X-TC-Region", "ap-guangzhou"),
        ];
        headers.extend(secret.token.as_deref().map(|token| ("X-TC-Token", token)));
        let answer = self
            .gateway
            .handle(RawRequest {
                method: "POST".to_owned(),
                target: "/".to_owned(),
                headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
                body: body.clone().into_bytes(),
                peer: "test".to_owned(),
                address: Some(from.into()),
            })
            .await;
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
        body["Response"].take()
    }
}

/// The error code of an answer, `ok` where there is none.
pub(crate) fn code_of(answer: &Value) -> String {
    answer["Error"]["Code"].as_str().unwrap_or("ok").to_owned()
}
