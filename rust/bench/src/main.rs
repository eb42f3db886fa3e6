//! The two ends of the gateway bench, each one thread:
//!
//! - `llmgw-bench mock '{"listen": "127.0.0.1:0"}'`: an upstream that does next to nothing ([`mock`]);
//! - `llmgw-bench load '{"target": "127.0.0.1:8000", …}'`: a client that checks every byte that matters ([`load`]).
//!
//! `benches/gateway` starts both and reads what they print: one JSON object a line, told apart by `event`.
//! Plain sockets instead of an HTTP library: what the two cost is the ceiling of every measurement.

mod http;
mod load;
mod mock;
mod pace;
mod stats;
mod talk;
mod verify;

use std::io::Write as _;
use std::process::ExitCode;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::LocalSet;

const USAGE: &str = "usage: llmgw-bench mock|load CONFIG_AS_JSON";

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [command, config] if command == "mock" => run(config, mock::run),
        [command, config] if command == "load" => run(config, load::run),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            emit(&json!({"event": "fault", "message": failure.to_string()}));
            ExitCode::FAILURE
        }
    }
}

fn run<Config, Work>(config: &str, work: impl FnOnce(Config) -> Work) -> Result<(), Failure>
where
    Config: DeserializeOwned,
    Work: Future<Output = Result<(), Failure>>,
{
    let config = serde_json::from_str(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work(config))
}

/// Prints one line for the harness. Where nobody reads any more, there is nobody to tell.
fn emit(event: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{event}").and_then(|()| out.flush());
}
