//! The server's end of the administrative socket.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ashlar_control::{Control, ControlError, Instance, NewInstance};
use ashlar_types::{AccountUin, DiskId};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::access::Refusal;
use super::protocol::{
    AdminCommand, Answer, InstanceRecord, REQUEST_BYTES_MAX, Request, RotationRecord, VERSION,
};
use crate::clock::TestClock;
use crate::master_key::{MasterKeyRotation, Rotated};
use crate::pools::Pools;
use crate::scrub::Scrubber;
use crate::serve::nbd::NbdConnections;
use crate::serve::reconcilers::Reconcilers;
use crate::stop::Stop;

/// How long one exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long accepting pauses when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Carries the commands out, for the account of the first start.
#[derive(Clone)]
pub(crate) struct Administrator {
    /// The rules.
    pub(crate) control: Control,
    /// Whose instances these are.
    pub(crate) account: AccountUin,
    /// What runs by the clock.
    pub(crate) reconcilers: Reconcilers,
    /// The clock, where it can be moved.
    pub(crate) test_clock: Option<Arc<TestClock>>,
    /// How the master key is exchanged.
    pub(crate) rotation: Arc<MasterKeyRotation>,
    /// The pools.
    pub(crate) pools: Arc<Pools>,
    /// Runs scrubs.
    pub(crate) scrubber: Scrubber,
    /// Who is connected over NBD.
    pub(crate) nbd: NbdConnections,
    /// When a pool counts as full.
    pub(crate) limits: ashlar_control::Limits,
}

/// Answers administrative commands until `stop`, then finishes those under way.
pub(crate) async fn run(listener: UnixListener, administrator: Administrator, mut stop: Stop) {
    let mut exchanges = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.wanted() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let administrator = administrator.clone();
                exchanges.spawn(timeout(EXCHANGE_TIMEOUT, exchange(stream, administrator)));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an administrative command");
                let _ = timeout(ACCEPT_PAUSE, stop.wanted()).await;
            }
        }
        while exchanges.try_join_next().is_some() {}
    }
    drop(listener);
    while exchanges.join_next().await.is_some() {}
}

async fn exchange(stream: UnixStream, administrator: Administrator) {
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let answer = match BufReader::new(reader.take(REQUEST_BYTES_MAX)).read_until(b'\n', &mut line).await {
        Ok(0) | Err(_) => return,
        Ok(_) => match parse(&line) {
            Ok(command) => {
                administrator.answer(command).await.unwrap_or_else(|message| Answer::Refused { message })
            }
            Err(message) => Answer::Refused { message },
        },
    };
    let Ok(mut text) = serde_json::to_vec(&answer) else { return };
    text.push(b'\n');
    if let Err(error) = writer.write_all(&text).await {
        tracing::debug!(%error, "an administrator left before the answer");
    }
}

fn parse(line: &[u8]) -> Result<AdminCommand, String> {
    if !line.ends_with(b"\n") {
        return Err(format!("the request is longer than {REQUEST_BYTES_MAX} bytes or breaks off"));
    }
    // The version first: a request of another one may have any shape.
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_slice(line) {
        Ok(Versioned { version: VERSION }) => {}
        Ok(Versioned { version }) => {
            return Err(format!(
                "the server speaks version {VERSION} of the administrative protocol, this command version {version}: \
                 use the binary that the server runs"
            ));
        }
        Err(error) => return Err(format!("this is no administrative request: {error}")),
    }
    serde_json::from_slice::<Request>(line)
        .map(|request| request.command)
        .map_err(|error| format!("this is no administrative request: {error}"))
}

impl Administrator {
    /// Does what is asked, for the account that is named.
    async fn answer(self, command: AdminCommand) -> Result<Answer, String> {
        match command {
            AdminCommand::ForAccount { account, command } => {
                let account = AccountUin(account);
                self.control.require_account(account).await.map_err(refusal)?;
                Self { account, ..self }.obey(*command).await
            }
            command => self.obey(command).await,
        }
    }

