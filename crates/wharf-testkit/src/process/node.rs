//! A Node program that speaks lines of JSON.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use std::time::Duration;

use super::error::ProcessError;
use super::program::{Launch, Program};
use super::usage::Usage;

/// A running Node program.
#[derive(Debug)]
pub struct Node {
    program: Program,
    input: Option<NodeInput>,
}

/// The pipe into a Node program.
#[derive(Debug)]
pub struct NodeInput {
    name: String,
    pipe: ChildStdin,
}

impl Node {
    /// Starts `script` with `node`. It keeps the environment of this process, in which Node is found.
    ///
    /// # Errors
    /// Node is not installed.
    pub fn start(node: &Path, script: &Path, arguments: &[String], log: Option<PathBuf>) -> Result<Self, ProcessError> {
        let name = script.file_name().unwrap_or(script.as_os_str());
        let mut launch = Launch::new(&name.to_string_lossy(), node).arg(script);
        launch.arguments.extend(arguments.iter().map(Into::into));
        launch.keeps_environment = true;
        launch.log = log;
        let mut program = Program::start(&launch)?;
        let input = program.take_input().map(|pipe| NodeInput {
            name: launch.name,
            pipe,
        });
        Ok(Self { program, input })
    }

    /// The next line that it prints.
    ///
    /// # Errors
    /// It ended, printed something else than JSON, or nothing in time.
    pub async fn next(&mut self, patience: Duration) -> Result<Value, ProcessError> {
        self.program.json_line(patience).await
    }

    /// Tells it something.
    ///
    /// # Errors
    /// It is gone.
    pub async fn tell(&mut self, line: &Value) -> Result<(), ProcessError> {
        match &mut self.input {
            Some(input) => input.tell(line).await,
            None => Err(ProcessError::Ended {
                program: self.program.name().to_owned(),
                said: "its input was taken".to_owned(),
            }),
        }
    }

    /// The pipe into it, for a task of its own.
    pub const fn take_input(&mut self) -> Option<NodeInput> {
        self.input.take()
    }

    /// The process.
    pub const fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Memory and processor time.
    ///
    /// # Errors
    /// It is gone.
    pub fn usage(&self) -> Result<Usage, ProcessError> {
        self.program.usage()
    }
}

impl NodeInput {
    /// Writes one line.
    ///
    /// # Errors
    /// The program is gone.
    pub async fn tell(&mut self, line: &Value) -> Result<(), ProcessError> {
        let text = format!("{line}\n");
        let written = self.pipe.write_all(text.as_bytes()).await;
        written.map_err(|source| ProcessError::Control {
            program: self.name.clone(),
            action: "told anything",
            source,
        })
    }
}
