//! What ends a server whose test was killed: a small shell that waits for the end of its standard input, which is the
//! end of the process that holds the other side, however it came.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::ClusterError;

/// `$1` is the cluster's folder. The server dies at once: nothing of it is kept. A server that is being started while
/// its owner dies has its pid file early; the second look is for the one that had none yet.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
end() {
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) || return 0
    [ -n "$pid" ] || return 0
    kill -QUIT "$pid" 2>/dev/null
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
    kill -KILL "$pid" 2>/dev/null
}
end "$1"
rm -rf "$1" 2>/dev/null
[ ! -e "$1" ] || { sleep 1; end "$1"; rm -rf "$1"; }
"#;

/// Ends the server and removes its folder when dropped, or when this process ends.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
}

impl Guard {
    pub(super) fn over(folder: &Path) -> Result<Self, ClusterError> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "sh"]).arg(folder);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A group of its own: what is sent to the terminal's group must not end the guard before its work.
        command.process_group(0).current_dir("/");
        let shell = command.spawn().map_err(|source| ClusterError::Run {
            program: "/bin/sh".to_owned(),
            source,
        })?;
        Ok(Self { shell })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Nothing can be done about a shell that cannot be waited for.
        let _ = self.shell.wait();
    }
}
