//! A proxy on loopback, of either kind: it connects to what it is asked for, or does as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// HTTP CONNECT, without credentials.
    Http,
    /// HTTP CONNECT for `user` with `pass:word`, else 407.
    HttpWithLogin,
    /// Answers CONNECT with this status.
    HttpStatus(u16),
    /// SOCKS 5, without credentials.
    Socks,
    /// SOCKS 5 for `user` with `pass:word`.
    SocksWithLogin,
    /// Answers a SOCKS request with this reply.
    SocksReply(u8),
    /// Says nothing.
    Hang,
    /// Closes at once.
    Close,
}

pub(crate) const LOGIN: (&str, &str) = ("user", "pass:word");

pub(crate) struct TestProxy {
    pub(crate) address: SocketAddr,
    /// What it was asked to connect to.
    asked: Arc<Mutex<Vec<String>>>,
}

impl TestProxy {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, Arc::clone(&seen)));
            }
        });
        Self { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

async fn serve(mut stream: TcpStream, manner: Manner, asked: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let target = match manner {
        Manner::Close => return Ok(()),
        Manner::Hang => std::future::pending().await,
        Manner::Http | Manner::HttpWithLogin | Manner::HttpStatus(_) => {
            http(&mut stream, manner, &asked).await?
        }
        _ => socks(&mut stream, manner, &asked).await?,
    };
    if let Some(target) = target {
        let mut onward = TcpStream::connect(target).await?;
        copy_bidirectional(&mut stream, &mut onward).await?;
    }
    Ok(())
}

async fn http(
    stream: &mut TcpStream,
    manner: Manner,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().expect("not poisoned").push(target.clone());
    // base64 of user:pass:word
    let knows = head.contains("Proxy-Authorization: Basic dXNlcjpwYXNzOndvcmQ=\r\n");
    let status = match manner {
        Manner::HttpStatus(status) => status,
        Manner::HttpWithLogin if !knows => 407,
        _ => 200,
    };
    stream
        .write_all(format!("HTTP/1.1 {status} Said\r\nX-By: test\r\n\r\n").as_bytes())
        .await?;
    Ok((status == 200).then_some(target))
}

async fn socks(
    stream: &mut TcpStream,
    manner: Manner,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<Option<String>> {
    let _version = stream.read_u8().await?;
    let methods = counted(stream).await?;
    let wanted = if manner == Manner::SocksWithLogin { 2 } else { 0 };
    if !methods.contains(&wanted) {
        stream.write_all(&[5, 0xff]).await?;
        return Ok(None);
    }
    stream.write_all(&[5, wanted]).await?;
    if wanted == 2 {
        let _version = stream.read_u8().await?;
        let login = (counted(stream).await?, counted(stream).await?);
        let knows = login == (LOGIN.0.as_bytes().to_vec(), LOGIN.1.as_bytes().to_vec());
        stream.write_all(&[1, u8::from(!knows)]).await?;
        if !knows {
            return Ok(None);
        }
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => {
            let mut v4 = [0; 4];
            stream.read_exact(&mut v4).await?;
            std::net::Ipv4Addr::from(v4).to_string()
        }
        4 => {
            let mut v6 = [0; 16];
            stream.read_exact(&mut v6).await?;
            format!("[{}]", std::net::Ipv6Addr::from(v6))
        }
        _ => String::from_utf8_lossy(&counted(stream).await?).into_owned(),
    };
    let target = format!("{host}:{}", stream.read_u16().await?);
    asked.lock().expect("not poisoned").push(target.clone());
    let reply = if let Manner::SocksReply(reply) = manner {
        reply
    } else {
        0
    };
    stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok((reply == 0).then_some(target))
}

/// Bytes behind a byte that counts them.
async fn counted(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
