//! The simdex command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(simdex_cli::run(std::env::args_os()))
}
