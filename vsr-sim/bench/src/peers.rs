//! The broadcast on turmoil and on madsim, over their datagrams.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::window::Window;
use crate::{Measured, NODES, RETRY_MS, measured};

const PORT: u16 = 700;
const LATENCY_MIN: Duration = Duration::from_millis(1);
const LATENCY_MAX: Duration = Duration::from_millis(10);
const LOSS: f64 = 0.01;

/// The number in a datagram.
fn value_of(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("a value is eight bytes"))
}

/// The broadcast on turmoil.
///
/// # Panics
///
/// When the simulation fails.
#[must_use]
pub fn by_turmoil(values: u64) -> Measured {
    measured(|| {
        let sent = Rc::new(Cell::new(0_u64));
        // A link that breaks for one packet and is whole for the next: the loss of one in a hundred.
        let mut simulation = turmoil::Builder::new()
            .simulation_duration(Duration::from_secs(100_000))
            .min_message_latency(LATENCY_MIN)
            .max_message_latency(LATENCY_MAX)
            .fail_rate(LOSS)
            .repair_rate(1.0)
            .udp_capacity(4096)
            .rng_seed(1)
            .build();
        for node in 1..NODES {
            let sent = Rc::clone(&sent);
            simulation.host(format!("n{node}"), move || {
                let sent = Rc::clone(&sent);
                async move {
                    let socket =
                        turmoil::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
                    let mut bytes = [0; 8];
                    loop {
                        let (_, from) = socket.recv_from(&mut bytes).await?;
                        sent.set(sent.get() + 1);
                        socket.send_to(&bytes, from).await?;
                    }
                }
            });
        }
        let count = Rc::clone(&sent);
        simulation.client("n0", async move {
            let socket = turmoil::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
            let peers: Vec<SocketAddr> = (1..NODES)
                .map(|node| SocketAddr::new(turmoil::lookup(format!("n{node}")), PORT))
                .collect();
            let mut window = Window::of(values);
            let (mut due, mut bytes) = (Vec::new(), [0; 8]);
            while !window.is_finished() {
                let now_ms = u64::try_from(turmoil::elapsed().as_millis())?;
                window.due(now_ms, RETRY_MS, &mut due);
                for (value, acknowledged) in due.drain(..) {
                    for (node, peer) in (1..NODES).zip(&peers) {
                        if acknowledged & 1 << node == 0 {
                            count.set(count.get() + 1);
                            socket.send_to(&value.to_le_bytes(), peer).await?;
                        }
                    }
                }
                let wait = Duration::from_millis(RETRY_MS);
                let Ok(received) = tokio::time::timeout(wait, socket.recv_from(&mut bytes)).await
                else {
                    continue;
                };
                let (_, from) = received?;
                let place = peers.iter().position(|peer| *peer == from).ok_or("a stranger")?;
                window.acknowledge(value_of(&bytes), u8::try_from(place)? + 1);
            }
            Ok(())
        });
        simulation.run().expect("the simulation ends");
        sent.get()
    })
}

/// The broadcast on madsim. Each packet is sent by a task of its own: a send takes a millisecond there, and would hold up the next.
///
/// # Panics
///
/// When the simulation fails.
#[must_use]
pub fn by_madsim(values: u64) -> Measured {
    measured(|| {
        let mut config = madsim::Config::default();
        config.net.packet_loss_rate = LOSS;
        config.net.send_latency = LATENCY_MIN..LATENCY_MAX;
        let runtime = madsim::runtime::Runtime::with_seed_and_config(1, config);
        let address =
            move |node: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, node + 1)), PORT);
        let sent = Arc::new(AtomicU64::new(0));
        for number in 1..NODES {
            let node = runtime.create_node().ip(address(number).ip()).build();
            let sent = Arc::clone(&sent);
            node.spawn(async move {
                let socket =
                    madsim::net::UdpSocket::bind(address(number)).await.expect("an address");
                let socket = Arc::new(socket);
                let mut bytes = [0; 8];
                loop {
                    let (_, from) = socket.recv_from(&mut bytes).await.expect("a packet");
                    sent.fetch_add(1, Ordering::Relaxed);
                    let socket = Arc::clone(&socket);
                    madsim::task::spawn(async move { socket.send_to(from, &bytes).await });
                }
            });
        }
        let sender = runtime.create_node().ip(address(0).ip()).build();
        let count = Arc::clone(&sent);
        let finished = sender.spawn(async move {
            // The others bind first.
            madsim::time::sleep(Duration::from_millis(1)).await;
            let socket = madsim::net::UdpSocket::bind(address(0)).await.expect("an address");
            let socket = Arc::new(socket);
            let start = madsim::time::Instant::now();
            let mut window = Window::of(values);
            let (mut due, mut bytes) = (Vec::new(), [0; 8]);
            while !window.is_finished() {
                let now_ms = u64::try_from(start.elapsed().as_millis()).expect("a time");
                window.due(now_ms, RETRY_MS, &mut due);
                for (value, acknowledged) in due.drain(..) {
                    for node in (1..NODES).filter(|node| acknowledged & 1 << node == 0) {
                        count.fetch_add(1, Ordering::Relaxed);
                        let (socket, bytes) = (Arc::clone(&socket), value.to_le_bytes());
                        madsim::task::spawn(
                            async move { socket.send_to(address(node), &bytes).await },
                        );
                    }
                }
                let wait = Duration::from_millis(RETRY_MS);
                let received = madsim::time::timeout(wait, socket.recv_from(&mut bytes)).await;
                let Ok(received) = received else { continue };
                let (_, from) = received.expect("a packet");
                let node = (1..NODES).find(|node| address(*node) == from).expect("no stranger");
                window.acknowledge(value_of(&bytes), node);
            }
        });
        runtime.block_on(finished).expect("the sender ends");
        sent.load(Ordering::Relaxed)
    })
}
