//! The `tradewind` command.

mod commands;

use std::{
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let done = commands::Command::read()
        .and_then(|command| command.run(&mut out))
        .and_then(|code| Ok(out.flush().map(|()| code)?));
    match done {
        Ok(code) => code,
        // The reader has closed the pipe.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tradewind: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the error is a write to a closed standard output.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let kind =
            kind.or_else(|| cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind));
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}