    /// Does what is asked; a refusal is a line for people.
    async fn obey(&self, command: AdminCommand) -> Result<Answer, String> {
        match command {
            AdminCommand::Access(command) => match command.obey(&self.control, self.account).await {
                Ok(answer) => Ok(Answer::Access(answer)),
                Err(Refusal::Control(error)) => Err(refusal(error)),
                Err(Refusal::Words(message)) => Err(message),
            },
            AdminCommand::ForAccount { .. } => Err("an account is named twice".to_owned()),
            AdminCommand::AddInstance { zone, name, id, product, system_disk_gib, address } => {
                let id = id.as_deref().map(parsed).transpose()?;
                let wanted = NewInstance {
                    zone: parsed(&zone)?,
                    name,
                    id,
                    ip_address: address,
                    product: parsed(&product)?,
                    system_disk_gib,
                };
                let added = self.control.add_instance(self.account, wanted).await.map_err(refusal)?;
                Ok(Answer::Instance(record(added)))
            }
            AdminCommand::Money(command) => super::money::obey(&self.control, command).await.map_err(refusal),
            AdminCommand::ShowDisk { id } => {
                super::disk::show(&self.control, parsed(&id)?).await.map_err(refusal)
            }
            AdminCommand::TakeBeforeFix { instance, name } => {
                super::fix_snapshot::take(&self.control, parsed(&instance)?, name).await.map_err(refusal)
            }
            AdminCommand::Bill(request) => super::bill::obey(&self.control, request).await,
            AdminCommand::Schedule(order) => super::schedule::obey(&self.control, order).await,
            AdminCommand::ShowStatus => super::status::show(self).await,
            AdminCommand::Snapshot(order) => super::snapshot::obey(&self.control, order).await,
            AdminCommand::Clock(order) => {
                super::clock::obey(self.test_clock.as_ref(), &self.control, &self.reconcilers, order).await
            }
            AdminCommand::ShowSpace => {
                let (pools, limits) = (Arc::clone(&self.rotation.pools), self.limits.clone());
                let shown = tokio::task::spawn_blocking(move || super::space::show(&pools, &limits)).await;
                shown.map_err(|error| error.to_string())?
            }
            AdminCommand::RotateMasterKey => self.rotate_master_key().await,
            AdminCommand::StartScrub { disks, rate_mb } => {
                let disks = disks
                    .iter()
                    .map(|disk| parsed::<DiskId>(disk).map(Into::into))
                    .collect::<Result<Vec<_>, _>>()?;
                self.scrubber.start(&disks, rate_mb).map(|()| Answer::Done)
            }
            AdminCommand::CancelScrub => match self.scrubber.cancel() {
                true => Ok(Answer::Done),
                false => Err("no scrub is running".to_owned()),
            },
            AdminCommand::ListInstances => {
                let listed = self.control.list_instances(self.account).await.map_err(refusal)?;
                Ok(Answer::Instances(listed.into_iter().map(|listing| record(listing.instance)).collect()))
            }
            AdminCommand::RemoveInstance { id, with_disks } => {
                let instance = parsed(&id)?;
                if with_disks {
                    self.control.empty_instance(self.account, instance).await.map_err(refusal)?;
                }
                self.control.remove_instance(self.account, instance).await.map_err(refusal)?;
                Ok(Answer::Removed { instance_id: id })
            }
        }
    }
}

impl Administrator {
    async fn rotate_master_key(&self) -> Result<Answer, String> {
        let rotation = Arc::clone(&self.rotation);
        let rotated = tokio::task::spawn_blocking(move || rotation.run()).await;
        let Rotated { fingerprint, data_keys, file } = rotated.map_err(|error| error.to_string())??;
        let file = file.map(|file| file.display().to_string());
        Ok(Answer::MasterKeyRotated(RotationRecord { fingerprint, data_keys, file }))
    }
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn refusal(error: ControlError) -> String {
    if let ControlError::Db(cause) = &error {
        tracing::error!(error = cause as &dyn std::error::Error, "an administrative command failed");
    }
    error.to_string()
}

fn record(instance: Instance) -> InstanceRecord {
    InstanceRecord {
        instance_id: crate::admin::shown_id(&instance),
        name: instance.name,
        zone: instance.zone.to_string(),
        product: instance.product.to_string(),
        address: instance.ip_address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_other_versions_are_told_so() {
        let request =
            serde_json::to_string(&Request { version: VERSION, command: AdminCommand::ListInstances });
        let line = format!("{}\n", request.unwrap());
        assert!(matches!(parse(line.as_bytes()), Ok(AdminCommand::ListInstances)));
        let other = parse(b"{\"version\":99,\"order\":\"dance\"}\n").expect_err("of the future");
        assert!(other.contains("version 99"), "{other}");
        for line in ["", "{}\n", "nonsense\n", "{\"version\":1}\n", "{\"version\":1,\"command\":\"x\"}\n"] {
            assert!(parse(line.as_bytes()).is_err(), "{line}");
        }
        assert!(parse(&vec![b'x'; 20_000]).is_err());
    }
}
