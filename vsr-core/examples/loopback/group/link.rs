//! Frames over TCP. A link that breaks loses what was under way: the protocol asks again, so nothing here does.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use vsr_core::number::ReplicaIndex;
use vsr_core::wire::{self, Frame, PREFIX_SIZE};

/// The greatest frame that is waited for: the largest answer carries eight entries of eight KiB.
const FRAME_SIZE_MAX: u32 = 1 << 20;

/// Where each replica listens; 0 while it does not. A replica that comes back may do so at another port.
#[derive(Debug)]
pub(crate) struct Ports(Box<[AtomicU16]>);

impl Ports {
    pub(crate) fn of(replica_count: u8) -> Self {
        Self((0..replica_count).map(|_| AtomicU16::new(0)).collect())
    }

    pub(crate) fn set(&self, replica: ReplicaIndex, port: u16) {
        self.0[replica.index()].store(port, Ordering::Release);
    }

    pub(crate) fn get(&self, replica: ReplicaIndex) -> u16 {
        self.0[replica.index()].load(Ordering::Acquire)
    }
}

/// One's own connections to the replicas, opened when first needed.
#[derive(Debug)]
pub(crate) struct Links {
    ports: Arc<Ports>,
    streams: Vec<Option<Arc<TcpStream>>>,
    buffer: Vec<u8>,
}

impl Links {
    pub(crate) fn new(ports: Arc<Ports>) -> Self {
        let streams = ports.0.iter().map(|_| None).collect();
        Self { ports, streams, buffer: Vec::new() }
    }

    /// Sends, or fails to: either way the next one may get through. Answers the connection if it had to be made.
    pub(crate) fn send(&mut self, to: ReplicaIndex, frame: &Frame) -> Option<Arc<TcpStream>> {
        let mut opened = None;
        if self.streams[to.index()].is_none() {
            opened = self.connect(to).ok();
            self.streams[to.index()].clone_from(&opened);
        }
        let stream = self.streams[to.index()].as_deref()?;
        if write_frame(stream, frame, &mut self.buffer).is_err() {
            self.streams[to.index()] = None;
            return None;
        }
        opened
    }

    fn connect(&self, to: ReplicaIndex) -> io::Result<Arc<TcpStream>> {
        let port = self.ports.get(to);
        let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nodelay(true)?;
        Ok(Arc::new(stream))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for stream in self.streams.iter().flatten() {
            // Whoever reads from it in another thread is to stop; a connection that is gone already is just as well.
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Writes one frame, by way of `buffer`.
pub(crate) fn write_frame(
    mut stream: &TcpStream,
    frame: &Frame,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    buffer.clear();
    wire::encode(frame, buffer);
    stream.write_all(buffer)
}

/// Reads one frame; an error is the end of the connection, be it bytes that are no frame.
pub(crate) fn read_frame(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Frame> {
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    buffer.resize(PREFIX_SIZE, 0);
    stream.read_exact(buffer)?;
    let size = wire::frame_size(buffer).map_err(invalid)?.expect("a prefix tells the size");
    if size > FRAME_SIZE_MAX || (size as usize) < PREFIX_SIZE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    buffer.resize(size as usize, 0);
    stream.read_exact(&mut buffer[PREFIX_SIZE..])?;
    wire::decode(buffer).map_err(invalid)
}
