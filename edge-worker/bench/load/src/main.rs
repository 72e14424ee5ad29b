//! Sends one HTTP request again and again over kept connections, and prints a line of JSON: how many a second were answered, and how
//! long that took.
//!
//! ```text
//! edge-load <address> <connections> <seconds> <rate> <file>
//! ```
//!
//! The file holds the request, head and body; each `{n}` in it becomes a running number of eight digits. With a rate above 0 so many
//! requests a second are sent, evenly, whether or not earlier ones were answered, and each is timed from the moment at which it was
//! due: a server that stalls is not spared the requests that it would have missed. With rate 0 each connection sends its next
//! request when it has the answer to the last, which finds the most that the server can do.

mod connection;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use connection::Connection;
use mio::{Events, Poll};

/// After the end, answers are waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks of a paced run at most. Not none: a generator that never sleeps is stopped now and then by the kernel, at any
/// priority.
const NAP: Duration = Duration::from_micros(20);

/// What each `{n}` of the file stands for.
const MARK: &[u8] = b"{n}";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, n_connections, seconds, rate, file] = &arguments[..] else {
        anyhow::bail!("usage: edge-load <address> <connections> <seconds> <rate> <file>")
    };
    let address: SocketAddr = address.parse().context("the address")?;
    let rate: f64 = rate.parse().context("the rate")?;
    let duration = Duration::from_secs_f64(seconds.parse().context("the seconds")?);
    let mut template = Template::new(&std::fs::read(file).context("the file")?);
    let mut poll = Poll::new()?;
    let mut connections: Vec<Connection> = (0..n_connections.parse()?)
        .map(|at| Connection::open(address, at, &poll))
        .collect::<Result<_>>()?;
    println!("{}", run(&mut poll, &mut connections, &mut template, duration, rate)?);
    Ok(())
}

/// A request in which numbers are written over.
struct Template {
    request: Vec<u8>,
    /// Where a number stands.
    numbers: Vec<usize>,
}

impl Template {
    fn new(file: &[u8]) -> Self {
        let (mut request, mut numbers, mut rest) = (Vec::new(), Vec::new(), file);
        while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
            request.extend_from_slice(&rest[..at]);
            numbers.push(request.len());
            request.extend_from_slice(b"00000000");
            rest = &rest[at + MARK.len()..];
        }
        request.extend_from_slice(rest);
        Self { request, numbers }
    }

    fn numbered(&mut self, n: u64) -> &[u8] {
        for &start in &self.numbers {
            let mut rest = n;
            for digit in self.request[start..start + 8].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        &self.request
    }
}

fn run(
    poll: &mut Poll,
    connections: &mut [Connection],
    template: &mut Template,
    duration: Duration,
    rate: f64,
) -> Result<String> {
    let interval = (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate));
    let mut idle: Vec<usize> = (0..connections.len()).collect();
    let mut events = Events::with_capacity(1024);
    let mut latencies_us: Vec<u32> = Vec::with_capacity(1 << 20);
    let (mut n_sent, mut n_failed, mut n_bytes) = (0_u64, 0_u64, 0_u64);
    let began = Instant::now();
    let end = began + duration;
    let mut due = began;
    let mut last = began;
    loop {
        let now = Instant::now();
        while now < end && (interval.is_none() || (due <= now && due < end)) {
            let Some(at) = idle.pop() else { break };
            let timed_from = if interval.is_some() { due } else { now };
            connections[at].send(template.numbered(n_sent), timed_from)?;
            n_sent += 1;
            due += interval.unwrap_or_default();
        }
        if now >= end && idle.len() == connections.len() {
            break;
        }
        anyhow::ensure!(now < end + PATIENCE, "answers are missing at the end");
        // A paced run looks again after microseconds, where waiting for events goes by milliseconds: waking up late would count as the
        // server's latency.
        let patience = if interval.is_some() { Duration::ZERO } else { Duration::from_millis(50) };
        match poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        if interval.is_some() && events.is_empty() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()).min(NAP));
        }
        for event in &events {
            let at = event.token().0;
            if let Some(answer) = connections[at].receive()? {
                last = Instant::now();
                let latency = last.duration_since(answer.timed_from);
                latencies_us.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
                n_failed += u64::from(!(200..300).contains(&answer.status));
                n_bytes += answer.size_bytes as u64;
                idle.push(at);
            }
        }
    }
    latencies_us.sort_unstable();
    let quantile = |q: f64| {
        let at =
            ((latencies_us.len() as f64 * q) as usize).min(latencies_us.len().saturating_sub(1));
        f64::from(latencies_us.get(at).copied().unwrap_or(0)) / 1000.0
    };
    let seconds = last.duration_since(began).as_secs_f64();
    Ok(format!(
        r#"{{"requests":{},"failed":{n_failed},"seconds":{seconds:.3},"rate":{:.1},"bytes":{n_bytes},"p50_ms":{:.3},"p90_ms":{:.3},"p99_ms":{:.3},"p999_ms":{:.3},"max_ms":{:.3}}}"#,
        latencies_us.len(),
        latencies_us.len() as f64 / seconds,
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0),
    ))
}
