//! A tunnel through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6).

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::attempt::AttemptError;
use crate::proxy_connect::{Refusal, broken};

/// Longest head of a proxy's answer, bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Asks for a tunnel to `target`, a host and a port.
pub(crate) async fn connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    target: &str,
    credentials: Option<&(String, String)>,
) -> Result<(), AttemptError> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some((name, password)) = credentials {
        let pair = BASE64.encode(format!("{name}:{password}"));
        request.push_str(&format!("Proxy-Authorization: Basic {pair}\r\n"));
    }
    request.push_str("\r\n");
    let written = stream.write_all(request.as_bytes()).await;
    written.map_err(|error| broken(&error))?;
    match status(&read_head(stream).await?) {
        Some(200..=299) => Ok(()),
        Some(407) if credentials.is_some() => Err(Refusal::Credentials.into()),
        Some(407) => Err(Refusal::NoCredentials.into()),
        // RFC 9110, sections 15.6.3 and 15.6.5: it is not the proxy that failed.
        Some(status @ (502 | 504)) => Err(Refusal::Unreachable(format!("it answered {status}")).into()),
        Some(status) => Err(Refusal::Other(format!("it answered {status}")).into()),
        None => Err(Refusal::Other("it doesn't speak HTTP".to_owned()).into()),
    }
}

/// What the proxy answers, up to the empty line. Nothing may come behind it: whoever is spoken to through
/// the tunnel waits for the first word.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, AttemptError> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_HEAD_BYTES {
            return Err(Refusal::Other("its answer is too long".to_owned()).into());
        }
        let read = stream.read_buf(&mut head).await;
        if read.map_err(|error| broken(&error))? == 0 {
            return Err(Refusal::Other("it closed the connection".to_owned()).into());
        }
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    let digits = std::str::from_utf8(line.get(2..5)?).ok()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for other in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1 2", b"HTTP/1.1 abc"] {
            assert_eq!(status(other), None);
        }
    }
}
