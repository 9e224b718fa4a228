//! A command of the operator's as it runs: in a process group of its own, with what it prints handed on as it comes.
//!
//! It has ended once its own process has ended: what that has left running may keep the output open for ever, and is
//! not waited for.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Child;

/// How long it may take to end once it was asked to: as long as Docker gives a container.
pub const END_WITHIN: Duration = Duration::from_secs(10);

/// How often is looked whether the group has ended: nobody tells of processes that are not our own.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How much is read at once, in bytes.
const CHUNK: usize = 4096;

/// As much as a pipe holds: what was printed before the command ended.
const PIPE: usize = 64 * 1024;

/// A command that runs. Dropped, it is killed with all that it has started.
pub struct Running {
    child: Child,
    group: Group,
    output: pipe::Receiver,
    open: bool,
}

impl Running {
    /// Starts it, without input.
    ///
    /// # Errors
    ///
    /// Where it can't be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        let mut command = tokio::process::Command::from(command);
        let child = command.spawn()?;
        // It still has the ends for writing: what is read would never end.
        drop(command);
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            child,
            group: Group(group.and_then(Pid::from_raw)),
            output: pipe::Receiver::from_owned_fd(reader.into())?,
            open: true,
        })
    }

    /// Waits until it has ended; what it prints is told.
    ///
    /// # Errors
    ///
    /// Where the system does not say how it ended.
    pub async fn wait(&mut self, tell: &mut dyn FnMut(&[u8])) -> io::Result<ExitStatus> {
        let mut buffer = [0; CHUNK];
        let status = loop {
            tokio::select! {
                read = self.output.read(&mut buffer), if self.open => self.take(read, &buffer, tell),
                status = self.child.wait() => break status?,
            }
        };
        // What it has left running may print for ever.
        let mut left = PIPE;
        while let Ok(count @ 1..) = self.output.try_read(&mut buffer)
            && left > 0
        {
            tell(&buffer[..count]);
            left = left.saturating_sub(count);
        }
        Ok(status)
    }

    /// Ends it, with all that it has started: asks, and kills what has not ended in time. What is printed meanwhile is
    /// told.
    pub async fn end(mut self, within: Duration, tell: &mut dyn FnMut(&[u8])) {
        self.group.send(Signal::TERM);
        // One that is stopped does not hear.
        self.group.send(Signal::CONT);
        let mut buffer = [0; CHUNK];
        let mut look = tokio::time::interval(LOOK_AGAIN);
        let gone = async {
            loop {
                tokio::select! {
                    read = self.output.read(&mut buffer), if self.open => self.take(read, &buffer, tell),
                    _ = look.tick() => {
                        // One that has ended is there until it is asked for.
                        self.child.try_wait().ok();
                        if !self.group.is_there() {
                            break;
                        }
                    }
                }
            }
        };
        tokio::time::timeout(within, gone).await.ok();
        self.group.send(Signal::KILL);
        self.child.wait().await.ok();
    }

    /// Lets go of what it has left running, whose output goes nowhere from now on; whether there is such output.
    pub fn let_go(mut self) -> bool {
        self.group.0 = None;
        let mut buffer = [0; CHUNK];
        let closed = !self.open || matches!(self.output.try_read(&mut buffer), Ok(0));
        !closed
    }

    fn take(&mut self, read: io::Result<usize>, buffer: &[u8], tell: &mut dyn FnMut(&[u8])) {
        match read {
            Ok(0) | Err(_) => self.open = false,
            Ok(count) => tell(&buffer[..count]),
        }
    }
}

/// A process group, which ends with this.
struct Group(Option<Pid>);

impl Group {
    fn send(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            kill_process_group(group, signal).ok();
        }
    }

    fn is_there(&self) -> bool {
        self.0
            .is_some_and(|group| test_kill_process_group(group).is_ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.send(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(line: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        Running::start(command).unwrap()
    }

    #[tokio::test]
    async fn much_output_comes_in_pieces_and_whole() {
        let mut total = 0;
        let mut tell = |piece: &[u8]| {
            assert!(piece.len() <= CHUNK);
            total += piece.len();
        };
        let line = "head -c 5000000 /dev/zero; echo the end >&2; exit 3";
        let mut running = sh(line);
        let status = running.wait(&mut tell).await.unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(total, 5_000_000 + "the end\n".len());
        assert!(!running.let_go());
    }

    #[tokio::test]
    async fn what_is_left_running_may_print_for_ever() {
        let mut running = sh("yes & echo $!");
        let mut said = Vec::new();
        let mut tell = |piece: &[u8]| said.extend_from_slice(piece);
        assert!(running.wait(&mut tell).await.unwrap().success());
        // Nobody reads what it prints any more, by which it ends.
        assert!(running.let_go());
    }

    #[tokio::test]
    async fn what_has_an_end_of_its_own_gets_the_time_for_it() {
        // The command ends at once, and what it has started takes its time.
        let line = "(trap 'sleep 0.3; echo over; exit' TERM; echo on; while :; do sleep 0.05; done) & wait";
        let running = until_on(line).await;
        let mut said = Vec::new();
        let mut tell = |piece: &[u8]| said.extend_from_slice(piece);
        running.end(Duration::from_secs(60), &mut tell).await;
        assert!(String::from_utf8_lossy(&said).contains("over"));
    }

    #[tokio::test]
    async fn what_does_not_end_when_it_is_asked_to_is_killed() {
        let running = until_on("trap '' TERM; echo on; while :; do sleep 0.05; done").await;
        let group = running.group.0;
        running.end(Duration::from_millis(200), &mut |_| {}).await;
        let group = std::mem::ManuallyDrop::new(Group(group));
        let gone = async {
            // Its last child is somebody else's to reap.
            while group.is_there() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone)
            .await
            .unwrap();
    }

    /// A command that has printed something.
    async fn until_on(line: &str) -> Running {
        let mut running = sh(line);
        let said = std::cell::Cell::new(false);
        let mut tell = |_: &[u8]| said.set(true);
        while !said.get() {
            let wait = running.wait(&mut tell);
            tokio::time::timeout(LOOK_AGAIN, wait).await.ok();
        }
        running
    }
}
