//! A command that runs, and what it leaves behind when it ends.
//!
//! Must never outlive its test: a command that was not waited for is killed.

use std::io::{BufRead, BufReader};
use std::process::{self, ChildStderr, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use super::{Signal, TIMEOUT};

/// A `gleaner` that runs. Killed when dropped before its end.
#[derive(Debug)]
pub struct Running {
    command: String,
    pid: Pid,
    said: Arc<Said>,
    end: Receiver<process::Output>,
    ended: bool,
}

/// What a running command wrote to standard error so far.
#[derive(Debug, Default)]
struct Said {
    text: Mutex<String>,
    more: Condvar,
}

impl Said {
    fn listen(&self, stderr: ChildStderr) {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&String::from_utf8_lossy(&line));
            line.clear();
            self.more.notify_all();
        }
    }
}

impl Running {
    /// Starts a command that [`Bench::bare`] began.
    pub fn of(command: Command) -> Self {
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
        Self::start(command, &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(super) fn start(mut command: Command, args: &[&str]) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let said = Arc::new(Said::default());
        let (sender, end) = channel();
        let listener = child.stderr.take().map(|stderr| {
            let said = Arc::clone(&said);
            std::thread::spawn(move || said.listen(stderr))
        });
        std::thread::spawn(move || {
            if let Ok(output) = child.wait_with_output() {
                let heard = listener.map_or(Ok(()), std::thread::JoinHandle::join);
                heard.expect("a listener only reads");
                // The receiver is gone when the test failed meanwhile.
                let _ = sender.send(output);
            }
        });
        Self { command: format!("gleaner {}", args.join(" ")), pid, said, end, ended: false }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until standard error has this text; panics after [`TIMEOUT`].
    pub fn wait_until_it_says(&self, text: &str) {
        let said = self.said.text.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |said: &mut String| !said.contains(text);
        let (said, waited) =
            self.said.more.wait_timeout_while(said, TIMEOUT, missing).unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "`{}` did not say {text:?}, only:\n{said}", self.command);
    }

    /// What it wrote to standard error so far.
    pub fn said(&self) -> String {
        self.said.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        assert!(self.signal_if_there(signal), "{} is gone", self.command);
    }

    /// Sends a signal, and tells whether there was still a process to get it.
    pub fn signal_if_there(&self, signal: Signal) -> bool {
        match kill_process(self.pid, signal) {
            Ok(()) => true,
            Err(Errno::SRCH) => false,
            Err(error) => panic!("{} gets no signal: {error}", self.command),
        }
    }

    /// Waits for the end; kills and panics when it does not come in time.
    pub fn wait(self, timeout: Duration) -> Output {
        let (output, timed_out) = self.end(timeout);
        if timed_out {
            output.fail(&format!("did not end within {timeout:?}"));
        }
        output
    }

    /// Kills it unless it ends within that time; its output has no code then.
    pub fn kill_after(self, time: Duration) -> Output {
        self.end(time).0
    }

    /// What it left behind, and whether it had to be killed.
    fn end(mut self, timeout: Duration) -> (Output, bool) {
        let output = self.end.recv_timeout(timeout);
        let timed_out = matches!(output, Err(RecvTimeoutError::Timeout));
        let output = output.or_else(|_| {
            // It may have ended by itself just now.
            let _ = kill_process(self.pid, Signal::KILL);
            self.end.recv()
        });
        let output = output.expect("a process that was started can be waited for");
        self.ended = true;
        let output = Output {
            command: self.command.clone(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: self.said.text.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        (output, timed_out)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // It may have ended by itself: then there is nothing to kill.
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    command: String,
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Itself, when it ended with this code; panics with all that it wrote otherwise.
    pub fn expect_code(self, code: i32) -> Self {
        if self.code != Some(code) {
            self.fail(&format!("ended with {:?}, not {code}", self.code));
        }
        self
    }

    /// Standard output as exactly one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| self.fail(&format!("did not print one JSON document: {error}")))
    }

    /// Standard output as JSON lines.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| self.fail(&format!("printed a bad JSON line: {error}")))
        };
        self.stdout.lines().map(parse).collect()
    }

    fn fail(&self, why: &str) -> ! {
        panic!("`{}` {why}\n--- stdout\n{}\n--- stderr\n{}", self.command, self.stdout, self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command, &[script])
    }

    #[test]
    fn output_and_code_are_kept() {
        let output = shell("echo '{\"done\": 1}'; echo oh >&2; exit 3").wait(TIMEOUT).expect_code(3);
        assert_eq!((&output.json()["done"], &*output.stderr), (&Value::from(1), "oh\n"));
    }

    #[test]
    fn what_a_command_says_is_heard_while_it_runs() {
        let running = shell("echo ready >&2; exec sleep 600");
        running.wait_until_it_says("ready");
        running.signal(Signal::KILL);
        assert_eq!(running.wait(TIMEOUT).stderr, "ready\n");
    }

    #[test]
    #[should_panic(expected = "did not end within 50ms")]
    fn a_command_that_hangs_is_killed() {
        shell("exec sleep 600").wait(Duration::from_millis(50));
    }

    #[test]
    fn a_signal_reaches_the_command() {
        let running = shell("exec sleep 600");
        running.signal(Signal::TERM);
        assert_eq!(running.wait(TIMEOUT).code, None);
    }
}
