//! One connection: a request out, its answer in, then the next.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, Result};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    chunk: Box<[u8; 65536]>,
    expected: Option<Expected>,
    timed_from: Instant,
}

/// What the head of an answer says of the whole.
#[derive(Clone, Copy)]
struct Expected {
    status: u16,
    end: End,
}

/// Where an answer ends.
#[derive(Clone, Copy)]
enum End {
    At(usize),
    /// With the last chunk.
    Chunked,
}

/// An answer that is complete.
pub struct Answer {
    pub status: u16,
    pub size_bytes: usize,
    /// When its request was sent, or due.
    pub timed_from: Instant,
}

impl Connection {
    /// Connects, and waits until the connection stands.
    pub fn open(address: SocketAddr, at: usize, poll: &Poll) -> Result<Self> {
        let stream = std::net::TcpStream::connect(address).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
        Ok(Self {
            stream,
            received: Vec::with_capacity(65536),
            chunk: Box::new([0; 65536]),
            expected: None,
            timed_from: Instant::now(),
        })
    }

    /// Sends a request. One that does not fit into the socket's buffer is no case for this generator.
    pub fn send(&mut self, request: &[u8], timed_from: Instant) -> Result<()> {
        self.timed_from = timed_from;
        self.received.clear();
        self.expected = None;
        let n = self.stream.write(request).context("sending")?;
        anyhow::ensure!(n == request.len(), "the request does not fit into the socket's buffer");
        Ok(())
    }

    /// Reads what has arrived; answers when that completes the answer.
    pub fn receive(&mut self) -> Result<Option<Answer>> {
        loop {
            match self.stream.read(&mut self.chunk[..]) {
                Ok(0) => anyhow::bail!("the server closed the connection"),
                Ok(n) => {
                    self.received.extend_from_slice(&self.chunk[..n]);
                    // What is shorter than the room for it was all there is; the next arrival is told of again.
                    if n < self.chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("receiving"),
            }
        }
        if self.expected.is_none() {
            self.expected = read_head(&self.received)?;
        }
        let Some(expected) = self.expected else { return Ok(None) };
        let is_complete = match expected.end {
            End::At(end) => self.received.len() >= end,
            End::Chunked => self.received.ends_with(b"\r\n0\r\n\r\n"),
        };
        Ok(is_complete.then_some(Answer {
            status: expected.status,
            size_bytes: self.received.len(),
            timed_from: self.timed_from,
        }))
    }
}

/// Reads the head of an answer, once all of it is there.
fn read_head(bytes: &[u8]) -> Result<Option<Expected>> {
    let Some(len) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..len]).context("the head of the answer")?;
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let status = status.with_context(|| format!("no status in {head:?}"))?;
    let mut end = End::At(len + 4);
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            end = End::At(len + 4 + value.trim().parse::<usize>().context("Content-Length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            end = End::Chunked;
        }
    }
    Ok(Some(Expected { status, end }))
}
