//! Prints the whole wire model as JSON: `cargo run -q -p ashlar-api --example schema`.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    writeln!(io::stdout(), "{}", ashlar_api::schema_json())
}
