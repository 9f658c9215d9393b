//! The sandbox as a program in its own process.

use std::process::Stdio;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::raw_client::Reach;

pub struct Process {
    pub child: Child,
    pub control: String,
    chat: String,
    root: [u8; 32],
}

impl Process {
    /// Starts it and waits for its line; it ends with this value.
    pub async fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wharf-sandbox"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        let (chat, root) = (text("chat_url"), text("root_public_key"));
        assert!(chat.starts_with("ws://127.0.0.1:"));
        let byte = |at: usize| u8::from_str_radix(&root[2 * at..2 * at + 2], 16).unwrap();
        Self {
            child,
            control: text("control_url"),
            chat,
            root: std::array::from_fn(byte),
        }
    }

    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Processor time used so far, in ticks of 10 ms.
    pub fn processor_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id().unwrap())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Reach for Process {
    fn chat_url(&self) -> String {
        self.chat.clone()
    }

    fn root_public_key(&self) -> [u8; 32] {
        self.root
    }
}

/// For a process that holds the other end of a thousand connections.
pub fn raise_open_files() {
    let allowed = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: allowed.maximum,
        ..allowed
    };
    setrlimit(Resource::Nofile, wanted).unwrap();
}
