//! What systemd is told of the service: that it is ready, reads its configuration again, ends, and is alive.
//!
//! The protocol is one datagram of lines to the socket of `$NOTIFY_SOCKET`; without one nothing is told. See sd_notify(3).

use crate::clock;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often what the service does is said.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Who manages this service.
pub struct Manager {
    socket: Option<(UnixDatagram, String)>,
    told: Mutex<Option<Instant>>,
}

impl Manager {
    /// Whoever the environment names.
    pub fn find() -> Manager {
        let path = std::env::var("NOTIFY_SOCKET").ok().filter(|path| path.starts_with(['/', '@']));
        let socket = path.and_then(|path| Some((UnixDatagram::unbound().ok()?, path)));
        Manager { socket, told: Mutex::default() }
    }

    fn tell(&self, lines: &str) {
        let Some((socket, path)) = &self.socket else { return };
        // a manager that cannot be reached finds out by its watchdog
        let _ = match path.strip_prefix('@') {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                std::os::unix::net::SocketAddr::from_abstract_name(name)
                    .and_then(|address| socket.send_to_addr(lines.as_bytes(), &address))
            }
            None => socket.send_to(lines.as_bytes(), path),
        };
    }

    /// It serves.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It reads its configuration again.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// It is alive and does this; told now and then, however often it is called.
    pub fn alive(&self, status: &str) {
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= STATUS_EVERY) {
            *told = Some(Instant::now());
            self.tell(&format!(
                "WATCHDOG=1\nSTATUS={} ({})",
                status.replace('\n', " "),
                clock::rfc3339(clock::now_seconds())
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_each_state_and_not_every_tick() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        let socket = Some((UnixDatagram::unbound().unwrap(), path.display().to_string()));
        let manager = Manager { socket, told: Mutex::default() };
        manager.ready();
        manager.alive("idle");
        manager.alive("idle");
        manager.stopping();
        let mut heard = Vec::new();
        for _ in 0..3 {
            let mut buffer = [0; 200];
            let length = ear.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        assert_eq!((heard[0].as_str(), heard[2].as_str()), ("READY=1", "STOPPING=1"));
        assert!(heard[1].starts_with("WATCHDOG=1\nSTATUS=idle ("), "{heard:?}");
    }
}
