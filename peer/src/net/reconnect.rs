//! A connection that is made again whenever it is lost, after a wait: exponential backoff with
//! jitter over the whole upper half, so that a restarted server is not met by all its clients at
//! once.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::handle::Dial;
use super::own_address;
use super::socket::{self, Connected, Lost, Socket};
use crate::driver::{Input, InputSender};

/// First wait. Chosen: short, because most losses are a restart of the server.
const FIRST: Duration = Duration::from_millis(250);

/// Longest wait. Chosen: a laptop that wakes up is back within half a minute in the worst case.
const LONGEST: Duration = Duration::from_secs(30);

/// A connection that lived this long starts the waits over.
const STABLE: Duration = Duration::from_secs(10);

/// What is spoken with a server, and what of it outlives a connection.
pub(super) trait Service: Send {
    type Command: Send;

    /// The path below the server's URL.
    const ENDPOINT: &'static str;
    /// The longest message that either end may send, bytes.
    const MESSAGE_MAX: usize;
    /// Commands that may wait for the connection.
    const COMMANDS: usize;

    /// Speaks with the server until the connection is lost, or is known to be: then this is dropped.
    fn speak(
        &mut self,
        socket: Socket,
        commands: &mut mpsc::Receiver<Self::Command>,
        driver: &InputSender,
    ) -> impl Future<Output = Lost> + Send;

    /// Takes a command while there is no connection; what the driver must know of it at once.
    fn handle_offline(&mut self, command: Self::Command) -> Option<Input>;

    /// That there is no connection.
    fn down(&self, lost: Lost) -> Input;
}

/// Connects again and again, until nobody wants it any more.
pub(super) async fn keep_connected<S: Service>(
    dial: Dial,
    mut service: S,
    mut commands: mpsc::Receiver<S::Command>,
    driver: InputSender,
) {
    let mut waits = Waits::default();
    loop {
        let began = Instant::now();
        let lost = match socket::connect(&dial, S::ENDPOINT, S::MESSAGE_MAX).await {
            Ok(Connected { socket, own }) => tokio::select! {
                lost = service.speak(socket, &mut commands, &driver) => lost,
                () = own_address::gone(own) => Lost::new("this machine has another address now"),
            },
            Err(lost) => lost,
        };
        tracing::debug!(server = %dial.server, endpoint = S::ENDPOINT, %lost, "connection ended");
        if driver.send(service.down(lost)).await.is_err() {
            return;
        }
        let retry = tokio::time::sleep(waits.next(began.elapsed()));
        let changed = own_address::changed();
        tokio::pin!(retry, changed);
        loop {
            tokio::select! {
                () = &mut retry => break,
                () = &mut changed => {
                    waits = Waits::default();
                    break;
                }
                command = commands.recv() => {
                    let Some(command) = command else { return };
                    if let Some(input) = service.handle_offline(command)
                        && driver.send(input).await.is_err()
                    {
                        return;
                    }
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Waits {
    failures: u32,
}

impl Waits {
    /// The wait after a connection that lived for `lived`.
    fn next(&mut self, lived: Duration) -> Duration {
        if lived >= STABLE {
            self.failures = 0;
        }
        let wait = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait / 2 + wait.mul_f64(rand::random::<f64>() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_the_longest_and_start_over_after_a_stable_connection() {
        let mut all = Waits::default();
        let waits: Vec<_> = (0..20).map(|_| all.next(Duration::ZERO)).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[19] >= LONGEST / 2);
        assert!(all.next(STABLE) <= FIRST);
    }
}
