//! A wire between two nodes that can be cut, that can swallow what is sent, and that can be narrow.
//!
//! A cut wire closes its connections and takes no new ones; a silent one keeps them and carries nothing, as when a cable is out: nobody is
//! told. What a silent wire holds back arrives when it is whole again, in its order, unless somebody has hung up meanwhile. A narrow
//! one carries so many bytes of a connection as fast as ever, and what follows a little at a time: who is to be caught in the midst of
//! a transfer is in it for as long as that takes, on a machine of any speed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What a wire carries at once.
const PIECE: usize = 16 << 10;
/// How long a narrow wire takes for a piece: 80 KiB/s. A clone's source cuts off who reads less than 64.
const NARROW: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Whole,
    Silent,
    Cut,
    /// Behind so many bytes of a connection and a direction.
    Narrow(usize),
    /// What goes over it takes its time, so that nothing that asks often is ever quick.
    Slow(Duration),
}

struct Inner {
    state: Mutex<(State, Vec<TcpStream>)>,
    changed: Condvar,
    /// How many streams were made to wait because the wire is narrow.
    narrowed: AtomicUsize,
    over: AtomicBool,
}

pub struct Wire {
    pub port: u16,
    inner: Arc<Inner>,
}

impl Wire {
    /// A wire to what listens on this port.
    pub fn to(target: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner {
            state: Mutex::new((State::Whole, Vec::new())),
            changed: Condvar::new(),
            narrowed: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&inner);
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                if for_thread.over.load(Ordering::SeqCst) {
                    return;
                }
                // one that is refused or gone sees its connection closed
                let _ = for_thread.join(near, target);
            }
        });
        Wire { port, inner }
    }

    /// Puts the wire into this state; how many connections it carried.
    pub fn put(&self, state: State) -> usize {
        let mut inner = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 = state;
        let carried = inner.1.len() / 2;
        if state == State::Cut {
            inner.1.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        }
        drop(inner);
        self.inner.changed.notify_all();
        carried
    }

    /// How many streams the narrow wire has slowed down, all in all.
    pub fn narrowed(&self) -> usize {
        self.inner.narrowed.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.inner.over.store(true, Ordering::SeqCst);
        self.put(State::Cut);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Inner {
    fn join(self: &Arc<Inner>, near: TcpStream, target: u16) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 == State::Cut {
            return Ok(());
        }
        let far = TcpStream::connect_timeout(&([127, 0, 0, 1], target).into(), Duration::from_secs(1))?;
        state.1.retain(|stream| stream.peer_addr().is_ok());
        for (from, to) in [(&near, &far), (&far, &near)] {
            state.1.push(from.try_clone()?);
            let (from, to, inner) = (from.try_clone()?, to.try_clone()?, Arc::clone(self));
            std::thread::spawn(move || inner.carry(from, to));
        }
        Ok(())
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = vec![0; PIECE];
        let (mut passed, mut slow) = (0, false);
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let state = self.changed.wait_while(state, |state| state.0 == State::Silent);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            let narrow = |state: &State| matches!(state, State::Narrow(after) if passed >= *after);
            if narrow(&state.0) {
                if !slow {
                    self.narrowed.fetch_add(1, Ordering::SeqCst);
                }
                slow = true;
                drop(self.changed.wait_timeout_while(state, NARROW, |state| narrow(&state.0)));
            } else if let State::Slow(time) = state.0 {
                drop(state);
                std::thread::sleep(time);
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
            passed += count;
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
