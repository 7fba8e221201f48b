//! A connection through a SOCKS proxy, version 5 (RFC 1928), with user name and password (RFC 1929).

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::attempt::AttemptError;
use crate::proxy_connect::{Refusal, Target, broken};

const VERSION: u8 = 5;
/// The version of the exchange of user name and password.
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const CONNECT: u8 = 1;

/// Asks for a connection to `target`.
pub(crate) async fn connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    target: &Target,
    credentials: Option<&(String, String)>,
) -> Result<(), AttemptError> {
    let methods: &[u8] = if credentials.is_some() {
        &[NO_LOGIN, LOGIN]
    } else {
        &[NO_LOGIN]
    };
    let count = if credentials.is_some() { 2 } else { 1 };
    send(stream, &[&[VERSION, count], methods].concat()).await?;
    match (read::<2>(stream).await?, credentials) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, LOGIN], Some(credentials)) => log_in(stream, credentials).await?,
        ([VERSION, _], None) => return Err(Refusal::NoCredentials.into()),
        ([VERSION, _], Some(_)) => return Err(Refusal::Credentials.into()),
        _ => return Err(Refusal::Other("it doesn't speak SOCKS 5".to_owned()).into()),
    }
    send(stream, &request(target)).await?;
    read_answer(stream).await
}

async fn log_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    (name, password): &(String, String),
) -> Result<(), AttemptError> {
    let mut login = vec![LOGIN_VERSION];
    for text in [name, password] {
        let length = u8::try_from(text.len())
            .map_err(|_| AttemptError::from(Refusal::Other("a credential has over 255 bytes".to_owned())))?;
        login.push(length);
        login.extend_from_slice(text.as_bytes());
    }
    send(stream, &login).await?;
    match read::<2>(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(Refusal::Credentials.into()),
    }
}

/// RFC 1928, section 4.
fn request(target: &Target) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
    match &target.host {
        Ok(IpAddr::V4(v4)) => {
            request.push(1);
            request.extend(v4.octets());
        }
        Ok(IpAddr::V6(v6)) => {
            request.push(4);
            request.extend(v6.octets());
        }
        Err(name) => {
            // A host's name has at most 253 bytes; what is longer resolves nowhere.
            let name = &name.as_bytes()[..name.len().min(255)];
            request.extend([3, name.len() as u8]);
            request.extend(name);
        }
    }
    request.extend(target.port.to_be_bytes());
    request
}

/// RFC 1928, section 6: the reply, and the address behind it, which says nothing that is needed.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), AttemptError> {
    let [version, reply, _, kind] = read::<4>(stream).await?;
    if version != VERSION {
        return Err(Refusal::Other("it doesn't speak SOCKS 5".to_owned()).into());
    }
    match reply {
        0 => {}
        2 => return Err(Refusal::Other("its rules forbid it".to_owned()).into()),
        3 => return Err(unreachable("the network is unreachable")),
        4 => return Err(unreachable("the host is unreachable")),
        5 => return Err(unreachable("connection refused")),
        6 => return Err(unreachable("the packet's time to live ended")),
        8 => return Err(unreachable("it can't connect to such an address")),
        other => return Err(Refusal::Other(format!("it answered {other}")).into()),
    }
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(read::<1>(stream).await?[0]),
        _ => return Err(Refusal::Other("it doesn't speak SOCKS 5".to_owned()).into()),
    };
    let mut bound = vec![0; length + 2];
    let read = stream.read_exact(&mut bound).await;
    read.map(drop).map_err(|error| broken(&error))
}

fn unreachable(detail: &str) -> AttemptError {
    Refusal::Unreachable(detail.to_owned()).into()
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), AttemptError> {
    stream.write_all(bytes).await.map_err(|error| broken(&error))
}

async fn read<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> Result<[u8; N], AttemptError> {
    let mut bytes = [0; N];
    let read = stream.read_exact(&mut bytes).await;
    read.map_err(|error| broken(&error))?;
    Ok(bytes)
}
