//! The module in JavaScript engines: in a Node process, or in workerd or a browser that a Node process starts.

use anyhow::{Context, Result, ensure};
use std::{
    ffi::OsStr,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};
use tradewind_core::guest::Guest;

/// Node process that runs the module, through `tests/node/pipe.mjs`.
pub struct NodeGuest(Child);

/// Requests to the process; `module.mjs` has the same numbers.
#[derive(Clone, Copy)]
enum Operation {
    Load = 0,
    Call = 1,
    Score = 2,
}

impl NodeGuest {
    /// Starts a script of `tests/node` with its arguments.
    ///
    /// # Errors
    /// If Node cannot be started.
    pub fn start(script: &str, arguments: &[&OsStr]) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node").join(script);
        let child = Command::new("node")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start `node`; `cargo xtask setup` installs it")?;
        Ok(Self(child))
    }

    fn ask(&mut self, operation: Operation, arguments: &[u8]) -> Result<Vec<u8>> {
        let stdin = self.0.stdin.as_mut().context("Node is gone")?;
        stdin.write_all(&[operation as u8])?;
        stdin.write_all(&u32::try_from(arguments.len())?.to_le_bytes())?;
        stdin.write_all(arguments)?;
        stdin.flush()?;
        let stdout = self.0.stdout.as_mut().context("Node is gone")?;
        let mut len = [0; 4];
        stdout.read_exact(&mut len).context("Node gave no reply; its message is above")?;
        let mut reply = vec![0; u32::from_le_bytes(len) as usize];
        stdout.read_exact(&mut reply)?;
        Ok(reply)
    }
}

impl Guest for NodeGuest {
    type Error = anyhow::Error;

    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>> {
        self.ask(Operation::Load, pack)
    }

    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.ask(Operation::Call, request)
    }

    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>> {
        let numbers = [pack, u32::try_from(rows)?, u32::try_from(scores.len())?];
        let mut arguments: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        arguments.extend(columns.iter().flat_map(|value| value.to_le_bytes()));
        let answer = self.ask(Operation::Score, &arguments)?;
        ensure!(answer.len() >= 4 * scores.len(), "Node answered {} bytes", answer.len());
        let (values, reply) = answer.split_at(4 * scores.len());
        for (score, bytes) in scores.iter_mut().zip(values.as_chunks::<4>().0) {
            *score = f32::from_le_bytes(*bytes);
        }
        Ok(reply.to_vec())
    }
}

impl Drop for NodeGuest {
    fn drop(&mut self) {
        // The process ends when its input closes.
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}
