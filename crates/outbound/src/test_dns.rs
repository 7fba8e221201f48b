//! A DNS server on loopback that answers each query for a name as the next line of its script says, and a
//! resolver that really asks it: packets over UDP, nothing in between.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::lookup::{Addresses, Lookup, LookupError};

/// Answers to a name, one after the other; the last one for ever.
type Script = HashMap<String, VecDeque<Vec<Ipv4Addr>>>;

const HEADER_BYTES: usize = 12;
/// Type A, class IN (RFC 1035, sections 3.2.2 and 3.2.4).
const A_IN: [u8; 4] = [0, 1, 0, 1];

pub(crate) struct TestDns {
    address: SocketAddr,
    /// Names that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl TestDns {
    pub(crate) fn start(script: &[(&str, &[&[&str]])]) -> Self {
        let parse = |address: &&str| address.parse::<Ipv4Addr>().expect("an address");
        let answers = |answers: &[&[&str]]| {
            answers
                .iter()
                .map(|one| one.iter().map(parse).collect())
                .collect()
        };
        let script: Script = script
            .iter()
            .map(|(name, all)| ((*name).to_owned(), answers(all)))
            .collect();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || serve(&socket, script, &seen));
        Self { address, asked }
    }

    /// A resolver that asks it.
    pub(crate) fn lookup(&self) -> Arc<dyn Lookup> {
        Arc::new(UdpLookup(self.address))
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn serve(socket: &UdpSocket, mut script: Script, asked: &Mutex<Vec<String>>) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        let Some((name, question)) = question(&packet[..length]) else {
            continue;
        };
        asked.lock().expect("not poisoned").push(name.clone());
        let found = script.get_mut(&name);
        let addresses = found.and_then(|answers| match answers.len() {
            0 | 1 => answers.front().cloned(),
            _ => answers.pop_front(),
        });
        let answer = answer(&packet[..2], question, &addresses.unwrap_or_default());
        let _gone = socket.send_to(&answer, from);
    }
}

/// The name that is asked for, and the question's bytes.
fn question(packet: &[u8]) -> Option<(String, &[u8])> {
    let (mut labels, mut at) = (Vec::new(), HEADER_BYTES);
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).into_owned());
        at += length;
    }
    Some((labels.join("."), packet.get(HEADER_BYTES..at + 4)?))
}

/// RFC 1035, section 4.1: each address for 0 seconds, the name as a pointer to the question's.
fn answer(id: &[u8], question: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    let mut packet = [
        id,
        &[0x81, 0x80, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0],
        question,
    ]
    .concat();
    for address in addresses {
        packet.extend([0xc0, 0x0c]);
        packet.extend(A_IN);
        packet.extend([0, 0, 0, 0, 0, 4]);
        packet.extend(address.octets());
    }
    packet
}

struct UdpLookup(SocketAddr);

impl Lookup for UdpLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, Addresses> {
        let server = self.0;
        async move {
            let asked = tokio::task::spawn_blocking({
                let name = name.clone();
                move || ask(server, &name)
            });
            let found = asked.await.expect("it doesn't panic");
            found.map_err(|error| LookupError::Failed {
                name,
                reason: error.to_string(),
            })
        }
        .boxed()
    }
}

fn ask(server: SocketAddr, name: &str) -> std::io::Result<Vec<IpAddr>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(label.len() as u8);
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(A_IN);
    socket.send_to(&query, server)?;
    let mut packet = [0; 512];
    let length = socket.recv(&mut packet)?;
    let records = packet[query.len()..length].chunks_exact(16);
    Ok(records
        .map(|record| IpAddr::from([record[12], record[13], record[14], record[15]]))
        .collect())
}
