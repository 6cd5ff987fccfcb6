//! Lists over the API: signed DescribeDisks calls, beside the same sort of call of another emulator of a cloud.

use std::path::Path;

use serde_json::Value;

use super::operations::make_disks;
use super::options::Options;
use super::peer;
use super::server::Ashlar;
use super::table::{figure, markdown, median, ratio};
use crate::error::{Context, ErrorKind, Result};
use crate::process;
use crate::workspace::Workspace;

/// Makes the load and prints what it measured.
const PROGRAM: &str = include_str!("describe.py");

/// Measures and gives the section of the document.
pub(super) fn measure(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    make_disks(workspace, folder, options.disks)?;
    let ashlar = Ashlar::start(workspace, folder)?;
    let peer = peer::python(workspace)?;
    let mut command = workspace.command(workspace.python()?);
    command.args(["-c", PROGRAM]).arg(ashlar.data_dir.join("admin.env")).arg(folder);
    command.args([options.disks, options.rounds, options.seconds].map(|number| number.to_string())).arg(peer);
    let printed = process::output(&mut command)?;
    ashlar.server.stop()?;
    let results: Value = serde_json::from_str(printed.trim())
        .context(ErrorKind::Format, || format!("what the load printed: `{printed}`"))?;
    Ok(section(&results, options.disks))
}

fn section(results: &Value, disks: u32) -> String {
    let middle = |name: &str, column: usize| {
        let runs = results[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let figures: Vec<f64> = runs.iter().filter_map(|run| run[column].as_f64()).collect();
        median(&figures)
    };
    let row =
        |name: &str, title: &str| vec![title.to_owned(), figure(middle(name, 0)), figure(middle(name, 1))];
    let head = ["20 disks a call", "calls a second", "99 % within ms"].map(str::to_owned);
    let rows = [
        row("ashlar", "ashlar, DescribeDisks, as many as it takes"),
        row("half", "ashlar, at half of that"),
        row("moto", "moto's server, DescribeVolumes by id, as many as it takes"),
    ];
    let usable: Vec<f64> =
        results["usable"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let slowest = usable.iter().copied().reduce(f64::max);
    let times = figure(ratio(middle("ashlar", 0), middle("moto", 0)));
    format!(
        "## Lists over the API\n\n{disks} disks; each call is signed with TC3-HMAC-SHA256 and asks for another page. \
         wrk makes the load from two threads on the same machine. ashlar answers {times} times as many calls as the \
         peer.\n\n{}\n{} disks made one after the other, from the call until a list shows each as usable: {} ms in the \
         middle, {} ms at most.\n",
        markdown(&head, &rows),
        usable.len(),
        figure(median(&usable)),
        figure(slowest),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_has_the_medians_and_the_ratio() {
        let results = serde_json::json!({
            "ashlar": [[5000.0, 4.0], [7000.0, 6.0], [6000.0, 5.0]], "half": [[2500.0, 1.5]], "moto": [[60.0, 300.0]],
            "usable": [3.0, 2.0, 9.0],
        });
        let section = section(&results, 10_000);
        assert!(section.contains("answers 100 times"), "{section}");
        assert!(section.contains("| 6000 | 5.00 |") && section.contains("| 2500 | 1.50 |"), "{section}");
        assert!(
            section.contains("3 disks made") && section.contains("3.00 ms in the middle, 9.00 ms"),
            "{section}"
        );
    }
}
