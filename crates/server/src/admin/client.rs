//! `ashlar instance …`: asks the running server and prints what it answers.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::protocol::{
    ANSWER_BYTES_MAX, AdminCommand, Answer, InstanceRecord, Request, RotationRecord, VERSION,
};
use crate::cli::{AdminFlags, InstanceArguments, InstanceCommand, StatusFlags};
use crate::config::{Environment, admin_data_dir};
use crate::data_dir::admin_socket_in;
use crate::failure::Failure;
use crate::output;

/// How long a server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs one command against the server of a data directory.
pub(crate) fn run(arguments: InstanceArguments, environment: Environment<'_>) -> Result<(), Failure> {
    let InstanceArguments { account, command } = arguments;
    let (command, AdminFlags { data_dir, json }) = match command {
        InstanceCommand::Add { zone, name, id, product, system_disk, address, admin } => {
            let (zone, id) = (zone.to_string(), id.map(|id| id.to_string()));
            let (product, system_disk_gib) = (product.to_string(), system_disk);
            (AdminCommand::AddInstance { zone, name, id, product, system_disk_gib, address }, admin)
        }
        InstanceCommand::List { admin } => (AdminCommand::ListInstances, admin),
        InstanceCommand::Remove { id, with_disks, admin } => {
            (AdminCommand::RemoveInstance { id: id.to_string(), with_disks }, admin)
        }
    };
    let command = match account {
        Some(account) => AdminCommand::ForAccount { account, command: Box::new(command) },
        None => command,
    };
    exchange(command, AdminFlags { data_dir, json }, environment)
}

/// Sends one command and prints what is answered.
pub(crate) fn exchange(
    command: AdminCommand,
    AdminFlags { data_dir, json }: AdminFlags,
    environment: Environment<'_>,
) -> Result<(), Failure> {
    let answer = ask(&admin_data_dir(data_dir, environment), command)?;
    if let Answer::Refused { message } = answer {
        return Err(Failure::refused(message));
    }
    output::line(&if json { to_json(&answer)? } else { to_text(&answer) });
    Ok(())
}

/// Prints how the server is.
pub(crate) fn status(flags: StatusFlags, environment: Environment<'_>) -> Result<(), Failure> {
    if !flags.metrics {
        return exchange(AdminCommand::ShowStatus, flags.admin, environment);
    }
    match ask(&admin_data_dir(flags.admin.data_dir, environment), AdminCommand::ShowStatus)? {
        Answer::Status(status) => output::line(&super::status::to_metrics(&status)),
        other => return Err(Failure::refused(to_text(&other))),
    }
    Ok(())
}

/// Sends one command and gives the answer.
pub(super) fn ask(data_dir: &Path, command: AdminCommand) -> Result<Answer, Failure> {
    let path = admin_socket_in(data_dir);
    let broken = |error: std::io::Error| Failure::internal("the server did not answer", error);
    let mut stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Failure::setup(format!(
            "no server runs on the data directory {}: start one with `ashlar serve` or name another with --data-dir",
            data_dir.display()
        )),
        _ => Failure::setup(format!("cannot reach the server through {}", path.display())).because(error),
    })?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(broken)?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT)).map_err(broken)?;
    let mut request = serde_json::to_vec(&Request { version: VERSION, command })
        .map_err(|error| Failure::internal("cannot write the request", error))?;
    request.push(b'\n');
    stream.write_all(&request).map_err(broken)?;
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut line).map_err(broken)?;
    serde_json::from_str(&line).map_err(|error| {
        Failure::internal("the server's answer makes no sense: is it of another version?", error)
    })
}

fn to_json(answer: &Answer) -> Result<String, Failure> {
    match answer {
        Answer::Access(answer) => answer.to_json(),
        Answer::Instance(instance) => serde_json::to_string(instance),
        Answer::Money(answer) => serde_json::to_string(answer),
        Answer::Disk(disk) => serde_json::to_string(disk),
        Answer::TakenBeforeFix(taken) => serde_json::to_string(taken),
        Answer::Bill(bill) => serde_json::to_string(bill),
        Answer::Snapshot(answer) => serde_json::to_string(answer),
        Answer::Schedules(schedules) => serde_json::to_string(schedules),
        Answer::Status(status) => serde_json::to_string(status),
        Answer::Clock(clock) => serde_json::to_string(clock),
        Answer::Done => serde_json::to_string(&serde_json::json!({})),
        Answer::Instances(instances) => serde_json::to_string(instances),
        Answer::Removed { instance_id } => {
            serde_json::to_string(&serde_json::json!({ "instance_id": instance_id }))
        }
        Answer::Space(pools) => serde_json::to_string(pools),
        Answer::MasterKeyRotated(rotation) => serde_json::to_string(rotation),
        Answer::Refused { message } => serde_json::to_string(message),
    }
    .map_err(|error| Failure::internal("cannot write JSON", error))
}

fn to_text(answer: &Answer) -> String {
    match answer {
        Answer::Access(answer) => super::access::to_text(answer),
        Answer::Instance(instance) => instance.instance_id.clone(),
        Answer::Money(answer) => super::money::to_text(answer),
        Answer::Disk(disk) => super::disk::to_text(disk),
        Answer::TakenBeforeFix(taken) => super::fix_snapshot::to_text(taken),
        Answer::Bill(bill) => super::bill::to_text(bill),
        Answer::Snapshot(answer) => super::snapshot::to_text(answer),
        Answer::Schedules(schedules) => super::schedule::to_text(schedules),
        Answer::Status(status) => super::status::to_text(status),
        Answer::Clock(clock) => clock.to_text(),
        Answer::Done => "done".to_owned(),
        Answer::Instances(instances) => table(instances),
        Answer::Removed { instance_id } => format!("{instance_id} removed"),
        Answer::Space(pools) => super::space::to_text(pools),
        Answer::MasterKeyRotated(RotationRecord { fingerprint, data_keys, file }) => {
            let now = match file {
                Some(file) => format!("It is in {file}: back it up now, and destroy copies of the old one"),
                None => "The old key is not needed any more where the new one comes from".to_owned(),
            };
            format!("the master key is {fingerprint} now; {data_keys} data keys were wrapped anew\n{now}")
        }
        Answer::Refused { message } => message.clone(),
    }
}

fn table(instances: &[InstanceRecord]) -> String {
    if instances.is_empty() {
        return "no instances; add one with `ashlar instance add --zone ap-guangzhou-3`".to_owned();
    }
    let width = instances.iter().map(|instance| instance.zone.len()).max().unwrap_or(0);
    let mut lines = vec![format!("{:<12}  {:<width$}  NAME", "ID", "ZONE")];
    lines.extend(instances.iter().map(|instance| {
        format!("{:<12}  {:<width$}  {}", instance.instance_id, instance.zone, instance.name)
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_line_up() {
        let record = |id: &str, zone: &str| InstanceRecord {
            instance_id: id.into(),
            name: "web".into(),
            zone: zone.into(),
            product: "cvm".into(),
            address: None,
        };
        let text = table(&[record("ins-00000001", "ap-guangzhou-3"), record("ins-00000002", "ap-beijing-1")]);
        let columns: Vec<_> = text.lines().map(|line| line.find("NAME").or(line.find("web"))).collect();
        assert_eq!(columns, [Some(30), Some(30), Some(30)], "{text}");
    }

    #[test]
    fn no_server_is_a_mistake_of_the_surroundings() {
        let dir = tempfile::tempdir().unwrap();
        let failure = ask(dir.path(), AdminCommand::ListInstances).expect_err("no server");
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.to_string().contains("no server runs"), "{failure}");
    }
}
