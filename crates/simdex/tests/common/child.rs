//! Other processes: a test runs itself again, as one of its own tests, told by the environment.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Says which role a test plays in a child process; unset in the parent.
pub const ROLE: &str = "SIMDEX_TEST_ROLE";

/// What a child prints once it is at work.
pub const READY: &str = "child is ready";

/// The role of this process, if it is a child.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// A variable that the parent set.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// Prints a line for the parent. Not `println!`, which the test harness captures.
pub fn tell(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").unwrap();
    out.flush().unwrap();
}

/// This test program, set to run only `test` in `role`.
pub fn command(test: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).stdout(Stdio::piped());
    command
}

/// A started child, killed when dropped.
pub struct Worker {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Worker {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Waits until the child prints `wanted`; panics if it ends before.
    pub fn wait_for(&mut self, wanted: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the child ended early");
            if line.trim_end() == wanted {
                return;
            }
        }
    }

    /// Kills it where it stands: SIGKILL on Unix.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; returns whether it succeeded, and all that it printed since.
    pub fn finish(mut self) -> (bool, String) {
        let mut output = String::new();
        std::io::Read::read_to_string(&mut self.lines, &mut output).unwrap();
        (self.child.wait().unwrap().success(), output)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
