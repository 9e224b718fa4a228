//! Free ports on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the kernel gives to outgoing connections (from 32768), so that nothing else of the tests can
/// take the port of a process while it is down.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

/// A port that is free now, and that this process gives to nobody else.
pub(crate) fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let len = RANGE.end - RANGE.start;
    // Test processes that run side by side start at different places.
    let first = std::process::id().wrapping_mul(211) % len;
    for _ in 0..len {
        let n = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port =
            u16::try_from(RANGE.start + (first + n) % len).expect("the range ends below 65536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port in {RANGE:?}");
}

/// `127.0.0.1:PORT`.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
