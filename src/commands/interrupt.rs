//! Ctrl-C, SIGTERM, and SIGHUP, which a terminal sends when it closes: a command that changes something ends in a known
//! state, and says which.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Exit, Failure};
use crate::rollout::interrupts::Interrupts;

/// Hears them from now on; the process does not end by them any more.
///
/// # Errors
///
/// Where the system does not let it.
pub(super) fn listen() -> Result<Interrupts, Failure> {
    let listen = |kind| {
        let failed = |error| {
            let message = format!("signals can't be listened for: {error}; nothing was changed");
            Failure::new(Exit::Failed, message)
        };
        signal(kind).map_err(failed)
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // None where whoever started this has it ignored, as `nohup` does.
    let hangup = !ignores_hangup(&status);
    let mut hangup = hangup.then(|| listen(SignalKind::hangup())).transpose()?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hung_up => {}
            }
            // One that waits to be heard is enough.
            sender.try_send(()).ok();
        }
    });
    Ok(Interrupts::new(receiver))
}

/// Whether a process with this `/proc/PID/status` ignores SIGHUP (proc(5), `SigIgn`: a mask, of which signal 1 is the
/// lowest bit).
fn ignores_hangup(status: &str) -> bool {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn a_hangup_that_is_ignored_stays_so() {
        for (mask, ignored) in [
            ("0000000000000000", false),
            ("0000000000000001", true),
            ("0000000000001001", true),
            ("0000000000001000", false),
            ("?", false),
        ] {
            let status = format!("Name:\tbluegreen\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
            assert_eq!(ignores_hangup(&status), ignored, "{mask}");
        }
        assert!(!ignores_hangup(""));
    }
}
