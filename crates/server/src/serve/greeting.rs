//! What a start says on standard output.

use std::path::Path;

/// The line of every start.
pub(super) fn ready(endpoint: &str, nbd: &str) -> String {
    format!("Ashlar is ready: API at {endpoint}, NBD at {nbd}")
}

/// The three lines that a newcomer needs next.
pub(super) fn first_steps(data_dir: &Path, nbd_uri: &str) -> [String; 3] {
    // As it was called: `ashlar` need not be on the path.
    let program = std::env::args().next().unwrap_or_else(|| "ashlar".to_owned());
    let data_dir = data_dir.display();
    [
        format!("1. Key and endpoint for SDKs:  set -a; . {data_dir}/admin.env; set +a"),
        format!(
            "2. A machine for the disks:    {program} instance add --zone ap-guangzhou-3 --data-dir {data_dir}"
        ),
        format!("3. A disk after AttachDisks:   nbdinfo '{nbd_uri}'"),
    ]
}
