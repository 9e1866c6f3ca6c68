//! One port of a service: takes connections and passes them on to pods.
//!
//! Pods share the machine's loopback interface. A program that listens on all addresses answers at
//! the service's too, and could not start if somebody listened there; so where both have the same
//! port, nobody listens before a program does, and then only if it does not answer there itself.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long to wait for a pod to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The wait until a program that does not listen yet is asked again; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// The longest wait until a program is asked again.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Serves an address as long as there are pods to pass connections on to. `refused` is told why
/// that does not work.
pub(super) async fn serve(
    address: SocketAddr,
    mut targets: watch::Receiver<Vec<SocketAddr>>,
    refused: impl Fn(&io::Error) + Send,
) {
    loop {
        if targets
            .wait_for(|targets| !targets.is_empty())
            .await
            .is_err()
        {
            return;
        }
        let now = targets.borrow_and_update().clone();
        let opened = tokio::select! {
            opened = open(address, &now) => opened,
            changed = targets.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let outcome = match opened {
            Ok(Some(listener)) => accept(&listener, &mut targets).await,
            // The program answers itself.
            Ok(None) => targets.changed().await,
            Err(error) => {
                refused(&error);
                timeout(LONGEST_WAIT, targets.changed())
                    .await
                    .unwrap_or(Ok(()))
            }
        };
        if outcome.is_err() {
            return;
        }
    }
}

/// Listens at an address; not where a pod answers there already.
async fn open(address: SocketAddr, targets: &[SocketAddr]) -> io::Result<Option<TcpListener>> {
    if targets.iter().any(|target| target.port() == address.port()) {
        let mut wait = FIRST_WAIT;
        while !answers_any(targets).await {
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        if TcpStream::connect(address).await.is_ok() {
            return Ok(None);
        }
    }
    TcpListener::bind(address).await.map(Some)
}

async fn answers_any(targets: &[SocketAddr]) -> bool {
    for target in targets {
        if TcpStream::connect(target).await.is_ok() {
            return true;
        }
    }
    false
}

/// Takes connections until there is nobody to pass them on to.
async fn accept(
    listener: &TcpListener,
    targets: &mut watch::Receiver<Vec<SocketAddr>>,
) -> Result<(), watch::error::RecvError> {
    let mut connections = JoinSet::new();
    let mut turn = 0;
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let Ok((connection, _)) = taken else {
                    // No file is left to be opened, for now.
                    sleep(FIRST_WAIT).await;
                    continue;
                };
                turn += 1;
                let targets = targets.borrow().clone();
                connections.spawn(pass_on(connection, targets, turn));
            }
            Some(_) = connections.join_next() => {}
            changed = targets.changed() => {
                changed?;
                if targets.borrow_and_update().is_empty() {
                    // Connections that are there go on to their ends.
                    tokio::spawn(async move { while connections.join_next().await.is_some() {} });
                    return Ok(());
                }
            }
        }
    }
}

/// Passes a connection on to the pod whose turn it is, or to the next one that takes it.
async fn pass_on(mut from: TcpStream, targets: Vec<SocketAddr>, turn: usize) {
    for i in 0..targets.len() {
        let target = targets[(turn + i) % targets.len()];
        if let Ok(Ok(mut to)) = timeout(CONNECT, TcpStream::connect(target)).await {
            let _ = from.set_nodelay(true);
            let _ = to.set_nodelay(true);
            // Either end may go at any time: that is how connections end.
            let _ = copy_bidirectional(&mut from, &mut to).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A program that says its name to whoever connects.
    async fn program(address: &str, name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind(address).await.unwrap();
        let bound = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let _ = connection.write_all(name.as_bytes()).await;
            }
        });
        bound
    }

    async fn ask(address: SocketAddr) -> String {
        loop {
            if let Ok(mut connection) = TcpStream::connect(address).await {
                let mut text = String::new();
                connection.read_to_string(&mut text).await.unwrap();
                return text;
            }
            tokio::task::yield_now().await;
        }
    }

    fn own(ip: [u8; 4], port: u16) -> SocketAddr {
        SocketAddr::from((ip, port))
    }

    #[tokio::test]
    async fn connections_go_to_the_pods_in_turn_and_past_those_that_do_not_answer() {
        let a = program("127.112.9.1:0", "a").await;
        let b = program("127.112.9.2:0", "b").await;
        let dead = own([127, 112, 9, 3], 1);
        let address = own([127, 96, 9, 1], a.port().wrapping_add(1).max(1024));
        let (targets, receiver) = watch::channel(vec![a, b, dead]);
        let serving = tokio::spawn(serve(address, receiver, |error| panic!("{error}")));
        let mut said = std::collections::BTreeSet::new();
        for _ in 0..6 {
            said.insert(ask(address).await);
        }
        assert_eq!(said.into_iter().collect::<String>(), "ab");
        drop(targets);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_program_that_listens_everywhere_is_left_alone() {
        let everywhere = program("0.0.0.0:0", "me").await;
        let target = own([127, 112, 9, 4], everywhere.port());
        let address = own([127, 96, 9, 4], everywhere.port());
        let opened = open(address, &[target]).await.unwrap();
        assert!(opened.is_none());
        assert_eq!(ask(address).await, "me");
    }

    #[tokio::test]
    async fn a_program_that_listens_at_its_own_address_is_led_to() {
        let target = program("127.112.9.5:0", "own").await;
        let address = own([127, 96, 9, 5], target.port());
        let (_targets, receiver) = watch::channel(vec![target]);
        tokio::spawn(serve(address, receiver, |error| panic!("{error}")));
        assert_eq!(ask(address).await, "own");
    }
}
